"""When the connections of removed members end. That only those are cut is shown with real ones in tests/integration."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from equipoise.controller.retention import REMOVAL_LIFETIME, Retention
from equipoise.core.jobs import JobStatus, WarningReason
from equipoise.node.draining import AFTERWARDS
from equipoise.store.tables import draining_members
from tests.store.controller_stand import Stand, open_stand

MEMBER = "127.0.1.1"


class Clock:
    def __init__(self) -> None:
        self.seconds = time.time()

    def __call__(self) -> float:
        return self.seconds


async def a_member(stand: Stand, **fields: Any) -> tuple[str, str]:
    """A TCP listener with one member; returns the ids of both."""
    load_balancer = await stand.create_load_balancer()
    listener = await stand.create_listener(load_balancer.resource_id, **fields)
    await stand.ended(await stand.add_member(listener.resource_id, MEMBER))
    [member] = stand.members(listener.resource_id)
    return listener.resource_id, member


def noted(stand: Stand) -> Sequence[str]:
    return stand.read(lambda connection: connection.execute(select(draining_members.c.address)).scalars().all())


async def test_without_draining_connections_are_cut_before_the_job_succeeds(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener, member = await a_member(stand, tcp_draining=False)
        states: list[JobStatus] = []
        stand.node.confirms_at_once = False
        removal = await stand.remove_members(listener, member)
        stand.cutter.asked_when = lambda: states.append(stand.job(removal).status)
        await stand.handed_over(stand.job(removal).load_balancer_id)
        # Noted only after it was handed over.
        await stand.until(lambda: stand.job(removal).status == JobStatus.RUNNING)
        assert stand.cutter.cuts == []
        stand.node.confirm_all()
        assert (await stand.ended(removal)).status == JobStatus.SUCCESS
        assert stand.cutter.cuts == [(listener, {MEMBER})]
        assert states == [JobStatus.RUNNING]


async def test_a_draining_member_keeps_its_connections_for_its_time_and_not_longer(database_url: str) -> None:
    clock = Clock()
    async with open_stand(database_url, clock=clock) as stand:
        listener, member = await a_member(stand, tcp_draining=True, tcp_draining_timeout=2)
        await stand.ended(await stand.remove_members(listener, member))
        clock.seconds += 119
        await stand.draining.look()
        assert stand.cutter.cuts == []
        clock.seconds += 1
        await stand.draining.look()
        assert stand.cutter.cuts == [(listener, {MEMBER})]


async def test_connections_are_looked_for_a_little_longer(database_url: str) -> None:
    clock = Clock()
    async with open_stand(database_url, clock=clock) as stand:
        listener, member = await a_member(stand, tcp_draining=False)
        await stand.ended(await stand.remove_members(listener, member))
        clock.seconds += AFTERWARDS - 1
        stand.cutter.cuts.clear()
        await stand.draining.look()
        assert stand.cutter.cuts == [(listener, {MEMBER})]
        clock.seconds += 1
        await stand.draining.look()
        stand.cutter.cuts.clear()
        await stand.draining.look()
        assert stand.cutter.cuts == []


async def test_a_removal_is_remembered_for_a_node_that_is_away_and_then_forgotten(database_url: str) -> None:
    clock = Clock()
    async with open_stand(database_url, clock=clock) as stand:
        listener, member = await a_member(stand, tcp_draining=False)
        retention = Retention(stand.database, 1)
        await stand.ended(await stand.remove_members(listener, member))
        clock.seconds += REMOVAL_LIFETIME / 1000 - 1
        await retention.forget()
        assert noted(stand) == [MEMBER]
        clock.seconds += 1
        await retention.forget()
        assert noted(stand) == []


async def test_draining_of_no_minutes_is_none(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener, member = await a_member(stand, tcp_draining=True, tcp_draining_timeout=0)
        await stand.ended(await stand.remove_members(listener, member))
        assert stand.cutter.cuts[0] == (listener, {MEMBER})


async def test_a_restart_in_the_middle_loses_no_draining(database_url: str) -> None:
    clock = Clock()
    async with open_stand(database_url, clock=clock) as stand:
        listener, member = await a_member(stand, tcp_draining=True, tcp_draining_timeout=1)
        await stand.ended(await stand.remove_members(listener, member))
    clock.seconds += 61
    async with open_stand(database_url, clock=clock) as stand:
        await stand.until(lambda: stand.cutter.cuts[:1] == [(listener, {MEMBER})])


async def test_a_restart_before_the_removal_is_confirmed_still_cuts_before_it_succeeds(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener, member = await a_member(stand, tcp_draining=False)
        stand.node.confirms_at_once = False
        removal = await stand.remove_members(listener, member)
    async with open_stand(database_url, connected=False) as stand:
        states: list[JobStatus] = []
        stand.cutter.asked_when = lambda: states.append(stand.job(removal).status)
        stand.node.connect()
        assert (await stand.ended(removal)).status == JobStatus.SUCCESS
        assert stand.cutter.cuts[0] == (listener, {MEMBER})
        assert states[0] != JobStatus.SUCCESS


async def test_a_member_that_came_back_keeps_its_connections(database_url: str) -> None:
    clock = Clock()
    async with open_stand(database_url, clock=clock) as stand:
        listener, member = await a_member(stand, tcp_draining=True, tcp_draining_timeout=1)
        await stand.ended(await stand.remove_members(listener, member))
        await stand.ended(await stand.add_member(listener, MEMBER))
        clock.seconds += 120
        await stand.draining.look()
        assert stand.cutter.cuts == []
        await Retention(stand.database, 1).forget()
        assert noted(stand) == []


async def test_the_newest_removal_of_a_member_says_when_its_connections_end(database_url: str) -> None:
    clock = Clock()
    async with open_stand(database_url, clock=clock) as stand:
        listener, member = await a_member(stand, tcp_draining=True, tcp_draining_timeout=1)
        await stand.ended(await stand.remove_members(listener, member))
        clock.seconds += 30
        await stand.ended(await stand.add_member(listener, MEMBER))
        await stand.ended(await stand.remove_members(listener, *stand.members(listener)))
        clock.seconds += 31
        await stand.draining.look()
        assert stand.cutter.cuts == []
        clock.seconds += 30
        await stand.draining.look()
        assert stand.cutter.cuts == [(listener, {MEMBER})]


async def test_a_removal_that_fails_cuts_nothing(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener, member = await a_member(stand, tcp_draining=False)
        stand.node.confirms_at_once = False
        removal = await stand.remove_members(listener, member)
        load_balancer = stand.job(removal).load_balancer_id
        await stand.handed_over(load_balancer)
        stand.node.reject(load_balancer, listener, "no")
        assert (await stand.ended(removal)).status == JobStatus.FAIL
        stand.node.confirm_all()
        assert noted(stand) == []
        assert stand.cutter.cuts == []
        assert stand.members(listener) == [member]


async def test_members_of_an_http_listener_are_not_drained(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener, member = await a_member(stand, protocol="HTTP", backend_protocol="HTTP")
        await stand.ended(await stand.remove_members(listener, member))
        assert noted(stand) == []
        assert stand.cutter.cuts == []


async def test_where_nothing_can_be_cut_the_removal_succeeds_all_the_same_and_says_so(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener, member = await a_member(stand, tcp_draining=False)
        stand.cutter.why_not = "no privilege"
        removal = await stand.remove_members(listener, member)
        job = await stand.ended(removal)
        assert job.status == JobStatus.SUCCESS
        [warned] = job.warnings
        assert warned.reason == WarningReason.CONNECTIONS_NOT_CUT
        assert warned.message.endswith("stay until one side ends them: no privilege.")
        assert stand.cutter.cuts == []


async def test_a_removal_that_cuts_carries_no_warning_nor_does_one_that_has_nothing_to_cut(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener, member = await a_member(stand, tcp_draining=False)
        assert (await stand.ended(await stand.remove_members(listener, member))).warnings == ()
        stand.cutter.why_not = "no privilege"
        load_balancer = await stand.create_load_balancer()
        over_http = await stand.create_listener(load_balancer.resource_id, protocol="HTTP", backend_protocol="HTTP")
        await stand.ended(await stand.add_member(over_http.resource_id, MEMBER))
        removal = await stand.remove_members(over_http.resource_id, *stand.members(over_http.resource_id))
        assert (await stand.ended(removal)).warnings == ()
