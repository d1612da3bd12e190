"""Samples the traffic of the load balancers of a node; `traffic_reading` says what counts.

A sample tells of the time since the one before. What was counted in all is told at each look (`Look`).
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from equipoise.core.traffic import Traffic
from equipoise.node.admin import AdminUnavailableError, EnvoyAdmin
from equipoise.node.packets import CountedAddress, PacketCounter, Packets
from equipoise.node.telemetry.served import Served, ServedListener
from equipoise.node.telemetry.totals import Totals
from equipoise.node.telemetry.traffic_reading import (
    Listener,
    ListenerCounts,
    MemberCounts,
    MemberStatistics,
    Statistics,
    together,
)
from equipoise.proxy.link import Member

_log = structlog.get_logger("equipoise.traffic")

ORIGIN: Final = 0
"""The time of a sample on its way: who stores it knows what time it is for all nodes."""


class Look(NamedTuple):
    """What was seen at one moment (milliseconds since 1970), and added up since the node was started.

    Not `is_up`: Envoy did not answer, and what it holds now is not known.
    """

    moment: int
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


OnLook = Callable[[Look], Awaitable[None]]


async def nobody_looks(_look: Look) -> None:
    """Nobody counts on."""


class TrafficObserver:
    """Looks every `interval` seconds; a rate is over the time between two looks.

    Args:
        served: what there is to count.
        on_samples: told what was carried since the look before, by load balancer; not again that it is nothing.
        on_look: told of each look.
    """

    def __init__(
        self,
        admin: EnvoyAdmin,
        packets: PacketCounter,
        served: Served,
        interval: float,
        on_samples: Callable[[Sequence[Traffic]], None],
        on_look: OnLook = nobody_looks,
    ) -> None:
        self._admin = admin
        self._packets = packets
        self._served = served
        self._interval = interval
        self._on_samples = on_samples
        self._on_look = on_look
        self._totals = Totals()
        # When the last look was, if Envoy answered.
        self._last: float | None = None
        # What an earlier process told counts as something to take back.
        self._something_told = True
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, on the running event loop."""
        self._looking = asyncio.create_task(self._look_forever(), name="traffic")

    async def failed(self) -> None:
        """Return only by raising: what ended the looks. Nothing does but a defect."""
        if self._looking is not None:
            await asyncio.shield(self._looking)

    async def stop(self) -> None:
        """Stop; the last sample stays until it is too old to count."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def tell_again(self) -> None:
        """Whoever is told knows nothing any more."""
        self._something_told = True

    async def _look_forever(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(self._interval)

    async def _look(self) -> None:
        listeners = list(self._served.listeners)
        addresses = {each.id: _address(each) for each in listeners}
        await self._packets.follow(addresses.values())
        count = await self._count(addresses)
        samples = self._compare(listeners, count)
        await self._on_look(
            Look(
                int(time.time() * 1000),
                self._totals.listeners,
                self._totals.members,
                is_up=count is not None,
                packets_are_counted=self._packets.is_counting,
            )
        )
        if samples or self._something_told:
            self._something_told = bool(samples)
            self._on_samples(samples)

    def _compare(self, listeners: Sequence[ServedListener], count: _Count | None) -> Sequence[Traffic]:
        """Add what was counted, and return what was carried since the last look."""
        last, self._last = self._last, None
        if count is None:
            return []
        self._last = count.moment
        idle = set(self._served.idle)
        passed = self._totals.take(
            count.counts,
            count.members,
            [*(each.id for each in listeners), *idle.intersection(self._totals.listeners)],
            [*self._served.members, *(member for member in self._totals.members if member[0] in idle)],
        )
        # Without an earlier look there is no time over which to tell a rate.
        return [] if last is None else _samples(listeners, passed, count.moment - last)

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


def _address(listener: ServedListener) -> CountedAddress:
    transport, address, port = listener.listen_address
    return address, transport.value, port


def _with_packets(counts: ListenerCounts, address: CountedAddress | None, packets: Packets) -> ListenerCounts:
    in_packets, out_packets = (0, 0) if address is None else packets.get(address, (0, 0))
    return counts._replace(in_packets=in_packets, out_packets=out_packets)


def _samples(
    listeners: Iterable[ServedListener], passed: Mapping[Listener, ListenerCounts], seconds: float
) -> Sequence[Traffic]:
    """One for each load balancer that had traffic or has connections."""
    of_load_balancer: defaultdict[str, list[ListenerCounts]] = defaultdict(list)
    for listener in listeners:
        if listener.id in passed:
            of_load_balancer[listener.load_balancer_id].append(passed[listener.id])
    found = (_sample(id, together(each), seconds) for id, each in of_load_balancer.items())
    return [sample for sample in found if sample != Traffic(sample.load_balancer_id, ORIGIN)]


def _sample(load_balancer_id: str, counts: ListenerCounts, seconds: float) -> Traffic:
    def rate(counted: int) -> int:
        return round(counted / seconds)

    return Traffic(
        load_balancer_id=load_balancer_id,
        time=ORIGIN,
        act_conn=counts.active,
        inact_conn=counts.idle,
        ncps=rate(counts.connections),
        in_packets=rate(counts.in_packets),
        out_packets=rate(counts.out_packets),
        in_bytes=rate(counts.in_bytes),
        out_bytes=rate(counts.out_bytes),
    )
