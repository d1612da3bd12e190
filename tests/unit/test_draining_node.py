"""When a node cuts the connections of removed members, by its own clock."""

import errno
from collections.abc import Collection

import pytest

from equipoise.node.draining import AFTERWARDS, Draining
from equipoise.proxy.link import Removal, Shortfall, ShortfallKind
from tests.unit.agent_stand import Clock

ONE, TWO = "10.0.0.1", "10.0.0.2"
CUT = ("pool", {ONE})


class Cutter:
    """Remembers whom it cut; `hindrance` is raised in place of that, and each cut takes `seconds`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.cuts: list[tuple[str, set[str]]] = []
        self.why_not: str | None = None
        self.hindrance: OSError | None = None
        self.seconds = 0.0

    def unavailable_reason(self) -> str | None:
        return self.why_not

    async def cut(self, pool_id: str, addresses: Collection[str]) -> int:
        self._clock.seconds += self.seconds
        if self.hindrance is not None:
            raise self.hindrance
        self.cuts.append((pool_id, set(addresses)))
        return 1


class Place:
    def __init__(self) -> None:
        self.clock = Clock()
        self.cutter = Cutter(self.clock)
        self.draining = Draining(self.cutter, self.clock)

    async def cuts_after(self, seconds: float) -> list[tuple[str, set[str]]]:
        """What a look cuts that much later."""
        self.clock.seconds += seconds
        self.cutter.cuts.clear()
        await self.draining.look()
        return list(self.cutter.cuts)


@pytest.fixture
def place() -> Place:
    return Place()


def removal(ends_in: float = 0, generation: int = 2, address: str = ONE) -> Removal:
    return Removal("pool", address, generation, ends_in)


async def test_a_removal_whose_time_is_over_is_cut_once_it_is_in_force_and_not_before(place: Place) -> None:
    place.draining.expect("lb", [removal()])
    assert await place.cuts_after(1) == []
    assert await place.draining.confirmed({"lb": 1, "other": 2}) is None
    assert place.cutter.cuts == []
    assert await place.draining.confirmed({"lb": 2}) is None
    assert place.cutter.cuts == [CUT]


async def test_one_whose_time_is_not_over_is_cut_when_it_is(place: Place) -> None:
    place.draining.expect("lb", [removal(60)])
    await place.draining.confirmed({"lb": 2})
    assert place.cutter.cuts == []
    assert await place.cuts_after(59) == []
    assert await place.cuts_after(1) == [CUT]


async def test_connections_are_looked_for_until_a_little_after_the_end_and_then_no_more(place: Place) -> None:
    place.draining.expect("lb", [removal(60)])
    await place.draining.confirmed({"lb": 2})
    await place.cuts_after(60)
    assert await place.cuts_after(AFTERWARDS - 1) == [CUT]
    assert await place.cuts_after(1) == [CUT]
    assert await place.cuts_after(0) == []


async def test_one_that_is_in_force_late_has_its_time_afterwards_from_then_on(place: Place) -> None:
    place.draining.expect("lb", [removal()])
    place.clock.seconds += 3600
    await place.draining.confirmed({"lb": 2})
    assert await place.cuts_after(1) == [CUT]
    assert await place.cuts_after(AFTERWARDS - 2) == [CUT]


async def test_a_node_that_was_paused_past_the_end_still_cuts(place: Place) -> None:
    place.draining.expect("lb", [removal(60)])
    await place.draining.confirmed({"lb": 2})
    assert await place.cuts_after(60 + AFTERWARDS + 3600) == [CUT]
    assert await place.cuts_after(0) == []


async def test_a_node_that_was_paused_while_it_cut_others_still_cuts(place: Place) -> None:
    place.draining.expect("lb", [removal(), removal(1, address=TWO)])
    place.cutter.seconds = AFTERWARDS + 3600
    await place.draining.confirmed({"lb": 2})
    place.draining.expect("lb", [removal(), removal(1, address=TWO)])
    assert await place.cuts_after(0) == [CUT]
    assert ("pool", {ONE, TWO}) in await place.cuts_after(0)


async def test_what_the_proxy_has_in_force_already_is_cut_at_the_next_look(place: Place) -> None:
    """After a restart of the service, or when it is told late."""
    place.draining.expect("lb", [removal()], in_force=2)
    assert await place.cuts_after(0) == [CUT]
    place.draining.expect("other", [removal()], in_force=1)
    assert CUT not in [*await place.cuts_after(AFTERWARDS), *await place.cuts_after(0)][1:]


async def test_a_removal_that_is_told_again_is_not_waited_for_anew(place: Place) -> None:
    place.draining.expect("lb", [removal(60)])
    await place.draining.confirmed({"lb": 2})
    place.clock.seconds += 30
    place.draining.expect("lb", [removal(30)])
    assert await place.cuts_after(30) == [CUT]


async def test_another_removal_of_the_same_member_is_waited_for_anew(place: Place) -> None:
    place.draining.expect("lb", [removal()])
    await place.draining.confirmed({"lb": 2})
    place.draining.expect("lb", [removal(generation=4)])
    assert await place.cuts_after(0) == []
    await place.draining.confirmed({"lb": 4})
    assert place.cutter.cuts == [CUT]


async def test_a_member_that_is_no_longer_removed_or_has_gone_with_its_load_balancer_is_not_cut(place: Place) -> None:
    for id in ("lb", "other"):
        place.draining.expect(id, [removal(60)])
        await place.draining.confirmed({id: 2})
    place.draining.expect("lb", [])
    place.draining.forget(["other", "unknown"])
    assert await place.cuts_after(60) == []


async def test_where_nothing_can_be_cut_it_says_so_of_what_has_removals(place: Place) -> None:
    place.cutter.why_not = "no privilege"
    place.draining.expect("lb", [removal()])
    shortfall = await place.draining.confirmed({"lb": 2, "other": 2})
    assert shortfall == Shortfall(ShortfallKind.CONNECTIONS, "no privilege", frozenset({"lb"}))
    assert await place.draining.confirmed({"lb": 3}) is None


async def test_what_could_not_be_cut_at_once_is_cut_later(place: Place) -> None:
    place.cutter.hindrance = PermissionError(errno.EPERM, "not now")
    place.draining.expect("lb", [removal()])
    assert await place.draining.confirmed({"lb": 2}) is None
    place.cutter.hindrance = None
    assert await place.cuts_after(1) == [CUT]


async def test_while_there_is_no_proxy_nothing_is_forgotten(place: Place) -> None:
    place.draining.expect("lb", [removal()], in_force=2)
    place.cutter.hindrance = ProcessLookupError(errno.ESRCH, "no proxy")
    assert await place.cuts_after(AFTERWARDS + 60) == []
    place.cutter.hindrance = None
    assert await place.cuts_after(0) == [CUT]
