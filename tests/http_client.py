"""An HTTP client for tests that sends what it is told, byte by byte, and shows what came back in the same way."""

import socket
from contextlib import suppress
from dataclasses import dataclass

from tests.stand import PATIENCE


@dataclass(frozen=True, slots=True)
class Received:
    """All that came back until the connection ended: answers one after the other, provisional ones too."""

    text: bytes

    @property
    def status(self) -> int:
        """The status of the first answer; 0 when there was none."""
        return int(self.text.split(b" ", 2)[1]) if self.text else 0

    @property
    def head(self) -> bytes:
        return self.text.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.text.partition(b"\r\n\r\n")[2]


def ask_raw(connection: socket.socket, text: bytes) -> Received:
    """Send a request that asks for the end of the connection, and read on to that end."""
    connection.sendall(text)
    return until_the_end(connection)


def until_the_end(connection: socket.socket) -> Received:
    received = b""
    connection.settimeout(PATIENCE)
    # Whoever cuts a connection has said what it had to say before.
    with suppress(ConnectionResetError):
        while more := connection.recv(1 << 20):
            received += more
    return Received(received)


def request(line: str, *lines: str, body: bytes = b"") -> bytes:
    """A request whose connection ends with its answer; `line` is method and target."""
    head = "\r\n".join([f"{line} HTTP/1.1", "Host: a.test", *lines, *_close(lines)])
    return head.encode() + b"\r\n\r\n" + body


def offer(*protocols: str) -> bytes:
    """A request that offers to change to these protocols, each in a line of its own."""
    return request("GET /", "Connection: Upgrade", *(f"Upgrade: {each}" for each in protocols))


def _close(lines: tuple[str, ...]) -> list[str]:
    return [] if any(line.lower().startswith("connection:") for line in lines) else ["Connection: close"]


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """What comes up to and with `end`."""
    received = b""
    connection.settimeout(PATIENCE)
    while not received.endswith(end):
        more = connection.recv(1 << 20)
        if not more:
            raise ConnectionError(f"the connection ended after {received!r}")
        received += more
    return received
