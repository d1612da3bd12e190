"""The whole page of metrics, put together when it is asked for. Nobody who collects waits for it."""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version

from equipoise.metrics import families, process
from equipoise.metrics.jobs import JobFigures
from equipoise.metrics.stream import StreamFigures
from equipoise.metrics.traffic import TrafficMetrics


class MetricsPage:
    """Holds who counts.

    Args:
        node_id: the node in this process; None: there is none.
        envoy_pid: tells the process of its Envoy, if one runs.
        shortages: tells how many times its descriptors ran short.
    """

    def __init__(
        self,
        node_id: str | None = None,
        envoy_pid: Callable[[], int | None] = lambda: None,
        shortages: Callable[[], int] = lambda: 0,
    ) -> None:
        self._node_id = node_id
        self._envoy_pid = envoy_pid
        self._shortages = shortages
        self.jobs = JobFigures()
        self.stream = StreamFigures()
        self.traffic = TrafficMetrics()

    def lines(self, unfinished: Mapping[tuple[str, str], int] | None) -> Iterator[str]:
        """The page, some lines at a time.

        Args:
            unfinished: the numbers of jobs by type and state; None: the database does not answer.
        """
        yield from families.BUILD.lines([((version("equipoise"),), 1)])
        yield from process.of_service()
        if self._node_id is not None:
            up = self.traffic.is_up
            yield from families.ENVOY_UP.lines([] if up is None else [((self._node_id,), up)])
            yield from process.of_envoy(self._node_id, self._envoy_pid(), self._shortages())
        yield from families.DATABASE_UP.lines([((), unfinished is not None)])
        yield from self.jobs.lines(unfinished or {})
        yield from self.stream.lines()
        yield from self.traffic.lines()
