"""One HTTP/1.1 connection: what must be refused before an application could, and how a connection ends.

Refused, with the error body of the contract and a closed connection: a request that is not complete in time (408) or
whose client ends the connection before it is, a URL or a head that is too long, what is no HTTP, and what a head may
not say (`equipoise.http.head`). Tasks, flow control and the time between two requests are uvicorn's.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, cast

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from equipoise.http.errors import (
    Circumstances,
    Malformed,
    NotServing,
    Renderer,
    RequestError,
    RequestTooSlow,
    UrlTooLong,
)
from equipoise.http.exchange import Exchange
from equipoise.http.head import check_head, target_of, with_host
from equipoise.http.malformed import refusal_of
from equipoise.http.middleware import RequestBoundary, render_or_defect
from equipoise.http.request_id import HEADER, request_id_of
from equipoise.http.state import STATE_BEGAN, STATE_REFUSED, STATE_REQUEST_ID

LINGER_SECONDS: Final = 2.0
"""How long a client may go on sending after the last answer: to close at once, with bytes unread, would reset the
connection, and the answer could be lost on its way (RFC 9112, section 9.6)."""

UNKNOWN_METHOD: Final = "-"
"""The method in the log line of a request whose method never was complete."""

FRAMING_FACTOR: Final = 8
"""How many bytes of sizes and extensions may come for each byte of a body in chunks, beside `head_bytes`; a chunk of
one byte needs five."""


@dataclass(frozen=True, slots=True)
class HeadLimits:
    """What a client may take.

    Args:
        request_seconds: for a whole request, from its first bytes to its last; also from connecting to the first byte.
        url_bytes: the longest request target.
        head_bytes: all names and values of headers together; also what comes between and after chunks of a body.
        keep_alive_seconds: how long a connection may rest between two requests.
    """

    request_seconds: float = 10.0
    url_bytes: int = 8 * 1024
    head_bytes: int = 32 * 1024
    keep_alive_seconds: int = 60


class GuardedProtocol(HttpToolsProtocol):
    """A connection that keeps within `HeadLimits`.

    Requests that are sent at once are answered in their order, a refused one in its turn, too, as the last. A client
    may end its side of the connection after its last request: it gets all its answers.

    A deadline runs while a request has begun to arrive and is not complete. It is put off while it is this side that
    is slow: while reading is paused because the application has not taken what came, or while an earlier request of
    the connection is still being answered.
    """

    cycle: Exchange
    """The exchange of the newest request whose head is complete."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        limits: HeadLimits,
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
        self._begun = 0  # requests that began in the data that came last
        self._arriving = False
        self._method = UNKNOWN_METHOD
        self._head_complete = False
        self._head_bytes = 0  # of a head that came in several parts
        self._headers_bytes = 0
        self._body_bytes = 0
        self._framing_bytes = 0
        self._began = perf_counter()
        # How the connection ends.
        self._over = False  # nothing that still comes is read
        self._ended_by_client = False
        self._stopping = False

    # --- the connection

    # As in uvicorn, which narrows what asyncio declares.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self._stop_deadline()
        self._unset_keepalive_if_required()
        if self._linger is not None:
            self._linger.cancel()
        super().connection_lost(exc)
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        self._unset_keepalive_if_required()
        in_head, in_body = self._arriving and not self._head_complete, self._in_body()
        if in_body:
            self._framing_bytes += len(data)
        self._begun = 0
        try:
            self._parse(data)
        except httptools.HttpParserError as fault:
            if not self._over:
                broken = fault.__context__
                begins_here = not (in_head or in_body) and self._begun <= 1
                self._refuse(
                    broken if isinstance(broken, RequestError) else refusal_of(fault, data if begins_here else b"")
                )
            return
        if in_head and not self._head_complete:
            # A header that never ends reaches no callback, but must not fill the memory either.
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.url_bytes + self._limits.head_bytes:
                self._refuse(self._head_too_long())
                return
        if in_body and self._in_body() and self._framing_bytes > self._most_framing_bytes():
            self._refuse(Malformed("What stands between the chunks is too long; send larger ones."))
            return
        if self._deadline is None and not self._over and (self._arriving or not self._answering()):
            self._start_deadline()

    # asyncio looks at the answer; uvicorn declares none.
    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more. Returns whether an answer is still to be sent, so that this side stays open."""
        self._ended_by_client = True
        if self._arriving and not self._over:
            self._refuse(
                Malformed(
                    "The connection was ended before the request was complete; send all that its head announces.",
                )
            )
        elif self._answering():
            self._over = True
            self.cycle.keep_alive = False
        return self._answering() and not self.transport.is_closing()

    def shutdown(self) -> None:
        """Close, after the answers that are under way; a client that has had its last one lingers no longer.

        A request whose head is not complete gets its answer, too: 503.
        """
        self._stopping = True
        if self._linger is not None:
            self.transport.close()
        elif self._answering():
            self._over = self._over or not self._in_body()
            self.cycle.keep_alive = False
        elif self._arriving and not self._head_complete:
            self._refuse(NotServing("The service is stopping; try again in a few seconds."))
        else:
            self._hang_up()

    def _hang_up(self) -> None:
        """After the last answer: end this side, and the connection when the client has ended its own."""
        self._over = True
        self._stop_deadline()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._ended_by_client or (self._stopping and not self._arriving) or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self._linger = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                # No other protocol is spoken here: the request is answered in its own (RFC 9110, section 7.8). The
                # parser gives up the body of a request that offers one, so another one reads the request again without
                # the offer. Java's own client makes such an offer with every first request.
                data = self._head_without_offer() + data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
            else:
                return

    def _head_without_offer(self) -> bytes:
        start = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        lines = (b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade")
        return b"%b%b\r\n" % (start, b"".join(lines))

    # --- the request that is arriving, as the parser finds it

    def on_message_begin(self) -> None:
        if self._over:
            raise _NotReadError
        super().on_message_begin()
        self._begun += 1
        self._began = perf_counter()
        self._arriving = True
        self._method = UNKNOWN_METHOD
        self._head_complete = False
        self._head_bytes = self._headers_bytes = self._body_bytes = self._framing_bytes = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._method = self.parser.get_method().decode("ascii")
        if len(self.url) > self._limits.url_bytes:
            raise UrlTooLong(f"The URL is longer than {self._limits.url_bytes} bytes; ask for less at once.")

    def on_header(self, name: bytes, value: bytes) -> None:
        # What comes after a body in chunks is nothing that anybody here reads, and must never pass for a header of the
        # head (RFC 9110, section 6.5.1).
        if not self._head_complete:
            self._headers_bytes += len(name) + len(value)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._headers_bytes > self._limits.head_bytes:
            raise self._head_too_long()
        version = self.parser.get_http_version()
        check_head(version, self.headers)
        target = target_of(self._method, self.url)
        if self.parser.should_upgrade():
            return  # see _parse
        self._head_complete = True
        if target.authority is not None:
            self.headers[:] = with_host(self.headers, target.authority)
        self.scope["http_version"] = version
        self.scope["method"] = self._method
        self.scope["path"] = target.path
        self.scope["raw_path"] = target.raw_path
        self.scope["query_string"] = target.query
        # HTTP/1.0 knows no 100 (RFC 9110, section 10.1.1), and its connections end with their answer.
        of_today = version != "1.0"
        self._begin_exchange(
            self.app,
            expect_100_continue=of_today and self.expect_100_continue,
            keep_alive=of_today and self.parser.should_keep_alive(),
        )

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._framing_bytes -= len(body)
        self.cycle.no_need_to_ask_for_the_body()
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._head_complete:
            return  # see _parse
        super().on_message_complete()
        self.cycle.no_need_to_ask_for_the_body()
        self._arriving = False
        self._stop_deadline()
        if not self.cycle.keep_alive:
            self._over = True
        elif self.cycle.response_complete and not self.transport.is_closing():
            # The answer came before the end of the request, and the last bytes of that have undone its timer.
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _begin_exchange(self, app: ASGI3Application, *, expect_100_continue: bool, keep_alive: bool) -> None:
        """Let the application answer the request, in its turn."""
        in_turn = not self._answering()
        self.cycle = Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
            on_last_response=self._hang_up,
        )
        if in_turn:
            self._start_asgi_task(self.cycle, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, app))

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
                    f"The request was not complete within {self._limits.request_seconds:g} seconds; send it again.",
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
        """Answer in the application's place, in its turn, and hang up; only that where an answer has begun."""
        self._over = True
        self._stop_deadline()
        if not self._in_body():
            if not self._arriving:
                super().on_message_begin()
                self._method = UNKNOWN_METHOD
            self.scope["method"] = self._method
            self.scope["path"] = "/"
            self.scope["raw_path"] = self.url.partition(b"?")[0]
            # A host that was refused must not become part of a URL.
            self.scope["headers"] = [header for header in self.headers if header[0] != b"host"]
            self._begin_exchange(self._refusing(error), expect_100_continue=False, keep_alive=False)
        elif self.pipeline:
            self.cycle.keep_alive = False
            self.pipeline[0] = (self.cycle, self._refusing(error))
        elif not self.cycle.response_started:
            self._answer_in_place_of_the_application(error)
        elif not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self._hang_up()

    def _refusing(self, error: RequestError) -> ASGI3Application:
        """An application that has nothing else to say."""

        async def refuse(_scope: Scope, _receive: Receive, _send: Send) -> None:
            raise error

        self.scope["state"][STATE_BEGAN] = self._began
        return cast("ASGI3Application", RequestBoundary(refuse, self._render))

    def _answer_in_place_of_the_application(self, error: RequestError) -> None:
        state: dict[str, Any] = self.scope["state"]
        request_id = state.get(STATE_REQUEST_ID) or request_id_of(self.headers)
        answer = render_or_defect(self._render, error, Circumstances(request_id))
        # The application learns that there is nobody left to answer to, and writes the log line.
        state[STATE_REFUSED] = answer.status
        self.cycle.answer_in_place(answer.status, [*answer.headers, (HEADER, request_id.encode("ascii"))], answer.body)

    def _most_framing_bytes(self) -> int:
        return self._limits.head_bytes + FRAMING_FACTOR * self._body_bytes

    def _head_too_long(self) -> Malformed:
        return Malformed(
            f"The headers are longer than {self._limits.head_bytes} bytes together; send fewer or shorter ones.",
        )


class _NotReadError(Exception):
    """Stops the parser at what comes after the last request of a connection."""
