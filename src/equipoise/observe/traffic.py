"""Samples the traffic of load balancers on this machine's node and writes it down; `traffic_reading` says what counts.

A sample is observed data: it stands in the store for whoever is asked, and the next one takes its place. What was
counted in all is not stored: whoever counts on (`Look`) is told of it at each look.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import structlog

from equipoise.core.traffic import Traffic
from equipoise.node.admin import AdminUnavailableError, EnvoyAdmin
from equipoise.node.packets import CountedAddress, PacketCounter, Packets
from equipoise.observe.health_reading import Member
from equipoise.observe.totals import Totals
from equipoise.observe.traffic_reading import (
    Listener,
    ListenerCounts,
    MemberCounts,
    MemberStatistics,
    Statistics,
    together,
)
from equipoise.store import inventory, traffic
from equipoise.store.database import Database, StoreUnavailable, Transaction

_log = structlog.get_logger("equipoise.traffic")

_UDP: Final = "UDP"


class Look(NamedTuple):
    """What was seen at one moment (milliseconds since 1970), and added up since the service was started.

    Not `is_up`: Envoy did not answer, and what it holds now is not known.
    """

    moment: int
    inventory: inventory.Inventory
    listeners: Mapping[Listener, ListenerCounts]
    members: Mapping[Member, MemberCounts]
    is_up: bool
    packets_are_counted: bool


@dataclass(frozen=True, slots=True)
class _Count:
    """What was counted at one moment (seconds of the monotonic clock), by listener and by member."""

    moment: float
    counts: Mapping[Listener, ListenerCounts]
    members: Mapping[Member, MemberCounts]


class TrafficObserver:
    """Looks every `interval` seconds; a rate is over the time between two looks. `on_look` is told of each."""

    def __init__(
        self,
        database: Database,
        admin: EnvoyAdmin,
        packets: PacketCounter,
        node_id: str,
        interval: float,
        on_look: Callable[[Look], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._admin = admin
        self._packets = packets
        self._node_id = node_id
        self._interval = interval
        self._on_look = on_look
        self._totals = Totals()
        # When the last look was, if Envoy answered.
        self._last: float | None = None
        # What an earlier process wrote counts as something to take back.
        self._something_written = True
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, on the running event loop."""
        self._looking = asyncio.create_task(self._look_forever(), name="traffic")

    async def stop(self) -> None:
        """Stop; the last sample stays until it is too old to count."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look_forever(self) -> None:
        while True:
            try:
                await self._look()
            except StoreUnavailable as error:
                _log.warning("traffic_not_written", reason=str(error))
            await asyncio.sleep(self._interval)

    async def _look(self) -> None:
        there = await self._database.read(inventory.everything)
        addresses = {each.id: _address(each) for each in there.listeners}
        await self._packets.follow(addresses.values())
        count = await self._count(addresses)
        samples = self._compare(there, count)
        self._on_look(
            Look(
                self._database.now(),
                there,
                self._totals.listeners,
                self._totals.members,
                is_up=count is not None,
                packets_are_counted=self._packets.is_counting,
            )
        )
        if samples or self._something_written:
            await self._database.write(partial(_write, node_id=self._node_id, samples=samples))
            self._something_written = bool(samples)

    def _compare(self, there: inventory.Inventory, count: _Count | None) -> Sequence[Traffic]:
        """Add what was counted, and return what was carried since the last look."""
        last, self._last = self._last, None
        if count is None:
            return []
        self._last = count.moment
        listeners = [each.id for each in there.listeners]
        members = [(each.pool_id, each.address) for each in there.members]
        passed = self._totals.take(count.counts, count.members, listeners, members)
        # Without an earlier look there is no time over which to tell a rate.
        return [] if last is None else _samples(there.listeners, passed, count.moment - last, self._database.now())

    async def _count(self, addresses: Mapping[str, CountedAddress]) -> _Count | None:
        try:
            statistics, members = Statistics(), MemberStatistics()
            async for piece in self._admin.pieces("/stats?usedonly&format=prometheus"):
                statistics.add(piece)
            moment = time.monotonic()
            async for piece in self._admin.pieces("/clusters"):
                members.add(piece)
        except AdminUnavailableError as error:
            _log.info("traffic_unknown", reason=str(error))
            return None
        counts = statistics.counts()
        if not counts:
            return _Count(moment, {}, members.counts())
        packets = await self._packets.read()
        with_packets = {id: _with_packets(each, addresses.get(id), packets) for id, each in counts.items()}
        return _Count(moment, with_packets, members.counts())


def _address(listener: inventory.ListenerLabels) -> CountedAddress:
    return listener.address, "udp" if listener.protocol == _UDP else "tcp", listener.port


def _with_packets(counts: ListenerCounts, address: CountedAddress | None, packets: Packets) -> ListenerCounts:
    in_packets, out_packets = (0, 0) if address is None else packets.get(address, (0, 0))
    return counts._replace(in_packets=in_packets, out_packets=out_packets)


def _samples(
    listeners: Iterable[inventory.ListenerLabels], passed: Mapping[Listener, ListenerCounts], seconds: float, now: int
) -> Sequence[Traffic]:
    """One for each load balancer that had traffic or has connections."""
    of_load_balancer: defaultdict[str, list[ListenerCounts]] = defaultdict(list)
    for listener in listeners:
        if listener.id in passed:
            of_load_balancer[listener.load_balancer_id].append(passed[listener.id])
    found = (_sample(id, together(each), seconds, now) for id, each in of_load_balancer.items())
    return [sample for sample in found if sample != Traffic(sample.load_balancer_id, now)]


def _sample(load_balancer_id: str, counts: ListenerCounts, seconds: float, now: int) -> Traffic:
    def rate(counted: int) -> int:
        return round(counted / seconds)

    return Traffic(
        load_balancer_id=load_balancer_id,
        time=now,
        act_conn=counts.active,
        inact_conn=counts.idle,
        ncps=rate(counts.connections),
        in_packets=rate(counts.in_packets),
        out_packets=rate(counts.out_packets),
        in_bytes=rate(counts.in_bytes),
        out_bytes=rate(counts.out_bytes),
    )


def _write(tx: Transaction, node_id: str, samples: Sequence[Traffic]) -> None:
    traffic.replace_samples(tx.connection, node_id, samples)
