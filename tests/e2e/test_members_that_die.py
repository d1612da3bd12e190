"""What clients notice of members that die, and members of coming back."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stand import Api, Backends, Service, ask, assert_even, eventually, free_port, running_service, unused_network
from tests.hitless.clients import Load
from tests.hitless.member import Members
from tests.traffic import ask_once

LESS_THAN_A_TIME_OUT = 4.0
"""Seconds: what takes less did not wait for a connection, which is given up after 5."""

CLIENTS = 3
SLOW_START = 10
"""Seconds."""


@pytest.fixture(scope="module")
def slowly_started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("slow")
    with running_service(folder / "data", f"members.slow_start={SLOW_START}") as service:
        yield service


def listening(api: Api, backend_port: int, members: list[str], **fields: Any) -> tuple[str, str]:
    """Id of a new listener at port 8080 and its address."""
    load_balancer = api.create_load_balancer()
    listener = api.create_listener(load_balancer["id"], backend_port=backend_port, **fields)
    api.add_members(listener["id"], *members)
    return listener["id"], load_balancer["vip_address"]


def check(api: Api, listener: str) -> None:
    times = {"healthcheck_interval": 1, "healthcheck_timeout": 1, "healthy_threshold": 1, "unhealthy_threshold": 2}
    body = {"listener_id": listener, "healthcheck_protocol": "HTTP", "healthcheck_uri": "/health"}
    api.ok("POST", "/elbaas/healthcheck", json=body | times)


def await_health(api: Api, listener: str, **wanted: int) -> None:
    """Wait until so many members are in each state, and none in another."""

    def found() -> Counter[str]:
        return Counter(each["health_status"] for each in api.ok("GET", f"/elbaas/listeners/{listener}/members"))

    eventually(lambda: found() == wanted)


@pytest.mark.parametrize("checked", [True, False], ids=["with a check", "without one"])
def test_a_member_that_is_killed_costs_no_more_than_the_requests_that_it_had(api: Api, checked: bool) -> None:
    async def run() -> None:
        async with Members(3) as members:
            places, listeners = {}, []
            for kind, protocol in {"HTTP kept": "HTTP", "HTTP new": "HTTP", "TCP new": "TCP"}.items():
                made = await asyncio.to_thread(listening, api, members.port, members.addresses, protocol=protocol)
                listeners.append(made[0])
                places[kind] = (made[1], 8080)
            if checked:
                for listener in listeners:
                    await asyncio.to_thread(check, api, listener)
                    await asyncio.to_thread(await_health, api, listener, NORMAL=3)
            load = Load(places, CLIENTS, pause=0.002)
            await load.more(30)
            await members.all[1].die()
            died = time.monotonic()
            await load.more(100)
            if checked:
                for listener in listeners:
                    await asyncio.to_thread(await_health, api, listener, NORMAL=2, ABNORMAL=1)
            await load.more(30)
            await load.settled()
            await load.stop()
            for kind, fates in load.fates.items():
                assert len(fates.failures) <= CLIENTS, (kind, fates.failures)
                # Whose request had not been sent to it yet was served by another one.
                assert [each for each in fates.failures if each.began > died] == [], kind

    asyncio.run(run())


@pytest.mark.parametrize("checked", [True, False], ids=["with a check", "without one"])
def test_with_all_members_down_http_is_answered_with_503_and_tcp_closed_both_at_once(api: Api, checked: bool) -> None:
    members = [f"{unused_network().removesuffix('0/24')}{number}" for number in (1, 2, 3)]
    port = free_port(members[0])
    http, http_address = listening(api, port, members)
    tcp, tcp_address = listening(api, port, members, protocol="TCP")
    if checked:
        for listener in (http, tcp):
            check(api, listener)
            await_health(api, listener, ABNORMAL=3)
    for _ in range(5):
        began = time.monotonic()
        assert ask(http_address, 8080) == Counter({"503": 1})
        assert asyncio.run(closed_without_a_byte(tcp_address, 8080))
        assert time.monotonic() - began < LESS_THAN_A_TIME_OUT


async def closed_without_a_byte(address: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(b"line\n")
    got = b""
    with suppress(ConnectionError):
        got = await reader.read()
    writer.transport.abort()
    return got == b""


def test_a_new_member_gets_no_request_before_it_has_passed_its_check(api: Api, backends: Backends) -> None:
    backends[1].healthy = False
    listener, address = listening(api, backends.port, backends.addresses[:1])
    check(api, listener)
    await_health(api, listener, NORMAL=1)
    api.add_members(listener, *backends.addresses[1:])
    well = {backends.addresses[0], backends.addresses[2]}
    eventually(lambda: ask_once(address, 8080)[0] == backends.addresses[2])
    assert set(ask(address, 8080, 30)) <= well
    assert backends[1].requests == 0
    backends[1].healthy = True
    eventually(lambda: ask_once(address, 8080)[0] == backends.addresses[1])


def test_a_member_that_is_added_has_its_full_share_at_once(slowly_started: Service, backends: Backends) -> None:
    with Api(slowly_started) as api:
        listener, address = listening(api, backends.port, backends.addresses[:2])
        check(api, listener)
        await_health(api, listener, NORMAL=2)
        # So that the others are no beginners: Envoy's own slow start would hold back who has just passed a first check.
        time.sleep(SLOW_START)
        api.add_members(listener, backends.addresses[2])
        await_health(api, listener, NORMAL=3)
        assert_even(ask(address, 8080, 30), backends.addresses)


def test_a_member_that_comes_back_is_not_flooded_and_has_its_share_in_the_end(
    slowly_started: Service, backends: Backends
) -> None:
    with Api(slowly_started) as api:
        listener, address = listening(api, backends.port, backends.addresses)
        check(api, listener)
        await_health(api, listener, NORMAL=3)
        assert_even(ask(address, 8080, 30), backends.addresses)
        backends[2].healthy = False
        await_health(api, listener, NORMAL=2, ABNORMAL=1)
        backends[2].healthy = True
        await_health(api, listener, NORMAL=3)
        eventually(lambda: ask_once(address, 8080)[0] == backends.addresses[2])
        began = time.monotonic()
        asked: Counter[str] = Counter()
        # Few requests tell nothing of shares: a machine that stood still meanwhile asks on.
        while time.monotonic() - began < 1.0 or asked.total() < 100:
            asked[ask_once(address, 8080)[0]] += 1
        # A tenth to a fifth of a share in that second, and a little more if the machine is slow; a full one is a third.
        assert asked[backends.addresses[2]] < asked.total() / 5
        eventually(lambda: ask(address, 8080, 60)[backends.addresses[2]] >= 18)
