"""Who gets a connection: the three algorithms, and what members learn of the client."""

import threading
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from stand import Api, Backends, ask, assert_even, eventually
from tests.traffic import ask_once

PORT = 8080


@pytest.fixture
def place(api: Api) -> Iterator[tuple[str, str]]:
    """Id and address of a load balancer; what is on it is taken away afterwards."""
    load_balancer = api.create_load_balancer()
    yield load_balancer["id"], load_balancer["vip_address"]
    for listener in api.ok("GET", "/elbaas/listeners", params={"loadbalancer_id": load_balancer["id"]}):
        api.ok("DELETE", f"/elbaas/listeners/{listener['id']}")
    api.succeed("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")


@pytest.mark.parametrize("protocol", ["TCP", "HTTP"])
def test_roundrobin_takes_the_members_in_turns(
    api: Api, place: tuple[str, str], backends: Backends, protocol: str
) -> None:
    listener = api.create_listener(place[0], protocol=protocol, backend_port=backends.port)
    api.add_members(listener["id"], *backends.addresses)
    assert_even(ask(place[1], PORT, 60), backends.addresses)


@pytest.mark.parametrize("protocol", ["TCP", "HTTP"])
def test_leastconn_takes_the_member_with_the_fewest_connections(
    api: Api, place: tuple[str, str], backends: Backends, protocol: str
) -> None:
    listener = api.create_listener(place[0], protocol=protocol, backend_port=backends.port, lb_algorithm="leastconn")
    busy, idle = backends.addresses[:2]
    api.add_members(listener["id"], busy)
    clients = [threading.Thread(target=ask_once, args=(place[1], PORT, "/held")) for _ in range(10)]
    for client in clients:
        client.start()
    try:
        eventually(lambda: backends[0].held == len(clients))
        api.add_members(listener["id"], idle)
        answers = ask(place[1], PORT, 100)
    finally:
        backends[0].release.set()
        for client in clients:
            client.join()
    assert answers == {idle: 100}


@pytest.mark.parametrize("protocol", ["TCP", "HTTP"])
def test_source_keeps_a_client_with_one_member_and_spreads_clients(
    api: Api, place: tuple[str, str], backends: Backends, protocol: str
) -> None:
    listener = api.create_listener(place[0], protocol=protocol, backend_port=backends.port, lb_algorithm="source")
    api.add_members(listener["id"], *backends.addresses)
    chosen: Counter[str] = Counter()
    for number in range(30):
        answers = {ask_once(place[1], PORT, source=f"127.10.{number}.1") for _ in range(4)}
        assert len(answers) == 1, f"one client went to several members: {answers}"
        [(member, ok)] = answers
        assert ok
        chosen[member] += 1
    assert sorted(chosen) == sorted(backends.addresses), chosen


def test_a_change_of_algorithm_is_in_force_when_it_is_answered(
    api: Api, place: tuple[str, str], backends: Backends
) -> None:
    listener = api.create_listener(place[0], backend_port=backends.port, lb_algorithm="source")
    api.add_members(listener["id"], *backends.addresses)
    assert len(ask(place[1], PORT, 12)) == 1
    api.ok("PUT", f"/elbaas/listeners/{listener['id']}", json={"lb_algorithm": "roundrobin"})
    assert_even(ask(place[1], PORT, 30), backends.addresses)
    api.ok("PUT", f"/elbaas/listeners/{listener['id']}", json={"lb_algorithm": "source"})
    assert len(ask(place[1], PORT, 12)) == 1


def test_a_change_of_the_backend_port_is_in_force_when_it_is_answered(
    api: Api, place: tuple[str, str], backends: Backends
) -> None:
    nobody = backends.port + 1 if backends.port < 65535 else backends.port - 1
    listener = api.create_listener(place[0], backend_port=nobody)
    api.add_members(listener["id"], *backends.addresses)
    assert ask(place[1], PORT, 3) == Counter({"503": 3})
    api.ok("PUT", f"/elbaas/listeners/{listener['id']}", json={"backend_port": backends.port})
    assert_even(ask(place[1], PORT, 30), backends.addresses)


@pytest.mark.parametrize(("sent", "seen"), [(None, "127.10.0.9"), ("203.0.113.7", "203.0.113.7,127.10.0.9")])
def test_members_learn_the_client_from_x_forwarded_for(
    api: Api, place: tuple[str, str], backends: Backends, sent: str | None, seen: str
) -> None:
    listener = api.create_listener(place[0], backend_port=backends.port)
    api.add_members(listener["id"], backends.addresses[0])
    connection = HTTPConnection(place[1], PORT, timeout=10, source_address=("127.10.0.9", 0))
    connection.request("GET", "/", headers={"X-Forwarded-For": sent} if sent else {})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.headers["X-Seen-From"].replace(" ", "") == seen
