"""What status users see while a change is under way, once it is confirmed, and when it has failed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import pytest
from sqlalchemy import select

from equipoise.api.classic.handlers import health_checks as classic_health_checks
from equipoise.api.classic.handlers import listeners as classic_listeners
from equipoise.api.classic.handlers import load_balancers as classic_load_balancers
from equipoise.core.commands import Filter
from equipoise.core.jobs import JobStatus
from equipoise.core.model import Status
from equipoise.proxy.link import PublishedVersion
from equipoise.store.tables import nodes
from equipoise.usecases import health_monitors, jobs, listeners, load_balancers, members
from equipoise.usecases.context import Accepted
from equipoise.usecases.listeners import ListenerFilters
from tests.store.controller_stand import CALLER, NODE, Stand, open_stand

PENDING, ACTIVE = Status.PENDING_CREATE, Status.ACTIVE
BESIDE = 8081
"""The port of another listener of the same load balancer, which most changes are not about."""


class Seen(NamedTuple):
    """The statuses of a load balancer, of the listener that is changed, of the one beside it, and of the members."""

    load_balancer: Status
    listener: Status
    beside: Status
    members: tuple[Status, ...]


ALL_ACTIVE = Seen(ACTIVE, ACTIVE, ACTIVE, (ACTIVE,))


class Place:
    """A load balancer with two listeners, one of which has a member and a health check."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.id = self.listener = self.beside = self.check = self.member = ""

    async def build(self) -> None:
        self.id = (await self.succeeds(await self.stand.create_load_balancer())).resource_id
        self.listener = (await self.succeeds(await self.stand.create_listener(self.id))).resource_id
        self.beside = (await self.succeeds(await self.stand.create_listener(self.id, BESIDE))).resource_id
        await self.succeeds(await self.stand.add_member(self.listener))
        [self.member] = self.stand.members(self.listener)
        check = await self.succeeds(await self.create_check(self.listener))
        self.check = check.resource_id

    async def succeeds(self, accepted: Accepted) -> Accepted:
        assert (await self.stand.ended(accepted)).status == JobStatus.SUCCESS
        return accepted

    async def cancel(self, accepted: Accepted) -> None:
        await self.stand.write(lambda tx: jobs.cancel_job(tx, CALLER, accepted.job_id))

    async def create_check(self, listener: str) -> Accepted:
        body = {"listener_id": listener}
        return await self.stand.write(
            lambda tx: classic_health_checks.create_health_check(tx, CALLER, self.stand.policy, body)
        )

    async def update(self, **fields: object) -> Accepted:
        return await self.stand.write(
            lambda tx: classic_listeners.update_listener(tx, CALLER, self.stand.policy, self.listener, fields)
        )

    async def update_load_balancer(self, **fields: object) -> Accepted:
        administrator = replace(CALLER, may_freeze=True)
        return await self.stand.write(
            lambda tx: classic_load_balancers.update_load_balancer(
                tx, administrator, self.stand.policy, self.id, fields
            )
        )

    def version(self) -> PublishedVersion:
        return self.stand.newest(self.id)

    def seen(self) -> Seen:
        """As shown one by one. The lists say the same, whole and filtered by each status."""
        shown = self.stand.read(lambda c: load_balancers.show_load_balancer(c, CALLER, self.id)).status
        each = {id: self.listener_status(id) for id in (self.listener, self.beside)}
        own = self.stand.read(lambda c: members.list_members(c, CALLER, self.listener, (), None, None, None))
        told = {view.member.id: view.member.status for view in own}
        everything = {self.id: shown} | each | told
        assert self.listed([]) == everything
        for status in Status:
            wanted = {id: seen for id, seen in everything.items() if seen == status}
            assert self.listed([("status", status.value)]) == wanted
        return Seen(shown, each[self.listener], each[self.beside], tuple(sorted(told.values())))

    def listener_status(self, id: str) -> Status:
        return self.stand.read(lambda c: listeners.show_listener(c, CALLER, id)).listener.status

    def listed(self, filters: Sequence[Filter]) -> dict[str, Status]:
        found = self.stand.read(lambda c: load_balancers.list_load_balancers(c, CALLER, filters, None, None))
        below = self.stand.read(lambda c: listeners.list_listeners(c, CALLER, ListenerFilters(filters), None, None))
        own = self.stand.read(lambda c: members.list_members(c, CALLER, self.listener, filters, None, None, None))
        return (
            {one.id: one.status for one in found}
            | {view.listener.id: view.listener.status for view in below}
            | {view.member.id: view.member.status for view in own}
        )


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    """Everything is in force, and from now on the node confirms when it is told to."""
    async with open_stand(database_url) as stand:
        place = Place(stand)
        await place.build()
        assert place.seen() == ALL_ACTIVE
        stand.node.confirms_at_once = False
        yield place


async def _again(place: Place) -> Accepted:
    await place.stand.remove_members(place.listener, place.member)
    return await place.stand.add_member(place.listener)


CHANGES: dict[str, tuple[Callable[[Place], Awaitable[Accepted]], Seen]] = {
    "a field of the listener": (lambda p: p.update(backend_port=9001), Seen(ACTIVE, PENDING, ACTIVE, (ACTIVE,))),
    "its name": (lambda p: p.update(name="other"), Seen(ACTIVE, PENDING, ACTIVE, (ACTIVE,))),
    "the listener is stopped": (
        lambda p: p.update(admin_state_up=False),
        Seen(ACTIVE, PENDING, ACTIVE, (ACTIVE,)),
    ),
    "its health check": (
        lambda p: p.stand.write(
            lambda tx: classic_health_checks.update_health_check(
                tx, CALLER, p.stand.policy, p.check, {"healthcheck_interval": 7}
            )
        ),
        Seen(ACTIVE, PENDING, ACTIVE, (ACTIVE,)),
    ),
    "its health check goes": (
        lambda p: p.stand.write(lambda tx: health_monitors.delete_health_monitor(tx, CALLER, p.stand.policy, p.check)),
        Seen(ACTIVE, PENDING, ACTIVE, (ACTIVE,)),
    ),
    "a health check beside it": (lambda p: p.create_check(p.beside), Seen(ACTIVE, ACTIVE, PENDING, (ACTIVE,))),
    "the name of the load balancer": (
        lambda p: p.update_load_balancer(name="other"),
        Seen(PENDING, ACTIVE, ACTIVE, (ACTIVE,)),
    ),
    "its bandwidth": (lambda p: p.update_load_balancer(bandwidth=7), Seen(PENDING, ACTIVE, ACTIVE, (ACTIVE,))),
    "the load balancer is stopped": (
        lambda p: p.update_load_balancer(admin_state_up=0),
        Seen(PENDING, PENDING, PENDING, (ACTIVE,)),
    ),
    "the load balancer is frozen": (
        lambda p: p.update_load_balancer(admin_state_up=2),
        Seen(PENDING, PENDING, PENDING, (ACTIVE,)),
    ),
    "another member": (
        lambda p: p.stand.add_member(p.listener, "127.0.1.2"),
        Seen(ACTIVE, ACTIVE, ACTIVE, (ACTIVE, PENDING)),
    ),
    "a member that is there": (lambda p: p.stand.add_member(p.listener), ALL_ACTIVE),
    "a member that was being removed": (_again, Seen(ACTIVE, ACTIVE, ACTIVE, (PENDING,))),
}


def confirm(place: Place) -> None:
    place.stand.node.confirms_at_once = True
    place.stand.node.confirm_all()


@pytest.mark.parametrize("change", CHANGES)
async def test_what_is_changed_is_pending_until_the_change_is_confirmed(place: Place, change: str) -> None:
    make, expected = CHANGES[change]
    accepted = await make(place)
    assert place.seen() == expected
    await place.stand.handed_over(place.id)
    assert place.seen() == expected
    confirm(place)
    await place.succeeds(accepted)
    assert set(place.seen()[:3]) == {ACTIVE}
    assert set(place.seen().members) == {ACTIVE}


async def test_every_live_node_has_to_confirm(place: Place) -> None:
    two = place.stand.join("node-2")
    two.confirms_at_once = False
    await place.stand.until(lambda: "node-2" in place.stand.controller.fleet.sessions)
    accepted = await place.update(backend_port=9001)
    await place.stand.handed_over(place.id)
    place.stand.node.confirm_all()
    await place.stand.until(lambda: place.stand.in_force(NODE, place.id) == place.version().revision)
    assert place.seen().listener == PENDING
    two.confirm_all()
    await place.succeeds(accepted)
    assert place.seen() == ALL_ACTIVE


async def test_an_older_generation_that_is_confirmed_does_not_make_it_active(place: Place) -> None:
    before = place.version()
    accepted = await place.update(backend_port=9001)
    place.stand.node.confirm_generations({place.id: before.generation})
    await place.stand.handed_over(place.id)
    later = await place.update(backend_port=9002)
    place.stand.confirm_change_of(accepted)
    await place.succeeds(accepted)
    assert place.seen().listener == PENDING
    confirm(place)
    await place.succeeds(later)
    assert place.seen() == ALL_ACTIVE


async def test_a_change_that_fails_leaves_the_status_that_was_there_before(place: Place) -> None:
    accepted = await place.update(port=9443)
    await place.stand.handed_over(place.id)
    place.stand.node.reject(place.id, place.listener, "no")
    assert (await place.stand.ended(accepted)).status == JobStatus.FAIL
    assert place.seen() == ALL_ACTIVE


async def test_a_member_whose_return_and_whose_removal_fail_is_what_it_was(place: Place) -> None:
    await disconnect(place)
    removal = await place.stand.remove_members(place.listener, place.member)
    again = await place.stand.add_member(place.listener)
    assert place.seen().members == (PENDING,)
    await place.cancel(again)
    await place.cancel(removal)
    assert place.seen() == ALL_ACTIVE


async def test_a_listener_in_error_is_pending_while_it_is_mended_and_in_error_again_if_that_fails(place: Place) -> None:
    place.stand.node.reject(place.id, place.listener, "the port is taken")
    await place.stand.until(lambda: place.listener_status(place.listener) == Status.ERROR)
    accepted = await place.update(port=9443)
    assert place.seen().listener == PENDING
    await place.stand.handed_over(place.id)
    place.stand.node.reject(place.id, place.listener, "that one, too")
    assert (await place.stand.ended(accepted)).status == JobStatus.FAIL
    assert place.seen().listener == Status.ERROR
    mended = await place.update(port=9444)
    confirm(place)
    await place.succeeds(mended)
    assert place.seen() == ALL_ACTIVE


async def test_what_is_being_deleted_with_its_load_balancer_is_pending(place: Place) -> None:
    await disconnect(place)
    removal = await place.stand.remove_members(place.listener, place.member)
    deletion = await place.stand.write(
        lambda tx: load_balancers.delete_load_balancer(tx, CALLER, place.stand.policy, place.id)
    )
    assert place.seen() == Seen(PENDING, PENDING, PENDING, ())
    await place.cancel(deletion)
    assert place.seen() == Seen(ACTIVE, ACTIVE, ACTIVE, ())
    place.stand.node.connect()
    confirm(place)
    await place.succeeds(removal)


async def disconnect(place: Place) -> None:
    """Without a node jobs stay INIT, in which they can be cancelled."""
    place.stand.node.disconnect()
    await place.stand.until(lambda: not place.stand.read(lambda c: c.execute(select(nodes.c.live)).scalar_one()))
