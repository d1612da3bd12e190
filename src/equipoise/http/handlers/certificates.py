"""Operations on certificates (classic-api.md). Writes answer when they are in force on every listener."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.certificates.pair import check_pair
from equipoise.certificates.vault import Vault
from equipoise.domain.rules import certificate as rules
from equipoise.domain.rules import ids, query
from equipoise.http.edge import Edge
from equipoise.http.respond import json_response, no_content
from equipoise.http.routing import Operation
from equipoise.http.wire import requests
from equipoise.http.wire import resources as wire
from equipoise.usecases import certificates
from equipoise.usecases.certificates import CertificateView
from equipoise.usecases.context import Caller

COLLECTION = "/v1.0/{project_id}/elbaas/certificate"
ONE = COLLECTION + "/{certificate_id}"


class Certificates:
    """Handlers of the operations on certificates.

    Args:
        show_private_key: answer with private keys in place of a mask, as published.
    """

    def __init__(self, edge: Edge, vault: Vault, *, show_private_key: bool) -> None:
        self._edge = edge
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
        caller = await self._edge.writer(request)
        command = rules.create_certificate(await self._edge.body(request))
        check_pair(command.certificate, command.private_key)
        id = await self._edge.put_in_force(
            caller, lambda tx: certificates.create_certificate(tx, caller, self._vault, command)
        )
        return await self._shown(caller, id)

    async def list(self, request: Request) -> Response:
        caller = await self._edge.reader(request)
        wanted = query.certificate_filters(request.query_params)
        found = await self._edge.read(
            lambda c: certificates.list_certificates(c, caller, wanted.filters, wanted.limit, wanted.marker)
        )
        documents = [self._document(view) for view in found]
        return json_response({"certificates": documents, "instance_num": str(len(documents))})

    async def show(self, request: Request) -> Response:
        return await self._shown(await self._edge.reader(request), _id(request))

    async def update(self, request: Request) -> Response:
        caller = await self._edge.writer(request)
        id = _id(request)
        command = rules.update_certificate(await self._edge.body(request))
        renewal = await self._edge.read(lambda c: certificates.prepare_renewal(c, caller, self._vault, id, command))
        await self._edge.put_in_force(
            caller, lambda tx: certificates.update_certificate(tx, caller, self._edge.policy, id, command, renewal)
        )
        return await self._shown(caller, id)

    async def delete(self, request: Request) -> Response:
        caller = await self._edge.writer(request)
        id = _id(request)
        await self._edge.put_in_force(caller, lambda tx: certificates.delete_certificate(tx, caller, id))
        return no_content()

    async def _shown(self, caller: Caller, id: str) -> Response:
        return json_response(
            self._document(await self._edge.read(lambda c: certificates.show_certificate(c, caller, id)))
        )

    def _document(self, view: CertificateView) -> wire.CertificateDocument:
        key = self._vault.unseal(view.content.private_key) if self._shows_key else rules.MASKED_KEY
        return wire.certificate(view, key)


def _id(request: Request) -> str:
    return ids.certificate_id(request.path_params["certificate_id"])
