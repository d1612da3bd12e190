"""Members that come back begin with a part of their share, those that are added do not: on both databases."""

from collections.abc import Mapping
from typing import Any

import pytest
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from equipoise.backends.envoy.build.type_urls import ENDPOINTS
from equipoise.controller.slow_start import Shares, SlowStart
from equipoise.core.commands import AddMemberCommand, CreateHealthMonitorCommand
from equipoise.core.model import Protocol
from equipoise.store import desired as desired_store
from equipoise.store import members as members_store
from equipoise.usecases import health_monitors, members
from tests.store.controller_stand import CALLER, Stand, open_stand

ONE, TWO, THREE = "127.0.1.1", "127.0.1.2", "127.0.1.3"
SECONDS = 10
CHECK = CreateHealthMonitorCommand(
    type=Protocol.TCP,
    path=None,
    port=None,
    healthy_threshold=3,
    unhealthy_threshold=3,
    timeout=10_000,
    interval=5_000,
)


class Place:
    """A listener with members ONE and TWO, and what a slow start of its own says of them at the time `now`."""

    def __init__(self, stand: Stand, load_balancer: str, listener: str) -> None:
        self.stand = stand
        self.load_balancer = load_balancer
        self.listener = listener
        self.now = 1000.0
        self.slow_start = SlowStart(SECONDS, lambda: self.now)

    async def check(self) -> str:
        accepted = await self.stand.write(
            lambda tx: health_monitors.create_health_monitor(
                tx, CALLER, self.stand.policy, self.listener, lambda _pool, _listener: CHECK
            )
        )
        await self.stand.ended(accepted)
        return accepted.resource_id

    async def seen(self, healthy: Mapping[str, bool]) -> None:
        """Note the health of members by their addresses."""
        seen = {(self.listener, address): value for address, value in healthy.items()}
        await self.stand.write(lambda tx: members_store.observe_health(tx, seen))

    def shares(self) -> Mapping[str, int]:
        [desired] = self.stand.read(lambda c: desired_store.load(c, [self.load_balancer]))
        found: Shares = self.slow_start.shares(desired)
        return found.get(self.listener, {})

    def weights(self) -> list[int]:
        """Of the members as they were published; 0 where there is none."""
        published = self.stand.node.desired[self.load_balancer].resources
        [body] = [each.body for each in published if each.type_url == ENDPOINTS]
        members = ClusterLoadAssignment.FromString(body).endpoints[0].lb_endpoints
        return [each.load_balancing_weight.value for each in members]


async def a_place(stand: Stand, **fields: Any) -> Place:
    load_balancer = (await stand.create_load_balancer()).resource_id
    listener = (await stand.create_listener(load_balancer, **fields)).resource_id
    for address in (ONE, TWO):
        await stand.ended(await stand.add_member(listener, address))
    return Place(stand, load_balancer, listener)


async def test_a_member_that_comes_back_begins_with_a_tenth_and_comes_to_its_share_step_by_step(
    database_url: str,
) -> None:
    async with open_stand(database_url) as stand:
        place = await a_place(stand)
        await place.check()
        await place.seen({ONE: True, TWO: True})
        assert place.shares() == {}
        await place.seen({TWO: False})
        # Before it comes back, so that it never gets more.
        assert place.shares() == {TWO: 1}
        assert list(place.slow_start.under_way()) == []
        await place.seen({TWO: True})
        assert place.shares() == {TWO: 1}
        steps = []
        while place.slow_start.under_way():
            place.now += place.slow_start.step
            steps.append(place.shares().get(TWO))
        assert steps == [2, 3, 4, 5, 6, 7, 8, 9, None]


async def test_a_member_that_is_added_or_passes_its_first_check_has_its_full_share(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        place = await a_place(stand)
        assert place.shares() == {}
        await place.check()
        assert place.shares() == {}
        await place.seen({ONE: True, TWO: True})
        await stand.ended(await stand.add_member(place.listener, THREE))
        assert place.shares() == {}
        await place.seen({THREE: True})
        assert place.shares() == {}


async def test_one_that_fails_on_its_way_begins_anew_and_one_that_is_removed_is_forgotten(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        place = await a_place(stand)
        await place.check()
        await place.seen({ONE: False, TWO: False})
        assert place.shares() == {ONE: 1, TWO: 1}
        await place.seen({ONE: True, TWO: True})
        place.shares()
        place.now += SECONDS / 2
        assert place.shares() == {ONE: 6, TWO: 6}
        await place.seen({ONE: False})
        place.shares()
        await place.seen({ONE: True})
        assert place.shares() == {ONE: 1, TWO: 6}
        await stand.ended(await stand.remove_members(place.listener, *stand.members(place.listener)))
        assert place.shares() == {}
        await stand.ended(await stand.add_member(place.listener, ONE))
        assert place.shares() == {}


@pytest.mark.parametrize(
    "fields",
    [{"lb_algorithm": "source"}, {"lb_algorithm": "leastconn"}, {"protocol": "UDP", "backend_protocol": "UDP"}],
    ids=["source", "leastconn", "UDP"],
)
async def test_only_where_members_take_turns_one_is_slowed_down(database_url: str, fields: dict[str, str]) -> None:
    async with open_stand(database_url) as stand:
        place = await a_place(stand, **fields)
        if "protocol" not in fields:
            await place.check()
        await place.seen({TWO: False})
        assert place.shares() == {}


async def test_without_a_check_or_with_a_slow_start_of_no_time_nobody_is_slowed_down(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        place = await a_place(stand)
        check = await place.check()
        await place.seen({TWO: False})
        assert place.shares() == {TWO: 1}
        place.slow_start = SlowStart(0)
        assert place.shares() == {}
        place.slow_start = SlowStart(SECONDS)
        await stand.ended(
            await stand.write(lambda tx: health_monitors.delete_health_monitor(tx, CALLER, stand.policy, check))
        )
        assert place.shares() == {}


async def test_shares_are_published_within_the_generation_until_all_are_whole(database_url: str) -> None:
    async with open_stand(database_url, slow_start=1) as stand:
        place = await a_place(stand)
        await place.check()
        await stand.handed_over(place.load_balancer)
        generation = stand.node.desired[place.load_balancer].generation
        assert place.weights() == [0, 0]
        await place.seen({TWO: False})
        await stand.until(lambda: place.weights() == [10, 1])
        await place.seen({TWO: True})
        await stand.until(lambda: place.weights()[1] > 1)
        await stand.until(lambda: place.weights() == [0, 0])
        assert stand.node.desired[place.load_balancer].generation == generation


async def test_a_share_is_one_of_the_weight_that_a_member_has(database_url: str) -> None:
    async with open_stand(database_url, slow_start=SECONDS) as stand:
        place = await a_place(stand)
        await place.check()
        heavy = [AddMemberCommand("server", THREE, weight=5), AddMemberCommand("server", "127.0.1.4", weight=0)]
        await stand.ended(
            await stand.write(lambda tx: members.add_members(tx, CALLER, stand.policy, place.listener, heavy))
        )
        assert place.weights() == [1, 1, 5, 0]
        await place.seen({THREE: False, "127.0.1.4": False})
        await stand.until(lambda: place.weights() == [10, 10, 5, 0])
