"""Parts that fail alone: what became of each part, of its member, and of the job that they make up."""

import asyncio
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from equipoise.api.classic.wire import jobs as wire
from equipoise.core.commands import AddMemberCommand
from equipoise.core.errors import NotCancellable, ServiceError
from equipoise.core.jobs import FailureReason, Job, JobStatus, MembersSubject
from equipoise.store.jobs import queries, rollback
from equipoise.usecases import jobs, load_balancers, members
from equipoise.usecases.context import Accepted
from stand import PATIENCE
from tests.store.controller_stand import CALLER, PROJECT, Stand, open_stand

SUCCESS, FAIL = JobStatus.SUCCESS, JobStatus.FAIL


async def add_members(stand: Stand, listener_id: str, count: int) -> Accepted:
    wanted = [AddMemberCommand("server", f"127.0.1.{number}") for number in range(1, count + 1)]
    return await stand.write(lambda tx: members.add_members(tx, CALLER, stand.policy, listener_id, wanted))


async def remove_members(stand: Stand, listener_id: str, ids: list[str]) -> Accepted:
    return await stand.write(lambda tx: members.remove_members(tx, CALLER, stand.policy, listener_id, ids))


async def cancel(stand: Stand, id: str) -> Job:
    return await stand.write(lambda tx: jobs.cancel_job(tx, CALLER, id))


async def a_listener(stand: Stand, **fields: object) -> str:
    """The id of a listener whose job has ended; from there on the node is gone, and jobs stay INIT."""
    created = await stand.create_load_balancer(**fields)
    listener = await stand.create_listener(created.resource_id)
    await stand.ended(listener)
    return listener.resource_id


async def part_from_node(stand: Stand) -> None:
    stand.node.disconnect()
    stand.node.confirms_at_once = False
    await stand.until(lambda: not stand.read(lambda c: c.exec_driver_sql("SELECT live FROM nodes").scalar_one()))


async def meet_node(stand: Stand, load_balancer_id: str) -> None:
    stand.node.connect()
    await stand.handed_over(load_balancer_id)
    stand.node.confirm_all()


def present(stand: Stand, listener_id: str) -> dict[str, str]:
    """Members by id, with their states."""
    views = stand.read(lambda c: members.list_members(c, CALLER, listener_id, (), None, None, None))
    return {view.member.id: view.member.status.value for view in views}


def named(job: Job) -> list[str]:
    assert isinstance(job.subject, MembersSubject)
    return [member.id for member in job.subject.members]


async def test_a_part_can_be_cancelled_alone_and_the_others_stay(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener_id = await a_listener(stand)
        await part_from_node(stand)
        accepted = await add_members(stand, listener_id, 3)
        part = stand.job(accepted).sub_jobs[1]
        cancelled = await cancel(stand, part.id)
        assert (cancelled.status, cancelled.failure) == (FAIL, FailureReason.CANCELLED)
        whole = stand.job(accepted)
        # It has not failed yet, and says nothing of a failure before.
        assert (whole.status, whole.failure, whole.fail_reason) == (JobStatus.INIT, None, None)
        gone = named(part)[0]
        assert gone not in present(stand, listener_id)
        await meet_node(stand, whole.load_balancer_id)
        whole = await stand.ended(accepted)
        assert [one.status for one in whole.sub_jobs] == [SUCCESS, FAIL, SUCCESS]
        assert (whole.status, whole.failure) == (FAIL, FailureReason.SUB_JOBS_FAILED)
        assert f"1 of 3 sub-jobs failed, those about the members {gone}" in (whole.fail_reason or "")
        assert present(stand, listener_id) == {id: "ACTIVE" for id in named(whole) if id != gone}
        assert stand.story(accepted) == ["INIT", "RUNNING", "FAIL"]


async def test_on_the_wire_each_member_of_such_a_job_has_its_own_state(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener_id = await a_listener(stand)
        await part_from_node(stand)
        accepted = await add_members(stand, listener_id, 2)
        await cancel(stand, stand.job(accepted).sub_jobs[0].id)
        entities = wire.job(stand.job(accepted))["entities"]
        assert [member["status"] for member in entities["members"]] == ["ERROR", "PENDING"]
        await meet_node(stand, stand.job(accepted).load_balancer_id)
        document = wire.job(await stand.ended(accepted))
        assert [member["status"] for member in document["entities"]["members"]] == ["ERROR", "ACTIVE"]
        assert document["error_code"] == "ELB.9006"
        assert set(document["entities"]["members"][0]) == set(document["entities"]["members"][1])
        own = [part["entities"]["members"][0]["status"] for part in document["sub_jobs"]]
        assert own == ["ERROR", "ACTIVE"]


async def test_when_the_last_part_is_cancelled_the_job_ends_at_once(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener_id = await a_listener(stand)
        await part_from_node(stand)
        accepted = await add_members(stand, listener_id, 2)
        for part in stand.job(accepted).sub_jobs:
            await cancel(stand, part.id)
        whole = await stand.ended(accepted)
        assert (whole.status, whole.failure) == (FAIL, FailureReason.SUB_JOBS_FAILED)
        assert present(stand, listener_id) == {}
        assert stand.read(queries.count_unfinished) == 0


async def test_a_part_that_runs_or_has_ended_cannot_be_cancelled(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener_id = await a_listener(stand)
        stand.node.confirms_at_once = False
        accepted = await add_members(stand, listener_id, 2)
        await stand.until(lambda: stand.job(accepted).status == JobStatus.RUNNING)
        for _ in range(2):
            with pytest.raises(ServiceError) as refused:
                await cancel(stand, stand.job(accepted).sub_jobs[0].id)
            assert type(refused.value) is NotCancellable
            await stand.handed_over(stand.job(accepted).load_balancer_id)
            stand.node.confirm_all()
            await stand.ended(accepted)
        assert set(present(stand, listener_id).values()) == {"ACTIVE"}


async def test_the_guard_is_in_the_statement_itself(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener_id = await a_listener(stand)
        whole = await stand.ended(await add_members(stand, listener_id, 2))
        for id in (whole.id, whole.sub_jobs[0].id):
            assert not await stand.write(
                partial(rollback.cancel_sub_job, id=id, failure=FailureReason.CANCELLED, reason="never")
            )
        assert len(present(stand, listener_id)) == 2


async def test_a_part_of_a_deletion_goes_with_it(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        fields = {"type": "Internal", "vip_subnet_id": "s", "security_group_id": "g", "bandwidth": None}
        listener_id = await a_listener(stand, **fields)
        await stand.ended(await add_members(stand, listener_id, 2))
        await part_from_node(stand)
        id = stand.read(lambda c: load_balancers.list_load_balancers(c, CALLER, {}, None, None))[0].id
        deleted = await stand.write(lambda tx: load_balancers.delete_load_balancer(tx, CALLER, stand.policy, id))
        for part in stand.job(deleted).sub_jobs:
            with pytest.raises(ServiceError) as refused:
                await cancel(stand, part.id)
            assert type(refused.value) is NotCancellable
        assert {part.status for part in stand.job(deleted).sub_jobs} == {JobStatus.INIT}


async def test_a_member_that_another_job_was_asked_for_too_stays_when_its_part_is_taken_back(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener_id = await a_listener(stand)
        await part_from_node(stand)
        first = await add_members(stand, listener_id, 3)
        second = await stand.add_member(listener_id, "127.0.1.2")
        other = await stand.add_member(listener_id, "127.0.1.3")
        await cancel(stand, stand.job(first).sub_jobs[1].id)
        assert len(stand.members(listener_id)) == 3
        await meet_node(stand, stand.job(first).load_balancer_id)
        assert [(await stand.ended(each)).status for each in (second, other)] == [SUCCESS, SUCCESS]
        assert [part.status for part in (await stand.ended(first)).sub_jobs] == [SUCCESS, FAIL, SUCCESS]
        assert len(stand.members(listener_id)) == 3


async def test_who_waits_for_a_part_learns_of_its_end(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        listener_id = await a_listener(stand)
        await part_from_node(stand)
        accepted = await add_members(stand, listener_id, 3)
        parts = stand.job(accepted).sub_jobs
        waiting = [asyncio.create_task(stand.waiters.wait(PROJECT, part.id, 10 * PATIENCE)) for part in parts]
        await asyncio.sleep(0)
        await cancel(stand, parts[0].id)
        async with asyncio.timeout(PATIENCE):
            cancelled = await waiting[0]
            assert cancelled is not None
            assert cancelled.status == FAIL
            assert not waiting[1].done()
            await meet_node(stand, stand.job(accepted).load_balancer_id)
            others = await asyncio.gather(*waiting[1:])
        assert [part.status for part in others if part is not None] == [SUCCESS, SUCCESS]


@given(
    count=st.integers(2, 5),
    cancelled=st.sets(st.integers(0, 4)),
    adding=st.booleans(),
    end=st.sampled_from(["confirmed", "refused", "cancelled", "out of time"]),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_every_part_has_its_own_outcome_and_its_member_follows(
    database_url: str, count: int, cancelled: set[int], adding: bool, end: str
) -> None:
    asyncio.run(check_outcomes(database_url, count, {n for n in cancelled if n < count}, adding, end))


async def check_outcomes(database_url: str, count: int, cancelled: set[int], adding: bool, end: str) -> None:
    now = [1_000_000.0]
    async with open_stand(database_url, clock=lambda: now[0]) as stand:
        listener_id = await a_listener(stand)
        before = (
            {}
            if adding
            else dict.fromkeys(named(await stand.ended(await add_members(stand, listener_id, count))), "ACTIVE")
        )
        await part_from_node(stand)
        accepted = await (
            add_members(stand, listener_id, count) if adding else remove_members(stand, listener_id, list(before))
        )
        parts = stand.job(accepted).sub_jobs
        for number in sorted(cancelled):
            await cancel(stand, parts[number].id)
        load_balancer_id = stand.job(accepted).load_balancer_id
        match end:
            case "confirmed":
                await meet_node(stand, load_balancer_id)
            case "refused":
                stand.node.connect()
                await stand.handed_over(load_balancer_id)
                stand.node.reject(load_balancer_id, listener_id, "refused by the test")
            case "cancelled":
                with suppress(ServiceError):  # all parts were, and so the job has ended
                    await cancel(stand, accepted.job_id)
            case "out of time":
                now[0] += 10_000
        whole = await stand.ended(accepted)
        failed = cancelled if end == "confirmed" else set(range(count))
        assert [part.status for part in whole.sub_jobs] == [FAIL if n in failed else SUCCESS for n in range(count)]
        assert whole.status == (FAIL if failed else SUCCESS)
        ids = [named(part)[0] for part in parts]
        done = {id for number, id in enumerate(ids) if number not in failed}
        expected = done if adding else set(ids) - done
        assert present(stand, listener_id) == dict.fromkeys(expected, "ACTIVE")
        assert all(id in (whole.fail_reason or "") for n, id in enumerate(ids) if n in failed and end == "confirmed")
        assert {part.end_time is None for part in whole.sub_jobs} == {False}
        assert (whole.fail_reason is None) == (whole.status == SUCCESS)
