"""Timing, and what is made of many timings."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Self


@dataclass(frozen=True, slots=True)
class Summary:
    """Milliseconds of many repetitions."""

    count: int
    median: float
    p90: float
    least: float
    most: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Self:
        """Of two or more."""
        return cls(
            count=len(milliseconds),
            median=median(milliseconds),
            p90=quantiles(milliseconds, n=10)[8],
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


def milliseconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
