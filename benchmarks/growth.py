"""Whether a large stand is slower to change: the 1,000th load balancer with a listener against the 10th.

Two services, one filled beforehand and one nearly empty, create in turns: what else the machine does meanwhile
touches both alike.
"""

import time
from dataclasses import dataclass
from typing import Final

from benchmarks.client import BenchmarkError, create_listener, create_load_balancer
from benchmarks.measure import Summary, Verdict, milliseconds
from equipoise.client import Client

WINDOW: Final = 20
"""Creations around the one that is looked at: up to it ten, after it ten."""

_WARM_UP: Final = 40
_AT_MOST: Final = 1.5


@dataclass(frozen=True, slots=True)
class Growth:
    """What was measured around the early and around the late position."""

    early_position: int
    late_position: int
    early: Summary
    late: Summary

    def verdict(self) -> Verdict:
        """The late one against the early one, median by median."""
        what = f"load balancer {self.late_position:,} against {self.early_position}"
        return Verdict(what, self.late.median / self.early.median, _AT_MOST, "x")


def fill(large: Client, position: int, seconds: float) -> None:
    """Create what stands before the window around `position`.

    Raises:
        BenchmarkError: it took longer than `seconds`.
    """
    deadline = time.monotonic() + seconds
    for number in range(1, position - WINDOW // 2 + 1):
        _create(large)
        if time.monotonic() > deadline:
            raise BenchmarkError(
                f"{number} load balancers took {seconds:g} s; choose a smaller --load-balancers or larger --seconds."
            )


def measure_growth(small: Client, large: Client, position: int) -> Growth:
    """Take turns between an empty service and one that is filled up to the window."""
    for _ in range(_WARM_UP):
        # A service that has just started is slower for reasons that have nothing to do with its size.
        _create_and_delete(small)
    early: list[float] = []
    late: list[float] = []
    for _ in range(WINDOW):
        early.append(milliseconds(lambda: _create(small)))
        late.append(milliseconds(lambda: _create(large)))
    return Growth(WINDOW // 2, position, Summary.of(early), Summary.of(late))


def _create(client: Client) -> str:
    id = create_load_balancer(client)
    create_listener(client, id)
    return id


def _create_and_delete(client: Client) -> None:
    client.delete_load_balancer(_create(client))
