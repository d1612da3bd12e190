"""Sessions, connections and requests across changes: which stay, which move, which are cut; real ones, counted."""

import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse

import pytest

from stand import PATIENCE, Api, Backends, Service, eventually, unused_network
from stand.certificates import rsa_pair
from tests.tls_client import client_context

SESSIONS = 20
HELD = 10


class Browser:
    """A client with a cookie jar and a connection for each request."""

    def __init__(self, address: str, port: int = 8080) -> None:
        self._place = address, port
        self.cookie = ""
        self.set_cookie = ""

    def ask(self) -> str:
        """Who answered."""
        connection = HTTPConnection(*self._place, timeout=PATIENCE)
        connection.request("GET", "/", headers={"Cookie": self.cookie} if self.cookie else {})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        assert answer.status == 200
        self.set_cookie = answer.headers.get("Set-Cookie", "")
        if self.set_cookie:
            self.cookie = self.set_cookie.partition(";")[0]
        return body


class Held:
    """One connection that is kept and used again and again, never opened anew."""

    def __init__(self, address: str, port: int) -> None:
        self._connection = HTTPConnection(address, port, timeout=PATIENCE)
        self._connection.connect()
        self._connection.auto_open = 0
        self.member = self.ask()

    def ask(self) -> str:
        self._connection.request("GET", "/")
        return self._connection.getresponse().read().decode()

    def works(self) -> bool:
        try:
            return self.ask() == self.member
        except (OSError, HTTPException):
            return False

    def is_cut(self) -> bool:
        """Whether the other side has ended it, without sending anything."""
        self._connection.sock.setblocking(False)
        try:
            return self._connection.sock.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        finally:
            self._connection.sock.settimeout(PATIENCE)

    def close(self) -> None:
        self._connection.close()


@contextmanager
def holding(address: str, port: int, count: int = HELD) -> Iterator[Sequence[Held]]:
    connections = [Held(address, port) for _ in range(count)]
    try:
        yield connections
    finally:
        for each in connections:
            each.close()


def working(connections: Sequence[Held]) -> int:
    return sum(each.works() for each in connections)


def sticky_listener(api: Api, backends: Backends, members: int, **fields: object) -> tuple[str, str, list[str]]:
    """The address of a load balancer with a sticky listener on port 8080, the listener, its first members."""
    load_balancer = api.create_load_balancer()
    listener = api.create_listener(load_balancer["id"], backend_port=backends.port, session_sticky=True, **fields)
    ids = api.add_members(listener["id"], *backends.addresses[:members])
    return load_balancer["vip_address"], listener["id"], ids


def test_sessions_by_cookie_stay_while_other_members_come_and_go(api: Api, backends: Backends) -> None:
    address, listener, ids = sticky_listener(api, backends, 2)
    browsers = [Browser(address) for _ in range(SESSIONS)]
    members = [browser.ask() for browser in browsers]
    assert set(members) == set(backends.addresses[:2])

    [third] = api.add_members(listener, backends.addresses[2])
    assert [browser.ask() for browser in browsers] == members
    api.remove_members(listener, third)
    assert [browser.ask() for browser in browsers] == members

    api.remove_members(listener, ids[0])
    stays = backends.addresses[1]
    assert [browser.ask() for browser in browsers] == [stays] * SESSIONS
    api.add_members(listener, backends.addresses[0])
    assert [browser.ask() for browser in browsers] == [stays] * SESSIONS


def test_sessions_of_an_unhealthy_member_move_and_the_others_stay(api: Api, backends: Backends) -> None:
    address, listener, _ = sticky_listener(api, backends, 3)
    check = {
        "listener_id": listener,
        "healthcheck_protocol": "HTTP",
        "healthcheck_uri": "/health",
        "healthcheck_interval": 1,
        "healthcheck_timeout": 1,
        "healthy_threshold": 1,
        # One check that comes late on a busy machine moves no session.
        "unhealthy_threshold": 2,
    }
    api.ok("POST", "/elbaas/healthcheck", json=check)

    def health() -> Counter[str]:
        return Counter(member["health_status"] for member in api.ok("GET", f"/elbaas/listeners/{listener}/members"))

    eventually(lambda: health()["NORMAL"] == 3)
    browsers = [Browser(address) for _ in range(SESSIONS)]
    before = [browser.ask() for browser in browsers]
    backends[0].healthy = False
    eventually(lambda: health()["ABNORMAL"] == 1)
    after = [browser.ask() for browser in browsers]
    sick = backends.addresses[0]
    assert sick in before
    assert sick not in after
    assert all(old in (new, sick) for old, new in zip(before, after, strict=True))


def test_the_cookie_is_the_listener_s_own_and_lasts_as_long_as_asked_for(api: Api, backends: Backends) -> None:
    address, listener, _ = sticky_listener(api, backends, 1, cookie_timeout=10)
    browser = Browser(address)
    browser.ask()
    name, _, attributes = browser.set_cookie.partition("=")
    assert name == f"lb-{listener[:8]}"
    assert attributes.split("; ")[1:] == ["Max-Age=600", "Path=/", "HttpOnly"]
    browser.ask()
    assert browser.set_cookie == ""

    address, _, _ = sticky_listener(api, backends, 1)
    browser = Browser(address)
    browser.ask()
    assert browser.set_cookie.split("; ")[1:] == ["Path=/", "HttpOnly"]


def test_over_https_the_cookie_is_for_secure_connections_only(api: Api, backends: Backends) -> None:
    load_balancer = api.create_load_balancer()
    pair = rsa_pair()
    listener = api.create_listener(
        load_balancer["id"],
        protocol="HTTPS",
        backend_port=backends.port,
        session_sticky=True,
        certificate_id=api.ok("POST", "/elbaas/certificate", json=pair.body)["id"],
    )
    api.add_members(listener["id"], *backends.addresses)
    place = load_balancer["vip_address"], 8080
    context = client_context(None)

    def ask(cookie: str) -> tuple[str, str]:
        with context.wrap_socket(socket.create_connection(place)) as connection:
            connection.sendall(f"GET / HTTP/1.0\r\nCookie: {cookie}\r\n\r\n".encode())
            answer = HTTPResponse(connection)
            answer.begin()
            return answer.headers.get("Set-Cookie", ""), answer.read().decode()

    cookie, member = ask("")
    assert cookie.split("; ")[1:] == ["Path=/", "Secure", "HttpOnly"]
    assert [ask(cookie.partition(";")[0]) for _ in range(6)] == [("", member)] * 6


def test_without_stickiness_there_is_no_cookie(api: Api, backends: Backends) -> None:
    load_balancer = api.create_load_balancer()
    listener = api.create_listener(load_balancer["id"], backend_port=backends.port)
    api.add_members(listener["id"], *backends.addresses)
    browser = Browser(load_balancer["vip_address"])
    browser.ask()
    assert browser.set_cookie == ""


def test_over_tcp_a_client_address_stays_with_its_member(api: Api, backends: Backends) -> None:
    address, listener, _ = sticky_listener(api, backends, 2, protocol="TCP")
    network = unused_network().removesuffix("0/24")
    clients = [f"{network}{number + 1}" for number in range(40)]

    def ask(client: str) -> str:
        connection = HTTPConnection(address, 8080, timeout=PATIENCE, source_address=(client, 0))
        connection.request("GET", "/")
        answer = connection.getresponse().read().decode()
        connection.close()
        return answer

    def members() -> list[str]:
        return [ask(client) for client in clients]

    first = members()
    assert set(first) == set(backends.addresses[:2])
    assert members() == first

    new = backends.addresses[2]
    [third] = api.add_members(listener, new)
    with_third = members()
    # The new member takes its share; of the others 0.1 % are expected to change their member, so none or one.
    assert new in with_third
    assert sum(now not in (before, new) for before, now in zip(first, with_third, strict=True)) <= 1
    api.remove_members(listener, third)
    assert members() == first


def test_no_change_behind_a_listener_cuts_a_connection_over_tcp(api: Api, backends: Backends) -> None:
    load_balancer = api.create_load_balancer()
    address = load_balancer["vip_address"]
    listener = api.create_listener(
        load_balancer["id"], protocol="TCP", backend_port=backends.port, tcp_draining=True, tcp_draining_timeout=60
    )["id"]
    ids = api.add_members(listener, *backends.addresses[:2])
    other = api.create_listener(load_balancer["id"], protocol="TCP", port=8081, backend_port=backends.port)["id"]
    api.add_members(other, backends.addresses[0])
    with holding(address, 8080) as held, holding(address, 8081, 1) as [of_other]:

        def update(**fields: object) -> None:
            api.ok("PUT", f"/elbaas/listeners/{listener}", json=fields)
            assert working(held) == HELD, fields

        update(name="another", description="words")
        update(lb_algorithm="leastconn")
        update(lb_algorithm="source")
        update(lb_algorithm="roundrobin")
        update(tcp_timeout=10)
        update(tcp_draining_timeout=30)
        check = {"listener_id": listener, "healthcheck_protocol": "TCP", "healthcheck_interval": 1}
        thresholds = {"healthcheck_timeout": 1, "healthy_threshold": 1, "unhealthy_threshold": 1}
        check_id = api.ok("POST", "/elbaas/healthcheck", json=check | thresholds)["id"]
        api.ok("PUT", f"/elbaas/healthcheck/{check_id}", json={"healthcheck_interval": 2})
        api.ok("DELETE", f"/elbaas/healthcheck/{check_id}")
        api.add_members(listener, backends.addresses[2])
        api.remove_members(listener, ids[0])
        update(backend_port=backends.port % 65535 + 1)
        update(backend_port=backends.port)
        api.succeed("PUT", f"/elbaas/loadbalancers/{load_balancer['id']}", json={"name": "renamed", "bandwidth": 200})
        api.ok("DELETE", f"/elbaas/listeners/{other}")
        # The deleted listener's connection shows when the time is over after which Envoy cuts what it drains.
        eventually(of_other.is_cut)
        assert working(held) == HELD


def test_no_change_behind_a_listener_harms_a_request_under_way(api: Api, backends: Backends) -> None:
    load_balancer = api.create_load_balancer()
    address = load_balancer["vip_address"]
    listener = api.create_listener(load_balancer["id"], backend_port=backends.port)["id"]
    ids = api.add_members(listener, *backends.addresses[:2])
    statuses: list[int] = []

    def ask() -> None:
        connection = HTTPConnection(address, 8080, timeout=2 * PATIENCE)
        connection.request("GET", "/held")
        statuses.append(connection.getresponse().status)
        connection.close()

    asking = [threading.Thread(target=ask) for _ in range(HELD)]
    for each in asking:
        each.start()
    eventually(lambda: backends[0].held + backends[1].held == HELD)

    api.ok("PUT", f"/elbaas/listeners/{listener}", json={"lb_algorithm": "leastconn", "name": "another"})
    check = {"listener_id": listener, "healthcheck_protocol": "TCP", "healthcheck_interval": 1}
    thresholds = {"healthcheck_timeout": 1, "healthy_threshold": 1, "unhealthy_threshold": 1}
    check_id = api.ok("POST", "/elbaas/healthcheck", json=check | thresholds)["id"]
    api.ok("DELETE", f"/elbaas/healthcheck/{check_id}")
    api.add_members(listener, backends.addresses[2])
    api.remove_members(listener, *ids)
    assert statuses == []
    for number in (0, 1):
        backends[number].release.set()
    for each in asking:
        each.join(PATIENCE)
    assert statuses == [200] * HELD


@pytest.mark.parametrize(
    "draining",
    [{}, {"tcp_draining": False}, {"tcp_draining": True, "tcp_draining_timeout": 0}],
    ids=["not-given", "false", "no-minutes"],
)
def test_without_draining_the_connections_of_a_removed_member_are_cut_and_no_others(
    api: Api, backends: Backends, draining: dict[str, object]
) -> None:
    load_balancer = api.create_load_balancer()
    address = load_balancer["vip_address"]
    ids: dict[int, list[str]] = {}
    for port in (8080, 8081):
        listener = api.create_listener(
            load_balancer["id"], protocol="TCP", port=port, backend_port=backends.port, **draining
        )
        ids[port] = [listener["id"], *api.add_members(listener["id"], *backends.addresses[:2])]
    with holding(address, 8080) as held, holding(address, 8081) as of_other:
        listener_id, removed, _ = ids[8080]
        api.remove_members(listener_id, removed)
        gone = backends.addresses[0]
        doomed = [each for each in held if each.member == gone]
        assert 0 < len(doomed) < HELD
        for each in doomed:
            eventually(each.is_cut)
        assert working([each for each in held if each.member != gone]) == HELD - len(doomed)
        assert working(of_other) == HELD
        assert {each.member for each in of_other} == set(backends.addresses[:2])
        with holding(address, 8080) as later:
            assert {each.member for each in later} == {backends.addresses[1]}


def test_a_draining_member_keeps_its_connections_until_its_time_is_over_across_a_restart(
    own_service: Service, backends: Backends
) -> None:
    with Api(own_service) as api:
        load_balancer = api.create_load_balancer()
        address = load_balancer["vip_address"]
        listener = api.create_listener(
            load_balancer["id"],
            protocol="TCP",
            backend_port=backends.port,
            tcp_draining=True,
            tcp_draining_timeout=1,
        )["id"]
        ids = api.add_members(listener, *backends.addresses[:2])
        with holding(address, 8080) as held:
            api.remove_members(listener, ids[0])
            with holding(address, 8080) as later:
                assert {each.member for each in later} == {backends.addresses[1]}
            own_service.kill()
            assert working(held) == HELD
            own_service.start()
            assert working(held) == HELD
            own_service.kill()
            # In place of the minute that is the shortest time users can ask for.
            with sqlite3.connect(own_service.data_dir / "equipoise.db") as database:
                assert database.execute("UPDATE draining_members SET ends_at = ends_at - 60000").rowcount == 1
            database.close()
            own_service.start()
            gone = [each for each in held if each.member == backends.addresses[0]]
            for each in gone:
                eventually(each.is_cut)
            assert working(held) == HELD - len(gone)
