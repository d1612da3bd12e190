"""Echo servers and clients of UDP for tests: real sockets, every datagram counted."""

import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from stand import first_addresses, unused_network

Place = tuple[str, int]

_BUFFER_BYTES = 4 * 1024 * 1024


class Echo:
    """A server that answers every datagram with its own address. Probes of health checks get no answer, as from most
    services, and are counted apart."""

    def __init__(self, address: str, port: int = 0) -> None:
        self.address = address
        self.datagrams = 0
        self.probes = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.bind((address, port))
        self.port: int = self._socket.getsockname()[1]
        self._ends, self._end = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            readable, _, _ = select.select([self._socket, self._ends], [], [])
            if self._ends in readable:
                return
            data, client = self._socket.recvfrom(65_535)
            if data.startswith(b"equipoise"):
                self.probes += 1
                continue
            self.datagrams += 1
            self._socket.sendto(self.address.encode(), client)

    def close(self) -> None:
        self._end.send(b"x")
        self._thread.join()
        for each in (self._socket, self._ends, self._end):
            each.close()


class Echoes:
    """Echo servers on one port and addresses of their own."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)
        first = Echo(self.addresses[0])
        self.port = first.port
        self._running = [first, *(Echo(address, self.port) for address in self.addresses[1:])]

    def __getitem__(self, index: int) -> Echo:
        return self._running[index]

    def counts(self) -> Counter[str]:
        return Counter({each.address: each.datagrams for each in self._running if each.datagrams})

    def stop(self, address: str) -> None:
        self._running[self.addresses.index(address)].close()

    def restart(self, address: str) -> None:
        self._running[self.addresses.index(address)] = Echo(address, self.port)

    def close(self) -> None:
        for each in self._running:
            if each._socket.fileno() >= 0:
                each.close()


class Flow:
    """One client port, and so one session, towards a listener."""

    def __init__(self, place: Place, source: str = "127.0.0.1") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((source, 0))
        self._socket.connect(place)

    def ask(self, patience: float = 5.0) -> str | None:
        """Send one datagram; who answered it, None if nobody did in time or the port is closed."""
        self._socket.settimeout(patience)
        try:
            self._socket.send(b"x")
            return self._socket.recv(100).decode()
        except (TimeoutError, ConnectionRefusedError):
            return None

    def send(self) -> None:
        self._socket.send(b"x")

    def has_answer(self) -> bool:
        self._socket.setblocking(False)
        try:
            return bool(self._socket.recv(100))
        except BlockingIOError:
            return False

    def close(self) -> None:
        self._socket.close()


@contextmanager
def flows(place: Place, count: int, sources: Iterable[str] = ("127.0.0.1",)) -> Iterator[list[Flow]]:
    """`count` flows from each source."""
    with ExitStack() as closing:
        made = [Flow(place, source) for source in sources for _ in range(count)]
        for each in made:
            closing.callback(each.close)
        yield made


def ask(place: Place, count: int = 1, source: str = "127.0.0.1", patience: float = 5.0) -> Counter[str | None]:
    """Send single datagrams, each from a port of its own; returns who answered how often."""
    answers: Counter[str | None] = Counter()
    for _ in range(count):
        with flows(place, 1, [source]) as [flow]:
            answers[flow.ask(patience)] += 1
    return answers


def answered_of(asking: list[Flow], patience: float = 20.0) -> int:
    """How many of these flows, all open at once, get an answer; what is lost in a burst is sent again."""
    waiting = list(asking)
    deadline = time.monotonic() + patience
    while waiting and time.monotonic() < deadline:
        for start in range(0, len(waiting), 100):
            for each in waiting[start : start + 100]:
                each.send()
            time.sleep(0.002)
        again = time.monotonic() + 1.0
        while waiting and time.monotonic() < again:
            waiting = [each for each in waiting if not each.has_answer()]
    return len(asking) - len(waiting)


@contextmanager
def running_echoes(count: int, network: str = "") -> Iterator[Echoes]:
    """So many, on the first addresses of a network; by default of one that nobody uses."""
    echoes = Echoes(first_addresses(network or unused_network(), count))
    try:
        yield echoes
    finally:
        echoes.close()
