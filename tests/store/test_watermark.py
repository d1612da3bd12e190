"""What of a node is in force, in one number and a few exceptions: whose job is confirmed, and what is stored for it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial

import pytest
from sqlalchemy import delete, func, select

from equipoise.controller import reconcile
from equipoise.core.jobs import JobStatus
from equipoise.proxy.link import Confirmed, PublishedVersion
from equipoise.store import members, nodes, tables, watermark
from equipoise.store.database import Transaction
from equipoise.store.jobs import transitions
from equipoise.store.nodes import SessionLostError
from equipoise.usecases.context import Accepted
from tests.store.controller_stand import NODE, Stand, open_stand

HERE, THERE = "node-here", "node-there"
SUCCESS, RUNNING = JobStatus.SUCCESS, JobStatus.RUNNING
NOTHING = -1


class Fleet:
    """Nodes that say only what a test lets them say, and the jobs that wait for them."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.sessions: dict[str, int] = {}
        self._ports = iter(range(8000, 9000))

    async def attach(self, *node_ids: str) -> None:
        for id in node_ids:
            self.sessions[id] = await self.stand.write(partial(nodes.attach, node_id=id))

    async def detach(self, node_id: str) -> None:
        session = self.sessions[node_id]
        await self.stand.write(lambda tx: nodes.detach(tx.connection, node_id, session))

    async def create(self) -> Accepted:
        """A load balancer."""
        return await self.stand.create_load_balancer()

    async def change(self, created: Accepted) -> Accepted:
        """A change of a load balancer."""
        return await self.stand.create_listener(created.resource_id, next(self._ports))

    async def confirm(self, node_id: str, *changes: Accepted) -> list[str]:
        """A node has these changes in force, and of their load balancers nothing after them. Returns what is known."""
        return await self.confirm_revisions(node_id, dict(map(self.revision, changes)))

    async def confirm_revisions(self, node_id: str, revisions: Mapping[str, int]) -> list[str]:
        def write(tx: Transaction) -> list[str]:
            known = watermark.observe(tx, node_id, self.sessions[node_id], revisions)
            transitions.begin_confirmed(tx, known)
            transitions.succeed(tx, known)
            return list(known)

        return await self.stand.write(write)

    def revision(self, job: Accepted) -> tuple[str, int]:
        """The load balancer of a job, and the revision of the change that it stands for."""
        look = select(tables.jobs.c.load_balancer_id, tables.jobs.c.accepted_revision)
        found = self.stand.read(lambda c: c.execute(look.where(tables.jobs.c.id == job.job_id)).one())
        return str(found[0]), int(found[1])

    def has_succeeded(self, job: Accepted) -> bool:
        return self.stand.job(job).status is SUCCESS

    def watermark(self, node_id: str) -> int:
        look = select(tables.nodes.c.in_force).where(tables.nodes.c.id == node_id)
        return self.stand.read(lambda c: int(c.execute(look).scalar_one()))

    def lagging(self, node_id: str) -> dict[str, int]:
        row = tables.lagging.c
        look = select(row.load_balancer_id, row.revision).where(row.node_id == node_id)
        return self.stand.read(lambda c: {row[0]: row[1] for row in c.execute(look)})


@pytest.fixture
async def fleet(database_url: str) -> AsyncIterator[Fleet]:
    """Two nodes that have nothing in force. No lease ends, since no time passes."""
    async with open_stand(database_url, connected=False, clock=lambda: 1_800_000_000.0) as stand:
        made = Fleet(stand)
        await made.attach(HERE, THERE)
        yield made


async def test_a_load_balancer_that_lags_holds_up_no_job_of_another(fleet: Fleet) -> None:
    await fleet.detach(THERE)
    slow, quick = await fleet.create(), await fleet.create()
    await fleet.confirm(HERE, quick)
    assert fleet.has_succeeded(quick)
    assert not fleet.has_succeeded(slow)
    assert fleet.watermark(HERE) == fleet.revision(quick)[1]
    assert fleet.lagging(HERE) == {slow.resource_id: NOTHING}
    await fleet.confirm(HERE, slow)
    assert fleet.has_succeeded(slow)
    assert fleet.lagging(HERE) == {}


async def test_what_has_lagged_before_stays_where_it_was_while_the_watermark_rises(fleet: Fleet) -> None:
    await fleet.detach(THERE)
    first = await fleet.create()
    await fleet.confirm(HERE, first)
    slow = await fleet.change(first)
    for _ in range(2):
        await fleet.confirm(HERE, await fleet.create())
        assert fleet.lagging(HERE) == {first.resource_id: fleet.revision(first)[1]}
    assert not fleet.has_succeeded(slow)


async def test_an_older_job_of_one_that_lags_succeeds_when_the_other_node_confirms_it_later(fleet: Fleet) -> None:
    created = await fleet.create()
    later = await fleet.change(created)
    # Here the newer change is still missing, there everything.
    await fleet.confirm(HERE, created, await fleet.create())
    assert fleet.lagging(HERE) == dict([fleet.revision(created)])
    assert not fleet.has_succeeded(created)
    await fleet.confirm(THERE, created)
    assert fleet.has_succeeded(created)
    assert not fleet.has_succeeded(later)
    for node in (HERE, THERE):
        await fleet.confirm(node, later)
    assert fleet.has_succeeded(later)


async def test_a_change_that_was_followed_by_another_is_not_passed_over(fleet: Fleet) -> None:
    """The row of a load balancer tells of its last change only, which is above the watermark here."""
    await fleet.detach(THERE)
    slow = await fleet.create()
    between = await fleet.create()
    await fleet.change(slow)
    await fleet.confirm(HERE, between)
    await fleet.stand.write(lambda tx: transitions.succeed(tx, [slow.resource_id]))
    assert fleet.has_succeeded(between)
    assert not fleet.has_succeeded(slow)


async def test_one_that_catches_up_in_part_still_lags(fleet: Fleet) -> None:
    await fleet.detach(THERE)
    first = await fleet.create()
    second = await fleet.change(first)
    await fleet.confirm(HERE, await fleet.create())
    # Above the watermark, with the second change below it.
    third = await fleet.change(first)
    await fleet.confirm(HERE, first)
    assert fleet.has_succeeded(first)
    assert fleet.lagging(HERE) == dict([fleet.revision(first)])
    assert not fleet.has_succeeded(second)
    await fleet.confirm(HERE, third)
    assert fleet.has_succeeded(second)
    assert fleet.lagging(HERE) == {}


async def test_confirmations_may_come_out_of_order(fleet: Fleet) -> None:
    await fleet.detach(THERE)
    first = await fleet.create()
    second = await fleet.change(first)
    other = await fleet.create()
    await fleet.confirm(HERE, other)
    await fleet.confirm(HERE, second)
    before = fleet.watermark(HERE)
    await fleet.confirm(HERE, first)
    assert fleet.watermark(HERE) == before == fleet.revision(other)[1]
    assert fleet.lagging(HERE) == {}
    assert all(map(fleet.has_succeeded, (first, second, other)))


async def test_a_newer_confirmation_of_one_that_lags_is_not_undone_by_an_older_one(fleet: Fleet) -> None:
    await fleet.detach(THERE)
    first = await fleet.create()
    second = await fleet.change(first)
    await fleet.change(first)
    await fleet.confirm(HERE, await fleet.create())
    await fleet.confirm(HERE, second)
    await fleet.confirm(HERE, first)
    assert fleet.lagging(HERE) == dict([fleet.revision(second)])


async def test_what_a_node_had_in_force_before_it_was_away_counts_and_nothing_of_the_time_between(fleet: Fleet) -> None:
    created, slow = await fleet.create(), await fleet.create()
    other = await fleet.create()
    await fleet.confirm(THERE, created, other)
    await fleet.detach(THERE)
    await fleet.confirm(HERE, other)
    assert fleet.has_succeeded(other)
    meanwhile = await fleet.change(other)
    await fleet.attach(THERE)
    await fleet.confirm(HERE, created, slow, meanwhile)
    assert fleet.has_succeeded(created)
    assert not fleet.has_succeeded(slow)
    assert not fleet.has_succeeded(meanwhile)
    await fleet.confirm(THERE, slow, meanwhile)
    assert fleet.has_succeeded(slow)
    assert fleet.has_succeeded(meanwhile)


async def test_what_changed_while_a_node_was_away_lags_until_it_has_that(fleet: Fleet) -> None:
    """No job waits for that any more."""
    created = await fleet.create()
    await fleet.confirm(THERE, created)
    await fleet.detach(THERE)
    meanwhile = await fleet.change(created)
    await fleet.confirm(HERE, meanwhile)
    assert fleet.has_succeeded(meanwhile)
    await fleet.attach(THERE)
    await fleet.confirm(THERE, await fleet.create())
    assert fleet.lagging(THERE) == dict([fleet.revision(created)])
    await fleet.confirm(THERE, meanwhile)
    assert fleet.lagging(THERE) == {}


async def test_a_lost_session_writes_nothing(fleet: Fleet) -> None:
    slow, quick = await fleet.create(), await fleet.create()
    lost = dict(fleet.sessions)
    await fleet.attach(HERE)
    await fleet.detach(THERE)
    fleet.sessions = lost
    for node in (HERE, THERE):
        with pytest.raises(SessionLostError):
            await fleet.confirm(node, quick)
        assert fleet.watermark(node) == NOTHING
        assert fleet.lagging(node) == {}
    assert not fleet.has_succeeded(slow)
    assert not fleet.has_succeeded(quick)


async def test_what_was_published_before_the_database_fell_back_counts_as_nothing(fleet: Fleet) -> None:
    """Its revision is given once more, to another change."""
    await fleet.detach(THERE)
    created = await fleet.create()
    ahead = await fleet.stand.write(lambda tx: tx.revision) + 1000
    assert await fleet.confirm_revisions(HERE, {created.resource_id: ahead}) == [created.resource_id]
    assert fleet.watermark(HERE) == NOTHING
    assert not fleet.has_succeeded(created)


async def test_of_what_is_confirmed_those_are_known_that_still_exist(fleet: Fleet) -> None:
    await fleet.create()
    created = await fleet.create()
    revisions = {"gone": NOTHING, created.resource_id: fleet.revision(created)[1]}
    assert await fleet.confirm_revisions(HERE, revisions) == [created.resource_id]


async def test_what_lags_goes_with_its_load_balancer_and_with_its_node(fleet: Fleet) -> None:
    slow, slower = await fleet.create(), await fleet.create()
    quick = await fleet.create()
    for node in (HERE, THERE):
        await fleet.confirm(node, quick)
    own = tables.load_balancers.c.id == slow.resource_id
    await fleet.stand.write(lambda tx: tx.connection.execute(delete(tables.load_balancers).where(own)))
    for node in (HERE, THERE):
        assert fleet.lagging(node) == {slower.resource_id: NOTHING}
    await fleet.stand.write(lambda tx: tx.connection.execute(delete(tables.nodes).where(tables.nodes.c.id == HERE)))
    assert fleet.lagging(HERE) == {}
    assert fleet.lagging(THERE) == {slower.resource_id: NOTHING}


def rows_of_lagging(stand: Stand) -> int:
    return stand.read(lambda c: int(c.execute(select(func.count()).select_from(tables.lagging)).scalar_one()))


async def test_nothing_is_stored_of_load_balancers_that_are_in_force(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        stand.node.confirms_at_once = False
        nodes = [stand.node, stand.join("node-2"), stand.join("node-3")]
        for node in nodes:
            node.confirms_at_once = False
        await stand.until(lambda: len(stand.controller.fleet.sessions) == len(nodes))
        created = await asyncio.gather(*(stand.create_load_balancer() for _ in range(300)))
        for each in created:
            await stand.handed_over(each.resource_id)
        for node in nodes:
            node.confirm_all()
        for each in created:
            assert (await stand.ended(each)).status is SUCCESS
        assert rows_of_lagging(stand) == 0


async def test_parts_of_a_long_confirmation_leave_nothing_behind_between_them(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "BATCH", 3)
    async with open_stand(database_url) as stand:
        stand.node.confirms_at_once = False
        created = [await stand.create_load_balancer() for _ in range(10)]
        for each in created:
            await stand.handed_over(each.resource_id)
        behind: list[int] = []
        stand.database.on_commit(lambda _events: behind.append(rows_of_lagging(stand)))
        newest = {each.resource_id: stand.newest(each.resource_id) for each in reversed(created)}
        stand.node.say(Confirmed(stand.controller.fleet.sessions[NODE], newest))
        for each in created:
            assert (await stand.ended(each)).status is SUCCESS
        assert len(behind) >= 4
        assert set(behind) == {0}


async def test_a_load_balancer_that_was_moved_by_health_does_not_lag(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        created = await stand.create_load_balancer()
        id = created.resource_id
        listener = await stand.create_listener(id)
        await stand.ended(await stand.add_member(listener.resource_id))
        before = stand.newest(id)
        await stand.write(lambda tx: members.observe_health(tx, {(listener.resource_id, "127.0.1.1"): False}))
        after = stand.newest(id)
        assert after == PublishedVersion(before.generation, after.revision)
        assert after.revision > before.revision
        await stand.until(lambda: stand.in_force(NODE, id) >= after.revision)
        assert rows_of_lagging(stand) == 0
