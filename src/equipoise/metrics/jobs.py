"""Counts the jobs that this process moved, by type and state. What is unfinished is asked of the store."""

from collections.abc import Iterable, Iterator, Mapping

from equipoise.core.jobs import UNFINISHED, JobStatus, JobType
from equipoise.metrics import families
from equipoise.metrics.exposition import Counts, Durations
from equipoise.store.events import Event, JobMoved

_ENDS = frozenset({JobStatus.SUCCESS, JobStatus.FAIL})


class JobFigures:
    """Hears of each commit (`Database.on_commit`). Sub-jobs are not counted: they go with their job."""

    def __init__(self) -> None:
        self._moved = Counts(families.JOBS_TOTAL)
        self._durations = Durations(families.JOB_DURATION)

    def follow(self, events: Iterable[Event]) -> None:
        """Count what moved."""
        for event in events:
            if isinstance(event, JobMoved):
                labels = event.job_type.value, event.status.value
                self._moved.add(*labels)
                if event.status in _ENDS:
                    self._durations.add(*labels, seconds=event.elapsed / 1000)

    def lines(self, unfinished: Mapping[tuple[str, str], int]) -> Iterator[str]:
        """All about jobs. `unfinished` are the numbers of jobs by type and state."""
        every = ((job_type.value, status.value) for job_type in JobType for status in UNFINISHED)
        yield from families.JOBS.lines((labels, unfinished.get(labels, 0)) for labels in every)
        yield from self._moved.lines()
        yield from self._durations.lines()
