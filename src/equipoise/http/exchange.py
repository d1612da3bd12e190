"""One request and its answer on a connection: what goes out, byte for byte (RFC 9112). Receiving is uvicorn's."""

from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

from equipoise.http.header_names import documented

_WITHOUT_BODY: Final = frozenset({204, 304})


class Exchange(RequestResponseCycle):
    """Differs from uvicorn's in what it sends.

    Names of headers go out in their documented case. An answer to a client that still waits for `100 Continue` is the
    last one of the connection: nobody could tell whether what comes next is the body or another request (RFC 9110,
    section 10.1.1). An answer without a body is complete with its head, however long the application goes on. A client
    of HTTP/1.0 gets no chunks, which it does not know (RFC 9112, section 6.1).

    Args:
        on_last_response: called in place of `on_response` when the connection ends with this answer.
    """

    def __init__(self, *, on_last_response: Callable[[], None], **parts: Any) -> None:
        super().__init__(**parts)
        self._on_last_response = on_last_response
        self._has_body = True
        self._remaining: int | None = None  # bytes that Content-Length still promises
        self._head = b""  # of a body whose length is known: one write carries both

    def no_need_to_ask_for_the_body(self) -> None:
        """The body is here, or has begun to come: it needs no `100 Continue`."""
        self.waiting_for_100_continue = False

    async def send(self, message: Any) -> None:
        """Send a message of ASGI."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected or (not self._has_body and self.response_complete):
            return
        if self.response_complete:
            raise RuntimeError(f"{message['type']} after the end of the answer.")
        expected = "http.response.body" if self.response_started else "http.response.start"
        if message["type"] != expected:
            raise RuntimeError(f"{message['type']} where {expected} is due.")
        if self.response_started:
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            self._send_head(message["status"], [*self.default_headers, *message.get("headers", ())])

    def answer_in_place(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send the last answer of the connection; the application is told that the client has gone."""
        self.keep_alive = False
        self._send_head(status, [*self.default_headers, *headers])
        if self._has_body:
            self._send_body(body, more=False)
        self.disconnected = True
        self.message_event.set()

    def _send_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.response_started = True
        if self.waiting_for_100_continue:
            self.waiting_for_100_continue = False
            self.keep_alive = False
        lines = [STATUS_LINE[status]]
        for name, value in headers:
            if HEADER_VALUE_RE.search(value):
                raise RuntimeError(f"The value of the header {name!r} cannot be sent.")
            if name == b"connection":
                self.keep_alive = False  # nobody says more here than that it is to be closed
                continue
            if name == b"content-length":
                self._remaining = int(value)
            lines += (documented(name), b": ", value, b"\r\n")
        if self.scope["method"] == "HEAD" or status in _WITHOUT_BODY:
            self._has_body = False
        elif self._remaining is None and self.scope["http_version"] != "1.0":
            self.chunked_encoding = True
            lines.append(b"Transfer-Encoding: chunked\r\n")
        if not self.keep_alive:
            lines.append(b"Connection: close\r\n")
        lines.append(b"\r\n")
        head = b"".join(lines)
        if self._has_body and self._remaining is not None:
            self._head = head
            return
        self.transport.write(head)
        if not self._has_body:
            self._complete()

    def _send_body(self, body: bytes, *, more: bool) -> None:
        if self.chunked_encoding:
            self.transport.write(_chunk(body) + (b"" if more else b"0\r\n\r\n"))
        else:
            self._count(len(body), more=more)
            self.transport.write(self._head + body)
            self._head = b""
        if not more:
            self._complete()

    def _complete(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if self.keep_alive:
            self.on_response()
        else:
            self._on_last_response()

    def _count(self, sent: int, *, more: bool) -> None:
        if self._remaining is not None:
            self._remaining -= sent
            if self._remaining < 0 or (self._remaining and not more):
                raise RuntimeError("The body has not the length that Content-Length says.")


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body) if body else b""
