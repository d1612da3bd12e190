"""Adds up what listeners and members have carried, over the ends of Envoys: no counter ever goes back.

At the start of the service the totals are what the Envoy that runs then has counted.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import add, sub
from typing import Generic, TypeVar

from equipoise.node.telemetry.traffic_reading import (
    LEVELS,
    Listener,
    ListenerCounts,
    MemberCounts,
    since,
    since_of_member,
)
from equipoise.proxy.link import Member

K = TypeVar("K")
F = TypeVar("F", ListenerCounts, MemberCounts)


class _Sums(Generic[K, F]):
    """Metrics by key; `nothing` are those of one that was never used.

    A total is what Envoy counts now, and of few what those before it had counted besides.
    """

    def __init__(self, nothing: F, since: Callable[[F, F], F]) -> None:
        self._nothing: F = nothing
        self._since: Callable[[F, F], F] = since
        self._last: Mapping[K, F] = {}
        self._besides: dict[K, F] = {}
        self.totals: dict[K, F] = {}

    def take(self, looked: Mapping[K, F], there: Iterable[K]) -> None:
        nothing, last, totals, besides = self._nothing, self._last, self.totals, self._besides
        kind = type(nothing)
        self.totals, self._besides = {}, {}
        for key in there:
            now, was, before = looked.get(key), last.get(key), besides.get(key)
            if now is None:
                # Nothing since an Envoy began: what it is, is zero, and what it was, remains.
                total = kind(*nothing[:LEVELS], *totals.get(key, nothing)[LEVELS:])
                before = total if any(total) else None
            elif was is not None and min(map(sub, now[LEVELS:], was[LEVELS:])) < 0:
                grown = self._since(was, now)
                sums = map(add, totals.get(key, nothing)[LEVELS:], grown[LEVELS:])
                total = kind(*now[:LEVELS], *sums)
                before = kind(*nothing[:LEVELS], *map(sub, total[LEVELS:], now[LEVELS:]))
            else:
                total = now if before is None else kind(*map(add, now, before))
            self.totals[key] = total
            if before is not None:
                self._besides[key] = before
        self._last = looked

    def passed(self, before: Mapping[K, F]) -> dict[K, F]:
        """What was counted since the totals were these, of those that were used since or are in use now."""
        nothing = self._nothing
        return {
            key: self._since(before.get(key, nothing), now)
            for key, now in self.totals.items()
            if now != before.get(key, nothing) or any(now[:LEVELS])
        }


class Totals:
    """Of the listeners and members that there are; what is no longer there is forgotten."""

    def __init__(self) -> None:
        self._listeners = _Sums[Listener, ListenerCounts](ListenerCounts(), since)
        self._members = _Sums[Member, MemberCounts](MemberCounts(), since_of_member)

    @property
    def listeners(self) -> Mapping[Listener, ListenerCounts]:
        return self._listeners.totals

    @property
    def members(self) -> Mapping[Member, MemberCounts]:
        return self._members.totals

    def take(
        self,
        counts: Mapping[Listener, ListenerCounts],
        members: Mapping[Member, MemberCounts],
        there: Iterable[Listener],
        members_there: Iterable[Member],
    ) -> Mapping[Listener, ListenerCounts]:
        """Add what one look at Envoy showed. Returns what listeners carried since the look before, of those that
        carried something or have connections.

        Args:
            there, members_there: those that exist, used or not.
        """
        self._members.take(members, members_there)
        before = self._listeners.totals
        self._listeners.take(counts, there)
        return self._listeners.passed(before)
