"""A member that shows the headers it got, upgrades to WebSocket, and takes and sends large bodies at its own pace."""

import hashlib
import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stand import free_port, unused_network

BLOCK = bytes(range(256)) * 256
"""64 KiB; bodies are made of it."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def body_digest(blocks: int) -> str:
    digest = hashlib.sha256()
    for _ in range(blocks):
        digest.update(BLOCK)
    return digest.hexdigest()


class VersatileMember:
    """`GET /head` answers with the request's head, `PUT` with the digest of its body, `GET /blocks/N` with N blocks.

    Bodies are read and written only while `flows` is set; `is_held_up` is set when nothing can be written any more.
    """

    def __init__(self) -> None:
        self.address = unused_network().removesuffix("0/24") + "1"
        self.port = free_port(self.address)
        self.flows = threading.Event()
        self.flows.set()
        self.is_held_up = threading.Event()
        self.sent = 0
        member = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                # A client that goes away in the middle is part of some tests.
                try:
                    while member._serve(self.request):
                        pass
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server((self.address, self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self.flows.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, client: socket.socket) -> bool:
        head, rest = _head(client)
        if not head:
            return False
        method, path, _ = head.split(b"\r\n", 1)[0].split(b" ")
        if b"\r\nupgrade: websocket" in head.lower():
            self._echo(client, rest)
            return False
        if method == b"PUT":
            self._answer(client, self._digest(client, head, rest).encode())
        elif path.startswith(b"/blocks/"):
            self._send_blocks(client, int(path.rpartition(b"/")[2]))
        else:
            self._answer(client, head)
        return True

    def _answer(self, client: socket.socket, body: bytes) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def _echo(self, client: socket.socket, rest: bytes) -> None:
        client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + rest)
        while data := client.recv(65536):
            client.sendall(data)

    def _digest(self, client: socket.socket, head: bytes, rest: bytes) -> str:
        found = _LENGTH.search(head)
        assert found is not None
        missing = int(found[1]) - len(rest)
        digest = hashlib.sha256(rest)
        while missing:
            self.flows.wait()
            data = client.recv(min(missing, 1 << 20))
            if not data:
                raise ConnectionError
            digest.update(data)
            missing -= len(data)
        return digest.hexdigest()

    def _send_blocks(self, client: socket.socket, blocks: int) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (blocks * len(BLOCK)))
        client.settimeout(0.5)
        for _ in range(blocks):
            view = memoryview(BLOCK)
            while view:
                try:
                    written = client.send(view)
                except TimeoutError:
                    self.is_held_up.set()
                    continue
                self.sent += written
                view = view[written:]
        client.settimeout(None)


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    """The head of the next request and what came with it; nothing when there is none."""
    got = b""
    while b"\r\n\r\n" not in got:
        data = client.recv(65536)
        if not data:
            return b"", b""
        got += data
    head, _, rest = got.partition(b"\r\n\r\n")
    return head, rest


@contextmanager
def versatile_member() -> Iterator[VersatileMember]:
    member = VersatileMember()
    try:
        yield member
    finally:
        member.close()
