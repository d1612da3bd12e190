"""The text format of Prometheus, version 0.0.4: how families and samples are written. What they are is in `families`.

Not the library `prometheus_client`: it takes 20 µs for a sample, 0.6 s of the event loop for 1,000 load balancers,
where lines whose labels are kept take some 20 ms; tests read the page with that library.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Family:
    """All samples of one name. `help` is for people; times are in seconds, sizes in bytes.

    `bounds` are the upper ones of the buckets of a histogram, in ascending order.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    bounds: tuple[float, ...] = ()

    def head(self) -> str:
        """The lines before its samples."""
        return f"# HELP {self.name} {self.help}\n# TYPE {self.name} {self.kind}\n"

    def of(self, values: Sequence[str]) -> str:
        """What comes after the name, for these values of its labels: `{node="local"}`."""
        return f"{{{pairs(self.labels, values)}}}" if self.labels else ""

    def lines(self, samples: Iterable[tuple[Sequence[str], float]]) -> Iterator[str]:
        """All of a family without buckets: the values of labels, then the value of the sample."""
        yield self.head()
        for values, value in samples:
            yield f"{self.name}{self.of(values)} {number(value)}\n"


def pairs(names: Sequence[str], values: Sequence[str]) -> str:
    """Labels as they stand between braces."""
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)])


def _escaped(value: str) -> str:
    # A fifth of the time that `str.translate` takes, which is felt: a page has tens of thousands of values.
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def number(value: float) -> str:
    """The shortest text that is read as the same number."""
    return repr(int(value)) if value == int(value) else repr(value)


class Counts:
    """A counter for each combination of labels that has come up."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, by: float = 1) -> None:
        self._values[labels] = self._values.get(labels, 0) + by

    def lines(self) -> Iterator[str]:
        return self._family.lines(self._values.items())


class Durations:
    """A histogram of seconds for each combination of labels that has come up."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._buckets: defaultdict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * (len(family.bounds) + 1))
        self._seconds: defaultdict[tuple[str, ...], float] = defaultdict(float)

    def add(self, *labels: str, seconds: float) -> None:
        self._buckets[labels][bisect_left(self._family.bounds, seconds)] += 1
        self._seconds[labels] += seconds

    def lines(self) -> Iterator[str]:
        yield self._family.head()
        for labels, buckets in self._buckets.items():
            seen, counted = 0, []
            for bucket in buckets:
                seen += bucket
                counted.append(seen)
            known = pairs(self._family.labels, labels)
            yield from histogram(self._family, known, counted[:-1], seen, self._seconds[labels])


def histogram(family: Family, labels: str, within: Sequence[int], count: int, total: float) -> Iterator[str]:
    """The lines of one histogram.

    Args:
        labels: as `pairs` gives them.
        within: for each bound how many kept it; cumulative.
        total: the sum of all that was observed.
    """
    before = f"{labels}," if labels else ""
    for bound, kept in zip(family.bounds, within, strict=True):
        yield f'{family.name}_bucket{{{before}le="{bound:g}"}} {kept}\n'
    yield f'{family.name}_bucket{{{before}le="+Inf"}} {count}\n'
    yield f"{family.name}_sum{{{labels}}} {number(total)}\n{family.name}_count{{{labels}}} {count}\n"
