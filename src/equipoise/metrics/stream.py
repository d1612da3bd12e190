"""Counts what passes on the control stream of each node, and how far it is behind."""

import time
from collections.abc import Iterable, Iterator

from equipoise.backends.envoy.build.type_urls import NAMES
from equipoise.backends.envoy.xds.observer import StreamWatcher
from equipoise.metrics import families
from equipoise.metrics.exposition import Counts, Durations


class StreamFigures(StreamWatcher):
    """The `StreamWatcher` of the control stream."""

    def __init__(self) -> None:
        self._pushes = Counts(families.PUSHES)
        self._resources = Counts(families.RESOURCES)
        self._acks = Counts(families.ACKS)
        self._refusals = Counts(families.REFUSALS)
        self._answers = Durations(families.ACK_TIME)
        self._connected: dict[str, bool] = {}
        # Since when each load balancer is behind, oldest first, by node; seconds of the monotonic clock.
        self._behind: dict[str, dict[str, float]] = {}
        self._sent: dict[tuple[str, str], float] = {}

    def connected(self, node_id: str, load_balancer_ids: Iterable[str]) -> None:
        """A stream began; of what is desired nothing is confirmed on it yet."""
        self._connected[node_id] = True
        self._behind[node_id] = dict.fromkeys(load_balancer_ids, time.monotonic())
        self._sent = {key: moment for key, moment in self._sent.items() if key[0] != node_id}

    def disconnected(self, node_id: str) -> None:
        """The stream ended."""
        self._connected[node_id] = False

    def published(self, load_balancer_ids: Iterable[str]) -> None:
        """These have a newer state than the nodes."""
        now = time.monotonic()
        ids = list(load_balancer_ids)
        for behind in self._behind.values():
            for id in ids:
                behind.setdefault(id, now)

    def confirmed(self, node_id: str, load_balancer_ids: Iterable[str]) -> None:
        """The node has the newest state of these, or they are gone."""
        behind = self._behind.get(node_id, {})
        for id in load_balancer_ids:
            behind.pop(id, None)

    def pushed(self, node_id: str, type_url: str, nonce: str, resources: int) -> None:
        """A message of so many resources and removals was handed to the stream."""
        self._pushes.add(node_id, NAMES[type_url])
        self._resources.add(node_id, NAMES[type_url], by=resources)
        self._sent[node_id, nonce] = time.monotonic()

    def answered(self, node_id: str, type_url: str, nonce: str, *, accepted: bool) -> None:
        """The node answered a message; what else it says is passed here too and does not count."""
        sent = self._sent.pop((node_id, nonce), None)
        if sent is not None:
            (self._acks if accepted else self._refusals).add(node_id, NAMES[type_url])
            self._answers.add(node_id, seconds=time.monotonic() - sent)

    def lines(self) -> Iterator[str]:
        """All about the stream."""
        now = time.monotonic()
        yield from families.CONNECTED.lines(((node,), is_open) for node, is_open in self._connected.items())
        for each in (self._pushes, self._resources, self._acks, self._refusals, self._answers):
            yield from each.lines()
        yield from families.BEHIND.lines(((node,), len(behind)) for node, behind in self._behind.items())
        oldest = {node: next(iter(behind.values()), now) for node, behind in self._behind.items()}
        yield from families.LAG.lines(((node,), now - moment) for node, moment in oldest.items())
