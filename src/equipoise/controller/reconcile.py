"""Keeps what is in force equal to what is desired: load balancers whose generation moved are compiled and applied.

The level is compared, never the edge: a load balancer is applied as a whole, whatever of it has changed.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Final, Protocol

from equipoise.controller import reasons
from equipoise.controller.compile import ProxySettings, Unseal, compile_load_balancer
from equipoise.controller.draining import Draining
from equipoise.controller.patience import PatientDatabase
from equipoise.controller.slow_start import SlowStart
from equipoise.proxy.backend import Backend, Published
from equipoise.proxy.model import ProxyLoadBalancer
from equipoise.store import desired
from equipoise.store.events import Event, HealthMoved, LoadBalancerGone, LoadBalancerMoved
from equipoise.store.feed import NOTHING_SEEN
from equipoise.store.jobs import queries, transitions

BATCH: Final = 256
"""Load balancers compiled in one go: bounds how long other work of the event loop waits."""

LAST_GENERATION: Final = 2**62
"""The generation of a load balancer that no longer exists: above any that it can have had."""


class BandwidthLimits(Protocol):
    """What limits traffic on the node of this process; `equipoise.node.bandwidth.BandwidthEnforcer` is it."""

    @property
    def unavailable_reason(self) -> str | None: ...

    async def apply(self, load_balancers: Iterable[ProxyLoadBalancer], gone: Iterable[str] = ()) -> None: ...

    async def ready(self) -> None: ...


class Reconciler:
    """Applies what moved.

    Args:
        unseal: makes PEM of a private key as it is stored.
        slow_start: tells the shares of members that have come back.
        proxy: what the operator says of all load balancers alike.
        limits: brought up to date before anything is applied, so that what is confirmed is limited, too.
        draining: told of removals before they are published, so that their connections end before they are confirmed.
    """

    def __init__(
        self,
        database: PatientDatabase,
        unseal: Unseal,
        slow_start: SlowStart,
        proxy: ProxySettings,
        limits: BandwidthLimits,
        backend: Backend,
        draining: Draining,
    ) -> None:
        self._database = database
        self._unseal = unseal
        self._slow_start = slow_start
        self._proxy = proxy
        self._limits = limits
        self._backend = backend
        self._draining = draining
        self._moved: set[str] = set()
        # Those of them that have jobs to begin; what moved at another service has its jobs begun there.
        self._with_jobs: set[str] = set()
        self._gone: set[str] = set()
        self._something_moved = asyncio.Event()

    async def apply_all(self, load_balancer_ids: Sequence[str]) -> None:
        """Apply everything that is desired, once, and let the backend begin."""
        await self._apply(load_balancer_ids, set(load_balancer_ids))
        await self._limits.ready()
        await self._warn(load_balancer_ids)
        self._backend.ready()

    def follow(self, events: Iterable[Event]) -> None:
        """Note what a commit moved."""
        for event in events:
            if isinstance(event, LoadBalancerMoved) and not event.is_foreign:
                self.look_at([event.load_balancer_id])
            elif isinstance(event, LoadBalancerMoved | HealthMoved):
                self._note([event.load_balancer_id])
            elif isinstance(event, LoadBalancerGone):
                self._moved.discard(event.load_balancer_id)
                self._gone.add(event.load_balancer_id)
                self._something_moved.set()
                self._backend.publish([Published(event.load_balancer_id, LAST_GENERATION, NOTHING_SEEN, None)])

    def look_at(self, load_balancer_ids: Iterable[str]) -> None:
        """Apply these again, and begin their jobs."""
        ids = set(load_balancer_ids)
        self._with_jobs |= ids
        self._note(ids)

    def _note(self, load_balancer_ids: Iterable[str]) -> None:
        self._moved.update(load_balancer_ids)
        self._something_moved.set()

    async def run(self) -> None:
        """Apply what moves, for ever. Changes that arrive meanwhile go out together."""
        while True:
            await self._something_moved.wait()
            self._something_moved.clear()
            moved, self._moved = self._moved, set()
            with_jobs, self._with_jobs = self._with_jobs, set()
            gone, self._gone = self._gone, set()
            await self._limits.apply((), gone)
            for id in gone:
                self._slow_start.forget(id)
            await self._apply(moved, with_jobs)

    async def raise_shares(self) -> None:
        """Apply the next share of members that have come back, step by step, for ever."""
        while self._slow_start.step:
            await asyncio.sleep(self._slow_start.step)
            self._note(self._slow_start.under_way())

    async def _apply(self, load_balancer_ids: Iterable[str], with_jobs: Collection[str]) -> None:
        for batch in batches(load_balancer_ids):
            found = await self._database.read(partial(desired.load, ids=batch))
            compiled = [
                compile_load_balancer(one, self._unseal, self._slow_start.shares(one), self._proxy) for one in found
            ]
            await self._limits.apply(compiled)
            await self._warn(batch)
            self._draining.expect(one.load_balancer.id for one in found if one.is_draining)
            self._backend.publish(
                Published(each.load_balancer_id, one.load_balancer.generation, one.load_balancer.revision, each)
                for one, each in zip(found, compiled, strict=True)
            )
            # Noted while the nodes are at work already. A job accepted since the read is begun with the others: it
            # goes out with the next batch, which follows at once.
            if to_begin := [id for id in batch if id in with_jobs]:
                await self._database.write(partial(transitions.begin, load_balancer_ids=to_begin))

    async def _warn(self, load_balancer_ids: Sequence[str]) -> None:
        """Where limits are not in force, let jobs say so before they can succeed."""
        reason = self._limits.unavailable_reason
        if reason is None:
            return
        warned = reasons.of_bandwidth(reason)
        look = partial(queries.without_warning, load_balancer_ids=load_balancer_ids, warned=warned)
        if silent := await self._database.read(look):
            await self._database.write(partial(transitions.warn, ids=silent, warned=warned))


def batches(ids: Iterable[str]) -> Iterable[list[str]]:
    """The ids in lists of at most `BATCH`."""
    remaining = iter(ids)
    while batch := list(islice(remaining, BATCH)):
        yield batch
