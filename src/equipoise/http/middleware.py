"""What surrounds every request: its id, its log line, and the answer when a rule is broken or the service fails."""

from collections.abc import MutableMapping
from time import perf_counter
from typing import Any, Final

import structlog
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from equipoise.domain.errors import Rule, RuleBroken
from equipoise.http.catalogue import render_error
from equipoise.http.request_id import HEADER, request_id_of
from equipoise.http.root import root_url

_log = structlog.get_logger("equipoise.http")

CLIENT_GONE: Final = 499
"""The status in the log when nobody was there to answer to, as web servers commonly write it."""

STATE_BEGAN: Final = "began"
"""Set by the server where the request began long before it came here: when, by `perf_counter`."""

STATE_REQUEST_ID: Final = "request_id"
STATE_REFUSED: Final = "refused_with"
"""Set by the server when it has answered in the application's place: the status of that answer."""


def log_request(method: str, path: str, status: int, started: float, request_id: str) -> None:
    """The one line for each request. Never the query, headers or bodies: tokens and keys may be in them.

    Args:
        method: as received.
        path: as received, without the query and still percent-encoded, so that it has no control characters.
        status: of the answer.
        started: when the request began, by `perf_counter`.
        request_id: the id on the answer.
    """
    _log.info(
        "request",
        method=method,
        path=path,
        status=status,
        duration_ms=round((perf_counter() - started) * 1000, 3),
        request_id=request_id,
    )


class RequestBoundary:
    """The outermost layer of the application; nothing but cancellation gets past it before an answer has begun.

    Args:
        app: the application; it may raise RuleBroken at any time before its answer begins.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        started = state.get(STATE_BEGAN) or perf_counter()
        state[STATE_REQUEST_ID] = request_id
        answer = _Answer(send, request_id)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._answer(scope, receive, answer)
            finally:
                status = state.get(STATE_REFUSED) or answer.status or CLIENT_GONE
                path = scope.get("raw_path", b"").decode("ascii", "backslashreplace")
                log_request(scope["method"], path, status, started, request_id)

    async def _answer(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            return  # nobody is left to answer to
        except RuleBroken as broken:
            if answer.status is not None:
                raise
            broken.parameters.setdefault("identity_uri", f"{root_url(HTTPConnection(scope))}/v3")
            await answer.send_error(broken)
        except Exception:
            # The boundary: whatever fails, the client gets a plain 500 with the id under which the log has the cause.
            _log.exception("defect", method=scope["method"])
            if answer.status is not None:
                raise  # too late for another answer: the server breaks the connection off
            await answer.send_error(
                RuleBroken(
                    Rule.DEFECT, "The service failed to handle this request; report it with the request id, please."
                )
            )


class _Answer:
    """Puts the request id on the answer, and remembers the status of one that has begun."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (HEADER, self._request_id.encode("ascii"))]
            message = {**message, "headers": headers}
        await self._send(message)

    async def send_error(self, broken: RuleBroken) -> None:
        status, body, headers = render_error(broken, self._request_id)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})
