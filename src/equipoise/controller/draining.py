"""Ends the connections of members that were removed from TCP pools: at once, or when their time is over.

The level is compared: what is to end, and when, is in the database, so that a restart in the middle loses nothing.
When to cut is decided here; how a connection is found and cut is the data plane's business.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from equipoise.store import draining
from equipoise.store.database import Database, StoreUnavailable

_log = structlog.get_logger("equipoise.draining")

_LOOK_SECONDS: Final = 1.0

AFTERWARDS: Final = 6_000
"""Milliseconds for which connections are looked for after the end: one that was being opened to the member when it
was removed may come about until Envoy gives up, after 5 s (`backends.envoy.build.clusters`)."""


class Cutter(Protocol):
    """What cuts connections; `equipoise.node.cutting.EnvoyCutter` is it."""

    def unavailable_reason(self) -> str | None:
        """Why nothing can be cut, None if it can."""

    async def cut(self, pool_id: str, addresses: Collection[str]) -> int:
        """Cut; returns how many. Raises ProcessLookupError without a data plane, OSError if it is not allowed."""


@dataclass(frozen=True, slots=True)
class Unkept:
    """A removal whose connections cannot be ended when they should, and why, for people."""

    job_id: str
    reason: str


class Draining:
    """Ends connections when it is time. `failed` tells of a defect in its own task."""

    def __init__(self, database: Database, cutter: Cutter) -> None:
        self._database = database
        self._cutter = cutter
        # Load balancers with removals that are not confirmed: only these are looked at when something is confirmed.
        self._unconfirmed: set[str] = set()
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, with what an earlier process left."""
        self._looking = asyncio.create_task(self._look_forever(), name="draining")

    async def failed(self) -> None:
        """Return only by raising: what ended the task."""
        if self._looking is not None:
            await self._looking

    async def stop(self) -> None:
        """Stop; what has not ended yet ends after the next start."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def expect(self, load_balancer_ids: Iterable[str]) -> None:
        """These have removals that the data plane is about to be told of."""
        self._unconfirmed.update(load_balancer_ids)

    async def removals_confirmed(self, generations: Mapping[str, int]) -> Sequence[Unkept]:
        """End what ends with its removal: no new connection can come, and the job has not succeeded yet.

        Returns the removals that promise what this machine does not allow.
        """
        looked_at = self._unconfirmed & generations.keys()
        if not looked_at:
            return []
        # What begins while it is read counts again.
        self._unconfirmed -= looked_at
        try:
            waiting = await self._database.read(lambda connection: draining.unconfirmed(connection, looked_at))
        except StoreUnavailable as error:
            _log.error("database_unavailable", reason=str(error), effect="connections are cut a little later")
            return []
        self._unconfirmed |= {each.load_balancer_id for each in waiting}
        confirmed = [each for each in waiting if each.generation <= generations[each.load_balancer_id]]
        unavailable_reason = self._cutter.unavailable_reason()
        if unavailable_reason is not None:
            return [Unkept(job_id, unavailable_reason) for job_id in dict.fromkeys(each.job_id for each in confirmed)]
        now = self._database.now()
        addresses: defaultdict[str, set[str]] = defaultdict(set)
        for each in confirmed:
            if each.ends_at <= now:
                addresses[each.pool_id].add(each.address)
        try:
            await self._cut(addresses)
        except OSError as error:
            _log.warning("connections_not_cut_yet", reason=str(error))
        return []

    async def look(self) -> None:
        """End what is to end by now, and forget what ended long enough ago."""
        now = self._database.now()
        if not await self._database.read(lambda connection: draining.any_ended(connection, now)):
            return
        try:
            await self._cut(await self._database.read(lambda connection: draining.due(connection, now)))
        except ProcessLookupError:
            # The data plane is about to start; it may be one that an earlier service left with its connections.
            return
        except OSError as error:
            _log.warning("connections_not_cut", reason=str(error))
        await self._database.write(lambda tx: draining.forget(tx.connection, now - AFTERWARDS))

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.error("database_unavailable", reason=str(error), retry_in=_LOOK_SECONDS)

    async def _cut(self, addresses: Mapping[str, Collection[str]]) -> None:
        for pool_id, each in addresses.items():
            count = await self._cutter.cut(pool_id, each)
            if count:
                _log.info("connections_cut", listener_id=pool_id, members=sorted(each), connections=count)
