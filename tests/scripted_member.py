"""A member that answers byte by byte what a test says, for what no server that behaves well would send."""

import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.stand import PATIENCE, free_port, unused_network


class Connection:
    """A connection of one request, as the member has it: `body` is what has come of it so far."""

    def __init__(self, connected: socket.socket, head: bytes, rest: bytes) -> None:
        self.socket = connected
        self.head = head
        self.body = rest

    def send(self, text: bytes) -> None:
        self.socket.sendall(text)

    def answer(self, status: str, body: bytes, *lines: str) -> None:
        """An answer whose length is said, on a connection that ends with it."""
        head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *lines])
        self.send(head.encode() + b"\r\n\r\n" + body)

    def read_until(self, is_whole: Callable[[bytes], bool]) -> bytes:
        """The body, once it is whole."""
        while not is_whole(self.body):
            received = self.socket.recv(65536)
            if not received:
                raise ConnectionError
            self.body += received
        return self.body

    def reset(self) -> None:
        """Break off, as a machine does on which the program was killed with work to do."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Script = Callable[[Connection], None]
"""What becomes of a request. The connection is closed when it returns."""


@dataclass
class ScriptedMember:
    """`script` may be replaced at any time; connections that are open go on with the old one."""

    address: str
    port: int
    script: Script


class _Handler(socketserver.BaseRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        self.request.settimeout(PATIENCE)
        # What a script says may meet a connection that the other side has closed: that is what some tests are about.
        try:
            received = b""
            while b"\r\n\r\n" not in received:
                more = self.request.recv(65536)
                if not more:
                    return
                received += more
            head, _, rest = received.partition(b"\r\n\r\n")
            self.server.member.script(Connection(self.request, head, rest))
        except OSError:
            pass


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, member: ScriptedMember) -> None:
        self.member = member
        super().__init__((member.address, member.port), _Handler)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        # Without the polite end of the base class: an unread body makes it a reset, as with a server that just closes.
        self.close_request(request)


def show_head(connection: Connection) -> None:
    """A script: the body of the answer is the head of the request."""
    connection.answer("200 OK", connection.head)


@contextmanager
def scripted_member() -> Iterator[ScriptedMember]:
    """One whose first script answers with the head that it got."""
    address = unused_network().removesuffix("0/24") + "1"
    member = ScriptedMember(address, free_port(address), show_head)
    with _Server(member) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield member
        finally:
            server.shutdown()
            thread.join()
