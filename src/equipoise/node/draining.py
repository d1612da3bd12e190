"""Ends the connections of members that were removed from TCP pools: at once, or when their time is over.

What is to end, and when, is told with the state of a load balancer, as long as the controller knows of it: so a restart
in the middle loses nothing. How a connection is found and cut is told in `cutting`.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from equipoise.node.progress import NOTHING
from equipoise.proxy.link import Member, Removal, Shortfall, ShortfallKind

_log = structlog.get_logger("equipoise.draining")

_LOOK_SECONDS: Final = 1.0

AFTERWARDS: Final = 6.0
"""Seconds for which connections are looked for after the end: one that was being opened to the member when it was
removed may come about until Envoy gives up, after 5 s (`backends.envoy.build.clusters`)."""


class Cutter(Protocol):
    """What cuts connections; `equipoise.node.cutting.EnvoyCutter` is it."""

    def unavailable_reason(self) -> str | None:
        """Why nothing can be cut, None if it can."""

    async def cut(self, pool_id: str, addresses: Collection[str]) -> int:
        """Cut; returns how many. Raises ProcessLookupError without a proxy, OSError if it is not allowed."""


@dataclass(slots=True)
class _Ending:
    """Of one removed member, by the clock of `Draining`: when its connections end, and since when the removal is known
    to be in force, None: it is not. From then on no new connection can come."""

    generation: int
    ends_at: float
    in_force_since: float | None

    def is_due(self, now: float) -> bool:
        return self.in_force_since is not None and self.ends_at <= now

    def is_over(self, now: float) -> bool:
        """Whether no connection can be left. One that ended while nobody was here to cut has its time from now on."""
        return self.in_force_since is not None and max(self.ends_at, self.in_force_since) + AFTERWARDS <= now


class Draining:
    """Ends connections when it is time. `failed` tells of a defect in its own task.

    Args:
        clock: tells seconds that only ever rise.
    """

    def __init__(self, cutter: Cutter, clock: Callable[[], float] = time.monotonic) -> None:
        self._cutter = cutter
        self._clock = clock
        self._endings: dict[str, dict[Member, _Ending]] = {}
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, on the running event loop."""
        self._looking = asyncio.create_task(self._look_forever(), name="draining")

    async def failed(self) -> None:
        """Return only by raising: what ended the task."""
        if self._looking is not None:
            await asyncio.shield(self._looking)

    async def stop(self) -> None:
        """Stop; what has not ended yet ends after the next start."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def expect(self, load_balancer_id: str, removals: Sequence[Removal], in_force: int = NOTHING) -> None:
        """From now on these are the removals of a load balancer, of which that generation is in force."""
        before = self._endings.pop(load_balancer_id, {})
        now = self._clock()
        endings = {}
        for pool_id, address, generation, ends_in in removals:
            known = before.get((pool_id, address))
            since = known.in_force_since if known is not None and known.generation == generation else None
            if since is None and generation <= in_force:
                since = now
            endings[pool_id, address] = _Ending(generation, now + ends_in, since)
        if endings:
            self._endings[load_balancer_id] = endings

    def forget(self, load_balancer_ids: Iterable[str]) -> None:
        """These load balancers do not exist any more."""
        for id in load_balancer_ids:
            self._endings.pop(id, None)

    async def confirmed(self, generations: Mapping[str, int]) -> Shortfall | None:
        """End what ends with its removal: no new connection can come, and nobody was told yet that it is in force.

        Returns what cannot be ended on this machine.
        """
        ids = [id for id in generations if self._confirm(id, generations[id])]
        if not ids:
            return None
        reason = self._cutter.unavailable_reason()
        if reason is not None:
            _log.warning("connections_not_cut", load_balancer_ids=ids, reason=reason)
            return Shortfall(ShortfallKind.CONNECTIONS, reason, frozenset(ids))
        try:
            await self._cut(self._due(ids))
        except OSError as error:
            _log.warning("connections_not_cut_yet", reason=str(error))
        return None

    def _confirm(self, load_balancer_id: str, generation: int) -> bool:
        """Whether that confirms a removal."""
        found = False
        for ending in self._endings.get(load_balancer_id, {}).values():
            if ending.in_force_since is None and ending.generation <= generation:
                ending.in_force_since = self._clock()
                found = True
        return found

    async def look(self) -> None:
        """End what is to end by now, and forget what ended long enough ago."""
        # The process may be paused while it cuts: what is over only since then has not been cut.
        now = self._clock()
        try:
            await self._cut(self._due(self._endings))
        except ProcessLookupError:
            # The proxy is about to start; it may be one that an earlier service left with its connections.
            return
        except OSError as error:
            _log.warning("connections_not_cut", reason=str(error))
        for id in list(self._endings):
            remaining = {member: ending for member, ending in self._endings[id].items() if not ending.is_over(now)}
            if remaining:
                self._endings[id] = remaining
            else:
                del self._endings[id]

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self.look()

    def _due(self, load_balancer_ids: Iterable[str]) -> Iterator[Member]:
        now = self._clock()
        for id in load_balancer_ids:
            for member, ending in self._endings[id].items():
                if ending.is_due(now):
                    yield member

    async def _cut(self, those: Iterable[Member]) -> None:
        addresses: defaultdict[str, set[str]] = defaultdict(set)
        for pool_id, address in those:
            addresses[pool_id].add(address)
        for pool_id, each in addresses.items():
            count = await self._cutter.cut(pool_id, each)
            if count:
                _log.info("connections_cut", listener_id=pool_id, members=sorted(each), connections=count)
