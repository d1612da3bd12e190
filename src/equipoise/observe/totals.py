"""Adds up what listeners and members have carried, over the ends of Envoys: no counter ever goes back.

At the start of the service the totals are what the Envoy that runs then has counted.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import add
from typing import Generic, TypeVar

from equipoise.observe.health_reading import Member
from equipoise.observe.traffic_reading import (
    LEVELS,
    Figures,
    Listener,
    MemberFigures,
    since,
    since_of_member,
)

K = TypeVar("K")
F = TypeVar("F", Figures, MemberFigures)


class _Sums(Generic[K, F]):
    """Figures by key; `nothing` are those of one that was never used."""

    def __init__(self, nothing: F, since: Callable[[F, F], F]) -> None:
        self._nothing: F = nothing
        self._since: Callable[[F, F], F] = since
        self._last: Mapping[K, F] = {}
        self.totals: dict[K, F] = {}

    def take(self, looked: Mapping[K, F], there: Iterable[K]) -> dict[K, F]:
        """Return what was counted since the last time, of those that were used then or are in use now."""
        nothing, kind, last, totals = self._nothing, type(self._nothing), self._last, self.totals
        passed: dict[K, F] = {}
        self.totals = {}
        for key in there:
            total = totals.get(key, nothing)
            now = looked.get(key)
            if now is None:
                # Nothing since an Envoy began: what it is, is zero, and what it was, remains.
                self.totals[key] = kind(*nothing[:LEVELS], *total[LEVELS:]) if any(total[:LEVELS]) else total
                continue
            if now != last.get(key):
                passed[key] = grown = self._since(last.get(key, nothing), now)
                total = kind(*now[:LEVELS], *map(add, total[LEVELS:], grown[LEVELS:]))
            elif any(now[:LEVELS]):
                passed[key] = kind(*now[:LEVELS], *nothing[LEVELS:])
            self.totals[key] = total
        self._last = looked
        return passed


class Totals:
    """Of the listeners and members that there are; what is no longer there is forgotten."""

    def __init__(self) -> None:
        self._listeners = _Sums[Listener, Figures](Figures(), since)
        self._members = _Sums[Member, MemberFigures](MemberFigures(), since_of_member)

    @property
    def listeners(self) -> Mapping[Listener, Figures]:
        return self._listeners.totals

    @property
    def members(self) -> Mapping[Member, MemberFigures]:
        return self._members.totals

    def take(
        self,
        figures: Mapping[Listener, Figures],
        members: Mapping[Member, MemberFigures],
        there: Iterable[Listener],
        members_there: Iterable[Member],
    ) -> Mapping[Listener, Figures]:
        """Add what one look at Envoy showed. Returns what listeners carried since the look before, of those that
        carried something or have connections.

        Args:
            there, members_there: those that exist, used or not.
        """
        self._members.take(members, members_there)
        return self._listeners.take(figures, there)
