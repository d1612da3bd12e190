"""The controller as a whole: it applies what is desired, observes what is in force, and lets jobs end.

Nothing here remembers a job: what is desired is compared with what is in force.
"""

import asyncio

from equipoise.controller.compile import ProxySettings, Unseal
from equipoise.controller.deadlines import Deadlines
from equipoise.controller.draining import Draining
from equipoise.controller.leases import Leases
from equipoise.controller.observe import Observer
from equipoise.controller.patience import PatientDatabase
from equipoise.controller.reconcile import BandwidthLimits, Reconciler
from equipoise.controller.slow_start import SlowStart
from equipoise.proxy.backend import Backend
from equipoise.store import desired
from equipoise.store.database import Database
from equipoise.store.feed import Feed


class Controller:
    """One controller. Its `observer` is the `NodeObserver` of the backend.

    Args:
        time_limit: seconds after which a job fails.
        unseal: makes PEM of a private key as it is stored.
        draining: what ends the connections of removed members; started and stopped with the controller.
        limits: what limits traffic on the node of this process.
        slow_start: tells the shares of members that have come back.
        proxy: what the operator says of all load balancers alike.
        backend: the data plane.
    """

    def __init__(
        self,
        database: Database,
        time_limit: float,
        unseal: Unseal,
        draining: Draining,
        limits: BandwidthLimits,
        slow_start: SlowStart,
        proxy: ProxySettings,
        backend: Backend,
    ) -> None:
        patient = PatientDatabase(database)
        self._database = database
        self._draining = draining
        self._reconciler = Reconciler(patient, unseal, slow_start, proxy, limits, backend, draining)
        self.observer = Observer(patient, draining, backend, self._reconciler.look_at)
        self._deadlines = Deadlines(database, time_limit)
        self.leases = Leases(database, self.observer.sessions, self.observer.lost, self._reconciler.look_at)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Apply all that is desired, then begin to follow changes. Nodes may connect before or after."""
        self._database.on_commit(self._reconciler.follow)
        if self._database.is_shared:
            await Feed.open(self._database, self.observer.begin_anew)
        self._draining.start()
        ids = await self._database.read(desired.all_ids)
        await self.observer.start(ids)
        await self._reconciler.apply_all(ids)
        self._tasks = [
            asyncio.create_task(self._reconciler.run(), name="reconcile"),
            asyncio.create_task(self._reconciler.raise_shares(), name="slow-start"),
            asyncio.create_task(self.observer.run(), name="observe"),
            asyncio.create_task(self._deadlines.run(), name="deadlines"),
        ]
        if self._database.is_shared:
            self._tasks.append(asyncio.create_task(self.leases.run(), name="leases"))

    async def wait_until_in_force(self, seconds: float) -> bool:
        """Whether a node has in force what was desired at the start, or comes to have it within `seconds`."""
        return await self.observer.wait_until_in_force(seconds)

    async def failed(self) -> None:
        """Return only by raising: what ended one of the controller's own tasks. Nothing does but a defect."""
        await asyncio.gather(*self._tasks, self._draining.failed())

    async def stop(self) -> None:
        """Stop following. Unfinished jobs stay as they are; the next start goes on with them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._draining.stop()
        if self._database.is_shared:
            await self.leases.give_up()
