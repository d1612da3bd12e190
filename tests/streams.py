"""Endless transfers through a load balancer, and their rates. A rate can only be measured over time: a short one."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stand import free_port, unused_network

SETTLING_SECONDS = 2.0
WINDOW_SECONDS = 4.0
TOLERANCE = 0.1
_CHUNK = b"x" * 65536
_ENDLESS = 10**15
DOWN, UP = b"D", b"U"


class Counter:
    """Bytes, counted by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = 0

    def add(self, more: int) -> None:
        with self._lock:
            self._bytes += more

    @property
    def bytes(self) -> int:
        return self._bytes


class StreamBackend:
    """A member that sends without end to who asks for it, and swallows and counts what others send, by TCP or HTTP."""

    def __init__(self) -> None:
        self.address = unused_network().replace("0/24", "1")
        self.port = free_port(self.address)
        self.swallowed = Counter()
        self._connections: list[socket.socket] = []
        self._listening = socket.create_server((self.address, self.port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            first = connection.recv(65536)
            if first.startswith(b"GET"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _ENDLESS)
            if first.startswith((b"GET", DOWN)):
                _send_forever(connection)
            while more := connection.recv(65536):
                self.swallowed.add(len(more))

    def close(self) -> None:
        _shut(self._listening)
        for connection in self._connections:
            _shut(connection)


class Client:
    """Streams through a load balancer. `received` counts what came down."""

    def __init__(self) -> None:
        self.received = Counter()
        self.broken = 0
        self._connections: list[socket.socket] = []
        self._closing = False

    def open(self, address: str, port: int, direction: bytes, *, http: bool = False) -> None:
        connection = socket.create_connection((address, port), timeout=30)
        self._connections.append(connection)
        if http:
            method = b"GET" if direction == DOWN else b"POST"
            length = b"" if direction == DOWN else b"Content-Length: %d\r\n" % _ENDLESS
            connection.sendall(method + b" / HTTP/1.1\r\nHost: test\r\n" + length + b"\r\n")
        else:
            connection.sendall(direction)
        work = self._receive if direction == DOWN else self._send
        threading.Thread(target=work, args=(connection,), daemon=True).start()

    def _receive(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while more := connection.recv(65536):
                self.received.add(len(more))
        self._ended()

    def _send(self, connection: socket.socket) -> None:
        with suppress(OSError):
            _send_forever(connection)
        self._ended()

    def _ended(self) -> None:
        if not self._closing:
            self.broken += 1

    def close(self) -> None:
        self._closing = True
        for connection in self._connections:
            _shut(connection)


@contextmanager
def stream_backend() -> Iterator[StreamBackend]:
    backend = StreamBackend()
    try:
        yield backend
    finally:
        backend.close()


@contextmanager
def client() -> Iterator[Client]:
    opened = Client()
    try:
        yield opened
    finally:
        opened.close()


def assert_rates(expected: float, *counters: Counter) -> None:
    """Each of these counters moves by `expected` Mbit/s, within a tenth, after two seconds to settle.

    The machine may be busy with something else for a moment: a rate that is wrong is measured once more.
    """
    time.sleep(SETTLING_SECONDS)
    first = _rates(counters)
    rates = first if _near(first, expected) else _rates(counters)
    assert _near(rates, expected), f"{rates} Mbit/s, and {first} before, in place of {expected} each"


def _near(rates: list[float], expected: float) -> bool:
    return all(abs(rate - expected) <= TOLERANCE * expected for rate in rates)


def _rates(counters: tuple[Counter, ...]) -> list[float]:
    before, since = [counter.bytes for counter in counters], time.monotonic()
    time.sleep(WINDOW_SECONDS)
    seconds = time.monotonic() - since
    return [round((counter.bytes - start) * 8e-6 / seconds, 2) for counter, start in zip(counters, before, strict=True)]


def _send_forever(connection: socket.socket) -> None:
    # No time-out: a stream that a limit holds back may wait for long.
    connection.settimeout(None)
    while True:
        connection.sendall(_CHUNK)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


class DatagramBackend:
    """A UDP member that counts what arrives and answers each datagram with two of its size."""

    def __init__(self) -> None:
        self.arrived = Counter()
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.bind((unused_network().replace("0/24", "1"), 0))
        self.address, self.port = self._socket.getsockname()
        self._closing = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._closing:
            datagram, peer = self._socket.recvfrom(2000)
            self.arrived.add(len(datagram))
            with suppress(PermissionError):
                for _ in range(2):
                    self._socket.sendto(datagram, peer)

    def close(self) -> None:
        self._closing = True
        # Wakes it, in case nothing else does.
        self._socket.sendto(b"", (self.address, self.port))
        self._thread.join()
        self._socket.close()


class DatagramClient:
    """Sends datagrams of 1400 bytes at about 40 Mbit/s, whatever becomes of them, and counts the answers."""

    def __init__(self, address: str, port: int) -> None:
        self.received = Counter()
        self._closing = threading.Event()
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.connect((address, port))
        self._socket.settimeout(0.1)
        self._threads = [threading.Thread(target=work) for work in (self._send, self._receive)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        while not self._closing.wait(0.002):
            # The sender on the same machine is told of what is dropped.
            with suppress(PermissionError):
                for _ in range(7):
                    self._socket.send(_CHUNK[:1400])

    def _receive(self) -> None:
        while not self._closing.is_set():
            with suppress(TimeoutError):
                self.received.add(len(self._socket.recv(2000)))

    def close(self) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join()
        self._socket.close()
