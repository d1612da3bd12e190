"""One HTTP/1.1 connection: what must be refused before an application could. Everything else is uvicorn's.

Refused, with the error body of the contract and a closed connection: a request that is not complete in time (408), a
URL or a head that is too long, and what is no HTTP (400).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, NoReturn

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from equipoise.http.errors import Circumstances, NotHttp, NotServing, Renderer, RequestError, RequestTooSlow, UrlTooLong
from equipoise.http.middleware import log_request, render_or_defect
from equipoise.http.request_id import HEADER, request_id_of
from equipoise.http.state import STATE_REFUSED, STATE_REQUEST_ID

LINGER_SECONDS: Final = 2.0
"""How long a refused client may go on sending: to close at once, with bytes unread, would reset the connection, and
the answer could be lost on its way."""

UNKNOWN_METHOD: Final = "-"
"""The method in the log line of a request whose head never was complete."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take.

    Args:
        request_seconds: for a whole request, from its first bytes to its last; also from connecting to the first byte.
        url_bytes: the longest request target.
        head_bytes: all names and values of headers together.
        keep_alive_seconds: how long a connection may rest between two requests.
    """

    request_seconds: float = 10.0
    url_bytes: int = 8 * 1024
    head_bytes: int = 32 * 1024
    keep_alive_seconds: int = 60


class GuardedProtocol(HttpToolsProtocol):
    """A connection that keeps within `Limits`.

    A deadline runs while a request has begun to arrive and is not complete. It is put off while it is this side that
    is slow: while reading is paused because the application has not taken what came, or while an earlier request of
    the connection is still being answered.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        limits: Limits,
        render: Renderer,
        on_lost: Callable[[], None],
    ) -> None:
        super().__init__(config, server_state, app_state={})
        self._render = render
        self._limits = limits
        self._on_lost = on_lost
        self._deadline: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None
        # The request that is arriving.
        self.url = b""
        self.headers = []
        self._arriving = False
        self._head_complete = False
        self._head_bytes = 0
        self._began = perf_counter()
        # Why this connection is over.
        self._error: RequestError | None = None
        self._refused = False

    # --- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        self._unset_keepalive_if_required()
        if self._linger is not None:
            self._linger.cancel()
        super().connection_lost(exc)
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        in_head = self._arriving and not self._head_complete
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(self._error or NotHttp("This is not a valid HTTP/1.1 request."))
            return
        if in_head and not self._head_complete:
            # A header that never ends reaches no callback, but must not fill the memory either.
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.url_bytes + self._limits.head_bytes:
                self._refuse(self._head_too_long())
                return
        if self._deadline is None and (self._arriving or not self._answering()):
            self._start_deadline()

    def shutdown(self) -> None:
        """Close, after the answer that is under way; a refused client lingers no longer.

        A request whose head is not complete gets its answer, too: 503.
        """
        if self._refused:
            self.transport.close()
        elif self._arriving and not self._head_complete and not self._answering():
            self._refuse(NotServing("The service is stopping; try again in a few seconds."))
        else:
            super().shutdown()

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                # No other protocol is spoken here: the request is answered in HTTP/1.1 (RFC 9110, section 7.8). The
                # parser gives up the body of a request that offers one, so it reads the request again without the
                # offer. Java's own client makes such an offer with every first request.
                data = self._head_without_offer() + data[offer.args[0] :]
            else:
                return

    def _head_without_offer(self) -> bytes:
        headers = b"".join(name + b": " + value + b"\r\n" for name, value in self.headers if name != b"upgrade")
        return self.parser.get_method() + b" " + self.url + b" HTTP/1.1\r\n" + headers + b"\r\n"

    # --- the request that is arriving, as the parser finds it

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._began = perf_counter()
        self._arriving = True
        self._head_complete = False
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.url_bytes:
            self._break_off(UrlTooLong(f"The URL is longer than {self._limits.url_bytes} bytes; ask for less at once."))

    def on_headers_complete(self) -> None:
        if sum(len(name) + len(value) for name, value in self.headers) > self._limits.head_bytes:
            self._break_off(self._head_too_long())
        if self.parser.get_method() == b"CONNECT":
            self._break_off(NotHttp("This is no proxy; send the request to a path."))
        if self.parser.should_upgrade():
            return  # see _parse
        super().on_headers_complete()
        self._head_complete = True

    def on_message_complete(self) -> None:
        if not self._head_complete:
            return  # see _parse
        super().on_message_complete()
        self._arriving = False
        self._stop_deadline()
        if self.cycle.response_complete and not self.transport.is_closing():
            # The answer came before the end of the request, and the last bytes of that have undone its timer.
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _break_off(self, error: RequestError) -> NoReturn:
        """Stop the parser, out of one of its callbacks; `data_received` refuses the request then."""
        self._error = error
        raise error

    # --- refusing

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self._limits.request_seconds, self._on_deadline)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        self._deadline = None
        if self.flow.read_paused or self._answering_an_earlier_request():
            self._start_deadline()
        elif self._arriving:
            self._refuse(
                RequestTooSlow(
                    f"The request was not complete within {self._limits.request_seconds:g} seconds; send it again."
                )
            )
        else:
            # Not one byte of a request came: there is nothing to answer.
            self.transport.close()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _in_body(self) -> bool:
        """Whether the arriving request is the one of `cycle`, which the application has or is about to get."""
        return self._arriving and self._head_complete

    def _answering_an_earlier_request(self) -> bool:
        return bool(self.pipeline) if self._in_body() else self._answering()

    def _refuse(self, error: RequestError) -> None:
        """Answer in the application's place and close, or only close where an answer has begun."""
        self._refused = True
        self._stop_deadline()
        self.flow.resume_reading()
        if self._in_body():
            self._refuse_rest_of_body(error)
        elif self._answering():
            # What came after a request that is still being answered: that answer becomes the last one.
            self.cycle.keep_alive = False
        else:
            request_id = request_id_of(self.headers)
            status = self._send_refusal(error, request_id)
            path = self.url.partition(b"?")[0].decode("ascii", "backslashreplace")
            log_request(UNKNOWN_METHOD, path, status, self._began, request_id)

    def _refuse_rest_of_body(self, error: RequestError) -> None:
        if self.pipeline or self.cycle.response_started:
            self.transport.close()
            return
        state: dict[str, Any] = self.scope["state"]
        request_id = state.get(STATE_REQUEST_ID) or request_id_of(self.headers)
        state[STATE_REFUSED] = self._send_refusal(error, request_id)
        # The application learns that there is nobody left to answer to, and writes the log line.
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    def _send_refusal(self, error: RequestError, request_id: str) -> int:
        answer = render_or_defect(self._render, error, Circumstances(request_id))
        headers = [
            *self.server_state.default_headers,
            *answer.headers,
            (HEADER, request_id.encode("ascii")),
            (b"connection", b"close"),
        ]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[answer.status] + head + b"\r\n" + answer.body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._linger = self.loop.call_later(LINGER_SECONDS, self.transport.close)
        return answer.status

    def _head_too_long(self) -> NotHttp:
        return NotHttp(
            f"The headers are longer than {self._limits.head_bytes} bytes together; send fewer or shorter ones."
        )
