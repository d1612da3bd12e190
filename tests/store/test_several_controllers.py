"""Several services on one PostgreSQL, each with a node of its own: each change is in force on all live nodes before its
job succeeds, and who is dead, paused or cut off holds up nobody for longer than its lease.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from unittest.mock import patch

from sqlalchemy import select, text, update

from equipoise.controller.retention import Retention
from equipoise.core.jobs import JobStatus
from equipoise.core.model import Status
from equipoise.proxy.link import Renew
from equipoise.store import members, nodes, tables
from equipoise.store.database import Database, Transaction, open_engine
from equipoise.store.feed import newest_revision
from equipoise.usecases import load_balancers
from stand import PATIENCE
from tests.store.controller_stand import CALLER, Stand, open_stand

HERE = "node-here"
THERE = "node-there"
LEASE_SECONDS = nodes.LEASE / 1000


class MovableClock:
    """The clock that all services of a test share."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@asynccontextmanager
async def two(
    server_url: str, clock: MovableClock | None = None, time_limit: float = 300
) -> AsyncIterator[tuple[Stand, Stand]]:
    """Two services whose nodes are live."""
    async with (
        open_stand(server_url, node_id=HERE, clock=clock, time_limit=time_limit) as here,
        open_stand(server_url, node_id=THERE, clock=clock, time_limit=time_limit) as there,
    ):
        for stand in (here, there):
            await stand.until(has_joined(stand))
        yield here, there


def live(stand: Stand) -> set[str]:
    return set(stand.read(nodes.live))


def has_joined(stand: Stand) -> Callable[[], bool]:
    """Whether its node is live, and it knows that."""
    return lambda: stand.node.node_id in stand.controller.fleet.sessions


def session_of(stand: Stand) -> int:
    return stand.controller.fleet.sessions.get(stand.node.node_id, 0)


def has_in_force(stand: Stand, load_balancer_id: str) -> Callable[[], bool]:
    """Whether its node has confirmed the last change of a load balancer."""
    return lambda: stand.in_force(stand.node.node_id, load_balancer_id) >= stand.newest(load_balancer_id).revision


def status_of(stand: Stand, listener_id: str) -> str:
    """What is stored."""
    look = select(tables.listeners.c.status).where(tables.listeners.c.id == listener_id)
    return stand.read(lambda connection: str(connection.execute(look).scalar_one()))


@contextmanager
def paused(stand: Stand) -> Iterator[None]:
    """A service whose leases nobody renews, as if it were stopped."""
    with patch.object(stand.controller.leases, "renew", never), patch.object(stand.controller.leases, "expire", never):
        yield


async def never(**_: object) -> None:
    """Does nothing."""


async def renew(stand: Stand) -> None:
    """Renew the lease of its node, as if that had asked for it."""
    leases, node_id = stand.controller.leases, stand.node.node_id
    leases.ask(node_id, Renew(stand.controller.fleet.sessions[node_id], 0))
    await leases.renew()


def is_published(stand: Stand, load_balancer_id: str, generation: int) -> Callable[[], bool]:
    return lambda: (
        load_balancer_id in stand.node.desired and stand.node.desired[load_balancer_id].generation >= generation
    )


async def test_a_change_succeeds_once_the_node_of_the_other_service_has_it_too(server_url: str) -> None:
    async with two(server_url) as (here, there):
        there.node.confirms_at_once = False
        accepted = await here.create_load_balancer()
        await there.until(is_published(there, accepted.resource_id, 1))
        await here.until(lambda: here.job(accepted).status is JobStatus.RUNNING)
        there.node.confirm_all()
        assert (await here.ended(accepted)).status is JobStatus.SUCCESS


async def test_what_the_node_of_the_other_service_rejects_fails_the_job(server_url: str) -> None:
    async with two(server_url) as (here, there):
        created = await here.create_load_balancer()
        await here.ended(created)
        there.node.confirms_at_once = False
        accepted = await here.create_listener(created.resource_id)
        await there.until(is_published(there, created.resource_id, 2))
        there.node.reject(created.resource_id, accepted.resource_id, "cannot listen on 127.77.0.1:8080")
        job = await here.ended(accepted)
        assert job.status is JobStatus.FAIL
        assert THERE in (job.fail_reason or "")


async def test_what_is_deleted_through_one_service_is_gone_at_the_other(server_url: str) -> None:
    async with two(server_url) as (here, there):
        created = await here.create_load_balancer()
        await here.ended(created)
        assert created.resource_id in there.node.desired
        id = created.resource_id
        deleted = await here.write(lambda tx: load_balancers.delete_load_balancer(tx, CALLER, here.policy, id))
        assert (await here.ended(deleted)).status is JobStatus.SUCCESS
        await there.until(lambda: created.resource_id not in there.node.desired)


async def test_a_load_balancer_whose_creation_failed_is_gone_at_the_other(server_url: str) -> None:
    async with two(server_url, time_limit=1) as (here, there):
        there.node.confirms_at_once = False
        created = await here.create_load_balancer()
        assert (await here.ended(created)).status is JobStatus.FAIL
        for stand in (here, there):
            await stand.until(partial(stand.node.withdrawn.__contains__, created.resource_id))


async def test_what_was_seen_of_a_member_reaches_the_other_service(server_url: str) -> None:
    async with two(server_url) as (here, there):
        created = await here.create_load_balancer()
        listener = await here.create_listener(created.resource_id)
        await here.ended(await here.add_member(listener.resource_id))
        there.node.published.clear()
        seen = {(listener.resource_id, "127.0.1.1"): False}
        await here.write(lambda tx: members.observe_health(tx, seen))
        await there.until(there.node.published.is_set)


async def test_a_removed_member_loses_its_connections_at_both_nodes(server_url: str) -> None:
    async with two(server_url) as (here, there):
        created = await here.create_load_balancer()
        listener = await here.create_listener(created.resource_id)
        await here.ended(await here.add_member(listener.resource_id))
        [member] = here.members(listener.resource_id)
        assert (await here.ended(await here.remove_members(listener.resource_id, member))).status is JobStatus.SUCCESS
        for stand in (here, there):
            # Before the success; what is still to be found is cut again later.
            assert stand.cutter.cuts[0] == (listener.resource_id, {"127.0.1.1"})


async def test_a_service_that_starts_takes_no_node_from_another(server_url: str) -> None:
    async with open_stand(server_url, node_id=HERE) as here:
        await here.until(lambda: live(here) == {HERE})
        async with open_stand(server_url, connected=False):
            assert live(here) == {HERE}


async def test_a_service_that_ends_gives_its_node_up_at_once(server_url: str) -> None:
    async with open_stand(server_url, node_id=HERE) as here:
        async with open_stand(server_url, node_id=THERE) as there:
            await there.until(has_joined(there))
            there.node.confirms_at_once = False
            accepted = await here.create_load_balancer()
            await there.until(is_published(there, accepted.resource_id, 1))
        assert live(here) == {HERE}
        assert (await here.ended(accepted)).status is JobStatus.SUCCESS


async def test_whoever_does_not_renew_its_lease_holds_up_no_job(server_url: str) -> None:
    clock = MovableClock()
    async with two(server_url, clock) as (here, there):
        there.node.confirms_at_once = False
        accepted = await here.create_load_balancer()
        await there.until(is_published(there, accepted.resource_id, 1))
        with paused(there):
            clock.seconds += LEASE_SECONDS / 2
            # Renewed in time, the own one holds.
            await renew(here)
            await here.controller.leases.expire()
            assert live(here) == {HERE, THERE}
            clock.seconds += LEASE_SECONDS / 2 + 1
            await renew(here)
            await here.controller.leases.expire()
            assert live(here) == {HERE}
            assert (await here.ended(accepted)).status is JobStatus.SUCCESS
        # It goes on: its session is lost, it takes its node over anew and is brought up to date.
        there.node.confirms_at_once = True
        await there.until(lambda: live(there) == {HERE, THERE})


async def test_what_is_said_in_a_lost_session_is_void(server_url: str) -> None:
    clock = MovableClock()
    async with two(server_url, clock) as (here, there):
        created = await here.create_load_balancer()
        await here.ended(created)
        there.node.confirms_at_once = False
        first = there.controller.fleet.sessions[THERE]
        # Another controller takes the node over.
        second = await here.write(lambda tx: nodes.attach(tx, THERE))
        accepted = await here.create_listener(created.resource_id)
        await there.until(is_published(there, created.resource_id, 2))
        await here.until(lambda: here.job(accepted).status is JobStatus.RUNNING)
        there.node.confirm_all()
        await there.until(lambda: there.controller.fleet.sessions.get(THERE, 0) > second > first)
        assert here.job(accepted).status is JobStatus.RUNNING
        there.node.confirm_all()
        assert (await here.ended(accepted)).status is JobStatus.SUCCESS


async def test_an_error_of_one_node_is_not_healed_by_another(server_url: str) -> None:
    async with two(server_url) as (here, there):
        created = await here.create_load_balancer()
        id = created.resource_id
        listener = await here.create_listener(id)
        await here.ended(listener)
        there.node.confirms_at_once = False
        there.node.reject(id, listener.resource_id, "cannot listen on 127.77.0.1:8080")
        await here.until(lambda: status_of(here, listener.resource_id) == Status.ERROR)
        # A third one reads at its start who is in error; its own node has it in force.
        async with open_stand(server_url, node_id="node-third") as third:
            await third.until(lambda: "node-third" in live(third))
            await third.until(has_in_force(third, id))
            assert status_of(here, listener.resource_id) == Status.ERROR
        there.node.confirms_at_once = True
        other = await here.create_listener(id, 8081)
        assert (await here.ended(other)).status is JobStatus.SUCCESS
        await here.until(lambda: status_of(here, listener.resource_id) == Status.ACTIVE)


async def test_the_error_of_a_node_that_is_gone_counts_no_longer(server_url: str) -> None:
    async with open_stand(server_url, node_id=HERE) as here:
        created = await here.create_load_balancer()
        listener = await here.create_listener(created.resource_id)
        await here.ended(listener)
        async with open_stand(server_url, node_id=THERE) as there:
            await there.until(is_published(there, created.resource_id, 2))
            await there.until(has_joined(there))
            there.node.reject(created.resource_id, listener.resource_id, "cannot listen on 127.77.0.1:8080")
            await here.until(lambda: status_of(here, listener.resource_id) == Status.ERROR)
        assert status_of(here, listener.resource_id) == Status.ACTIVE


async def test_commits_of_all_services_have_one_order(server_url: str) -> None:
    """Those that write at once, and those that fail, too: no revision is given twice, and each is newer than what its
    transaction could see."""
    given: list[int] = []

    def write(number: int, tx: Transaction) -> None:
        seen = newest_revision(tx.connection)
        if number % 7 == 0:
            raise ValueError
        assert seen == tx.revision
        given.append(tx.revision)

    async def write_all(database: Database) -> None:
        for number in range(40):
            with suppress(ValueError):
                await database.write(partial(write, number))

    databases = [Database(server_url) for _ in range(4)]
    for each in databases:
        each.start()
    await asyncio.gather(*map(write_all, databases))
    for each in databases:
        await each.stop()
    assert len(given) == len(set(given)) == 4 * 34


def move_by_hand(server_url: str, generation: int, steps: int = 1) -> None:
    """Move all load balancers as a service does, but without a notification."""
    engine = open_engine(server_url)
    with engine.begin() as connection:
        raised = text("UPDATE revisions SET value = value + :steps RETURNING value")
        revision = connection.execute(raised, {"steps": steps}).scalar_one()
        connection.execute(update(tables.load_balancers).values(generation=generation, revision=revision))
    engine.dispose()


async def test_a_lost_notification_delays_a_change_but_loses_none(server_url: str) -> None:
    async with two(server_url) as (here, there):
        created = await here.create_load_balancer()
        await here.ended(created)
        with paused(here), paused(there):
            move_by_hand(server_url, 7)
            for stand in (here, there):
                await stand.until(is_published(stand, created.resource_id, 7))


async def test_who_writes_all_the_time_looks_at_what_others_write_all_the_same(server_url: str) -> None:
    async with open_stand(server_url, node_id=HERE) as here:
        created = await here.create_load_balancer()
        await here.ended(created)
        move_by_hand(server_url, 7)
        async with asyncio.timeout(PATIENCE):
            while not is_published(here, created.resource_id, 7)():
                await here.write(lambda tx: tx.revision)


async def test_a_database_that_fell_back_is_told_from_the_beginning(server_url: str) -> None:
    """To a replica that had not got the last commits, for example."""
    async with two(server_url) as (here, there):
        created = await here.create_load_balancer()
        await here.ended(created)
        move_by_hand(server_url, 6, steps=1000)
        for stand in (here, there):
            await stand.until(is_published(stand, created.resource_id, 6))
        engine = open_engine(server_url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE revisions SET value = 20"))
            connection.execute(update(tables.load_balancers).values(generation=7, revision=20))
        engine.dispose()
        for stand in (here, there):
            await stand.until(is_published(stand, created.resource_id, 7))


async def test_after_a_database_fell_back_all_nodes_say_everything_anew(server_url: str) -> None:
    """It has lost what they said of late, and a node says of itself what it has in force once in a session."""
    async with two(server_url) as (here, there):
        created = await here.create_load_balancer()
        await here.ended(created)
        for stand in (here, there):
            await stand.until(has_in_force(stand, created.resource_id))
        move_by_hand(server_url, 6, steps=1000)
        for stand in (here, there):
            await stand.until(is_published(stand, created.resource_id, 6))
        before = [stand.controller.fleet.sessions[stand.node.node_id] for stand in (here, there)]
        engine = open_engine(server_url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE revisions SET value = 100"))
            connection.execute(update(tables.load_balancers).values(generation=7, revision=100))
            connection.execute(update(tables.nodes).values(in_force=-1))
        engine.dispose()
        for stand, session in zip((here, there), before, strict=True):
            await stand.until(lambda stand=stand, session=session: session < session_of(stand))  # type: ignore[misc]
            await stand.until(has_in_force(stand, created.resource_id))


async def test_all_services_live_by_the_clock_of_the_database(server_url: str) -> None:
    """A service an hour ahead would end the jobs of the others before their time."""
    async with open_stand(server_url, node_id=HERE):
        an_hour_ahead = time.time() + 3600
        with patch("time.time", lambda: an_hour_ahead):
            async with open_stand(server_url, node_id=THERE) as there:
                assert there.database.now() < an_hour_ahead * 1000 - 3_000_000
                assert await there.write(lambda tx: tx.now) < an_hour_ahead * 1000 - 3_000_000


async def test_a_node_that_is_gone_for_long_is_forgotten(server_url: str) -> None:
    clock = MovableClock()
    async with open_stand(server_url, node_id=HERE, clock=clock) as here:
        async with open_stand(server_url, node_id=THERE, clock=clock) as there:
            await there.until(has_joined(there))
        created = await here.create_load_balancer()
        await here.ended(created)
        clock.seconds += 25 * 3600
        await Retention(here.database, job_days=7).forget()
        remembered = select(tables.nodes.c.id)
        assert here.read(lambda connection: connection.execute(remembered).scalars().all()) == [HERE]


async def test_a_listener_that_two_nodes_reject_is_as_before_and_in_no_error(server_url: str) -> None:
    async with two(server_url) as (here, there):
        created = await here.create_load_balancer()
        id = created.resource_id
        listener = await here.create_listener(id)
        await here.ended(listener)
        for stand in (here, there):
            stand.node.confirms_at_once = False
        added = await here.add_member(listener.resource_id)
        rejected = 3
        for stand in (here, there):
            await stand.until(is_published(stand, id, rejected))
        here.node.reject(id, listener.resource_id, "the member is odd")
        assert (await here.ended(added)).status is JobStatus.FAIL
        # What it says of a generation that was rolled back meanwhile.
        there.node.desired[id] = replace(there.node.desired[id], generation=rejected)
        there.node.reject(id, listener.resource_id, "the member is odd")
        for stand in (here, there):
            stand.node.confirms_at_once = True
        other = await there.create_listener(id, 8081)
        assert (await there.ended(other)).status is JobStatus.SUCCESS
        assert id not in there.node.acknowledged
        assert status_of(here, listener.resource_id) == Status.ACTIVE


async def test_the_error_of_the_last_node_ends_with_the_next_one(server_url: str) -> None:
    async with open_stand(server_url, node_id=HERE) as here:
        created = await here.create_load_balancer()
        listener = await here.create_listener(created.resource_id)
        await here.ended(listener)
        here.node.reject(created.resource_id, listener.resource_id, "cannot listen on 127.77.0.1:8080")
        await here.until(lambda: status_of(here, listener.resource_id) == Status.ERROR)
    async with open_stand(server_url, node_id=THERE) as there:
        await there.until(lambda: status_of(there, listener.resource_id) == Status.ACTIVE)
