"""What surrounds every request: its id, its log line, and the answer when an error is raised or the service fails."""

from collections.abc import MutableMapping
from time import perf_counter
from typing import Any, Final

import structlog
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from equipoise.http.errors import Circumstances, Defect, ErrorAnswer, Renderer
from equipoise.http.request_id import HEADER, request_id_of
from equipoise.http.root import root_url
from equipoise.http.state import STATE_BEGAN, STATE_OPERATION, STATE_REFUSED, STATE_REQUEST_ID

_log = structlog.get_logger("equipoise.http")

CLIENT_GONE: Final = 499
"""The status in the log when nobody was there to answer to, as web servers commonly write it."""


class RequestBoundary:
    """The outermost layer of the application; nothing but cancellation gets past it before an answer has begun.

    Args:
        app: the application; what it raises before its answer begins is answered by `render`.
        render: makes answers to errors; what it does not know is a defect.
    """

    def __init__(self, app: ASGIApp, render: Renderer) -> None:
        self._app = app
        self._render = render
        # Bound once: to make a logger for each request takes longer than its line.
        self._log = _log.bind()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        started = state.get(STATE_BEGAN) or perf_counter()
        state[STATE_REQUEST_ID] = request_id
        answer = _Answer(send, request_id)
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._answer(scope, receive, answer)
        finally:
            # The one line for each request. Never the query, headers or bodies: tokens and keys may be in them. The
            # path is as received and still percent-encoded, so that it has no control characters.
            self._log.info(
                "request",
                method=scope["method"],
                path=scope.get("raw_path", b"").decode("ascii", "backslashreplace"),
                status=state.get(STATE_REFUSED) or answer.status or CLIENT_GONE,
                duration_ms=round((perf_counter() - started) * 1000, 3),
                request_id=request_id,
            )
            structlog.contextvars.reset_contextvars(**bound)

    async def _answer(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            return  # nobody is left to answer to
        except Exception as error:
            # The boundary: whatever fails, the client gets an answer with the id under which the log has the cause.
            state = scope["state"]
            root = root_url(HTTPConnection(scope))
            circumstances = Circumstances(state[STATE_REQUEST_ID], root, state.get(STATE_OPERATION, ""))
            told = self._render(error, circumstances)
            if told is None:
                _log.exception("defect", method=scope["method"])
            if answer.status is not None:
                raise  # too late for another answer: the server breaks the connection off
            await answer.send_error(told or render_or_defect(self._render, error, circumstances))


def render_or_defect(render: Renderer, error: Exception, circumstances: Circumstances) -> ErrorAnswer:
    """The answer to an error; that to a defect for one that nobody knows."""
    defect = Defect("The service failed to handle this request; report it with the request id, please.")
    answer = render(error, circumstances) or render(defect, circumstances)
    if answer is None:
        raise TypeError("the renderer has no answer to a defect") from error
    return answer


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

    async def send_error(self, told: ErrorAnswer) -> None:
        await self.send({"type": "http.response.start", "status": told.status, "headers": told.headers})
        await self.send({"type": "http.response.body", "body": told.body})
