"""A node whose descriptors are used up: new clients are refused, those inside live on, and nothing dies."""

import resource
import select
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPException, HTTPResponse
from itertools import cycle
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stand import PATIENCE, Api, Backends, Service, eventually, running_service
from tests.udp import Echoes, running_echoes

DESCRIPTORS = 1_000
CONNECTIONS = 300
SESSIONS = 100
UDP_LISTENERS = 3

MORE_DESCRIPTORS = 6_000
CROWD = 500
"""A crowd needs two descriptors for each client, together less than the fifth that is left when the service tells Envoy
to refuse. So a machine that is too busy to tell Envoy in the middle of a crowd does not fail the test."""

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HELD = b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n"

pytestmark = pytest.mark.timeout(300)


@contextmanager
def limited_service(data: Path, descriptors: int) -> Iterator[Service]:
    limited = ("prlimit", f"--nofile={descriptors}:{descriptors}")
    with running_service(data, "monitor.interval=0.5", through=limited) as one:
        yield one


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with limited_service(tmp_path / "data", DESCRIPTORS) as one:
        yield one


@pytest.fixture
def roomier_service(tmp_path: Path) -> Iterator[Service]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    with limited_service(tmp_path / "data", MORE_DESCRIPTORS) as one:
        yield one
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def echoes() -> Iterator[Echoes]:
    with running_echoes(2) as several:
        yield several


def figure(service: Service, name: str, **labels: str) -> float:
    text = httpx.get(f"{service.url}/metrics", verify=False, timeout=PATIENCE).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def serving(api: Api, protocol: str, port: int, addresses: Sequence[str]) -> tuple[str, int]:
    load_balancer = api.create_load_balancer(name=protocol.lower())
    listener = api.create_listener(load_balancer["id"], protocol=protocol, backend_port=port)
    api.add_members(listener["id"], *addresses)
    return load_balancer["vip_address"], 8080


def is_answered(connection: socket.socket) -> bool:
    """Whether a request on this connection is answered; not if it was refused or cut."""
    try:
        connection.sendall(REQUEST)
        return is_good(connection)
    except OSError:
        return False


def is_good(connection: socket.socket) -> bool:
    """Whether a whole answer of success comes."""
    answer = HTTPResponse(connection)
    try:
        answer.begin()
        return answer.status == 200 and bool(answer.read())
    except (HTTPException, OSError):
        return False
    finally:
        answer.close()


def comes_in(place: tuple[str, int]) -> bool:
    """Whether a new client is served."""
    with socket.create_connection(place, timeout=20) as late:
        return is_answered(late)


def crowd_at(place: tuple[str, int], tcp: tuple[str, int], backends: Backends) -> int:
    """Let many clients ask at the same time, and one over TCP in place of each that was turned away; then answer all.

    Returns how many were answered.
    """
    every = [backends[each] for each in range(3)]
    for backend in every:
        backend.release.clear()
    before = sum(backend.held for backend in every)
    with ExitStack() as crowd:
        clients = [crowd.enter_context(socket.create_connection(place, timeout=20)) for _ in range(CROWD)]
        by_number = {client.fileno(): client for client in clients}
        told = select.poll()
        for client in clients:
            client.sendall(HELD)
            told.register(client, select.POLLIN)
        # Each has come to a member, or has been told that it will not.
        eventually(lambda: sum(backend.held for backend in every) - before + len(told.poll(0)) >= len(clients), 60)
        for number, _ in told.poll(0)[:30]:
            by_number.pop(number).close()
            is_answered(crowd.enter_context(socket.create_connection(tcp, timeout=20)))
        for backend in every:
            backend.release.set()
        return sum(map(is_good, by_number.values()))


def answered(clients: Sequence[socket.socket]) -> list[socket.socket]:
    """Those clients of UDP that get an answer; each may ask several times, as the kernel may drop a datagram."""
    waiting, found = list(clients), []
    for _ in range(3):
        for client in waiting:
            client.send(b"hello")
        still = []
        for client in waiting:
            try:
                client.recv(100)
                found.append(client)
            except TimeoutError:
                still.append(client)
        waiting = still
    return found


def clients_of(place: tuple[str, int], count: int, held: ExitStack) -> list[socket.socket]:
    clients = [held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(count)]
    for client in clients:
        client.settimeout(0.05)
        client.connect(place)
    return clients


def test_past_the_limits_new_clients_are_refused_and_nothing_dies(
    service: Service, backends: Backends, echoes: Echoes
) -> None:
    warned = [event for event in service.log_events() if event["event"] == "low_limit"]
    assert any(event["value"] == DESCRIPTORS and "LimitNOFILE" in event["remedy"] for event in warned)
    with Api(service) as api, ExitStack() as held:
        tcp = serving(api, "TCP", backends.port, backends.addresses)
        http = serving(api, "HTTP", backends.port, backends.addresses)
        udp = [serving(api, "UDP", echoes.port, echoes.addresses) for _ in range(UDP_LISTENERS)]
        envoy = service.envoy_pid
        assert figure(service, "equipoise_envoy_max_connections") == CONNECTIONS
        assert figure(service, "equipoise_envoy_max_udp_sessions") == SESSIONS

        # Floods of UDP over several listeners: each has its share and all together no more than there is room for.
        share = SESSIONS // UDP_LISTENERS
        sessions = [answered(clients_of(place, share + 40, held)) for place in udp]
        assert [len(each) for each in sessions] == [share] * UDP_LISTENERS

        # Half of the connections over TCP, the other half over HTTP with a request under way at a member each.
        open_tcp = [held.enter_context(socket.create_connection(tcp, timeout=20)) for _ in range(CONNECTIONS // 2)]
        assert all(map(is_answered, open_tcp))
        open_http = [held.enter_context(socket.create_connection(http, timeout=20)) for _ in range(CONNECTIONS // 2)]
        for connection in open_http:
            connection.sendall(HELD)
        eventually(lambda: sum(backends[each].held for each in range(3)) == len(open_http), 60)

        for place in (tcp, http):
            for _ in range(20):
                with socket.create_connection(place, timeout=20) as one_too_many:
                    assert not is_answered(one_too_many)
        refused = partial(figure, service, "equipoise_listener_refused_connections_total")
        eventually(lambda: refused(load_balancer="tcp") + refused(load_balancer="http") >= 40)
        eventually(lambda: refused(load_balancer="udp") >= 3 * 40)
        assert DESCRIPTORS * 0.7 < figure(service, "equipoise_envoy_open_fds") < DESCRIPTORS

        # Those inside go on: the same Envoy, the same connections, the same sessions.
        assert service.envoy_pid == envoy
        assert all(map(is_answered, open_tcp))
        assert [len(answered(each)) for each in sessions] == [share] * UDP_LISTENERS
        for each in range(3):
            backends[each].release.set()
        assert all(map(is_good, open_http))

        # New ones come in when old ones have gone.
        for connection in open_tcp[:50]:
            connection.close()

        eventually(lambda: comes_in(tcp))
        assert service.envoy_pid == envoy


def test_a_listener_that_comes_or_goes_changes_the_shares_of_the_others_and_cuts_no_session(
    service: Service, echoes: Echoes
) -> None:
    with Api(service) as api, ExitStack() as held:
        first = serving(api, "UDP", echoes.port, echoes.addresses)
        [session] = eventually(partial(answered, clients_of(first, 1, held)))
        member = set()

        def asked() -> str:
            session.send(b"again")
            return session.recv(100).decode()

        session.settimeout(20)
        member.add(asked())
        for _ in range(3):
            serving(api, "UDP", echoes.port, echoes.addresses)
            member.add(asked())
        # It is with the member that it had: with another one it would be another session.
        assert len(member) == 1
        share = SESSIONS // 4
        assert len(answered(clients_of(first, share + 20, held))) == share - 1


def test_connections_kept_to_members_never_take_the_last_descriptors(
    roomier_service: Service, backends: Backends, echoes: Echoes
) -> None:
    service = roomier_service
    with Api(service) as api, ExitStack() as held:
        udp = serving(api, "UDP", echoes.port, echoes.addresses)
        tcp = serving(api, "TCP", backends.port, backends.addresses)
        crowded = [serving(api, "HTTP", backends.port, backends.addresses) for _ in range(9)]
        envoy = service.envoy_pid
        sessions = answered(clients_of(udp, SESSIONS, held))
        old = [held.enter_context(socket.create_connection(tcp, timeout=20)) for _ in range(CROWD)]
        assert all(map(is_answered, old))

        def shortages() -> float:
            return figure(service, "equipoise_envoy_descriptor_shortages_total")

        # Crowd after crowd, each at another listener, each leaving as many connections to members as it had requests.
        crowds = (crowd_at(place, tcp, backends) for place in cycle(crowded))
        eventually(lambda: next(crowds) > 0 and shortages() > 0, 60)
        for place in crowded:
            crowd_at(place, tcp, backends)

        assert service.envoy_pid == envoy
        assert all(map(is_answered, old))
        assert len(answered(sessions)) == len(sessions) == SESSIONS
        # What was kept is given back, and new ones come in.
        for place in (tcp, *crowded):
            eventually(partial(comes_in, place), 60)
        assert service.envoy_pid == envoy
