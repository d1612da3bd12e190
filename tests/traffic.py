"""What tests of traffic and faults need: a client that asks all the time, an echo server, taken ports, a halt."""

import os
import signal
import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from stand import can_connect, eventually


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it began (`time.monotonic`) and what came of it: the text of a 200, or what went wrong."""

    began: float
    text: str
    ok: bool


class Asker:
    """Asks an HTTP server all the time, each request on a connection of its own, in a thread of its own."""

    def __init__(self, address: str, port: int) -> None:
        self._place = address, port
        self.answers: list[Answer] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._ask_on)
        self._thread.start()

    def _ask_on(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                text, ok = ask_once(*self._place)
            except (OSError, HTTPException) as error:
                text, ok = repr(error), False
            self.answers.append(Answer(began, text, ok))

    @property
    def failures(self) -> list[str]:
        return [answer.text for answer in self.answers if not answer.ok]

    def since(self, moment: float) -> Counter[str]:
        """Who answered the requests that began after `moment`."""
        return Counter(answer.text for answer in self.answers if answer.began > moment)

    def more(self, count: int = 10) -> None:
        """Wait until that many more requests were answered or have failed."""
        wanted = len(self.answers) + count
        eventually(lambda: len(self.answers) >= wanted)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()


@contextmanager
def asking(address: str, port: int) -> Iterator[Asker]:
    asker = Asker(address, port)
    try:
        asker.more(1)
        yield asker
    finally:
        asker.stop()


def ask_once(address: str, port: int, path: str = "/", source: str = "", timeout: float = 30) -> tuple[str, bool]:
    """The text of one answer, and whether it is a 200. `source` is the address that the client comes from."""
    connection = HTTPConnection(address, port, timeout=timeout, source_address=(source, 0) if source else None)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read().decode(), answer.status == 200
    finally:
        connection.close()


def await_answers(address: str, port: int) -> None:
    """Wait until a listener serves again: its port is open, then its members are known."""
    eventually(lambda: can_connect(address, port))
    eventually(lambda: _answers(address, port))


def _answers(address: str, port: int) -> bool:
    """Whether a request is answered with 200. A listener over TCP that knows no member yet cuts the connection."""
    try:
        return ask_once(address, port)[1]
    except (ConnectionError, HTTPException):
        return False


@contextmanager
def port_taken(address: str, port: int, *, shared: bool = False) -> Iterator[None]:
    """Somebody else listens there, and where `shared` would let others of the same user listen as well."""
    with socket.create_server((address, port), reuse_port=shared):
        yield


@contextmanager
def halted(pid: int) -> Iterator[None]:
    """The process exists and does nothing."""
    try:
        halt(pid)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def halt(pid: int) -> None:
    """Let the process do nothing from now on."""
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: _threads(pid) == {"T"})


def _threads(pid: int) -> set[str]:
    """The states of the threads of a process; T is halted."""
    states = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        # Threads come to their end while they are looked at.
        with suppress(FileNotFoundError, ProcessLookupError):
            states.add((task / "stat").read_text().rpartition(")")[2].split()[0])
    return states


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while received := self.request.recv(65536):
            self.request.sendall(received)


class _EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def echo_server(address: str) -> Iterator[int]:
    """A TCP server that sends back what it gets; yields its port."""
    with _EchoServer((address, 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
