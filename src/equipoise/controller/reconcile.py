"""Keeps what nodes are told equal to what is desired: load balancers whose generation moved are compiled and assigned.

The level is compared, never the edge: a load balancer is assigned as a whole, whatever of it has changed.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final

from equipoise.controller.compile import ProxySettings, Unseal, compile_load_balancer
from equipoise.controller.fleet import Attachment, Fleet
from equipoise.controller.patience import PatientDatabase
from equipoise.controller.retention import REMOVAL_LIFETIME
from equipoise.controller.slow_start import SlowStart
from equipoise.proxy.link import AllAssigned, Published, PublishedVersion, Removal
from equipoise.store import desired
from equipoise.store.desired import DesiredLoadBalancer
from equipoise.store.events import Event, HealthMoved, LoadBalancerGone, LoadBalancerMoved
from equipoise.store.jobs import transitions

BATCH: Final = 256
"""Load balancers compiled in one go: bounds how long other work of the event loop waits."""


class Reconciler:
    """Assigns what moved.

    Args:
        unseal: makes PEM of a private key as it is stored.
        slow_start: tells the shares of members that have come back.
        proxy: what the operator says of all load balancers alike.
        fleet: the nodes that are told.
    """

    def __init__(
        self, database: PatientDatabase, unseal: Unseal, slow_start: SlowStart, proxy: ProxySettings, fleet: Fleet
    ) -> None:
        self._database = database
        self._unseal = unseal
        self._slow_start = slow_start
        self._proxy = proxy
        self._fleet = fleet
        self._moved: set[str] = set()
        # Those of them that have jobs to begin; what moved at another service has its jobs begun there.
        self._with_jobs: set[str] = set()
        self._gone: set[str] = set()
        # Nodes that are being told what they do not know, each with its session and what is still to be told in that.
        self._filled: dict[Attachment, tuple[int | None, Iterator[list[str]]]] = {}
        self._something_moved = asyncio.Event()

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

    def look_at(self, load_balancer_ids: Iterable[str]) -> None:
        """Assign these again, and begin their jobs."""
        ids = set(load_balancer_ids)
        self._with_jobs |= ids
        self._note(ids)

    async def fill(self, node: Attachment) -> None:
        """Tell a node, which has just been taken over, what it does not know; what moves meanwhile it is told, too."""
        session = node.session
        ids = await self._database.read(desired.all_ids) if node.behind is None else list(node.behind)
        self._filled[node] = session, batches(ids)
        self._something_moved.set()

    def go_on(self) -> None:
        """A node has room again for what it has still to be told."""
        self._something_moved.set()

    def _note(self, load_balancer_ids: Iterable[str]) -> None:
        self._moved.update(load_balancer_ids)
        self._something_moved.set()

    async def run(self) -> None:
        """Assign what moves, for ever. Changes that arrive meanwhile go out together."""
        while True:
            await self._something_moved.wait()
            self._something_moved.clear()
            moved, self._moved = self._moved, set()
            with_jobs, self._with_jobs = self._with_jobs, set()
            gone, self._gone = self._gone, set()
            self._fleet.withdraw(gone)
            for id in gone:
                self._slow_start.forget(id)
            await self._apply(moved, with_jobs)
            await self._fill_some()

    async def raise_shares(self) -> None:
        """Assign the next share of members that have come back, step by step, for ever."""
        while self._slow_start.step:
            await asyncio.sleep(self._slow_start.step)
            self._note(self._slow_start.under_way())

    async def _apply(self, load_balancer_ids: Iterable[str], with_jobs: Collection[str]) -> None:
        for batch in batches(load_balancer_ids):
            self._fleet.assign(await self._compiled(batch))
            # Noted while the nodes are at work already. A job accepted since the read is begun with the others: it
            # goes out with the next batch, which follows at once.
            if to_begin := [id for id in batch if id in with_jobs]:
                await self._database.write(partial(transitions.begin, load_balancer_ids=to_begin))

    async def _fill_some(self) -> None:
        """One batch for each node that is being filled: changes need not wait until all is told."""
        is_any_told = False
        for node in list(self._filled):
            session, remaining = self._filled[node]
            # What was told in an earlier session is not told in this one: at its end nothing is complete.
            if node.session is None or node.session != session:
                del self._filled[node]
                continue
            if not node.has_room():
                # It goes on when there is room (`go_on`).
                continue
            is_any_told = True
            if batch := next(remaining, None):
                node.assign(await self._compiled(batch))
            else:
                del self._filled[node]
                if node.behind is None:
                    node.send(AllAssigned())
                node.behind = set()
        if is_any_told and self._filled:
            self._something_moved.set()

    async def _compiled(self, load_balancer_ids: Sequence[str]) -> Sequence[Published]:
        found = await self._database.read(partial(desired.load, ids=load_balancer_ids))
        now = self._database.now()
        return [self._published(one, now) for one in found]

    def _published(self, one: DesiredLoadBalancer, now: int) -> Published:
        return Published(
            one.load_balancer.id,
            PublishedVersion(one.load_balancer.generation, one.load_balancer.revision),
            compile_load_balancer(one, self._unseal, self._slow_start.shares(one), self._proxy),
            tuple(
                Removal(each.pool_id, each.address, each.generation, (each.ends_at - now) / 1000)
                for each in one.removals
                if each.ends_at > now - REMOVAL_LIFETIME
            ),
        )


def batches(ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids in lists of at most `BATCH`."""
    remaining = iter(ids)
    while batch := list(islice(remaining, BATCH)):
        yield batch
