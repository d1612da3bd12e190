"""Operations on certificates (classic-api.md). Writes answer when they are in force on every listener."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.classic.rules import certificate as rules
from equipoise.api.classic.rules import ids, query
from equipoise.api.classic.wire import requests
from equipoise.api.classic.wire import resources as wire
from equipoise.api.context import ApiContext
from equipoise.certificates.pair import check_pair
from equipoise.certificates.vault import Vault
from equipoise.http.respond import json_response, no_content
from equipoise.http.routing import Operation
from equipoise.usecases import certificates
from equipoise.usecases.certificates import CertificateView
from equipoise.usecases.context import Caller

COLLECTION = "/v1.0/{project_id}/elbaas/certificate"
ONE = COLLECTION + "/{certificate_id}"


class CertificateHandlers:
    """Handlers of the operations on certificates.

    Args:
        show_private_key: answer with private keys in place of a mask, as published.
    """

    def __init__(self, api: ApiContext, vault: Vault, *, show_private_key: bool) -> None:
        self._api = api
        self._service = api.service
        self._vault = vault
        self._shows_key = show_private_key

    def operations(self) -> list[Operation]:
        """What this class answers. Showing one is not in the published table; it goes with the ids of the list."""
        return [
            Operation(
                "createCertificate",
                "POST",
                COLLECTION,
                self.create,
                "Create a certificate",
                body=requests.CreateCertificate,
                answer=wire.CertificateDocument,
            ),
            Operation(
                "listCertificates",
                "GET",
                COLLECTION,
                self.list,
                "List certificates",
                query=requests.CertificateQuery,
                answer=wire.CertificateList,
            ),
            Operation("showCertificate", "GET", ONE, self.show, "Show a certificate", answer=wire.CertificateDocument),
            Operation(
                "updateCertificate",
                "PUT",
                ONE,
                self.update,
                "Change a certificate",
                body=requests.UpdateCertificate,
                answer=wire.CertificateDocument,
            ),
            Operation("deleteCertificate", "DELETE", ONE, self.delete, "Delete a certificate", (204,)),
        ]

    async def create(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        body = await self._api.body(request)
        command = rules.create_certificate(body.value)
        check_pair(command.certificate, command.private_key)
        id = await self._service.put_in_force(
            caller, asked.attempt(body), lambda tx: certificates.create_certificate(tx, caller, self._vault, command)
        )
        return await self._shown(caller, id)

    async def list(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        wanted = query.certificate_filters(request.query_params)
        found = await self._service.read(
            lambda c: certificates.list_certificates(c, caller, wanted.filters.items(), wanted.limit, wanted.marker)
        )
        documents = [self._document(view) for view in found]
        return json_response({"certificates": documents, "instance_num": str(len(documents))})

    async def show(self, request: Request) -> Response:
        return await self._shown(await self._api.reader(request), _id(request))

    async def update(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        id = _id(request)
        body = await self._api.body(request)
        command = rules.update_certificate(body.value)
        renewal = await self._service.read(lambda c: certificates.prepare_renewal(c, caller, self._vault, id, command))
        await self._service.put_in_force(
            caller,
            asked.attempt(body),
            lambda tx: certificates.update_certificate(tx, caller, self._service.policy, id, command, renewal),
        )
        return await self._shown(caller, id)

    async def delete(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        id = _id(request)
        await self._service.put_in_force(
            caller, asked.attempt(), lambda tx: certificates.delete_certificate(tx, caller, id)
        )
        return no_content()

    async def _shown(self, caller: Caller, id: str) -> Response:
        return json_response(
            self._document(await self._service.read(lambda c: certificates.show_certificate(c, caller, id)))
        )

    def _document(self, view: CertificateView) -> wire.CertificateDocument:
        key = self._vault.unseal(view.content.private_key) if self._shows_key else rules.MASKED_KEY
        return wire.certificate(view, key)


def _id(request: Request) -> str:
    return ids.certificate_id(request.path_params["certificate_id"])
