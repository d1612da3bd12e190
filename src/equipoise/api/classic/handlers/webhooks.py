"""Operations on the webhook of a project."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.rules import webhook as rules
from equipoise.api.classic.rules.certificate import MASKED_KEY
from equipoise.api.classic.wire import requests
from equipoise.api.classic.wire import webhooks as wire
from equipoise.api.context import ApiContext
from equipoise.certificates.vault import Vault
from equipoise.http.respond import json_response, no_content
from equipoise.http.routing import Operation
from equipoise.store.database import Transaction
from equipoise.usecases import webhooks
from equipoise.webhooks.targets import TargetForbidden, Targets

PATH = "/v1.0/{project_id}/webhook"


class WebhookHandlers:
    """Handlers of the operations on webhooks."""

    def __init__(self, api: ApiContext, vault: Vault, targets: Targets) -> None:
        self._api = api
        self._service = api.service
        self._vault = vault
        self._targets = targets

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [
            Operation(
                "putWebhook",
                "PUT",
                PATH,
                self.put,
                "Set where the ends of jobs are told",
                body=requests.PutWebhook,
                answer=wire.WebhookDocument,
            ),
            Operation("showWebhook", "GET", PATH, self.show, "Show the webhook", answer=wire.WebhookDocument),
            Operation("deleteWebhook", "DELETE", PATH, self.delete, "Delete the webhook", (204,)),
        ]

    async def put(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller
        body = await self._api.body(request)
        command = rules.put_webhook(body.value)
        try:
            self._targets.check_literal(urlsplit(command.url).hostname or "")
        except TargetForbidden as error:
            raise RuleBroken(Rule.WEBHOOK_INVALID, f"url leads where nothing is delivered: {error}.") from None

        def write(tx: Transaction) -> str:
            webhooks.put_webhook(tx, caller, self._vault, command)
            return ""

        await self._service.change(caller, asked.attempt(body), write)
        record = await self._service.read(lambda c: webhooks.show_webhook(c, caller))
        # Shown this once; who kept the old one may not know it.
        secret = MASKED_KEY if command.keeps_secret else self._vault.unseal(record.secret)
        return json_response(wire.webhook(record, secret))

    async def show(self, request: Request) -> Response:
        caller = await self._api.reader(request)
        record = await self._service.read(lambda c: webhooks.show_webhook(c, caller))
        return json_response(wire.webhook(record, MASKED_KEY))

    async def delete(self, request: Request) -> Response:
        asked = await self._api.writer(request)
        caller = asked.caller

        def write(tx: Transaction) -> str:
            webhooks.delete_webhook(tx, caller)
            return ""

        await self._service.change(caller, asked.attempt(), write)
        return no_content()
