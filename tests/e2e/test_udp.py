"""UDP listeners and their health checks, end to end: real datagrams, counted by who got them."""

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from stand import Api, Backends, Service, assert_even, can_connect, eventually, running_service
from stand import ask as ask_tcp
from tests.udp import Echoes, Place, answered_of, ask, flows, running_echoes

PORT = 5353
NOBODY = Counter({None: 1})
"""Nobody answers: told by waiting a moment for an answer that would come within a millisecond."""
MOMENT = 0.3


@pytest.fixture
def echoes() -> Iterator[Echoes]:
    with running_echoes(3) as three:
        yield three


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without listeners of other tests: all listeners over UDP share the sessions of the node."""
    with running_service(tmp_path_factory.mktemp("udp") / "data") as service:
        yield service


@pytest.fixture
def load_balancer(api: Api) -> dict[str, Any]:
    return api.create_load_balancer()


def udp_listener(api: Api, load_balancer: dict[str, Any], echoes: Echoes, **fields: Any) -> str:
    body = {"protocol": "UDP", "port": PORT, "backend_port": echoes.port}
    listener = api.create_listener(load_balancer["id"], **(body | fields))
    assert listener["status"] == "ACTIVE"
    return str(listener["id"])


def place_of(load_balancer: dict[str, Any]) -> Place:
    return load_balancer["vip_address"], PORT


def check(api: Api, listener: str, **fields: Any) -> str:
    body = {
        "listener_id": listener,
        "healthcheck_protocol": "UDP",
        "healthcheck_interval": 1,
        "healthcheck_timeout": 1,
        "healthy_threshold": 1,
        "unhealthy_threshold": 2,
    }
    return str(api.ok("POST", "/elbaas/healthcheck", json=body | fields)["id"])


def health(api: Api, listener: str) -> dict[str, str]:
    found = api.ok("GET", f"/elbaas/listeners/{listener}/members")
    return {member["address"]: member["health_status"] for member in found}


def all_are(api: Api, listener: str, status: str) -> bool:
    return set(health(api, listener).values()) == {status}


@pytest.mark.parametrize("algorithm", ["roundrobin", "leastconn"])
def test_datagrams_from_many_ports_go_to_the_members_by_turns(
    api: Api, load_balancer: dict[str, Any], echoes: Echoes, algorithm: str
) -> None:
    listener = udp_listener(api, load_balancer, echoes, lb_algorithm=algorithm)
    api.add_members(listener, *echoes.addresses)
    answers = ask(place_of(load_balancer), 60)
    assert_even(Counter({str(who): number for who, number in answers.items()}), echoes.addresses)
    assert echoes.counts() == answers


def test_with_source_each_client_address_has_one_member_whatever_its_port(
    api: Api, load_balancer: dict[str, Any], echoes: Echoes
) -> None:
    listener = udp_listener(api, load_balancer, echoes, lb_algorithm="source")
    api.add_members(listener, *echoes.addresses)
    found = [ask(place_of(load_balancer), 5, source=f"127.9.1.{number + 1}") for number in range(30)]
    assert [answers for answers in found if len(answers) > 1 or None in answers] == []
    assert {who for answers in found for who in answers} == set(echoes.addresses)


def test_the_first_datagram_after_the_answer_is_served_and_none_after_the_deletion(
    api: Api, load_balancer: dict[str, Any], echoes: Echoes
) -> None:
    for _ in range(10):
        listener = udp_listener(api, load_balancer, echoes)
        assert ask(place_of(load_balancer), 1, patience=MOMENT) == NOBODY
        api.add_members(listener, echoes.addresses[0])
        assert ask(place_of(load_balancer)) == {echoes.addresses[0]: 1}
        assert api.call("DELETE", f"/elbaas/listeners/{listener}").status_code == 204
        before = echoes.counts()
        assert ask(place_of(load_balancer), 1, patience=MOMENT) == NOBODY
        assert echoes.counts() == before


def test_a_session_stays_while_others_come_and_go_and_moves_when_its_member_is_removed(
    api: Api, load_balancer: dict[str, Any], echoes: Echoes
) -> None:
    listener = udp_listener(api, load_balancer, echoes)
    ids = dict(zip(echoes.addresses[:2], api.add_members(listener, *echoes.addresses[:2]), strict=True))
    with flows(place_of(load_balancer), 20) as sessions:
        before = [each.ask() for each in sessions]
        assert set(before) == set(echoes.addresses[:2])
        api.add_members(listener, echoes.addresses[2])
        assert [each.ask() for each in sessions] == before
        assert echoes.addresses[2] in ask(place_of(load_balancer), 12)

        gone = echoes.addresses[0]
        api.remove_members(listener, ids[gone])
        received = echoes.counts()[gone]
        after = [each.ask() for each in sessions]
        assert None not in after
        assert [who for who, was in zip(after, before, strict=True) if was != gone] == [w for w in before if w != gone]
        ask(place_of(load_balancer), 12)
        assert echoes.counts()[gone] == received


def test_large_datagrams_pass(api: Api, load_balancer: dict[str, Any], echoes: Echoes) -> None:
    listener = udp_listener(api, load_balancer, echoes)
    api.add_members(listener, echoes.addresses[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        for size in (0, 1_473, 9_000, 65_000):
            client.sendto(b"x" * size, place_of(load_balancer))
            assert client.recv(100).decode() == echoes.addresses[0]


def test_fifteen_hundred_flows_at_once_are_all_answered(own_service: Service, echoes: Echoes) -> None:
    # Envoy by itself has room for 1,024, and here a tenth of the file descriptors are for them.
    # Beside the listeners of other tests its share of the sessions would be smaller.
    with Api(own_service) as api:
        load_balancer = api.create_load_balancer()
        api.add_members(udp_listener(api, load_balancer, echoes), *echoes.addresses)
        with flows(place_of(load_balancer), 1_500) as many:
            assert answered_of(many) == 1_500


def test_one_port_serves_tcp_and_udp(
    api: Api, load_balancer: dict[str, Any], echoes: Echoes, backends: Backends
) -> None:
    address = load_balancer["vip_address"]
    over_tcp = api.create_listener(load_balancer["id"], protocol="TCP", port=PORT, backend_port=backends.port)
    api.add_members(over_tcp["id"], backends.addresses[0])
    over_udp = udp_listener(api, load_balancer, echoes)
    api.add_members(over_udp, echoes.addresses[0])
    assert ask_tcp(address, PORT) == {backends.addresses[0]: 1}
    assert ask(place_of(load_balancer)) == {echoes.addresses[0]: 1}
    api.call("DELETE", f"/elbaas/listeners/{over_tcp['id']}")
    assert not can_connect(address, PORT)
    assert ask(place_of(load_balancer)) == {echoes.addresses[0]: 1}


def test_what_is_stopped_answers_no_datagram_until_it_is_started_again(
    api: Api, load_balancer: dict[str, Any], echoes: Echoes
) -> None:
    listener = udp_listener(api, load_balancer, echoes)
    api.add_members(listener, echoes.addresses[0])
    path = f"/elbaas/listeners/{listener}"
    for stop, start in (
        (lambda: api.ok("PUT", path, json={"admin_state_up": False}),) * 1
        + (lambda: api.ok("PUT", path, json={"admin_state_up": True}),),
        (
            lambda: api.succeed("PUT", f"/elbaas/loadbalancers/{load_balancer['id']}", json={"admin_state_up": 0}),
            lambda: api.succeed("PUT", f"/elbaas/loadbalancers/{load_balancer['id']}", json={"admin_state_up": 1}),
        ),
    ):
        stop()
        assert ask(place_of(load_balancer), 1, patience=MOMENT) == NOBODY
        start()
        assert ask(place_of(load_balancer)) == {echoes.addresses[0]: 1}


@pytest.mark.parametrize("option", [None, socket.SO_REUSEPORT])
def test_a_port_that_another_process_has_is_refused_even_if_it_would_share(
    api: Api, load_balancer: dict[str, Any], echoes: Echoes, option: int | None
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        if option is not None:
            holder.setsockopt(socket.SOL_SOCKET, option, 1)
        holder.bind(place_of(load_balancer))
        body = api.listener_body(load_balancer["id"], protocol="UDP", port=PORT, backend_port=echoes.port)
        refused = api.call("POST", "/elbaas/listeners", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "ELB.9007")
        assert api.ok("GET", f"/elbaas/listeners?loadbalancer_id={load_balancer['id']}") == []
    listener = udp_listener(api, load_balancer, echoes)
    api.add_members(listener, echoes.addresses[0])
    assert ask(place_of(load_balancer)) == {echoes.addresses[0]: 1}


def test_a_dead_member_is_abnormal_in_time_its_sessions_move_and_it_comes_back(
    api: Api, load_balancer: dict[str, Any], echoes: Echoes
) -> None:
    listener = udp_listener(api, load_balancer, echoes)
    api.add_members(listener, *echoes.addresses)
    assert set(health(api, listener).values()) == {"UNAVAILABLE"}
    check(api, listener)
    eventually(lambda: all_are(api, listener, "NORMAL"))
    with flows(place_of(load_balancer), 20) as sessions:
        before = [each.ask() for each in sessions]
        assert set(before) == set(echoes.addresses)
        dead = echoes.addresses[1]
        echoes.stop(dead)
        since = time.monotonic()
        eventually(lambda: health(api, listener)[dead] == "ABNORMAL")
        # Two intervals of 1 s and one more, and what a busy machine takes.
        assert time.monotonic() - since < 2 * 1 + 1 + 4
        # A datagram that is under way while Envoy learns of it may be lost, and a client asks again.
        after = [eventually(partial(each.ask, 0.5)) for each in sessions]
        assert dead not in after
        moved = [was for was, now in zip(before, after, strict=True) if was != now]
        assert set(moved) == {dead}
        assert len(moved) == before.count(dead)

        echoes.restart(dead)
        eventually(lambda: health(api, listener)[dead] == "NORMAL")
        eventually(lambda: dead in ask(place_of(load_balancer), 6))
        # Sessions that found another member stay there.
        assert [each.ask() for each in sessions] == after
    assert echoes[0].probes
    assert set(health(api, listener).values()) == {"NORMAL"}


def test_with_all_members_down_datagrams_are_dropped_and_without_the_check_all_are_served_again(
    api: Api, load_balancer: dict[str, Any], echoes: Echoes
) -> None:
    listener = udp_listener(api, load_balancer, echoes)
    api.add_members(listener, *echoes.addresses[:2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind((echoes.addresses[0], 0))
        port = closed.getsockname()[1]
    with flows(place_of(load_balancer), 4) as sessions:
        assert None not in [each.ask() for each in sessions]
        # The members live, but the port that the check asks does not.
        created = check(api, listener, healthcheck_connect_port=port)
        eventually(lambda: all_are(api, listener, "ABNORMAL"))

        def dropped() -> bool:
            """Whether no datagram of a round got through: one whose answer is late has."""
            before = echoes.counts()
            answers = [each.ask(MOMENT) for each in sessions]
            return answers == [None] * 4 and echoes.counts() == before

        eventually(dropped)
        received = echoes.counts()
        assert [each.ask(MOMENT) for each in sessions] == [None] * 4
        assert ask(place_of(load_balancer), 1, patience=MOMENT) == NOBODY
        assert echoes.counts() == received

        api.ok("PUT", f"/elbaas/healthcheck/{created}", json={"healthcheck_connect_port": echoes.port})
        eventually(lambda: all_are(api, listener, "NORMAL"))
        eventually(lambda: sessions[0].ask(MOMENT))
        api.ok("PUT", f"/elbaas/healthcheck/{created}", json={"healthcheck_connect_port": port})
        eventually(lambda: all_are(api, listener, "ABNORMAL"))
        assert api.call("DELETE", f"/elbaas/healthcheck/{created}").status_code == 204
        assert None not in [each.ask() for each in sessions]
        assert all_are(api, listener, "UNAVAILABLE")


def test_udp_is_served_again_after_kill_9_of_envoy_and_goes_on_through_that_of_the_service(
    own_service: Service, echoes: Echoes
) -> None:
    with Api(own_service) as api:
        load_balancer = api.create_load_balancer()
        place = place_of(load_balancer)
        listener = udp_listener(api, load_balancer, echoes)
        api.add_members(listener, *echoes.addresses)
        check(api, listener)
        dead, alive = echoes.addresses[0], echoes.addresses[1:]
        echoes.stop(dead)
        eventually(lambda: sorted(health(api, listener).values()) == ["ABNORMAL", "NORMAL", "NORMAL"])
        eventually(lambda: dead not in ask(place, 6, patience=MOMENT))

        os.kill(own_service.envoy_pid, signal.SIGKILL)
        eventually(lambda: ask(place, 1, patience=MOMENT) != NOBODY)
        assert set(ask(place, 12)) == set(alive)

        with flows(place, 6) as sessions:
            before = [each.ask() for each in sessions]
            assert set(before) == set(alive)
            own_service.kill()
            assert [each.ask() for each in sessions] == before
            own_service.start()
            assert [each.ask() for each in sessions] == before
    with Api(own_service) as api:
        # What was known is still known, and goes on.
        assert health(api, listener)[dead] == "ABNORMAL"
        assert set(ask(place, 12)) == set(alive)
        echoes.restart(dead)
        eventually(lambda: all_are(api, listener, "NORMAL"))
        eventually(lambda: dead in ask(place, 6))
