"""The controller as a whole: it tells nodes what is desired, observes what is in force, and lets jobs end.

Nothing here remembers a job: what is desired is compared with what is in force.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from equipoise.controller.compile import ProxySettings, Unseal
from equipoise.controller.deadlines import Deadlines
from equipoise.controller.fleet import Attachment, Fleet
from equipoise.controller.leases import Leases
from equipoise.controller.observe import Observer
from equipoise.controller.patience import PatientDatabase
from equipoise.controller.reconcile import Reconciler
from equipoise.controller.reports import Reports
from equipoise.controller.slow_start import SlowStart
from equipoise.proxy.link import (
    HealthSeen,
    Renew,
    SendToController,
    SendToNode,
    ToController,
    TrafficSeen,
)
from equipoise.store import desired
from equipoise.store.database import Database
from equipoise.store.events import Event, LoadBalancerGone
from equipoise.store.feed import Feed


@dataclass(frozen=True, slots=True)
class NodeLink:
    """The way of a node to its controller. `receive` takes its messages; `close` is called once, at the end of the way:
    the node is given up as if it had said goodbye."""

    receive: SendToController
    close: Callable[[], None]


class Controller:
    """One controller.

    Args:
        time_limit: seconds after which a job fails.
        unseal: makes PEM of a private key as it is stored.
        slow_start: tells the shares of members that have come back.
        proxy: what the operator says of all load balancers alike.
    """

    def __init__(
        self, database: Database, time_limit: float, unseal: Unseal, slow_start: SlowStart, proxy: ProxySettings
    ) -> None:
        patient = PatientDatabase(database)
        self._database = database
        self.fleet = Fleet()
        self._reconciler = Reconciler(patient, unseal, slow_start, proxy, self.fleet)
        self._observer = Observer(patient, self._reconciler, self.fleet)
        self._reports = Reports(database)
        self._deadlines = Deadlines(database, time_limit)
        self.leases = Leases(database, self.fleet, self._observer.lost, self._reconciler.look_at)
        self._tasks: list[asyncio.Task[None]] = []

    def connect(self, node_id: str, send: SendToNode) -> SendToController:
        """A node has made its way here, by which messages to it are sent. Returns where to put its own."""
        return self.open(node_id, send).receive

    def open(self, node_id: str, send: SendToNode, has_room: Callable[[], bool] = lambda: True) -> NodeLink:
        """The same for a way that may end.

        Args:
            has_room: tells whether the node takes what it is told as fast as that is said; while it does not, it is
                told only what moves. `go_on` is to be called when that changes.
        """
        node = self.fleet.connect(node_id, send, has_room)
        return NodeLink(partial(self._receive, node), partial(self._observer.left, node))

    def go_on(self) -> None:
        """A node has room again for what it has still to be told."""
        self._reconciler.go_on()

    async def start(self) -> None:
        """Begin to follow changes, and to tell nodes of them. Nodes may connect before or after."""
        self._database.on_commit(self._follow)
        if self._database.is_shared:
            await Feed.open(self._database, self._observer.begin_anew)
        await self._observer.start(await self._database.read(desired.all_ids))
        self._tasks = [
            asyncio.create_task(self._reconciler.run(), name="reconcile"),
            asyncio.create_task(self._reconciler.raise_shares(), name="slow-start"),
            asyncio.create_task(self._observer.run(), name="observe"),
            asyncio.create_task(self._reports.run(), name="reports"),
            asyncio.create_task(self._deadlines.run(), name="deadlines"),
        ]
        if self._database.is_shared:
            self._tasks.append(asyncio.create_task(self.leases.run(), name="leases"))

    async def wait_until_in_force(self, seconds: float) -> bool:
        """Whether a node has in force what was desired at the start, or comes to have it within `seconds`."""
        return await self._observer.wait_until_in_force(seconds)

    async def failed(self) -> None:
        """Return only by raising: what ended one of the controller's own tasks. Nothing does but a defect."""
        await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Stop following. Unfinished jobs stay as they are; the next start goes on with them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._database.is_shared:
            await self.leases.give_up()

    def _follow(self, events: Sequence[Event]) -> None:
        self._reconciler.follow(events)
        if gone := [event.load_balancer_id for event in events if isinstance(event, LoadBalancerGone)]:
            self._observer.gone(gone)

    def _receive(self, node: Attachment, message: ToController) -> None:
        match message:
            case HealthSeen() | TrafficSeen():
                self._reports.take(node.node_id, message)
            case Renew():
                self.leases.ask(node.node_id, message)
            case observation:
                self._observer.take(node, observation)
