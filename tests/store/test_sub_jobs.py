"""Sub-jobs: which a job has, and that they share its fate."""

from dataclasses import replace
from pathlib import Path

import pytest

from equipoise.api.classic.handlers.health_checks import create_health_check
from equipoise.api.classic.wire import jobs as wire
from equipoise.core.commands import AddMemberCommand
from equipoise.core.jobs import (
    HealthMonitorSubject,
    Job,
    JobStatus,
    JobType,
    ListenerSubject,
    MembersSubject,
    MemberSubject,
    Subject,
)
from equipoise.store.backlog import Backlog
from equipoise.store.database import sqlite_url
from equipoise.store.jobs import queries
from equipoise.usecases import load_balancers, members
from equipoise.usecases.context import Accepted
from tests.store.controller_stand import CALLER, Stand, open_stand

INTERNAL = {"type": "Internal", "vip_subnet_id": "subnet", "security_group_id": "group", "bandwidth": None}


async def add_members(stand: Stand, listener_id: str, *addresses: str) -> Accepted:
    wanted = [AddMemberCommand("server", address) for address in addresses]
    return await stand.write(lambda tx: members.add_members(tx, CALLER, stand.policy, listener_id, wanted))


async def remove_members(stand: Stand, listener_id: str, *ids: str) -> Accepted:
    return await stand.write(lambda tx: members.remove_members(tx, CALLER, stand.policy, listener_id, ids))


async def a_listener(stand: Stand, **fields: object) -> Accepted:
    created = await stand.create_load_balancer(**fields)
    listener = await stand.create_listener(created.resource_id)
    await stand.ended(listener)
    return listener


def statuses(job: Job) -> set[JobStatus]:
    return {job.status, *(part.status for part in job.sub_jobs)}


def members_of(job: Job) -> list[MemberSubject]:
    assert isinstance(job.subject, MembersSubject)
    return list(job.subject.members)


def member_statuses(stand: Stand, listener_id: str) -> list[str]:
    views = stand.read(lambda c: members.list_members(c, CALLER, listener_id, (), None, None, None))
    return [view.member.status for view in views]


async def test_adding_several_members_has_one_sub_job_a_member_in_the_order_of_the_request(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener = await a_listener(stand)
        accepted = await add_members(stand, listener.resource_id, "127.0.1.3", "127.0.1.1", "127.0.1.2")
        job = await stand.ended(accepted)
        assert [members_of(part) for part in job.sub_jobs] == [[one] for one in members_of(job)]
        assert {part.job_type for part in job.sub_jobs} == {JobType.CREATE_MEMBER}
        assert statuses(job) == {JobStatus.SUCCESS}
        assert {part.end_time for part in job.sub_jobs} == {job.end_time}
        assert member_statuses(stand, listener.resource_id) == ["ACTIVE"] * 3


async def test_a_member_that_is_there_already_has_a_sub_job_too_and_is_not_taken_back(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener = await a_listener(stand)
        await stand.ended(await add_members(stand, listener.resource_id, "127.0.1.1"))
        stand.node.confirms_at_once = False
        accepted = await add_members(stand, listener.resource_id, "127.0.1.1", "127.0.1.2")
        load_balancer_id = stand.job(accepted).load_balancer_id
        await stand.handed_over(load_balancer_id)
        assert len(stand.job(accepted).sub_jobs) == 2
        stand.node.reject(load_balancer_id, listener.resource_id, "refused by the test")
        job = await stand.ended(accepted)
        assert statuses(job) == {JobStatus.FAIL}
        assert {part.fail_reason for part in job.sub_jobs} == {job.fail_reason}
        assert member_statuses(stand, listener.resource_id) == ["ACTIVE"]


async def test_one_member_needs_no_sub_job(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener = await a_listener(stand)
        added = await stand.ended(await add_members(stand, listener.resource_id, "127.0.1.1"))
        removed = await remove_members(stand, listener.resource_id, members_of(added)[0].id)
        assert (await stand.ended(removed)).sub_jobs == added.sub_jobs == ()


async def test_removing_several_members_has_one_sub_job_a_member(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener = await a_listener(stand)
        added = await stand.ended(await add_members(stand, listener.resource_id, "127.0.1.1", "127.0.1.2"))
        ids = [member.id for member in members_of(added)]
        job = await stand.ended(await remove_members(stand, listener.resource_id, *ids))
        assert [part.subject for part in job.sub_jobs] == [
            MembersSubject(listener.resource_id, (MemberSubject(id),)) for id in ids
        ]
        assert member_statuses(stand, listener.resource_id) == []


async def test_deleting_an_internal_load_balancer_has_a_sub_job_for_each_thing_below_it(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener = await a_listener(stand, **INTERNAL)
        added = await stand.ended(await add_members(stand, listener.resource_id, "127.0.1.1", "127.0.1.2"))
        body = {"listener_id": listener.resource_id}
        check = await stand.write(lambda tx: create_health_check(tx, CALLER, stand.policy, body))
        id = (await stand.ended(check)).load_balancer_id
        deleted = await stand.write(lambda tx: load_balancers.delete_load_balancer(tx, CALLER, stand.policy, id))
        job = await stand.ended(deleted)
        pool_id = listener.resource_id
        expected: list[tuple[JobType, Subject]] = [
            (JobType.REMOVE_MEMBER, MembersSubject(pool_id, (MemberSubject(member_id),)))
            for member_id in sorted(member.id for member in members_of(added))
        ]
        expected.append((JobType.DELETE_HEALTH_MONITOR, HealthMonitorSubject(pool_id, check.resource_id)))
        expected.append((JobType.DELETE_LISTENER, ListenerSubject(listener.resource_id)))
        assert [(part.job_type, part.subject) for part in job.sub_jobs] == expected
        assert statuses(job) == {JobStatus.SUCCESS}


async def test_a_failed_deletion_fails_its_sub_jobs_and_leaves_everything_there(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener = await a_listener(stand, **INTERNAL)
        await stand.ended(await add_members(stand, listener.resource_id, "127.0.1.1", "127.0.1.2"))
        stand.node.confirms_at_once = False
        stand.policy = replace(stand.policy, job_time_limit=0.2)
        view = stand.read(lambda c: load_balancers.list_load_balancers(c, CALLER, {}, None, None))[0]
        deleted = await stand.write(lambda tx: load_balancers.delete_load_balancer(tx, CALLER, stand.policy, view.id))
        generation = stand.job(deleted).generation
        job = await stand.ended(deleted)
        assert statuses(job) == {JobStatus.FAIL}
        assert member_statuses(stand, listener.resource_id) == ["ACTIVE"] * 2
        after = stand.read(lambda c: load_balancers.show_load_balancer(c, CALLER, view.id))
        # Taken back once, not once for each of the four.
        assert (after.deleting, after.generation) == (False, generation + 1)


async def test_sub_jobs_do_not_count_as_work_that_waits(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener = await a_listener(stand)
        stand.node.confirms_at_once = False
        backlog = await Backlog.open(stand.database)
        accepted = await add_members(stand, listener.resource_id, *(f"127.0.1.{n}" for n in range(1, 51)))
        assert stand.read(queries.count_unfinished) == 1
        await stand.until(lambda: backlog.unfinished == 1)
        await stand.handed_over(stand.job(accepted).load_balancer_id)
        stand.node.confirm_all()
        await stand.ended(accepted)
        await stand.until(lambda: backlog.unfinished == 0)
        assert stand.story(accepted) == ["INIT", "RUNNING", "SUCCESS"]


async def test_a_sub_job_can_be_asked_for_by_its_own_id(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener = await a_listener(stand)
        job = await stand.ended(await add_members(stand, listener.resource_id, "127.0.1.1", "127.0.1.2"))
        part = stand.job(Accepted(job.sub_jobs[1].id, ""))
        assert part == job.sub_jobs[1]


async def test_a_job_and_its_sub_jobs_are_read_by_one_statement_over_indexes(tmp_path: Path) -> None:
    async with open_stand(sqlite_url(tmp_path / "test.db")) as stand:
        listener = await a_listener(stand)
        job = await stand.ended(await add_members(stand, listener.resource_id, "127.0.1.1", "127.0.1.2"))
        query = (
            f"EXPLAIN QUERY PLAN SELECT * FROM jobs WHERE (id = '{job.id}' OR parent_id = '{job.id}') "
            f"AND project_id = '{job.project_id}' ORDER BY position"
        )
        steps = stand.read(lambda connection: [row[3] for row in connection.exec_driver_sql(query)])
        assert not any(step.startswith("SCAN") for step in steps), steps


@pytest.mark.parametrize("empty_sub_jobs", [False, True])
async def test_on_the_wire_a_sub_job_has_the_structure_of_a_job(database_url: str, empty_sub_jobs: bool) -> None:
    async with open_stand(database_url) as stand:
        listener = await a_listener(stand)
        job = await stand.ended(await add_members(stand, listener.resource_id, "127.0.1.1", "127.0.1.2"))
        document = wire.job(job, empty_sub_jobs=empty_sub_jobs)
        part = document["sub_jobs"][0]
        assert set(document) - set(part) == (set() if empty_sub_jobs else {"sub_jobs"})
        assert part["entities"]["members"][0]["status"] == "ACTIVE"
        single = wire.job(job.sub_jobs[0], empty_sub_jobs=empty_sub_jobs)
        assert single.get("sub_jobs") == ([] if empty_sub_jobs else None)
