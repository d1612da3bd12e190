"""Traffic figures under loads that the client counts itself: right within 10 % (classic-api.md, Monitor)."""

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from stand import Api, Backends, Service, eventually, running_service

INTERVAL = 2.0
FIELDS = {
    "loadbalancer_id": str,
    "loadbalancer_ip": str,
    "loadbalancer_name": str,
    "create_time": str,
    "act_conn": int,
    "inact_conn": int,
    "cps": int,
    "ncps": int,
    "in_pps": int,
    "out_pps": int,
    "in_Bps": int,
    "out_Bps": int,
}
FIGURES = [name for name, kind in FIELDS.items() if kind is int]
REQUEST = b"GET /?" + b"x" * 900 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
_SEGMENTS = struct.Struct("=136xII")
"""Where tcp_info has the segments sent and received."""


@dataclass(frozen=True, slots=True)
class Count:
    """What a client has done up to a moment."""

    moment: float
    connections: int = 0
    sent: int = 0
    received: int = 0
    packets_sent: int = 0
    packets_received: int = 0


class Load:
    """Sends requests at a steady pace in a thread of its own, on new connections or all on one, and counts."""

    def __init__(self, address: str, *, each: float, new_connections: bool) -> None:
        self._place = address, 8080
        self._each = each
        self._new_connections = new_connections
        self._stopping = threading.Event()
        self.count = Count(time.monotonic())
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        with ExitStack() as held:
            connection = None if self._new_connections else held.enter_context(self._connect())
            due = time.monotonic()
            while not self._stopping.is_set():
                if connection is None:
                    with self._connect() as one:
                        self._ask(one)
                else:
                    self._ask(connection)
                # The pace is that of the clock, so that a pause of the machine is caught up with.
                due += self._each
                self._stopping.wait(max(0.0, due - time.monotonic()))

    def _connect(self) -> socket.socket:
        return socket.create_connection(self._place, timeout=10)

    def _ask(self, connection: socket.socket) -> None:
        connection.sendall(REQUEST)
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer.split(b"\r\n\r\n", 1)[1]) < _length(answer):
            answer += connection.recv(65536)
        sent, received = _SEGMENTS.unpack_from(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256))
        before = self.count
        self.count = Count(
            time.monotonic(),
            before.connections + self._new_connections,
            before.sent + len(REQUEST),
            before.received + len(answer),
            sent,
            received,
        )

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()


def _length(answer: bytes) -> int:
    head = answer.split(b"\r\n\r\n", 1)[0].lower()
    return int(head.partition(b"content-length: ")[2].split(b"\r\n", 1)[0])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("monitor") / "data", f"monitor.interval={INTERVAL}") as one:
        yield one


@pytest.fixture
def client(service: Service) -> Iterator[Api]:
    with Api(service) as one:
        yield one


def figures(api: Api) -> dict[str, dict[str, Any]]:
    """By load balancer."""
    found = api.ok("GET", "/elbaas/monitor")
    assert type(found) is list
    for each in found:
        assert {name: type(value) for name, value in each.items()} == FIELDS
    return {each["loadbalancer_id"]: each for each in found}


def serving(api: Api, backends: Backends, protocol: str) -> dict[str, Any]:
    load_balancer = api.create_load_balancer(name=f"lb-{protocol}")
    listener = api.create_listener(load_balancer["id"], protocol=protocol, backend_port=backends.port)
    api.add_members(listener["id"], *backends.addresses)
    return load_balancer


def samples_of(api: Api, id: str, count: Callable[[], Count]) -> tuple[list[dict[str, Any]], Count, Count]:
    """Three samples in a row that lie wholly within the load, and what the client counted when they began and ended."""
    seen = figures(api)[id]
    found: list[dict[str, Any]] = []
    moments: list[Count] = []
    while len(found) < 4:
        newest: dict[str, Any] = eventually(
            lambda seen=seen: now if (now := figures(api)[id])["create_time"] != seen["create_time"] else {}  # type: ignore[misc]
        )
        if newest["ncps"] or newest["in_Bps"]:
            found.append(newest)
            moments.append(count())
        seen = newest
    return found[1:], moments[0], moments[-1]


def assert_near(measured: float, counted: float) -> None:
    assert counted * 0.9 <= measured <= counted * 1.1, (measured, counted)


def mean(samples: list[dict[str, Any]], name: str) -> float:
    return sum(int(sample[name]) for sample in samples) / len(samples)


def packets_are_counted(service: Service) -> bool:
    """Whether this machine lets the service use nftables; where it does not, the log says so."""
    return not any(event["event"] == "packets_not_counted" for event in service.log_events())


def test_a_load_of_new_connections_over_http_is_measured_within_ten_percent(client: Api, backends: Backends) -> None:
    load_balancer = serving(client, backends, "HTTP")
    load = Load(load_balancer["vip_address"], each=0.025, new_connections=True)
    try:
        samples, first, last = samples_of(client, load_balancer["id"], lambda: load.count)
    finally:
        load.stop()
    seconds = last.moment - first.moment
    assert_near(mean(samples, "ncps"), (last.connections - first.connections) / seconds)
    assert_near(mean(samples, "in_Bps"), (last.sent - first.sent) / seconds)
    assert_near(mean(samples, "out_Bps"), (last.received - first.received) / seconds)
    assert all(sample["cps"] == sample["act_conn"] + sample["inact_conn"] <= 2 for sample in samples)


def test_a_load_on_one_connection_over_tcp_is_measured_within_ten_percent(
    service: Service, client: Api, backends: Backends
) -> None:
    load_balancer = serving(client, backends, "TCP")
    load = Load(load_balancer["vip_address"], each=0.02, new_connections=False)
    try:
        samples, first, last = samples_of(client, load_balancer["id"], lambda: load.count)
    finally:
        load.stop()
    seconds = last.moment - first.moment
    assert_near(mean(samples, "in_Bps"), (last.sent - first.sent) / seconds)
    assert_near(mean(samples, "out_Bps"), (last.received - first.received) / seconds)
    for sample in samples:
        assert (sample["act_conn"], sample["inact_conn"], sample["cps"], sample["ncps"]) == (1, 0, 1, 0)
    if packets_are_counted(service):
        assert_near(mean(samples, "in_pps"), (last.packets_sent - first.packets_sent) / seconds)
        assert_near(mean(samples, "out_pps"), (last.packets_received - first.packets_received) / seconds)
    else:
        assert all(sample["in_pps"] == sample["out_pps"] == 0 for sample in samples)


def test_open_connections_without_a_request_are_inactive_until_they_close(client: Api, backends: Backends) -> None:
    load_balancer = serving(client, backends, "HTTP")
    with ExitStack() as held:
        for _ in range(7):
            held.enter_context(socket.create_connection((load_balancer["vip_address"], 8080)))
        eventually(lambda: figures(client)[load_balancer["id"]]["cps"] == 7)
        newest = figures(client)[load_balancer["id"]]
        assert (newest["act_conn"], newest["inact_conn"]) == (0, 7)
    eventually(lambda: figures(client)[load_balancer["id"]]["cps"] == 0)
    eventually(lambda: not any(figures(client)[load_balancer["id"]][name] for name in FIGURES))


def test_a_load_balancer_without_traffic_has_zeros_and_is_there(client: Api) -> None:
    load_balancer = client.create_load_balancer(name="quiet")
    found = figures(client)[load_balancer["id"]]
    assert (found["loadbalancer_ip"], found["loadbalancer_name"]) == (load_balancer["vip_address"], "quiet")
    assert {name: found[name] for name in FIGURES} == dict.fromkeys(FIGURES, 0)
    client.succeed("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")
    assert load_balancer["id"] not in figures(client)


def test_no_figure_is_negative_when_the_data_plane_begins_anew(
    service: Service, client: Api, backends: Backends
) -> None:
    load_balancer = serving(client, backends, "TCP")
    with socket.create_connection((load_balancer["vip_address"], 8080)) as connection:
        connection.sendall(REQUEST)
        connection.recv(65536)
        eventually(lambda: figures(client)[load_balancer["id"]]["cps"] == 1)
        killed = service.envoy_pid

        os.kill(killed, signal.SIGKILL)
        seen: list[dict[str, Any]] = []

        def back() -> bool:
            seen.append(figures(client)[load_balancer["id"]])
            return service.envoy_pid != killed and seen[-1]["cps"] == 0

        eventually(back)
        assert all(each[name] >= 0 for each in seen for name in FIGURES)
