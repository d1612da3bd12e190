"""Clients and members that vanish without a word: no end of the connection comes, only nothing any more."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.http_client import offer, read_until
from tests.scripted_member import Connection, ScriptedMember, scripted_member
from tests.stand import PATIENCE, Api, Service, running_service

PORTS = {"TCP": 8080, "HTTP": 8081}
SILENCE = 1
"""Seconds until the kernel asks; after four more without an answer the connection is over."""


@contextmanager
def vanished(port: int) -> Iterator[None]:
    """Nothing comes from this TCP port, and nothing gets there: what is at it does not even hear that it is gone."""
    table = f"vanished_{os.getpid()}"
    rules = f"tcp sport {port} drop\n tcp dport {port} drop\n"
    text = f"table ip {table} {{\n chain silence {{\n type filter hook output priority 0\n {rules} }}\n}}\n"
    subprocess.run(["nft", "--file", "-"], input=text, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "ip", table], check=True)


class Echo:
    """A script: changes to WebSocket if it is asked to, then sends back what it gets."""

    def __init__(self) -> None:
        self.ended = threading.Semaphore(0)
        self.ports: list[int] = []

    def __call__(self, connection: Connection) -> None:
        self.ports.append(connection.socket.getpeername()[1])
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        connection.socket.settimeout(None)
        with suppress(OSError):
            while received := connection.socket.recv(100):
                connection.send(received)
        self.ended.release()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("vanished")
    with running_service(folder / "data", f"envoy.tcp_keepalive={SILENCE}") as running:
        yield running


@pytest.fixture
def member() -> Iterator[ScriptedMember]:
    with scripted_member() as running:
        yield running


@pytest.fixture
def address(service: Service, member: ScriptedMember) -> str:
    with Api(service) as api:
        return balanced(api, member)


def balanced(api: Api, member: ScriptedMember) -> str:
    """The address of a load balancer with both kinds of listeners that lead to the member."""
    made = api.create_load_balancer(type="Internal", vip_subnet_id="s", security_group_id="g")
    for protocol, port in PORTS.items():
        listener = api.create_listener(made["id"], protocol=protocol, port=port, backend_port=member.port)
        api.add_members(listener["id"], member.address)
    return str(made["vip_address"])


def changed(address: str, protocol: str) -> socket.socket:
    """A connection that has become one of WebSocket, be it by HTTP or over TCP."""
    client = socket.create_connection((address, PORTS[protocol]), timeout=PATIENCE)
    client.sendall(offer("websocket"))
    assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    return client


def answers(client: socket.socket) -> bool:
    client.sendall(b"hello")
    return read_until(client, b"hello") == b"hello"


@pytest.mark.parametrize("protocol", PORTS)
def test_a_member_hears_of_a_client_that_has_vanished(member: ScriptedMember, address: str, protocol: str) -> None:
    member.script = echo = Echo()
    with changed(address, protocol) as silent, changed(address, protocol) as lost:
        with vanished(lost.getsockname()[1]):
            assert echo.ended.acquire(timeout=PATIENCE)
        # As silent for as long, and there.
        assert answers(silent)


@pytest.mark.parametrize("protocol", PORTS)
def test_a_client_hears_of_a_member_that_has_vanished(member: ScriptedMember, address: str, protocol: str) -> None:
    member.script = echo = Echo()
    with changed(address, protocol) as lost, changed(address, protocol) as silent:
        with vanished(echo.ports[0]), suppress(ConnectionResetError):
            assert lost.recv(1) == b""
        assert answers(silent)


def test_another_silence_is_another_envoy_and_the_same_the_same(tmp_path: Path, member: ScriptedMember) -> None:
    """Envoy refuses to change the socket of a listener that it has, and would go on with the old one."""
    member.script = Echo()
    with running_service(tmp_path / "data", "envoy.tcp_keepalive=300") as service:
        with Api(service) as api:
            address = balanced(api, member)
        first = service.envoy_pid
        with changed(address, "TCP") as client:
            service.kill()
            service.start()
            assert answers(client)
        assert service.envoy_pid == first
        service.kill()
        service.settings.append("envoy.tcp_keepalive=200")
        service.start()
        assert service.envoy_pid != first
        with changed(address, "TCP") as client, changed(address, "HTTP") as other:
            assert answers(client)
            assert answers(other)
