"""Every change is in force when it is confirmed, and harms no traffic that it is not about."""

import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from stand import Api, Backends, ask, assert_even, can_connect
from tests.traffic import asking, echo_server

PORT = 8080


@pytest.fixture
def place(api: Api) -> Iterator[tuple[str, str]]:
    """Id and address of an Internal load balancer: it goes with all below it."""
    load_balancer = api.create_load_balancer(type="Internal", vip_subnet_id="s", security_group_id="g")
    yield load_balancer["id"], load_balancer["vip_address"]
    api.succeed("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")


def test_a_listener_answers_once_its_creation_has_answered_and_refuses_once_deleted(
    api: Api, place: tuple[str, str]
) -> None:
    for number in range(50):
        protocol = ("TCP", "HTTP")[number % 2]
        listener = api.create_listener(place[0], protocol=protocol, port=20_000 + number)
        assert listener["status"] == "ACTIVE"
        assert can_connect(place[1], listener["port"]), f"round {number}"
        assert api.call("DELETE", f"/elbaas/listeners/{listener['id']}").status_code == 204
        assert not can_connect(place[1], listener["port"]), f"round {number}"


def test_a_port_can_be_given_up_and_taken_again_at_once(api: Api, place: tuple[str, str], backends: Backends) -> None:
    for number in range(20):
        listener = api.create_listener(place[0], backend_port=backends.port, name=f"l-{number}")
        api.add_members(listener["id"], backends.addresses[number % 3])
        assert ask(place[1], PORT) == Counter({backends.addresses[number % 3]: 1})
        api.ok("DELETE", f"/elbaas/listeners/{listener['id']}")


def test_a_moved_listener_answers_at_the_new_port_and_no_more_at_the_old_one(
    api: Api, place: tuple[str, str], backends: Backends
) -> None:
    listener = api.create_listener(place[0], backend_port=backends.port)
    api.add_members(listener["id"], *backends.addresses)
    for port in (8081, 8082, 8080):
        moved = api.ok("PUT", f"/elbaas/listeners/{listener['id']}", json={"port": port})
        assert moved["port"] == port
        for other in (8080, 8081, 8082):
            assert can_connect(place[1], other) == (other == port)
        assert_even(ask(place[1], port, 12), backends.addresses)


@pytest.mark.parametrize("protocol", ["TCP", "HTTP"])
def test_a_removed_member_gets_no_request_that_begins_after_the_success(
    api: Api, place: tuple[str, str], backends: Backends, protocol: str
) -> None:
    # Without draining the connections of a removed member are cut, with the requests on them.
    draining = {"tcp_draining": True, "tcp_draining_timeout": 1} if protocol == "TCP" else {}
    listener = api.create_listener(place[0], protocol=protocol, backend_port=backends.port, **draining)
    stays, goes = backends.addresses[:2]
    api.add_members(listener["id"], stays)
    with asking(place[1], PORT) as asker:
        for number in range(25):
            [member] = api.add_members(listener["id"], goes)
            added = time.monotonic()
            asker.more(8)
            assert asker.since(added)[goes] > 0, f"round {number}: the new member gets its share"
            api.remove_members(listener["id"], member)
            removed = time.monotonic()
            assert ask(place[1], PORT, 5) == Counter({stays: 5}), f"round {number}"
            asker.more(2)
            assert asker.since(removed)[goes] == 0, f"round {number}"
        assert asker.failures == []


def test_other_changes_harm_no_request(api: Api, place: tuple[str, str], backends: Backends) -> None:
    listener = api.create_listener(place[0], backend_port=backends.port)
    api.add_members(listener["id"], *backends.addresses)
    path = f"/elbaas/listeners/{listener['id']}"
    with asking(place[1], PORT) as asker:
        for number in range(10):
            other = api.create_listener(place[0], port=9090, backend_port=backends.port)
            api.ok("PUT", path, json={"name": f"n-{number}"})
            api.ok("PUT", path, json={"lb_algorithm": ("leastconn", "roundrobin")[number % 2]})
            api.succeed("PUT", f"/elbaas/loadbalancers/{place[0]}", json={"name": f"n-{number}", "description": "d"})
            check = api.ok("POST", "/elbaas/healthcheck", json={"listener_id": listener["id"]})
            api.ok("DELETE", f"/elbaas/healthcheck/{check['id']}")
            api.ok("DELETE", f"/elbaas/listeners/{other['id']}")
        assert asker.failures == []
        assert len(asker.answers) > 10


def test_a_stopped_load_balancer_refuses_and_keeps_everything_until_started_again(
    api: Api, place: tuple[str, str], backends: Backends
) -> None:
    path = f"/elbaas/loadbalancers/{place[0]}"
    ports = (8080, 8081)
    for port in ports:
        listener = api.create_listener(place[0], port=port, backend_port=backends.port)
        api.add_members(listener["id"], *backends.addresses)

    def below() -> tuple[object, ...]:
        listeners = api.ok("GET", "/elbaas/listeners", params={"loadbalancer_id": place[0]})
        return listeners, *(api.ok("GET", f"/elbaas/listeners/{one['id']}/members") for one in listeners)

    before = below()
    for number in range(3):
        api.succeed("PUT", path, json={"admin_state_up": (0, False)[number % 2]})
        assert not any(can_connect(place[1], port) for port in ports)
        stopped = api.ok("GET", path)
        assert (stopped["admin_state_up"], stopped["vip_address"], stopped["status"]) == (0, place[1], "ACTIVE")
        assert below() == before
        api.succeed("PUT", path, json={"admin_state_up": (1, True)[number % 2]})
        for port in ports:
            assert_even(ask(place[1], port, 9), backends.addresses)
    assert below() == before


def test_what_is_made_under_a_stopped_load_balancer_serves_when_it_is_started(
    api: Api, place: tuple[str, str], backends: Backends
) -> None:
    path = f"/elbaas/loadbalancers/{place[0]}"
    api.succeed("PUT", path, json={"admin_state_up": 0})
    listener = api.create_listener(place[0], backend_port=backends.port)
    assert listener["status"] == "ACTIVE"
    api.add_members(listener["id"], *backends.addresses)
    assert not can_connect(place[1], PORT)
    api.succeed("PUT", path, json={"admin_state_up": 1})
    assert_even(ask(place[1], PORT, 12), backends.addresses)


def test_a_stopped_listener_refuses_and_the_others_serve_on(
    api: Api, place: tuple[str, str], backends: Backends
) -> None:
    listener, other = (api.create_listener(place[0], port=port, backend_port=backends.port) for port in (8080, 8081))
    for each in (listener, other):
        api.add_members(each["id"], *backends.addresses)
    path = f"/elbaas/listeners/{listener['id']}"
    with asking(place[1], 8081) as asker:
        for _ in range(3):
            assert api.ok("PUT", path, json={"admin_state_up": False})["admin_state_up"] is False
            assert not can_connect(place[1], 8080)
            assert len(api.ok("GET", f"{path}/members")) == 3
            assert api.ok("PUT", path, json={"admin_state_up": True})["admin_state_up"] is True
            assert_even(ask(place[1], 8080, 9), backends.addresses)
        assert asker.failures == []


def test_a_tcp_listener_carries_a_mebibyte_there_and_back(api: Api, place: tuple[str, str]) -> None:
    with echo_server("127.10.0.10") as port:
        listener = api.create_listener(place[0], protocol="TCP", backend_port=port)
        api.add_members(listener["id"], "127.10.0.10")
        sent = bytes(range(256)) * 4096
        with socket.create_connection((place[1], PORT), timeout=20) as client:
            received = bytearray()
            for start in range(0, len(sent), 65536):
                client.sendall(sent[start : start + 65536])
                while len(received) < start + 65536 and (part := client.recv(65536)):
                    received += part
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
        assert bytes(received) == sent


def test_without_members_http_says_503_and_tcp_closes(api: Api, place: tuple[str, str]) -> None:
    api.create_listener(place[0])
    api.create_listener(place[0], protocol="TCP", port=8081)
    assert ask(place[1], PORT) == Counter({"503": 1})
    with socket.create_connection((place[1], 8081), timeout=10) as client:
        assert client.recv(1) == b""


def test_two_load_balancers_serve_the_same_port_side_by_side(api: Api, backends: Backends) -> None:
    made = [api.create_load_balancer() for _ in range(2)]
    for load_balancer, member in zip(made, backends.addresses, strict=False):
        listener = api.create_listener(load_balancer["id"], backend_port=backends.port)
        api.add_members(listener["id"], member)
    for load_balancer, member in zip(made, backends.addresses, strict=False):
        assert ask(load_balancer["vip_address"], PORT, 5) == Counter({member: 5})
