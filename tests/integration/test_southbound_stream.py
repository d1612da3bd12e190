"""Publish, and look at the sockets: what is confirmed is in force, and what is rejected harms nobody else."""

import asyncio
import itertools
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from equipoise.backends.envoy.build.type_urls import CLUSTER
from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.backends.envoy.xds.listening import is_listening
from equipoise.core.references import listeners, pools
from equipoise.proxy.model import BalancingPolicy, ServedProtocol
from tests.integration.southbound import (
    NODE,
    Member,
    Stand,
    a_listener,
    a_stand,
    desired,
    free_port,
    free_ports,
    get,
    is_refused,
    own_address,
    talk,
    until,
    until_async,
)


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with a_stand(tmp_path) as stand:
        yield stand


@pytest.fixture
async def member() -> AsyncIterator[Member]:
    member = Member(own_address(), b"one")
    await member.start()
    yield member
    await member.stop()


@pytest.fixture
async def web_member() -> AsyncIterator[Member]:
    member = Member(own_address(), b"web", is_http=True)
    await member.start()
    yield member
    await member.stop()


@pytest.fixture
def vip() -> str:
    return own_address()


@pytest.fixture
def taken_port(vip: str) -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind((vip, 0))
        holder.listen()
        port: int = holder.getsockname()[1]
        yield port


def to_member(load_balancer_id: str, generation: int, vip: str, port: int, *members: Member) -> DesiredResources:
    listener = a_listener(f"l-{load_balancer_id}", port, members[0].port, [each.address for each in members])
    return desired(load_balancer_id, generation, vip, listener)


def spoiled(state: DesiredResources) -> DesiredResources:
    """A state whose cluster Envoy cannot even decode."""
    cluster, *rest = state.resources
    assert cluster.type_url == CLUSTER
    return replace(state, resources=(replace(cluster, body=b"\xff\xff", version="spoiled"), *rest))


async def test_a_tcp_listener_serves_as_soon_as_it_is_confirmed_and_refuses_when_its_end_is(
    stand: Stand, member: Member, vip: str
) -> None:
    for number in range(50):
        port = free_port(vip)
        await stand.publish(to_member(f"lb-{number}", 1, vip, port, member))
        assert await talk(vip, port) == b"one"
        await stand.publish(desired(f"lb-{number}", 2, vip))
        assert await is_refused(vip, port)


async def test_an_http_listener_serves_as_soon_as_it_is_confirmed(stand: Stand, web_member: Member, vip: str) -> None:
    for number in range(50):
        port = free_port(vip)
        listener = a_listener(f"l{number}", port, web_member.port, [web_member.address], protocol=ServedProtocol.HTTP)
        await stand.publish(desired(f"lb-{number}", 1, vip, listener))
        assert (await get(vip, port)).endswith(b"web")


async def test_a_removed_member_gets_no_new_connection_after_that_is_confirmed(
    stand: Stand, member: Member, vip: str
) -> None:
    other = Member(own_address(), b"two")
    await other.start(member.port)
    port = free_port(vip)
    for generation in range(1, 100, 2):
        await stand.publish(to_member("lb", generation, vip, port, member, other))
        await stand.publish(to_member("lb", generation + 1, vip, port, other))
        before = member.connections
        assert {await talk(vip, port) for _ in range(4)} == {b"two"}
        assert member.connections == before
    await other.stop()


@pytest.mark.parametrize("algorithm", BalancingPolicy)
async def test_each_algorithm_serves_and_can_be_changed_to(
    stand: Stand, member: Member, vip: str, algorithm: BalancingPolicy
) -> None:
    port = free_port(vip)
    listener = a_listener("l", port, member.port, [member.address])
    await stand.publish(desired("lb", 1, vip, listener))
    await stand.publish(desired("lb", 2, vip, replace(listener, algorithm=algorithm)))
    for _ in range(20):
        assert await talk(vip, port) == b"one"


async def test_a_connection_whose_member_is_dead_is_given_to_another(stand: Stand, member: Member, vip: str) -> None:
    dead = own_address()
    port = free_port(vip)
    listener = a_listener("l", port, member.port, [member.address, dead])
    await stand.publish(desired("lb", 1, vip, listener))
    assert {await talk(vip, port) for _ in range(10)} == {b"one"}


async def test_a_request_whose_member_is_dead_is_given_to_another(stand: Stand, web_member: Member, vip: str) -> None:
    port = free_port(vip)
    for generation, algorithm in enumerate(BalancingPolicy):
        listener = a_listener(
            "l",
            port,
            web_member.port,
            [web_member.address, own_address()],
            protocol=ServedProtocol.HTTP,
            algorithm=algorithm,
        )
        await stand.publish(desired("lb", generation, vip, listener))
        for _ in range(10):
            assert (await get(vip, port)).endswith(b"web")


async def test_no_client_is_bound_to_a_dead_member_by_its_address(stand: Stand, web_member: Member, vip: str) -> None:
    port = free_port(vip)
    members = [web_member.address, own_address()]
    listener = a_listener(
        "l", port, web_member.port, members, protocol=ServedProtocol.HTTP, algorithm=BalancingPolicy.SOURCE
    )
    await stand.publish(desired("lb", 1, vip, listener))
    answers = [await get(vip, port, client=f"127.1.{number}.1") for number in range(250)]
    assert [answer for answer in answers if not answer.endswith(b"web")] == []


async def test_without_members_tcp_is_closed_and_http_is_answered_with_503(stand: Stand, vip: str) -> None:
    ports = free_ports(vip, 2)
    tcp = a_listener("tcp", ports[0], 80)
    http = a_listener("http", ports[1], 80, protocol=ServedProtocol.HTTP)
    await stand.publish(desired("lb", 1, vip, tcp, http))
    assert await talk(vip, ports[0]) == b""
    assert (await get(vip, ports[1])).startswith(b"HTTP/1.1 503 ")


async def test_a_member_is_told_who_the_client_is_and_nothing_of_envoy(
    stand: Stand, web_member: Member, vip: str
) -> None:
    port = free_port(vip)
    listener = a_listener("l", port, web_member.port, [web_member.address], protocol=ServedProtocol.HTTP)
    await stand.publish(desired("lb", 1, vip, listener))
    answer = await get(vip, port, "/a%2Fb//../c?d=e", "X-Request-Id: mine\r\n")
    [request] = web_member.requests
    lines = request.decode().lower().splitlines()
    assert request.startswith(b"GET /a%2Fb//../c?d=e HTTP/1.1\r\n")
    assert "x-forwarded-proto: http" in lines
    assert any(line.startswith("x-forwarded-for: ") for line in lines)
    assert "x-request-id: mine" in lines
    assert "envoy" not in (request + answer).decode().lower()


async def test_http_1_0_and_upgrades_to_websocket_pass(stand: Stand, web_member: Member, vip: str) -> None:
    port = free_port(vip)
    listener = a_listener("l", port, web_member.port, [web_member.address], protocol=ServedProtocol.HTTP)
    await stand.publish(desired("lb", 1, vip, listener))
    assert (await talk(vip, port, b"GET / HTTP/1.0\r\n\r\n")).endswith(b"web")
    await talk(vip, port, b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert b"upgrade: websocket" in web_member.requests[-1].lower()


async def test_a_port_that_is_held_is_refused_with_a_reason_and_the_others_serve(
    stand: Stand, member: Member, vip: str, taken_port: int
) -> None:
    ports = free_ports(vip, 5)
    states = [to_member(f"lb-{number}", 1, vip, port, member) for number, port in enumerate(ports)]
    stand.ads.publish([*states[:2], to_member("unlucky", 1, vip, taken_port, member), *states[2:]])
    rejected = await stand.rejected(f"unlucky/tcp/{taken_port}")
    assert (rejected.load_balancer_id, rejected.generation) == ("unlucky", 1)
    assert rejected.concerns == listeners("l-unlucky") | pools("l-unlucky")
    assert rejected.reason == f"cannot listen on {vip}:{taken_port}: the port is in use already"
    for number, port in enumerate(ports):
        await stand.confirmed(f"lb-{number}", 1)
        assert await talk(vip, port) == b"one"
    assert (NODE, "unlucky", 1) not in stand.recorder.confirmations


async def test_a_port_held_by_another_envoy_is_refused_too(
    stand: Stand, member: Member, vip: str, tmp_path: Path
) -> None:
    port = free_port(vip)
    await stand.publish(to_member("lb", 1, vip, port, member))
    async with a_stand(tmp_path / "other") as other:
        other.ads.publish([to_member("other", 1, vip, port, member)])
        await other.rejected(f"other/tcp/{port}")


async def test_an_address_that_is_nowhere_is_refused_with_a_reason(stand: Stand, member: Member) -> None:
    stand.ads.publish([to_member("lb", 1, "192.0.2.250", 8080, member)])
    rejected = await stand.rejected("lb/tcp/8080")
    assert rejected.reason == "cannot listen on 192.0.2.250:8080: the address is not on any interface of this node"


async def test_a_freed_port_is_taken_with_the_next_generation(stand: Stand, member: Member, vip: str) -> None:
    with socket.socket() as holder:
        holder.bind((vip, 0))
        holder.listen()
        port: int = holder.getsockname()[1]
        stand.ads.publish([to_member("lb", 1, vip, port, member)])
        await stand.rejected(f"lb/tcp/{port}")
    await stand.publish(to_member("lb", 2, vip, port, member))
    assert await talk(vip, port) == b"one"


async def test_a_refused_new_port_leaves_the_old_one_serving(
    stand: Stand, member: Member, vip: str, taken_port: int
) -> None:
    port = free_port(vip)
    await stand.publish(to_member("lb", 1, vip, port, member))
    stand.ads.publish([to_member("lb", 2, vip, taken_port, member)])
    await stand.rejected(f"lb/tcp/{taken_port}")
    assert await talk(vip, port) == b"one"
    await stand.publish(to_member("lb", 3, vip, port, member))
    assert await talk(vip, port) == b"one"


async def test_a_resource_that_cannot_be_decoded_holds_up_nobody_else(stand: Stand, member: Member, vip: str) -> None:
    ports = free_ports(vip, 7)
    states = [to_member(f"lb-{number}", 1, vip, port, member) for number, port in enumerate(ports)]
    stand.ads.publish([*states[:3], spoiled(states[3]), *states[4:]])
    rejected = await stand.rejected("l-lb-3")
    assert rejected.load_balancer_id == "lb-3"
    for number, port in enumerate(ports):
        if number != 3:
            await stand.confirmed(f"lb-{number}", 1)
            assert await talk(vip, port) == b"one"
    assert len(stand.recorder.rejections) == 1


async def test_deleting_a_listener_and_creating_one_on_its_port_never_closes_the_port(
    stand: Stand, member: Member, vip: str
) -> None:
    port = free_port(vip)
    for generation in range(1, 30):
        listener = a_listener(f"l{generation}", port, member.port, [member.address])
        await stand.publish(desired("lb", generation, vip, listener))
        assert await talk(vip, port) == b"one"


async def test_two_listeners_exchange_their_ports(stand: Stand, member: Member, vip: str) -> None:
    other = Member(own_address(), b"two")
    await other.start()
    ports = free_ports(vip, 2)
    for generation in range(1, 10):
        ports.reverse()
        one = a_listener("one", ports[0], member.port, [member.address])
        two = a_listener("two", ports[1], other.port, [other.address])
        await stand.publish(desired("lb", generation, vip, one, two))
        assert (await talk(vip, ports[0]), await talk(vip, ports[1])) == (b"one", b"two")
    await other.stop()


async def test_the_address_of_a_deleted_load_balancer_can_be_given_to_another_at_once(
    stand: Stand, member: Member, vip: str
) -> None:
    port = free_port(vip)
    for number in range(30):
        await stand.publish(to_member(f"lb-{number}", 1, vip, port, member))
        assert await talk(vip, port) == b"one"
        await stand.publish(desired(f"lb-{number}", 2, vip))
        stand.ads.forget(f"lb-{number}")
    assert not stand.recorder.rejections


async def test_envoy_killed_is_started_again_and_told_everything(stand: Stand, member: Member, vip: str) -> None:
    port = free_port(vip)
    await stand.publish(to_member("lb", 1, vip, port, member))
    killed = stand.envoy.pid
    assert killed is not None
    stand.recorder.confirmations.clear()
    os.kill(killed, signal.SIGKILL)
    await stand.confirmed("lb", 1)
    assert await talk(vip, port) == b"one"
    assert stand.envoy.pid != killed
    assert stand.recorder.events == [("connected", NODE), ("disconnected", NODE), ("connected", NODE)]


async def test_a_starting_envoy_listens_wherever_it_is_confirmed_to(
    stand: Stand, vip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = free_port(vip)
    ports = {f"lb-{number}": 1024 + (first + number) % 60_000 for number in range(300)}
    # Those of HTTP need nothing more, but Envoy opens none before it has the filters of those of TCP.
    protocols = itertools.cycle((ServedProtocol.HTTP, ServedProtocol.TCP))
    listeners = {id: a_listener(f"l-{id}", port, 80, protocol=next(protocols)) for id, port in ports.items()}
    stand.ads.publish(desired(id, 1, vip, listener) for id, listener in listeners.items())
    await asyncio.gather(*(stand.confirmed(id, 1) for id in ports))
    rejected: list[str] = []

    def confirmed(_node_id: str, generations: Mapping[str, int]) -> None:
        rejected.extend(id for id in generations if not is_listening(vip, ports[id]))
        seen.update(generations)

    seen: set[str] = set()
    monkeypatch.setattr(stand.recorder, "confirmed", confirmed)
    killed = stand.envoy.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await until(lambda: seen == ports.keys())
    assert not rejected


async def test_what_could_not_be_reported_is_reported_on_the_next_stream(
    stand: Stand, member: Member, vip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()
    confirmed = stand.recorder.confirmed

    def confirmed_from_the_second_time_on(node_id: str, generations: Mapping[str, int]) -> None:
        if next(calls) == 0:
            raise RuntimeError("the first of all")
        confirmed(node_id, generations)

    monkeypatch.setattr(stand.recorder, "confirmed", confirmed_from_the_second_time_on)
    port = free_port(vip)
    await stand.publish(desired("a", 1, vip, a_listener("la", port, member.port, [member.address])))
    assert await talk(vip, port) == b"one"
    assert ("disconnected", NODE) in stand.recorder.events


async def test_traffic_does_not_notice_that_the_control_stream_is_gone_or_back(
    stand: Stand, member: Member, vip: str
) -> None:
    port, deleted, new = free_ports(vip, 3)
    await stand.publish(to_member("lb", 1, vip, port, member))
    await stand.publish(to_member("deleted", 1, vip, deleted, member))
    await stand.ads.stop()
    assert await talk(vip, port) == b"one"
    await stand.restart_control()
    await stand.connected()
    assert await talk(vip, deleted) == b"one"
    stand.ads.publish([to_member("lb", 1, vip, port, member), to_member("new", 1, vip, new, member)])
    stand.ads.ready()
    await stand.confirmed("lb", 1)
    await stand.confirmed("new", 1)
    assert await talk(vip, port) == b"one"
    # Nobody waits for the end of what nobody knows any more.
    await until_async(lambda: is_refused(vip, deleted))


async def test_an_acknowledged_rejection_lets_its_generation_be_confirmed(
    stand: Stand, member: Member, vip: str, taken_port: int
) -> None:
    stand.ads.publish([to_member("lb", 1, vip, taken_port, member)])
    await stand.rejected(f"lb/tcp/{taken_port}")
    stand.ads.acknowledge_rejection("lb", 1)
    await stand.confirmed("lb", 1)


async def test_many_changes_at_once_are_all_confirmed(stand: Stand, member: Member, vip: str) -> None:
    first = free_port(vip)
    states = [to_member(f"lb-{number}", 1, vip, 1024 + (first + number) % 60_000, member) for number in range(300)]
    stand.ads.publish(states)
    await asyncio.gather(*(stand.confirmed(state.load_balancer_id, 1) for state in states))
