"""An identity service that misbehaves: it says nothing, or what makes no sense, or is not there."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Mood = Literal["silent", "nonsense", "rude", "tokenless"]

_END = b"Connection: close\r\n"
"""Said, so that no client asks again on a connection that is just being closed."""

_ANSWERS: dict[Mood, bytes] = {
    "nonsense": b"HTTP/1.1 200 OK\r\n" + _END + b"Content-Length: 5\r\n\r\nhello",
    "rude": b"",
    "tokenless": b"HTTP/1.1 201 Created\r\n" + _END + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
}


class OddIdentity:
    """Listens on a port of its own; `mood` says how it takes the next connections."""

    def __init__(self) -> None:
        self.mood: Mood = "silent"
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v3"
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """From now on connections are refused; what was held is let go. Closing twice is closing once."""
        if self._listening.fileno() < 0:
            return
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        for connection in self._held:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            if self.mood == "silent":
                self._held.append(connection)
            else:
                connection.recv(65536)
                connection.sendall(_ANSWERS[self.mood])
                connection.close()


@contextmanager
def odd_identity() -> Iterator[OddIdentity]:
    identity = OddIdentity()
    try:
        yield identity
    finally:
        identity.close()
