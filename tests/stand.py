"""A running service and backends for tests: real processes, real sockets, addresses of their own."""

import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx

from equipoise.client import Client, Login
from equipoise.client.calls import listener_fields
from equipoise.client.over_httpx import HttpxTransport
from equipoise.data_directory import DataDirectory

T = TypeVar("T")

COMMAND = Path(sys.executable).with_name("equipoise")
PATIENCE = 20.0
_OCTETS = itertools.count(random.SystemRandom().randrange(100_000))


def eventually(look: Callable[[], T], patience: float = PATIENCE) -> T:
    """The first true value of `look`; fails when there is none in time. A condition, not a pause, is waited for."""
    deadline = time.monotonic() + patience
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{look} was not true within {patience} s; last: {value!r}")
        time.sleep(0.005)


def unused_network() -> str:
    """A /24 of the loopback range that no other stand of this run uses."""
    number = next(_OCTETS)
    return f"127.{128 + number // 256 % 100}.{number % 256}.0/24"


class Service:
    """`equipoise up` as a process; `through` is a command that runs it, with other rights for example."""

    program: Sequence[str | Path] = (COMMAND,)

    def __init__(self, data_dir: Path, *settings: str, through: Sequence[str] = ()) -> None:
        self.data_dir = data_dir
        self.program = (*through, *self.program)
        self.external, self.internal = unused_network(), unused_network()
        self.settings = [f"addresses.external={self.external}", f"addresses.internal={self.internal}", *settings]
        self.port = 0
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> "Service":
        """Start and wait until it serves. The port stays the same from the second start on."""
        options = [option for setting in self.settings for option in ("--set", setting)]
        log = (self.data_dir.parent / f"{self.data_dir.name}.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*self.program, "up", "--data-dir", self.data_dir, "--listen", f"127.0.0.1:{self.port}", *options],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        line = self._out.readline()
        if not line.startswith("ready "):
            raise AssertionError(f"no ready line but {line!r}; the log says:\n{self.log()}")
        self.url = line.split()[1]
        self.port = int(self.url.rpartition(":")[2])
        return self

    @property
    def _out(self) -> Any:
        assert self._process is not None
        return self._process.stdout

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        assert self._process is not None
        return self._process.poll() is None

    @property
    def envoy_pid(self) -> int:
        # Written in two steps: for a moment the file is empty.
        return int(eventually((self.data_dir / "run" / "envoy.pid").read_text))

    @property
    def standby_pid(self) -> int:
        return int(eventually((self.data_dir / "run" / "standby.pid").read_text))

    def log(self) -> str:
        return (self.data_dir.parent / f"{self.data_dir.name}.log").read_text()

    def log_events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def credentials(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.data_dir / "credentials.json").read_text())
        return found

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; returns the exit status, negative for a signal."""
        assert self._process is not None
        status = self._process.wait(PATIENCE)
        self._out.close()
        return status

    def kill(self) -> None:
        """kill -9: the service alone, not what it started."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        """End it whatever state it is in, its stand-in and its Envoy."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
            self.wait()
        else:
            self._out.close()
        # The stand-in first, which would start Envoy again.
        for name in ("standby.pid", "envoy.pid"):
            file = self.data_dir / "run" / name
            if file.exists() and process_is_there(pid := int(file.read_text())):
                os.kill(pid, signal.SIGKILL)
        self._remove_tables()

    def _remove_tables(self) -> None:
        """Take away what a killed service left in the kernel: here nobody starts it again."""
        command = shutil.which("nft", path=f"{os.defpath}:/usr/sbin:/sbin")
        if command is not None and self.data_dir.exists():
            limits = f"equipoise_{DataDirectory(self.data_dir).instance}"
            for table in (limits, f"{limits}_packets"):
                subprocess.run([command, "delete", "table", "ip", table], stderr=subprocess.DEVNULL)


@contextmanager
def running_service(data_dir: Path, *settings: str, through: Sequence[str] = ()) -> Iterator[Service]:
    service = Service(data_dir, *settings, through=through)
    try:
        yield service.start()
    finally:
        service.stop()


def process_is_there(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


class Api:
    """A client that logs in, by default as the administrator, with what tests ask for most; answers are as they come.

    `client` makes the calls whose success is expected: an error is raised, and a job is waited for. `http` and `call`
    are for tests of the wire, which look at every answer.

    Args:
        known: who logs in where, with the fields of credentials.json.

    Attributes:
        login: the answer to the login.
    """

    def __init__(self, service: Service, known: Mapping[str, str] | None = None) -> None:
        login = Login.of(known or service.credentials())
        self.project_id = login.project_id
        # No TLS is spoken here, and to read all authorities takes longer than most tests.
        self.http = httpx.Client(base_url=service.url, timeout=30, verify=False)
        self.client = Client(HttpxTransport(self.http), login)
        answers: list[httpx.Response] = []
        with ExitStack() as unless_logged_in:
            unless_logged_in.callback(self.http.close)
            self.http.event_hooks = {"response": [answers.append]}
            self.client.log_in()
            unless_logged_in.pop_all()
        self.http.event_hooks = {"response": []}
        [self.login] = answers
        self.token = self.client.token
        self.http.headers["x-auth-token"] = self.token

    @property
    def root(self) -> str:
        """The path of the project; set to act in another one."""
        return self.client.root

    @root.setter
    def root(self, path: str) -> None:
        self.client.root = path

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Whatever is answered; `path` is below the project."""
        return self.http.request(method, self.root + path, **more)

    def ok(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The decoded body of an answer that must be a success."""
        return self.client.call(method, path, json, query=params, headers=headers)

    def job(self, job_id: str) -> dict[str, Any]:
        return self.client.job(job_id).document

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job once it has ended."""
        return self.client.ended(job_id, PATIENCE).document

    def succeed(self, method: str, path: str, *, json: Any = None) -> dict[str, Any]:
        """Ask for a task and wait for the success of its job."""
        return self.client.task(method, path, json, seconds=PATIENCE).document

    def create_load_balancer(self, **fields: Any) -> dict[str, Any]:
        body = {
            "name": "lb",
            "vpc_id": "f54a3ffd-7a55-4568-9e3c-f0ff2d46a107",
            "type": "External",
            "bandwidth": 100,
            "admin_state_up": 1,
        }
        job = self.client.create_load_balancer(body | fields)
        found: dict[str, Any] = self.ok("GET", f"/elbaas/loadbalancers/{job.entities['elb']['id']}")
        return found

    def listener_body(self, load_balancer_id: str, **fields: Any) -> dict[str, Any]:
        default: dict[str, Any] = {"protocol": "HTTP", "port": 8080, "backend_port": 9000}
        return listener_fields(load_balancer_id, **default | fields)

    def create_listener(self, load_balancer_id: str, **fields: Any) -> dict[str, Any]:
        body = self.listener_body(load_balancer_id, **fields)
        found: dict[str, Any] = self.ok("POST", "/elbaas/listeners", json=body)
        return found

    def add_members(self, listener_id: str, *addresses: str) -> list[str]:
        job = self.client.add_members(listener_id, addresses)
        return [member["id"] for member in job.entities["members"]]

    def remove_members(self, listener_id: str, *ids: str) -> None:
        self.client.remove_members(listener_id, ids)


class Backend:
    """An HTTP server that answers with its own address and counts requests; TCP works through it as well.

    `/health` fails while not `healthy`, and for the next `failing_checks`; `/held` answers once `release` is set.
    """

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.requests = 0
        self.healthy = True
        self.failing_checks = 0
        self.checks = 0
        self.held = 0
        self.release = threading.Event()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two writes: without this the second one waits 40 ms on a kept connection.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                if self.path == "/health":
                    self._answer(200 if backend.passes_check() else 500, "health")
                    return
                backend.requests += 1
                if self.path == "/held":
                    backend.held += 1
                    backend.release.wait(PATIENCE)
                self._answer(200, backend.address)

            def _answer(self, status: int, text: str) -> None:
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Seen-From", self.headers.get("X-Forwarded-For", ""))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                # A client that goes away in the middle is part of some tests, not a fault of the backend.
                pass

        self._server = Server((address, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def passes_check(self) -> bool:
        """Whether one health check passes: not while unhealthy, nor for as many as are to fail."""
        self.checks += 1
        self.failing_checks -= (fails := self.failing_checks > 0)
        return self.healthy and not fails

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Backends:
    """Backends on one port and addresses of their own: members of a listener share its backend port."""

    def __init__(self, count: int) -> None:
        network = unused_network().removesuffix("0/24")
        self.addresses = [f"{network}{number + 1}" for number in range(count)]
        self.port = free_port(self.addresses[0])
        self._running = {address: Backend(address, self.port) for address in self.addresses}

    def __getitem__(self, index: int) -> Backend:
        return self._running[self.addresses[index]]

    def counts(self) -> Counter[str]:
        return Counter({backend.address: backend.requests for backend in self._running.values() if backend.requests})

    def stop(self, index: int) -> None:
        self._running[self.addresses[index]].close()

    def restart(self, index: int) -> None:
        address = self.addresses[index]
        self._running[address] = Backend(address, self.port)

    def close(self) -> None:
        for backend in self._running.values():
            backend.close()


@contextmanager
def running_backends(count: int) -> Iterator[Backends]:
    backends = Backends(count)
    try:
        yield backends
    finally:
        backends.close()


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def can_connect(address: str, port: int) -> bool:
    """Whether somebody listens there right now."""
    try:
        socket.create_connection((address, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def ask(address: str, port: int, count: int = 1, path: str = "/") -> Counter[str]:
    """Send requests, each on a connection of its own; returns who answered how often. Every one must be answered."""
    answers: Counter[str] = Counter()
    for _ in range(count):
        connection = HTTPConnection(address, port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        answers[text if answer.status == 200 else str(answer.status)] += 1
        connection.close()
    return answers


def assert_even(answers: Counter[str], addresses: Sequence[str]) -> None:
    """All of `addresses` and nobody else answered, in turns. Each worker of Envoy keeps turns of its own."""
    assert sorted(answers) == sorted(addresses), answers
    assert max(answers.values()) - min(answers.values()) <= 2 * (os.cpu_count() or 1), answers
