"""Keeps the kernel's limits equal to the bandwidths of load balancers, and knows whether they are in force.

What the rules look like is in `equipoise.node.nftables`. The rules stay when the service is killed, as the
traffic does, and the next service of the same data directory takes their place.
"""

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Final

import structlog

from equipoise.node import nft_reading, nftables
from equipoise.node.nft import KernelRefusedError, carry_out
from equipoise.node.nftables import Limit
from equipoise.proxy.model import ProxyLoadBalancer

log = structlog.get_logger("equipoise.bandwidth")

_LOOK_SECONDS: Final = 5.0
"""How long a table that somebody else removed (by loading a firewall anew, for example) may be missing."""


class BandwidthEnforcer:
    """The limits of one service.

    Args:
        instance: what tells the table of this service from those of others; letters and digits.
        enabled: False never touches the kernel.
    """

    def __init__(self, instance: str, *, enabled: bool = True) -> None:
        self._table = f"equipoise_{instance}"
        self._unavailable_reason = None if enabled else "it is switched off by the setting bandwidth.enforcement"
        self._may = enabled
        self._wanted: dict[str, Limit] = {}
        # What the table holds; None while that is unknown.
        self._held: dict[str, Limit] | None = None
        self._ready = False
        self._one_at_a_time = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None

    @property
    def table(self) -> str:
        """Name of the table, of family ip."""
        return self._table

    @property
    def unavailable_reason(self) -> str | None:
        """Why limits are not in force, as a part of a sentence; None when they are."""
        return self._unavailable_reason

    async def start(self) -> None:
        """Find out whether limits can be put in force here. Does not touch those that a killed service left."""
        if self._may:
            try:
                await carry_out(nftables.trial(f"{self._table}_trial"))
            except KernelRefusedError as error:
                self._may = False
                self._unavailable_reason = str(error)
        if not self._may:
            log.warning(
                "bandwidth_not_limited",
                reason=self._unavailable_reason,
                effect="External load balancers serve without limit; jobs that create or update one carry a warning",
            )

    async def apply(self, load_balancers: Iterable[ProxyLoadBalancer], gone: Iterable[str] = ()) -> None:
        """Put the limits of these load balancers in force before returning; from `ready` on.

        Never raises: `unavailable_reason` tells how it went. What went wrong is tried again, with the rest, at the
        next call.
        """
        async with self._one_at_a_time:
            touched = set(gone)
            for id in touched:
                self._wanted.pop(id, None)
            for load_balancer in load_balancers:
                id = load_balancer.load_balancer_id
                touched.add(id)
                limit = nftables.limit_of(load_balancer)
                if limit is None:
                    self._wanted.pop(id, None)
                else:
                    self._wanted[id] = limit
            if self._ready:
                await self._level(touched)

    async def ready(self) -> None:
        """All load balancers are known: replace what a killed service left, and keep the table there from now on."""
        async with self._one_at_a_time:
            self._ready = True
            await self._level(())
        if self._may:
            self._looking = asyncio.create_task(self._look_forever(), name="bandwidth")

    async def stop(self) -> None:
        """Stop looking after the table; it stays."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def remove(self) -> None:
        """Take all limits away, for good. For when the traffic has ended.

        The controller still follows what happens, the end of the node among it: nothing may put them in force again.
        """
        async with self._one_at_a_time:
            if not self._may or not self._ready:
                return
            self._ready = False
            try:
                await carry_out(nftables.removal(self._table))
            except KernelRefusedError as error:
                log.error("bandwidth_table_left", table=self._table, reason=str(error))

    async def _level(self, touched: Collection[str]) -> None:
        if not self._may:
            return
        if self._held is None or not await self._change(self._held, touched):
            await self._load()

    async def _change(self, held: dict[str, Limit], touched: Collection[str]) -> bool:
        """Bring the limits of these load balancers up to date; False when the table is not as it should be."""
        text = nftables.difference(self._table, [(held.get(id), self._wanted.get(id)) for id in touched])
        if text and not await _succeeds(text):
            return False
        for id in touched:
            held.pop(id, None)
            if id in self._wanted:
                held[id] = self._wanted[id]
        return True

    async def _load(self) -> None:
        """Put the whole table in place, whatever is there."""
        self._held = None
        try:
            await carry_out(nftables.whole(self._table, self._wanted.values()))
        except KernelRefusedError as error:
            if self._unavailable_reason != str(error):
                self._unavailable_reason = str(error)
                log.error("bandwidth_not_limited", reason=self._unavailable_reason, table=self._table)
            return
        self._held = dict(self._wanted)
        if self._unavailable_reason is not None:
            self._unavailable_reason = None
            log.info("bandwidth_limited_again", table=self._table)

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            async with self._one_at_a_time:
                if self._ready and not await self._is_there():
                    log.warning("bandwidth_table_missing", table=self._table, effect="it is loaded again")
                    await self._load()

    async def _is_there(self) -> bool:
        try:
            return nft_reading.has_chain(self._table, nftables.CHAIN)
        except OSError:
            # The right to use nftables may be that of the command, and not ours.
            return await _succeeds(nftables.presence(self._table))


async def _succeeds(text: str) -> bool:
    try:
        await carry_out(text)
    except KernelRefusedError:
        return False
    return True
