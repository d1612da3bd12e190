"""What a failed job takes back when others have changed the same things since (jobs.md, promise 4)."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from equipoise.api.classic.handlers import listeners as classic
from equipoise.api.classic.handlers import load_balancers as classic_load_balancers
from equipoise.api.classic.handlers.health_checks import create_health_check, update_health_check
from equipoise.core.errors import QuotaExceeded
from equipoise.core.jobs import JobStatus
from equipoise.core.quotas import Quotas
from equipoise.store.database import Transaction, sqlite_url
from equipoise.store.tables import jobs as job_table
from equipoise.usecases import health_monitors, jobs, listeners, load_balancers, members, quotas
from equipoise.usecases.context import Accepted
from tests.store.controller_stand import CALLER, Stand, open_stand

LIMIT = 300.0
MEMBER = "127.0.1.1"


async def describe(stand: Stand, id: str, text: str) -> Accepted:
    body = {"description": text}
    policy = stand.policy
    return await stand.write(lambda tx: classic_load_balancers.update_load_balancer(tx, CALLER, policy, id, body))


async def update_listener(stand: Stand, id: str, body: dict[str, Any]) -> Accepted:
    return await stand.write(lambda tx: classic.update_listener(tx, CALLER, stand.policy, id, body))


async def cancel(stand: Stand, accepted: Accepted) -> None:
    await stand.write(lambda tx: jobs.cancel_job(tx, CALLER, accepted.job_id))


def description(stand: Stand, id: str) -> str:
    return stand.read(lambda c: load_balancers.show_load_balancer(c, CALLER, id)).description


async def a_load_balancer_without_node(stand: Stand) -> str:
    """One that is in force, but whose node has gone: what comes now stays INIT."""
    id = (await stand.create_load_balancer()).resource_id
    stand.node.connect()
    await settled(stand)
    stand.node.confirms_at_once = False
    stand.node.disconnect()
    await stand.until(lambda: not stand.read(lambda c: c.exec_driver_sql("SELECT 1 FROM nodes WHERE live").all()))
    return id


async def settled(stand: Stand) -> None:
    unfinished = select(job_table.c.id).where(job_table.c.end_time.is_(None))
    await stand.until(lambda: not stand.read(lambda c: c.execute(unfinished).all()))


async def test_two_changes_that_fail_one_after_the_other_leave_what_was_there_before_both(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        id = await a_load_balancer_without_node(stand)
        first, second = await describe(stand, id, "first"), await describe(stand, id, "second")
        await cancel(stand, first)
        assert description(stand, id) == "second"
        await cancel(stand, second)
        assert description(stand, id) == ""


async def test_a_change_to_what_a_failing_job_had_made_it_already_stays(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        id = await a_load_balancer_without_node(stand)
        first, second = await describe(stand, id, "same"), await describe(stand, id, "same")
        await cancel(stand, first)
        assert description(stand, id) == "same"
        await cancel(stand, second)
        assert description(stand, id) == ""


async def test_a_change_that_fails_goes_back_to_an_earlier_one_that_is_still_under_way(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        id = await a_load_balancer_without_node(stand)
        first, second = await describe(stand, id, "first"), await describe(stand, id, "")
        await cancel(stand, second)
        assert description(stand, id) == "first"
        await cancel(stand, first)
        assert description(stand, id) == ""


async def test_changes_that_run_out_of_time_one_after_the_other_leave_nothing(database_url: str) -> None:
    now = 1_000_000.0
    async with open_stand(database_url, connected=False, clock=lambda: now, time_limit=LIMIT) as stand:
        id = await a_load_balancer_without_node(stand)
        first = await describe(stand, id, "first")
        now += LIMIT / 2
        second = await describe(stand, id, "second")
        now += LIMIT / 2
        assert (await stand.ended(first)).status == JobStatus.FAIL
        now += LIMIT / 2
        assert (await stand.ended(second)).status == JobStatus.FAIL
        assert description(stand, id) == ""


async def a_member_without_node(stand: Stand) -> tuple[str, str]:
    """A listener with one member that is in force, but whose node has gone; returns the ids of both."""
    id = await a_load_balancer_without_node(stand)
    listener = (await stand.create_listener(id)).resource_id
    await stand.add_member(listener, MEMBER)
    await settle_and_leave(stand)
    [member] = stand.members(listener)
    return listener, member


async def settle_and_leave(stand: Stand) -> None:
    """Let the node confirm everything, and go."""
    stand.node.confirms_at_once = True
    stand.node.connect()
    await settled(stand)
    stand.node.confirms_at_once = False
    stand.node.disconnect()
    await stand.until(lambda: not stand.read(lambda c: c.exec_driver_sql("SELECT 1 FROM nodes WHERE live").all()))


async def remove_and_add(stand: Stand, times: int) -> tuple[str, list[Accepted]]:
    """A member, removed and added again in turn, without an end of any of these jobs; the last one is an addition."""
    listener, member = await a_member_without_node(stand)
    jobs = []
    for _ in range(times):
        jobs += [await stand.remove_members(listener, member), await stand.add_member(listener, MEMBER)]
        assert stand.members(listener) == [member]
    return listener, jobs


async def test_a_member_added_again_before_its_removal_has_ended_is_the_same_member(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        listener, _ = await remove_and_add(stand, times=2)
        before = stand.members(listener)
        await settle_and_leave(stand)
        assert stand.members(listener) == before
        views = stand.read(lambda c: members.list_members(c, CALLER, listener, (), None, None, None))
        assert [view.member.status for view in views] == ["ACTIVE"]


@pytest.mark.parametrize("at_first", range(4))
@pytest.mark.parametrize("cancelled", [None, 1])
async def test_of_removals_and_additions_that_end_in_two_parts_the_last_one_says_what_is_there(
    database_url: str, at_first: int, cancelled: int | None
) -> None:
    async with open_stand(database_url, connected=False) as stand:
        listener, jobs = await remove_and_add(stand, times=2)
        load_balancer = stand.read(lambda c: listeners.show_listener(c, CALLER, listener)).listener.load_balancer_id
        if cancelled is not None:
            await cancel(stand, jobs[cancelled])
        before = stand.members(listener)
        stand.node.connect()
        await stand.handed_over(load_balancer)
        for number in (at_first, 3):
            if number != cancelled:
                stand.confirm_change_of(jobs[number])
                assert (await stand.ended(jobs[number])).status == JobStatus.SUCCESS
        assert stand.members(listener) == before != []


@pytest.mark.parametrize("failing", [failing for size in range(5) for failing in permutations(range(4), size)])
async def test_of_removals_and_additions_those_that_did_not_fail_say_what_is_there(
    tmp_path: Path, failing: tuple[int, ...]
) -> None:
    async with open_stand(sqlite_url(tmp_path / "test.db"), connected=False) as stand:
        listener, (remove, add, again, last) = await remove_and_add(stand, times=2)
        jobs = [remove, add, again, last]
        left = set(range(4))
        for number in failing:
            await cancel(stand, jobs[number])
            left.remove(number)
            assert bool(stand.members(listener)) == is_member_after(left)
        await settle_and_leave(stand)
        assert bool(stand.members(listener)) == is_member_after(left)


def is_member_after(succeeding: set[int]) -> bool:
    """Removals have even numbers, additions odd ones."""
    return not succeeding or max(succeeding) % 2 == 1


async def test_an_addition_that_fails_after_the_removal_before_it_succeeded_leaves_no_member(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        listener, member = await a_member_without_node(stand)
        load_balancer = stand.read(lambda c: listeners.show_listener(c, CALLER, listener)).listener.load_balancer_id
        removal = await stand.remove_members(listener, member)
        stand.node.connect()
        await stand.handed_over(load_balancer)
        again = await stand.add_member(listener, MEMBER)
        stand.confirm_change_of(removal)
        assert (await stand.ended(removal)).status == JobStatus.SUCCESS
        assert stand.members(listener) == [member]
        await stand.handed_over(load_balancer)
        stand.node.reject(load_balancer, listener, "no")
        assert (await stand.ended(again)).status == JobStatus.FAIL
        assert stand.members(listener) == []


async def test_a_member_that_two_jobs_have_added_stays_when_one_of_them_fails(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        id = await a_load_balancer_without_node(stand)
        listener = (await stand.create_listener(id)).resource_id
        first, second = await stand.add_member(listener, MEMBER), await stand.add_member(listener, MEMBER)
        await cancel(stand, first)
        assert len(stand.members(listener)) == 1
        await cancel(stand, second)
        assert stand.members(listener) == []


async def test_what_is_being_deleted_counts_until_it_is_gone_so_that_it_can_come_back(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        listener, member = await a_member_without_node(stand)
        id = stand.read(lambda c: listeners.show_listener(c, CALLER, listener)).listener.load_balancer_id
        stand.policy = replace(stand.policy, quotas=Quotas(load_balancers=1, listeners=1, members=1))
        removal = await stand.remove_members(listener, member)
        with pytest.raises(QuotaExceeded, match="members"):
            await stand.add_member(listener, "127.0.1.2")
        closed = await stand.write(lambda tx: listeners.delete_listener(tx, CALLER, stand.policy, listener))
        with pytest.raises(QuotaExceeded, match="listeners"):
            await stand.create_listener(id, 8081)
        deleted = await stand.write(lambda tx: load_balancers.delete_load_balancer(tx, CALLER, stand.policy, id))
        with pytest.raises(QuotaExceeded, match="load balancers"):
            await stand.create_load_balancer()
        used = stand.read(lambda c: quotas.show_quotas(c, CALLER, stand.policy))
        assert [(each.used, each.quota) for each in used] == [(1, 1), (1, 1)]
        for job in (deleted, closed, removal):
            await cancel(stand, job)
        assert stand.members(listener) == [member]


async def test_a_change_of_a_health_check_that_was_not_made_fails_with_it(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        id = await a_load_balancer_without_node(stand)
        listener = (await stand.create_listener(id)).resource_id
        check = {"listener_id": listener}
        made = await stand.write(lambda tx: create_health_check(tx, CALLER, stand.policy, check))
        body = {"healthy_threshold": 2}
        changed = await stand.write(lambda tx: update_health_check(tx, CALLER, stand.policy, made.resource_id, body))
        await cancel(stand, made)
        assert stand.job(changed).status == JobStatus.FAIL


async def test_a_new_name_for_a_listener_that_was_not_made_fails_with_it(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        id = await a_load_balancer_without_node(stand)
        made = await stand.create_listener(id)
        changed = await update_listener(stand, made.resource_id, {"description": "new"})
        await cancel(stand, made)
        assert stand.job(changed).status == JobStatus.FAIL


async def test_a_clock_that_was_set_back_makes_no_job_wait_longer_than_its_time_limit(database_url: str) -> None:
    now = 1_000_000.0
    async with open_stand(database_url, connected=False, clock=lambda: now, time_limit=LIMIT) as stand:
        created = await stand.create_load_balancer()
        now -= 24 * 3600
        deadline = select(job_table.c.deadline).where(job_table.c.id == created.job_id)
        await stand.until(lambda: stand.read(lambda c: c.execute(deadline).scalar_one()) <= (now + LIMIT) * 1000)
        assert stand.job(created).status == JobStatus.INIT
        now += LIMIT
        ended = await stand.ended(created)
        assert ended.status == JobStatus.FAIL
        assert ended.end_time is not None
        assert ended.end_time >= ended.begin_time


async def test_a_listener_told_again_what_a_failing_job_had_told_it_keeps_it(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        id = await a_load_balancer_without_node(stand)
        stand.node.confirms_at_once = True
        stand.node.connect()
        listener = (await stand.create_listener(id)).resource_id
        check = {"listener_id": listener}
        made = await stand.write(lambda tx: create_health_check(tx, CALLER, stand.policy, check))
        await settled(stand)
        stand.node.confirms_at_once = False
        stand.node.disconnect()
        await stand.until(lambda: not stand.read(lambda c: c.exec_driver_sql("SELECT 1 FROM nodes WHERE live").all()))
        body = {"healthy_threshold": 2}

        def change_check(tx: Transaction) -> Accepted:
            return update_health_check(tx, CALLER, stand.policy, made.resource_id, body)

        first = [await update_listener(stand, listener, {"port": 8081}), await stand.write(change_check)]
        await update_listener(stand, listener, {"port": 8081})
        await stand.write(change_check)
        for job in first:
            await cancel(stand, job)
        assert stand.read(lambda c: listeners.show_listener(c, CALLER, listener)).listener.port == 8081
        shown = stand.read(lambda c: health_monitors.show_health_monitor(c, CALLER, made.resource_id))
        assert shown.monitor.healthy_threshold == 2


async def test_a_deletion_without_a_node_waits_and_at_its_time_limit_the_load_balancer_is_back(
    database_url: str,
) -> None:
    now = 1_000_000.0
    async with open_stand(database_url, connected=False, clock=lambda: now, time_limit=LIMIT) as stand:
        id = await a_load_balancer_without_node(stand)
        deleted = await stand.write(lambda tx: load_balancers.delete_load_balancer(tx, CALLER, stand.policy, id))
        assert stand.job(deleted).status == JobStatus.INIT
        now += LIMIT
        assert (await stand.ended(deleted)).status == JobStatus.FAIL
        shown = stand.read(lambda c: load_balancers.show_load_balancer(c, CALLER, id))
        assert (shown.status, shown.deleting) == ("ACTIVE", False)
        again = await stand.write(lambda tx: load_balancers.delete_load_balancer(tx, CALLER, stand.policy, id))
        stand.node.confirms_at_once = True
        stand.node.connect()
        assert (await stand.ended(again)).status == JobStatus.SUCCESS


async def test_a_deletion_fails_with_the_creation_that_it_waited_for(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        created = await stand.create_load_balancer()
        id = created.resource_id
        deleted = await stand.write(lambda tx: load_balancers.delete_load_balancer(tx, CALLER, stand.policy, id))
        await cancel(stand, created)
        assert stand.job(deleted).status == JobStatus.FAIL
        assert stand.read(lambda c: load_balancers.list_load_balancers(c, CALLER, {}, None, None)) == []
