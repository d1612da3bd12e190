"""Writes down what nodes tell, and lets jobs end by it.

What is in force ends every job up to its revision. Nothing here remembers a job, so nothing is lost with the process.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from equipoise.controller import reasons
from equipoise.controller.draining import Draining
from equipoise.controller.leases import leave
from equipoise.controller.patience import PatientDatabase
from equipoise.controller.reconcile import LAST_GENERATION, batches
from equipoise.core.references import ResourceKind, ResourceRef
from equipoise.proxy.backend import Backend, PublishedVersion
from equipoise.proxy.rejections import RejectedResource
from equipoise.store import errors, load_balancers, nodes, watermark
from equipoise.store.database import Transaction
from equipoise.store.jobs import queries, rollback, transitions
from equipoise.store.nodes import SessionLostError

_log = structlog.get_logger("equipoise.controller")

NEVER: Final = -1
"""Below every generation: the data plane has not spoken yet since the start or since a node connected."""


class Observer:
    """The `NodeObserver`.

    Args:
        look_at: applies load balancers again.
    """

    def __init__(
        self,
        database: PatientDatabase,
        draining: Draining,
        backend: Backend,
        look_at: Callable[[Iterable[str]], None],
    ) -> None:
        self._database = database
        self._draining = draining
        self._backend = backend
        self._look_at = look_at
        self._seen: asyncio.Queue[_Observation] = asyncio.Queue()
        self.sessions: dict[str, int] = {}
        # What was desired at the start and no node has confirmed yet.
        self._awaited: set[str] = set()
        self._caught_up = asyncio.Event()
        # Load balancers with a listener that the data plane rejects, and the generation at which it last did.
        self._in_error: dict[str, int] = {}

    async def start(self, load_balancer_ids: Iterable[str]) -> None:
        """Begin with no node, and with these load balancers to be confirmed."""
        if not self._database.is_shared:
            await self._database.write(lambda tx: nodes.set_all_gone(tx.connection))
        self._in_error = dict.fromkeys(await self._database.read(errors.in_error), NEVER)
        self._awaited = set(load_balancer_ids)

    async def wait_until_in_force(self, seconds: float) -> bool:
        """Whether a node has in force what was desired at the start, or comes to have it within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._caught_up.wait()
        except TimeoutError:
            return False
        return True

    # What the backend tells

    def node_connected(self, node_id: str) -> None:
        # What it rejected before it may take now; what it says from here on counts.
        self._in_error = dict.fromkeys(self._in_error, NEVER)
        self._seen.put_nowait(_NodeChanged(node_id, live=True))

    def node_disconnected(self, node_id: str) -> None:
        self._seen.put_nowait(_NodeChanged(node_id, live=False))

    def confirmed(self, node_id: str, versions: Mapping[str, PublishedVersion]) -> None:
        self._seen.put_nowait(_Confirmed(node_id, versions))

    def rejected(self, node_id: str, rejections: Sequence[RejectedResource]) -> None:
        self._seen.put_nowait(_RejectedBy(node_id, rejections))

    # Writing it down

    async def run(self) -> None:
        """Write down what is told, for ever, in the order in which it is told."""
        while True:
            observations = [await self._seen.get()]
            while not self._seen.empty():
                observations.append(self._seen.get_nowait())
            for observation in _merged(observations):
                match observation:
                    case _NodeChanged(node_id, live=True):
                        await self._note_live(node_id)
                    case _NodeChanged(node_id):
                        await self._note_gone(node_id)
                    case _Confirmed(node_id) | _RejectedBy(node_id) if session := self.sessions.get(node_id):
                        try:
                            await self._note(session, observation)
                        except SessionLostError:
                            self.lost(node_id, session)

    async def _note(self, session: int, observation: "_Confirmed | _RejectedBy") -> None:
        match observation:
            case _Confirmed(node_id, versions):
                # All at once would hold up everybody else for a second where thousands are confirmed. In the order of
                # changes, so that the watermark passes none that comes with a later batch.
                for some in batches(sorted(versions, key=lambda id: versions[id].revision)):
                    await self._note_confirmed(node_id, session, {id: versions[id] for id in some})
            case _RejectedBy(node_id, rejections):
                for rejection in rejections:
                    await self._note_rejected(node_id, session, rejection)

    def lost(self, node_id: str, session: int) -> None:
        """The session of a node does not hold any more: begin another one, in which it tells everything anew."""
        if self.sessions.get(node_id) != session:
            return
        del self.sessions[node_id]
        _log.warning("session_lost", node_id=node_id, session=session, effect="the node is taken over anew")
        self._backend.reconnect(node_id)

    def begin_anew(self) -> None:
        """The database has lost what nodes said of late: let all of them say everything once more."""
        for node_id, session in tuple(self.sessions.items()):
            self.lost(node_id, session)

    async def _note_live(self, node_id: str) -> None:
        def write(tx: Transaction) -> tuple[int, Sequence[str]]:
            return nodes.attach(tx, node_id), queries.waiting_load_balancers(tx.connection)

        session, waiting = await self._database.write(write)
        self.sessions[node_id] = session
        _log.info("node_live", node_id=node_id, session=session)
        self._look_at(waiting)
        self._note_progress()

    async def _note_gone(self, node_id: str) -> None:
        session = self.sessions.pop(node_id, None)
        if session is None:
            return

        _log.info("node_gone", node_id=node_id, session=session)
        self._look_at(await self._database.write(partial(leave, node_id=node_id, session=session)))

    async def _note_confirmed(self, node_id: str, session: int, versions: Mapping[str, PublishedVersion]) -> None:
        generations = {id: version.generation for id, version in versions.items()}
        unkept = await self._draining.removals_confirmed(generations)
        for removal in unkept:
            _log.warning("connections_not_cut", job_id=removal.job_id, reason=removal.reason)
        healed = [id for id, generation in generations.items() if generation > self._in_error.get(id, LAST_GENERATION)]

        def write(tx: Transaction) -> set[str]:
            revisions = {id: version.revision for id, version in versions.items()}
            known = watermark.observe(tx, node_id, session, revisions)
            for removal in unkept:
                transitions.warn(tx, [removal.job_id], reasons.of_connections(removal.reason))
            transitions.begin_confirmed(tx, known)
            transitions.succeed(tx, known)
            if healed:
                errors.heal(tx.connection, node_id, healed)
            return generations.keys() - set(known)

        for id in await self._database.write(write):
            self._backend.forget(id)
        for id in healed:
            self._in_error.pop(id, None)
        self._awaited -= generations.keys()
        self._note_progress()

    def _note_progress(self) -> None:
        if self.sessions and not self._awaited:
            self._caught_up.set()

    async def _note_rejected(self, node_id: str, session: int, rejection: RejectedResource) -> None:
        """Fail the jobs that the rejection is about. Without any, what was in force before cannot be again: ERROR."""
        failure, reason = reasons.of_rejection(node_id, rejection)

        def write(tx: Transaction) -> bool:
            nodes.check(tx.connection, node_id, session)
            everything = ResourceRef(ResourceKind.LOAD_BALANCER, rejection.load_balancer_id)
            concerns = rejection.concerns | {everything}
            about = queries.touching(tx.connection, rejection.load_balancer_id, concerns, rejection.generation)
            if about:
                return rollback.fail(tx, about, failure, reason)
            if load_balancers.generation(tx.connection, rejection.load_balancer_id) != rejection.generation:
                # Gone, or rolled back because another node rejects it, too: what is said of the newest counts.
                return False
            errors.note(tx.connection, node_id, rejection.load_balancer_id, rejection.concerns)
            return False

        if await self._database.write(write):
            return
        _log.warning(
            "listener_rejected",
            resources=sorted(map(str, rejection.concerns)),
            load_balancer_id=rejection.load_balancer_id,
            generation=rejection.generation,
            reason=reason,
        )
        self._in_error[rejection.load_balancer_id] = rejection.generation
        self._backend.acknowledge_rejection(rejection.load_balancer_id, rejection.generation)


@dataclass(frozen=True, slots=True)
class _NodeChanged:
    node_id: str
    live: bool


@dataclass(frozen=True, slots=True)
class _Confirmed:
    node_id: str
    versions: Mapping[str, PublishedVersion]


@dataclass(frozen=True, slots=True)
class _RejectedBy:
    node_id: str
    rejections: Sequence[RejectedResource]


_Observation = _NodeChanged | _Confirmed | _RejectedBy


def _merged(observations: Iterable[_Observation]) -> list[_Observation]:
    """The same observations, neighbouring confirmations of a node as one: a flood of them costs one commit."""
    merged: list[_Observation] = []
    for observation in observations:
        last = merged[-1] if merged else None
        if isinstance(observation, _Confirmed) and isinstance(last, _Confirmed) and last.node_id == observation.node_id:
            merged[-1] = _Confirmed(last.node_id, {**last.versions, **observation.versions})
        else:
            merged.append(observation)
    return merged
