"""Writes down what nodes see of members' health and of traffic. The last word counts, and nobody waits for it."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from equipoise.core.traffic import Traffic
from equipoise.proxy.link import HealthSeen, Member, TrafficSeen
from equipoise.store import members, nodes, traffic
from equipoise.store.database import Database, StoreUnavailable, Transaction
from equipoise.store.nodes import SessionLostError

_log = structlog.get_logger("equipoise.controller")

_RETRY_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Pending:
    """What one node has seen in one session and is not written yet."""

    by_proxy: dict[Member, bool] = field(default_factory=dict)
    over_udp: dict[Member, bool] = field(default_factory=dict)
    samples: list[Traffic] | None = None


class Reports:
    """What is said during a write goes into the next one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: dict[tuple[str, int], _Pending] = {}
        self._something_pending = asyncio.Event()

    def take(self, node_id: str, report: HealthSeen | TrafficSeen) -> None:
        """Note what a node has seen."""
        pending = self._pending.setdefault((node_id, report.session), _Pending())
        match report:
            case HealthSeen(_, over_udp, seen):
                (pending.over_udp if over_udp else pending.by_proxy).update(seen)
            case TrafficSeen(_, samples):
                pending.samples = list(samples)
        self._something_pending.set()

    async def run(self) -> None:
        """Write down what is noted, for ever."""
        while True:
            await self._something_pending.wait()
            self._something_pending.clear()
            pending, self._pending = self._pending, {}
            written = [await self._write(node_id, session, seen) for (node_id, session), seen in pending.items()]
            if not all(written):
                await asyncio.sleep(_RETRY_SECONDS)

    async def _write(self, node_id: str, session: int, seen: _Pending) -> bool:
        """Whether it needs not be tried again."""

        def write(tx: Transaction) -> None:
            nodes.check(tx.connection, node_id, session)
            if seen.by_proxy:
                members.observe_health(tx, seen.by_proxy)
            if seen.over_udp:
                members.observe_health_over_udp(tx.connection, seen.over_udp)
            if seen.samples is not None:
                samples = [each._replace(time=tx.now) for each in seen.samples]
                traffic.replace_samples(tx.connection, node_id, samples)

        try:
            await self._database.write(write)
        except SessionLostError:
            # The node says hello again, and then what it sees.
            _log.debug("report_dropped", node_id=node_id, session=session)
        except StoreUnavailable as error:
            _log.error("report_not_written", node_id=node_id, reason=str(error), retry_in=_RETRY_SECONDS)
            self._keep(node_id, session, seen)
            return False
        return True

    def _keep(self, node_id: str, session: int, seen: _Pending) -> None:
        """What was said since is newer and wins."""
        newer = self._pending.get((node_id, session), _Pending())
        seen.by_proxy |= newer.by_proxy
        seen.over_udp |= newer.over_udp
        seen.samples = seen.samples if newer.samples is None else newer.samples
        self._pending[node_id, session] = seen
        self._something_pending.set()
