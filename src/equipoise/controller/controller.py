"""Keeps what is in force equal to what is desired, and lets jobs end by what the nodes confirm.

The level is compared, never the edge: a load balancer whose generation moved is compiled and published as a whole,
whatever changed; observations end every job up to the generation that is in force. Nothing here remembers a job,
so nothing is lost with the process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, repeat
from typing import Final, Protocol, TypeVar

import structlog
from sqlalchemy import Connection

from equipoise.controller import reasons
from equipoise.controller.compile import ProxySettings, Unseal, compile_load_balancer
from equipoise.controller.draining import Draining
from equipoise.controller.slow_start import SlowStart
from equipoise.domain.jobs import FailureReason, JobStatus
from equipoise.domain.references import Kind, ResourceRef
from equipoise.proxy.backend import Backend, Published
from equipoise.proxy.model import ProxyLoadBalancer
from equipoise.proxy.rejections import Refused
from equipoise.store import desired as desired_store
from equipoise.store import jobs, nodes
from equipoise.store.database import Database, StoreUnavailable, Transaction
from equipoise.store.events import Event, HealthMoved, LoadBalancerGone, LoadBalancerMoved

T = TypeVar("T")

_log = structlog.get_logger("equipoise.controller")

BATCH: Final = 256
"""Load balancers compiled in one go: bounds how long other work of the event loop waits."""

LAST_GENERATION: Final = 2**62
"""The generation of a load balancer that no longer exists: above any that it can have had."""

NEVER: Final = -1
"""Below every generation: the data plane has not spoken yet since the start or since a node connected."""

_TIME_LIMIT_CHECK: Final = 0.25
_RETRY_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)


class BandwidthLimits(Protocol):
    """What limits traffic on the node of this process; `equipoise.dataplane.bandwidth.BandwidthEnforcer` is it."""

    @property
    def hindrance(self) -> str | None: ...

    async def apply(self, load_balancers: Iterable[ProxyLoadBalancer], gone: Iterable[str] = ()) -> None: ...

    async def ready(self) -> None: ...


class Controller:
    """One controller; it is the `NodeObserver` of its backend.

    Args:
        time_limit: seconds after which a job fails; the deadline itself is in the job.
        unseal: makes PEM of a private key as it is stored.
        draining: what ends the connections of removed members; started and stopped with the controller.
        limits: brought up to date before anything is published, so that what is confirmed is limited, too.
        slow_start: tells the shares of members that have come back.
        proxy: what the operator says of all load balancers alike.
    """

    def __init__(
        self,
        database: Database,
        time_limit: float,
        unseal: Unseal,
        draining: Draining,
        limits: BandwidthLimits,
        slow_start: SlowStart,
        proxy: ProxySettings | None = None,
    ) -> None:
        self._slow_start = slow_start
        self._proxy = proxy or ProxySettings()
        self._database = database
        self._draining = draining
        self._limits = limits
        self._time_limit = time_limit
        self._unseal = unseal
        self._backend: Backend | None = None
        self._moved: set[str] = set()
        self._gone: set[str] = set()
        self._something_moved = asyncio.Event()
        self._seen: asyncio.Queue[_Observation] = asyncio.Queue()
        self._live: set[str] = set()
        # What was desired at the start and no node has confirmed yet.
        self._awaited: set[str] = set()
        self._caught_up = asyncio.Event()
        # Load balancers with a listener that the data plane refuses, and the generation at which it last did.
        self._in_error: dict[str, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, backend: Backend) -> None:
        """Publish all that is desired, then begin to follow changes. Nodes may connect before or after."""
        self._backend = backend
        self._database.on_commit(self._follow)
        await self._database.write(lambda tx: nodes.set_all_gone(tx.connection))
        await self._draining.start()
        self._in_error = dict.fromkeys(await self._database.read(desired_store.in_error), NEVER)
        ids = await self._database.read(desired_store.all_ids)
        self._awaited = set(ids)
        await self._reconcile(ids)
        await self._limits.ready()
        await self._warn(ids)
        backend.ready()
        self._tasks = [
            asyncio.create_task(self._reconcile_forever(), name="reconcile"),
            asyncio.create_task(self._observe_forever(), name="observe"),
            asyncio.create_task(self._enforce_time_limits(), name="time-limits"),
            asyncio.create_task(self._raise_shares(), name="slow-start"),
        ]

    async def wait_until_in_force(self, seconds: float) -> bool:
        """Whether a node has in force what was desired at the start, or comes to have it within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._caught_up.wait()
        except TimeoutError:
            return False
        return True

    async def failed(self) -> None:
        """Return only by raising: what ended one of the controller's own tasks. Nothing does but a defect."""
        await asyncio.gather(*self._tasks, self._draining.failed())

    async def stop(self) -> None:
        """Stop following. Unfinished jobs stay as they are; the next start goes on with them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._draining.stop()

    # What the data plane tells (equipoise.proxy.backend.NodeObserver)

    def node_connected(self, node_id: str) -> None:
        self._live.add(node_id)
        # What it refused before it may take now; what it says from here on counts.
        self._in_error = dict.fromkeys(self._in_error, NEVER)
        self._seen.put_nowait(_NodeChanged(node_id, live=True))

    def node_disconnected(self, node_id: str) -> None:
        self._live.discard(node_id)
        self._seen.put_nowait(_NodeChanged(node_id, live=False))

    def confirmed(self, node_id: str, generations: Mapping[str, int]) -> None:
        self._seen.put_nowait(_Confirmed(node_id, generations))

    def refused(self, node_id: str, refusals: Sequence[Refused]) -> None:
        self._seen.put_nowait(_RefusedBy(node_id, refusals))

    # Desired: compile and publish what moved

    def _follow(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, LoadBalancerMoved | HealthMoved):
                self._look_at([event.load_balancer_id])
            elif isinstance(event, LoadBalancerGone):
                self._moved.discard(event.load_balancer_id)
                self._gone.add(event.load_balancer_id)
                self._something_moved.set()
                self._publish([Published(event.load_balancer_id, LAST_GENERATION, None)])

    def _look_at(self, load_balancer_ids: Iterable[str]) -> None:
        self._moved.update(load_balancer_ids)
        self._something_moved.set()

    async def _reconcile_forever(self) -> None:
        while True:
            await self._something_moved.wait()
            self._something_moved.clear()
            moved, self._moved = self._moved, set()
            gone, self._gone = self._gone, set()
            await self._limits.apply((), gone)
            for id in gone:
                self._slow_start.forget(id)
            await self._reconcile(moved)

    async def _reconcile(self, load_balancer_ids: Iterable[str]) -> None:
        for batch in _batches(load_balancer_ids):
            found = await self._patiently(partial(self._database.read, partial(desired_store.load, ids=batch)))
            compiled = [
                compile_load_balancer(one, self._unseal, self._slow_start.shares(one), self._proxy) for one in found
            ]
            await self._limits.apply(compiled)
            await self._warn(batch)
            self._publish(
                Published(each.load_balancer_id, one.load_balancer.generation, each)
                for one, each in zip(found, compiled, strict=True)
            )
            # Noted while the nodes are at work already. A job accepted since the read is begun with the others: it
            # goes out with the next batch, which follows at once.
            await self._durably(partial(jobs.begin, load_balancer_ids=batch))

    async def _raise_shares(self) -> None:
        """Publish the next share of members that have come back, step by step."""
        while self._slow_start.step:
            await asyncio.sleep(self._slow_start.step)
            self._look_at(self._slow_start.under_way())

    async def _warn(self, load_balancer_ids: Sequence[str]) -> None:
        """Where limits are not in force, let jobs say so before they can succeed."""
        hindrance = self._limits.hindrance
        if hindrance is None:
            return
        warned = reasons.of_bandwidth(hindrance)
        look = partial(jobs.without_warning, load_balancer_ids=load_balancer_ids, warned=warned)
        if silent := await self._patiently(partial(self._database.read, look)):
            await self._durably(partial(jobs.warn, ids=silent, warned=warned))

    def _publish(self, states: Iterable[Published]) -> None:
        if self._backend is not None:
            self._backend.publish(states)

    # Observed: write down what nodes say, and let jobs end by it

    async def _observe_forever(self) -> None:
        while True:
            observations = [await self._seen.get()]
            while not self._seen.empty():
                observations.append(self._seen.get_nowait())
            for observation in _merged(observations):
                match observation:
                    case _NodeChanged(node_id, live):
                        await self._node_changed(node_id, live)
                    case _Confirmed(node_id, generations):
                        # All at once would hold up everybody else for a second where thousands are confirmed.
                        for some in _batches(generations):
                            await self._confirmed(node_id, {id: generations[id] for id in some})
                    case _RefusedBy(node_id, refusals):
                        for refusal in refusals:
                            await self._refused(node_id, refusal)

    async def _node_changed(self, node_id: str, live: bool) -> None:
        def write(tx: Transaction) -> Sequence[str]:
            nodes.set_live(tx.connection, node_id, live)
            waiting = jobs.waiting_load_balancers(tx.connection)
            if not live:
                # The others may have confirmed all that was still missing from this one.
                jobs.succeed(tx, waiting)
            return waiting

        _log.info("node", node_id=node_id, live=live)
        self._look_at(await self._durably(write))
        self._note_progress()

    async def _confirmed(self, node_id: str, generations: Mapping[str, int]) -> None:
        unkept = await self._draining.removals_confirmed(generations)
        for removal in unkept:
            _log.warning("connections of removed members cannot be cut", job_id=removal.job_id, reason=removal.reason)
        healed = [id for id, generation in generations.items() if generation > self._in_error.get(id, LAST_GENERATION)]

        def write(tx: Transaction) -> set[str]:
            known = nodes.observe(tx.connection, node_id, generations)
            for removal in unkept:
                jobs.warn(tx, [removal.job_id], reasons.of_connections(removal.reason))
            jobs.begin_confirmed(tx, known)
            jobs.succeed(tx, known)
            if healed:
                desired_store.clear_errors(tx.connection, healed)
            return generations.keys() - set(known)

        for id in await self._durably(write):
            if self._backend is not None:
                self._backend.forget(id)
        for id in healed:
            self._in_error.pop(id, None)
        self._awaited -= generations.keys()
        self._note_progress()

    def _note_progress(self) -> None:
        if self._live and not self._awaited:
            self._caught_up.set()

    async def _refused(self, node_id: str, refusal: Refused) -> None:
        """Fail the jobs that the refusal is about. Without any, what was in force before cannot be again: ERROR."""
        failure, reason = reasons.of_refusal(node_id, refusal)

        def write(tx: Transaction) -> bool:
            everything = ResourceRef(Kind.LOAD_BALANCER, refusal.load_balancer_id)
            rejected = refusal.concerns | {everything}
            about = jobs.touching(tx.connection, refusal.load_balancer_id, rejected, refusal.generation)
            if about:
                return jobs.fail(tx, about, failure, reason)
            desired_store.set_error(tx.connection, refusal.concerns)
            return False

        if await self._durably(write):
            return
        _log.warning(
            "listener refused",
            resources=sorted(map(str, refusal.concerns)),
            load_balancer_id=refusal.load_balancer_id,
            generation=refusal.generation,
            reason=reason,
        )
        self._in_error[refusal.load_balancer_id] = refusal.generation
        if self._backend is not None:
            self._backend.settle(refusal.load_balancer_id, refusal.generation)

    # Time limits

    async def _enforce_time_limits(self) -> None:
        while True:
            await asyncio.sleep(_TIME_LIMIT_CHECK)
            # The write lock is not taken for a look that nearly always finds nothing.
            if await self._any_overdue():
                await self._durably(self._fail_overdue)

    async def _any_overdue(self) -> bool:
        def look(connection: Connection) -> bool:
            now = self._database.now()
            return jobs.has_late(connection, now, self._latest(now))

        try:
            return await self._database.read(look)
        except StoreUnavailable:
            return False

    def _latest(self, now: int) -> int:
        """No deadline can be later, unless the clock was set back."""
        return now + int(self._time_limit * 1000)

    def _fail_overdue(self, tx: Transaction) -> None:
        jobs.limit_deadlines(tx, self._latest(tx.now))
        for id, status in jobs.overdue(tx.connection, tx.now):
            reason = reasons.of_time_limit(JobStatus(status), self._time_limit, self._live)
            jobs.fail(tx, [id], FailureReason.NOT_CONFIRMED, reason)

    async def _durably(self, work: Callable[[Transaction], T]) -> T:
        """Write, and go on trying while the database cannot be written: what was observed must not be lost."""
        return await self._patiently(partial(self._database.write, work))

    async def _patiently(self, use: Callable[[], Awaitable[T]]) -> T:
        """Use the database, and go on trying while it is unavailable."""
        for pause in chain(_RETRY_SECONDS, repeat(_RETRY_SECONDS[-1])):
            try:
                return await use()
            except StoreUnavailable as error:
                _log.error("database unavailable", cause=str(error), retry_in=pause)
                await asyncio.sleep(pause)
        raise AssertionError("the pauses never end")


@dataclass(frozen=True, slots=True)
class _NodeChanged:
    node_id: str
    live: bool


@dataclass(frozen=True, slots=True)
class _Confirmed:
    node_id: str
    generations: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _RefusedBy:
    node_id: str
    refusals: Sequence[Refused]


_Observation = _NodeChanged | _Confirmed | _RefusedBy


def _merged(observations: Iterable[_Observation]) -> list[_Observation]:
    """The same observations, neighbouring confirmations of a node as one: a flood of them costs one commit."""
    merged: list[_Observation] = []
    for observation in observations:
        last = merged[-1] if merged else None
        if isinstance(observation, _Confirmed) and isinstance(last, _Confirmed) and last.node_id == observation.node_id:
            merged[-1] = _Confirmed(last.node_id, {**last.generations, **observation.generations})
        else:
            merged.append(observation)
    return merged


def _batches(ids: Iterable[str]) -> Iterable[list[str]]:
    remaining = iter(ids)
    while batch := list(islice(remaining, BATCH)):
        yield batch
