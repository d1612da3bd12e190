"""Queues that take turns: who has much waiting holds up nobody who has little."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """First come, first served within a lane; one of each lane in turn between them.

    Args:
        first: the lane that does not take turns but goes before all others.
    """

    def __init__(self, first: str) -> None:
        self._first = first
        self._waiting: dict[str, deque[T]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, lane: str, item: T) -> None:
        """Put an item at the end of its lane."""
        self._waiting.setdefault(lane, deque()).append(item)

    def take(self, most: int) -> list[T]:
        """At most `most` items, in the order in which it is their turn."""
        taken: list[T] = []
        while self._waiting and len(taken) < most:
            lane = self._first if self._first in self._waiting else next(iter(self._waiting))
            items = self._waiting.pop(lane)
            taken.append(items.popleft())
            if items:
                # At the end of the dictionary: every other lane has its turn before.
                self._waiting[lane] = items
        return taken
