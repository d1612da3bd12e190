"""Timing, and what is made of many timings."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Final, NamedTuple, Self

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Summary:
    """Milliseconds of many repetitions."""

    count: int
    median: float
    p90: float
    p99: float
    least: float
    most: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Self:
        """Of two or more."""
        return cls(
            count=len(milliseconds),
            median=median(milliseconds),
            p90=quantiles(milliseconds, n=10)[8],
            p99=percentile_99(milliseconds),
            least=min(milliseconds),
            most=max(milliseconds),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure against its target; `unit` is for people."""

    what: str
    measured: float
    at_most: float
    unit: str

    @property
    def met(self) -> bool:
        return self.measured <= self.at_most


Figures = Mapping[str, float]
"""What was measured in one go, by name."""


class Compared(NamedTuple):
    """A figure of one thing and of another, and its ratio, other to one: medians over rounds, of the ratio in each."""

    one: float
    other: float
    ratio: float


def compared(rounds: Sequence[tuple[Figures, Figures]]) -> dict[str, Compared]:
    """Each figure, over rounds in which both were measured in turn."""
    return {
        name: Compared(
            median(one[name] for one, _ in rounds),
            median(other[name] for _, other in rounds),
            median(other[name] / one[name] for one, other in rounds),
        )
        for name in rounds[0][0]
    }


def percentile_99(values: Sequence[float]) -> float:
    """Of two or more; never beyond the largest."""
    return quantiles(values, n=100, method="inclusive")[98]


def milliseconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def processor_seconds(pid: int) -> float:
    """What a process has taken, with the commands that it ran and that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS
