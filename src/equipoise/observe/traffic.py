"""Samples the traffic of load balancers on this machine's node and writes it down; `traffic_reading` says what counts.

A sample is observed data: it stands in the store for whoever is asked, and the next one takes its place.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from equipoise.dataplane.admin import AdminUnavailableError, EnvoyAdmin
from equipoise.dataplane.packets import PacketCounter, Packets
from equipoise.domain.traffic import Traffic
from equipoise.observe.traffic_reading import Figures, from_statistics, since, together
from equipoise.store import traffic
from equipoise.store.database import Database, StoreUnavailable, Transaction
from equipoise.store.traffic import Place

_log = structlog.get_logger("equipoise.traffic")


@dataclass(frozen=True, slots=True)
class _Look:
    """What was counted at one moment (seconds of the monotonic clock), by listener."""

    moment: float
    figures: Mapping[str, Figures]


class TrafficObserver:
    """Looks every `interval` seconds; a rate is over the time between two looks."""

    def __init__(
        self, database: Database, admin: EnvoyAdmin, packets: PacketCounter, node_id: str, interval: float
    ) -> None:
        self._database = database
        self._admin = admin
        self._packets = packets
        self._node_id = node_id
        self._interval = interval
        self._last: _Look | None = None
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
                _log.warning("traffic not written", cause=str(error))
            await asyncio.sleep(self._interval)

    async def _look(self) -> None:
        places = await self._database.read(traffic.places)
        await self._packets.follow(place.counted for place in places.values())
        look = await self._count(places)
        last, self._last = self._last, look
        # Without an earlier look there is no time over which to tell a rate.
        samples = [] if look is None or last is None else _samples(places, last, look, self._database.now())
        if samples or self._something_written:
            await self._database.write(partial(_write, node_id=self._node_id, samples=samples))
            self._something_written = bool(samples)

    async def _count(self, places: Mapping[str, Place]) -> _Look | None:
        try:
            text = await self._admin.read("/stats?usedonly")
        except AdminUnavailableError as error:
            _log.info("traffic unknown", reason=str(error))
            return None
        moment = time.monotonic()
        figures = from_statistics(text)
        if not figures:
            return _Look(moment, {})
        packets = await self._packets.read()
        return _Look(moment, {id: _with_packets(each, places.get(id), packets) for id, each in figures.items()})


def _with_packets(figures: Figures, place: Place | None, packets: Packets) -> Figures:
    in_packets, out_packets = (0, 0) if place is None else packets.get(place.counted, (0, 0))
    return figures._replace(in_packets=in_packets, out_packets=out_packets)


def _samples(places: Mapping[str, Place], last: _Look, look: _Look, now: int) -> Sequence[Traffic]:
    """One for each load balancer that had traffic or has connections."""
    seconds = look.moment - last.moment
    of_load_balancer: defaultdict[str, list[Figures]] = defaultdict(list)
    for listener, figures in look.figures.items():
        if listener in places:
            passed = since(last.figures.get(listener, Figures()), figures)
            of_load_balancer[places[listener].load_balancer_id].append(passed)
    found = (_sample(id, together(each), seconds, now) for id, each in of_load_balancer.items())
    return [sample for sample in found if sample != Traffic(sample.load_balancer_id, now)]


def _sample(load_balancer_id: str, figures: Figures, seconds: float, now: int) -> Traffic:
    def rate(counted: int) -> int:
        return round(counted / seconds)

    return Traffic(
        load_balancer_id=load_balancer_id,
        time=now,
        act_conn=figures.active,
        inact_conn=figures.idle,
        ncps=rate(figures.connections),
        in_packets=rate(figures.in_packets),
        out_packets=rate(figures.out_packets),
        in_bytes=rate(figures.in_bytes),
        out_bytes=rate(figures.out_bytes),
    )


def _write(tx: Transaction, node_id: str, samples: Sequence[Traffic]) -> None:
    traffic.replace_samples(tx.connection, node_id, samples)
