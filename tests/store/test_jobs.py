"""What a job promises (jobs.md), with a real database and a node that does what the test tells it."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest

from equipoise.api.classic.handlers import load_balancers as classic_load_balancers
from equipoise.api.classic.handlers.listeners import update_listener
from equipoise.controller import reconcile
from equipoise.controller.retention import Retention
from equipoise.core.commands import AddMemberCommand
from equipoise.core.errors import AddressTaken, BeingDeleted, NotCancellable, QuotaExceeded, ServiceError
from equipoise.core.jobs import FailureReason, JobStatus, Warned, WarningReason
from equipoise.core.quotas import Quotas
from equipoise.store.events import Event, JobMoved
from equipoise.usecases import jobs, listeners, load_balancers, members
from equipoise.usecases.context import Accepted
from equipoise.usecases.listeners import ListenerFilters
from tests.store.controller_stand import CALLER, Stand, new_load_balancer, open_stand

BIND_REFUSED = "cannot listen on 127.77.0.1:8080: the port is held by another process"


def present_listeners(stand: Stand) -> list[str]:
    views = stand.read(lambda c: listeners.list_listeners(c, CALLER, ListenerFilters(), None, None))
    return [view.listener.id for view in views]


def addresses_in_use(stand: Stand) -> list[str]:
    return stand.read(lambda connection: list(connection.exec_driver_sql("SELECT address FROM addresses").scalars()))


async def test_a_job_goes_through_init_and_running_to_success(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        created = await stand.create_load_balancer()
        job = await stand.ended(created)
        assert job.status == JobStatus.SUCCESS
        assert stand.story(created) == ["INIT", "RUNNING", "SUCCESS"]
        assert job.end_time is not None
        assert job.end_time >= job.begin_time


async def test_a_job_waits_for_a_node_and_says_init_until_one_is_there(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        stand.node.confirms_at_once = False
        created = await stand.create_load_balancer()
        assert stand.job(created).status == JobStatus.INIT
        stand.node.connect()
        await stand.handed_over(created.resource_id)
        stand.node.confirm_all()
        assert (await stand.ended(created)).status == JobStatus.SUCCESS
        assert stand.story(created) == ["INIT", "RUNNING", "SUCCESS"]


async def test_a_job_is_running_until_the_node_confirms(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        stand.node.confirms_at_once = False
        created = await stand.create_load_balancer()
        await stand.until(lambda: stand.job(created).status == JobStatus.RUNNING)
        await stand.handed_over(created.resource_id)
        stand.node.confirm_all()
        assert (await stand.ended(created)).status == JobStatus.SUCCESS


async def test_what_thousands_confirm_at_once_is_written_in_parts(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "BATCH", 3)
    async with open_stand(database_url) as stand:
        stand.node.confirms_at_once = False
        created = [await stand.create_load_balancer() for _ in range(10)]
        for each in created:
            await stand.handed_over(each.resource_id)
        ended: list[int] = []

        def count(events: Iterable[Event]) -> None:
            ended.append(sum(isinstance(each, JobMoved) and each.status == JobStatus.SUCCESS for each in events))

        stand.database.on_commit(count)
        stand.node.confirm_all()
        for each in created:
            assert (await stand.ended(each)).status == JobStatus.SUCCESS
        assert [each for each in ended if each] == [3, 3, 3, 1]


async def test_success_needs_every_live_node(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        stand.node.confirms_at_once = False
        two = stand.join("node-2")
        two.confirms_at_once = False
        await stand.until(lambda: "node-2" in stand.controller.fleet.sessions)
        created = await stand.create_load_balancer()
        listener = await stand.create_listener(created.resource_id)
        await stand.handed_over(created.resource_id)
        await stand.until(lambda: stand.job(listener).status == JobStatus.RUNNING)
        stand.node.confirm_all()
        await stand.until(
            lambda: stand.in_force("node-1", created.resource_id) == stand.newest(created.resource_id).revision
        )
        assert {stand.job(created).status, stand.job(listener).status} == {JobStatus.RUNNING}
        two.confirm_all()
        assert (await stand.ended(created)).status == JobStatus.SUCCESS
        assert (await stand.ended(listener)).status == JobStatus.SUCCESS


async def test_what_is_confirmed_ends_the_jobs_up_to_it_and_none_that_came_later(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        stand.node.confirms_at_once = False
        created = await stand.create_load_balancer()
        id = created.resource_id
        first = await stand.create_listener(id, 8080)
        await stand.handed_over(id)
        second = await stand.create_listener(id, 8081)
        await stand.handed_over(id)
        await stand.until(lambda: stand.job(second).status == JobStatus.RUNNING)
        stand.confirm_change_of(first)
        assert (await stand.ended(first)).status == JobStatus.SUCCESS
        assert (stand.job(created).status, stand.job(second).status) == (JobStatus.SUCCESS, JobStatus.RUNNING)
        stand.node.confirm_all()
        assert (await stand.ended(second)).status == JobStatus.SUCCESS


async def test_when_the_last_unconfirmed_node_goes_the_others_end_the_job(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        stand.node.confirms_at_once = False
        two = stand.join("node-2")
        two.confirms_at_once = False
        await stand.until(lambda: "node-2" in stand.controller.fleet.sessions)
        created = await stand.create_load_balancer()
        await stand.handed_over(created.resource_id)
        stand.node.confirm_all()
        two.disconnect()
        assert (await stand.ended(created)).status == JobStatus.SUCCESS


async def test_a_refused_listener_fails_its_job_and_leaves_nothing_behind(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        created = await stand.create_load_balancer()
        await stand.ended(created)
        stand.node.confirms_at_once = False
        listener = await stand.create_listener(created.resource_id)
        await stand.handed_over(created.resource_id)
        stand.node.reject(created.resource_id, listener.resource_id, BIND_REFUSED)
        job = await stand.ended(listener)
        assert job.status == JobStatus.FAIL
        assert job.failure == FailureReason.CANNOT_LISTEN
        assert "127.77.0.1:8080" in str(job.fail_reason)
        assert present_listeners(stand) == []
        await stand.handed_over(created.resource_id)
        assert stand.node.desired[created.resource_id].resources == ()


async def test_a_refusal_fails_only_the_jobs_about_that_listener(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        created = await stand.create_load_balancer()
        await stand.ended(created)
        stand.node.confirms_at_once = False
        bad = await stand.create_listener(created.resource_id, 8080)
        good = await stand.create_listener(created.resource_id, 8081)
        member_of_bad = await stand.add_member(bad.resource_id)
        await stand.handed_over(created.resource_id)
        stand.node.reject(created.resource_id, bad.resource_id, BIND_REFUSED)
        assert (await stand.ended(bad)).status == JobStatus.FAIL
        assert (await stand.ended(member_of_bad)).status == JobStatus.FAIL
        await stand.handed_over(created.resource_id)
        stand.node.confirm_all()
        assert (await stand.ended(good)).status == JobStatus.SUCCESS
        assert present_listeners(stand) == [good.resource_id]


async def test_a_refused_update_returns_the_columns_that_it_wrote(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        created = await stand.create_load_balancer()
        listener = await stand.create_listener(created.resource_id, 8080)
        await stand.ended(listener)
        stand.node.confirms_at_once = False
        update = await stand.write(
            lambda tx: update_listener(tx, CALLER, stand.policy, listener.resource_id, {"port": 8090, "name": "new"})
        )
        await stand.handed_over(created.resource_id)
        with pytest.raises(ServiceError, match="still being given up"):
            await stand.create_listener(created.resource_id, 8080)
        stand.node.reject(created.resource_id, listener.resource_id, BIND_REFUSED)
        assert (await stand.ended(update)).status == JobStatus.FAIL
        view = stand.read(lambda c: listeners.show_listener(c, CALLER, listener.resource_id))
        assert (view.listener.port, view.listener.name) == (8080, "listener")


async def test_a_listener_refused_without_a_job_is_in_error_until_it_is_accepted_again(database_url: str) -> None:
    def status(stand: Stand) -> str:
        return stand.read(lambda c: listeners.show_listener(c, CALLER, listener.resource_id)).listener.status

    async with open_stand(database_url) as stand:
        created = await stand.create_load_balancer()
        listener = await stand.create_listener(created.resource_id)
        await stand.ended(listener)
        stand.node.confirms_at_once = False
        stand.node.reject(created.resource_id, listener.resource_id, BIND_REFUSED)
        await stand.until(lambda: status(stand) == "ERROR")
        generation = stand.node.desired[created.resource_id].generation
        await stand.until(lambda: stand.node.acknowledged == {created.resource_id: generation})
        # Settled means that the generation is confirmed apart from the refusal: the listener stays in ERROR.
        stand.node.confirm_all()
        other = await stand.create_listener(created.resource_id, 8081)
        await stand.handed_over(created.resource_id)
        stand.node.confirm_all()
        assert (await stand.ended(other)).status == JobStatus.SUCCESS
        await stand.until(lambda: status(stand) == "ACTIVE")


async def test_what_a_node_rejects_of_a_load_balancer_that_is_gone_harms_nobody(database_url: str) -> None:
    async with open_stand(database_url, time_limit=1) as stand:
        stand.node.confirms_at_once = False
        created = await stand.create_load_balancer()
        listener = await stand.create_listener(created.resource_id)
        await stand.handed_over(created.resource_id)
        late = replace(stand.node.desired[created.resource_id])
        assert (await stand.ended(created)).status == JobStatus.FAIL
        stand.node.desired[created.resource_id] = late
        stand.node.reject(created.resource_id, listener.resource_id, BIND_REFUSED)
        other = await stand.create_load_balancer()
        await stand.handed_over(other.resource_id)
        stand.node.confirm(other.resource_id)
        assert (await stand.ended(other)).status == JobStatus.SUCCESS


async def test_without_a_node_a_job_ends_by_its_time_limit_and_says_so(database_url: str) -> None:
    async with open_stand(database_url, time_limit=0.1, connected=False) as stand:
        created = await stand.create_load_balancer()
        job = await stand.ended(created)
        assert job.status == JobStatus.FAIL
        assert "No data-plane node was connected" in str(job.fail_reason)
        assert addresses_in_use(stand) == []
        with pytest.raises(ServiceError):
            stand.read(lambda c: load_balancers.show_load_balancer(c, CALLER, created.resource_id))


async def test_an_exhausted_pool_fails_the_job_and_stores_no_load_balancer(database_url: str) -> None:
    async with open_stand(database_url, external="127.77.0.0/30") as stand:
        first, second = await stand.create_load_balancer(), await stand.create_load_balancer()
        assert {(await stand.ended(one)).status for one in (first, second)} == {JobStatus.SUCCESS}
        assert sorted(addresses_in_use(stand)) == ["127.77.0.1", "127.77.0.2"]
        third = await stand.create_load_balancer()
        assert stand.job(third).failure == FailureReason.NO_ELASTIC_IP_LEFT
        assert len(addresses_in_use(stand)) == 2


async def test_deleting_gives_the_address_back_and_keeping_leaves_it_with_the_project(database_url: str) -> None:
    async with open_stand(database_url, external="127.77.0.0/30") as stand:
        created = await stand.create_load_balancer()
        address = stand.read(lambda c: load_balancers.show_load_balancer(c, CALLER, created.resource_id).vip_address)
        kept = await stand.write(
            lambda tx: load_balancers.delete_load_balancer(
                tx, CALLER, stand.policy, created.resource_id, keep_address=True
            )
        )
        await stand.ended(kept)
        assert addresses_in_use(stand) == [address]
        again = await stand.create_load_balancer(vip_address=address)
        await stand.ended(again)
        with pytest.raises(ServiceError) as taken:
            await stand.create_load_balancer(vip_address=address)
        assert type(taken.value) is AddressTaken
        deleted = await stand.write(
            lambda tx: load_balancers.delete_load_balancer(tx, CALLER, stand.policy, again.resource_id)
        )
        assert (await stand.ended(deleted)).status == JobStatus.SUCCESS
        assert addresses_in_use(stand) == []
        await stand.until(lambda: again.resource_id not in stand.node.desired)


async def test_a_restart_finishes_what_was_unfinished(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        stand.node.confirms_at_once = False
        created = await stand.create_load_balancer()
        listener = await stand.create_listener(created.resource_id)
    async with open_stand(database_url) as stand:
        await stand.attached()
        assert created.resource_id in stand.node.desired
        assert (await stand.ended(created)).status == JobStatus.SUCCESS
        assert (await stand.ended(listener)).status == JobStatus.SUCCESS


async def test_a_write_that_breaks_a_rule_takes_no_other_of_its_group_with_it(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        results = await asyncio.gather(
            stand.create_load_balancer(),
            stand.create_listener("f" * 32),
            stand.create_load_balancer(),
            return_exceptions=True,
        )
        assert isinstance(results[1], ServiceError)
        assert not isinstance(results[0], BaseException)
        assert not isinstance(results[2], BaseException)
        assert (await stand.ended(results[0])).status == JobStatus.SUCCESS


async def test_members_added_twice_are_one_member(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        created = await stand.create_load_balancer()
        listener = await stand.create_listener(created.resource_id)
        first = await stand.add_member(listener.resource_id)
        second = await stand.add_member(listener.resource_id)
        first_job, second_job = await stand.ended(first), await stand.ended(second)
        assert first_job.subject == second_job.subject
        view = stand.read(lambda c: listeners.show_listener(c, CALLER, listener.resource_id))
        assert view.member_number == 1


async def test_a_load_balancer_being_deleted_takes_no_more_changes(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        created = await stand.create_load_balancer()
        await stand.ended(created)
        stand.node.confirms_at_once = False
        await stand.write(lambda tx: load_balancers.delete_load_balancer(tx, CALLER, stand.policy, created.resource_id))
        with pytest.raises(ServiceError) as refused:
            await stand.create_listener(created.resource_id)
        assert type(refused.value) is BeingDeleted


async def test_the_quota_counts_per_project(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        small = replace(stand.policy, quotas=Quotas(load_balancers=1, listeners=1, members=1))
        await stand.write(lambda tx: load_balancers.create_load_balancer(tx, CALLER, small, new_load_balancer()))
        with pytest.raises(ServiceError) as refused:
            await stand.write(lambda tx: load_balancers.create_load_balancer(tx, CALLER, small, new_load_balancer()))
        assert type(refused.value) is QuotaExceeded


async def test_a_cancelled_job_gives_everything_back(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        created = await stand.create_load_balancer()
        listener = await stand.create_listener(created.resource_id)
        cancelled = await stand.write(lambda tx: jobs.cancel_job(tx, CALLER, created.job_id))
        assert cancelled.failure == FailureReason.CANCELLED
        assert addresses_in_use(stand) == []
        assert (await stand.ended(listener)).status == JobStatus.FAIL
        with pytest.raises(ServiceError) as refused:
            await stand.write(lambda tx: jobs.cancel_job(tx, CALLER, created.job_id))
        assert type(refused.value) is NotCancellable


async def test_old_jobs_and_keys_are_forgotten_and_young_ones_kept(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        created = await stand.create_load_balancer()
        listener = await stand.create_listener(created.resource_id)
        await stand.ended(await add_two_members(stand, listener.resource_id))
        pending = await stand.create_load_balancer()
        await stand.ended(pending)
        await Retention(stand.database, job_days=1).forget()
        assert stand.job(created).status == JobStatus.SUCCESS
        # A day of zero length has passed for everything that has ended.
        await stand.until(lambda: stand.database.now() > (stand.job(pending).end_time or 0))
        await Retention(stand.database, job_days=0).forget()
        with pytest.raises(ServiceError):
            stand.job(created)


async def test_time_never_runs_backwards_within_a_job(database_url: str) -> None:
    times = iter([5_000.0, 4_000.0, 3_000.0])
    async with open_stand(database_url, clock=lambda: next(times, 2_000.0), connected=False) as stand:
        created = await stand.create_load_balancer()
        stand.node.connect()
        job = await stand.ended(created)
        assert [entry.time for entry in job.history] == sorted(entry.time for entry in job.history)


async def add_two_members(stand: Stand, listener_id: str) -> Accepted:
    wanted = [AddMemberCommand("a", "127.0.1.1"), AddMemberCommand("b", "127.0.1.2")]
    return await stand.write(lambda tx: members.add_members(tx, CALLER, stand.policy, listener_id, wanted))


async def test_a_bandwidth_that_is_not_in_force_is_said_in_the_job_and_does_not_fail_it(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        stand.limits.unavailable_reason = stand.limits.becomes = "there is no nft"
        created = await stand.create_load_balancer(bandwidth=10)
        job = await stand.ended(created)
        message = "The bandwidth is stored but not limited on this machine: there is no nft."
        assert (job.status, job.warnings) == (
            JobStatus.SUCCESS,
            (Warned(WarningReason.BANDWIDTH_NOT_ENFORCED, message),),
        )
        assert (await stand.ended(await stand.create_listener(created.resource_id))).warnings == ()


async def test_a_limit_that_fails_with_the_very_change_is_said_in_its_job(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        stand.limits.becomes = "the kernel says no"
        job = await stand.ended(await stand.create_load_balancer(bandwidth=10))
        assert [warned.reason for warned in job.warnings] == [WarningReason.BANDWIDTH_NOT_ENFORCED]
        stand.limits.becomes = None
        await stand.ended(await stand.create_load_balancer(bandwidth=10))
        assert (await stand.ended(await stand.create_load_balancer(bandwidth=10))).warnings == ()


async def test_a_job_left_by_a_killed_service_is_warned_of_what_the_next_one_finds(database_url: str) -> None:
    async with open_stand(database_url, connected=False) as stand:
        created = await stand.create_load_balancer(bandwidth=10)
    async with open_stand(database_url, unavailable_reason="there is no nft") as stand:
        job = await stand.ended(created)
        assert [warned.reason for warned in job.warnings] == [WarningReason.BANDWIDTH_NOT_ENFORCED]


async def test_an_internal_load_balancer_has_no_limit_and_no_warning(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        stand.limits.unavailable_reason = stand.limits.becomes = "there is no nft"
        created = await stand.create_load_balancer(type="Internal", bandwidth=None)
        assert (await stand.ended(created)).warnings == ()
        assert stand.limits.in_force[created.resource_id] is None


async def test_the_limit_is_in_force_before_the_job_ends_and_gone_with_the_load_balancer(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        await stand.attached()
        assert stand.limits.is_ready
        created = await stand.create_load_balancer(bandwidth=10)
        await stand.ended(created)
        assert stand.limits.in_force == {created.resource_id: 10}
        update = {"bandwidth": 20}
        await stand.ended(
            await stand.write(
                lambda tx: classic_load_balancers.update_load_balancer(
                    tx, CALLER, stand.policy, created.resource_id, update
                )
            )
        )
        assert stand.limits.in_force == {created.resource_id: 20}
        await stand.ended(
            await stand.write(
                lambda tx: load_balancers.delete_load_balancer(tx, CALLER, stand.policy, created.resource_id)
            )
        )
        await stand.until(lambda: stand.limits.in_force == {})
