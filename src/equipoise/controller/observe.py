"""Writes down what nodes tell of load balancers, and lets jobs end by it.

What is in force ends every job up to its revision. Nothing here remembers a job, so nothing is lost with the process.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from equipoise.controller import reasons
from equipoise.controller.fleet import Attachment, Fleet
from equipoise.controller.leases import leave
from equipoise.controller.patience import PatientDatabase
from equipoise.controller.reconcile import Reconciler, batches
from equipoise.core.references import ResourceKind, ResourceRef
from equipoise.proxy.link import (
    AcknowledgeRejection,
    Attached,
    Confirmed,
    Detached,
    Goodbye,
    Hello,
    PublishedVersion,
    ResourcesRejected,
    Shortfall,
    ShortfallKind,
    UpToDate,
)
from equipoise.proxy.rejections import RejectedResource
from equipoise.store import draining, errors, load_balancers, nodes, watermark
from equipoise.store.database import Transaction
from equipoise.store.jobs import queries, rollback, transitions
from equipoise.store.nodes import SessionLostError

_log = structlog.get_logger("equipoise.controller")

NEVER: Final = -1
"""Below every generation: nodes have not spoken yet since the start or since one was taken over."""

_ABOVE_ALL: Final = 2**62
"""Above every generation."""


@dataclass(frozen=True, slots=True)
class _Left:
    """The way of a node has ended, whether it has said goodbye or not."""


_InSession = Goodbye | UpToDate | Confirmed | ResourcesRejected
Observation = Hello | _InSession
_Told = Observation | _Left


class Observer:
    """Takes in what the nodes of a fleet tell."""

    def __init__(self, database: PatientDatabase, reconciler: Reconciler, fleet: Fleet) -> None:
        self._database = database
        self._reconciler = reconciler
        self._fleet = fleet
        self._told: asyncio.Queue[tuple[Attachment, _Told]] = asyncio.Queue()
        # What was desired at the start and no node has confirmed yet.
        self._awaited: set[str] = set()
        self._is_any_up_to_date = False
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

    def take(self, node: Attachment, observation: Observation) -> None:
        """Note what a node tells; it is written down in the order in which it is told."""
        self._told.put_nowait((node, observation))

    def left(self, node: Attachment) -> None:
        """The way of a node has ended: it is given up once all is written down that it has told."""
        self._told.put_nowait((node, _Left()))

    def gone(self, load_balancer_ids: Iterable[str]) -> None:
        """These do not exist any more: nobody will confirm them."""
        self._awaited.difference_update(load_balancer_ids)
        self._note_progress()

    async def run(self) -> None:
        """Write down what is told, for ever."""
        while True:
            told = [await self._told.get()]
            while not self._told.empty():
                told.append(self._told.get_nowait())
            for node, observation in _merged(told):
                if isinstance(observation, Hello):
                    await self._attach(node, observation.number)
                elif isinstance(observation, _Left):
                    self._fleet.disconnect(node)
                    if node.session is not None:
                        await self._note_gone(node, node.session)
                # What was told in another session will be told again.
                elif observation.session == node.session:
                    try:
                        await self._note(node, observation.session, observation)
                    except SessionLostError:
                        self.lost(node, observation.session)

    def lost(self, node: Attachment, session: int | None) -> None:
        """The session of a node does not hold any more: let it begin another one, in which it tells everything anew."""
        if session is None or node.session != session:
            return
        node.session = None
        # Another controller may have told it otherwise.
        node.behind = None
        _log.warning("session_lost", node_id=node.node_id, session=session, effect="the node is taken over anew")
        node.send(Detached())

    def begin_anew(self) -> None:
        """The database has lost what nodes said of late: let all of them say everything once more."""
        for node in self._fleet.attached:
            self.lost(node, node.session)

    async def _attach(self, node: Attachment, hello: int) -> None:
        # What it rejected before it may take now; what it says from here on counts.
        self._in_error = dict.fromkeys(self._in_error, NEVER)

        def write(tx: Transaction) -> tuple[int, Sequence[str]]:
            return nodes.attach(tx, node.node_id), queries.waiting_load_balancers(tx.connection)

        if node.session is not None:
            # It has not heard what was told of late.
            node.behind = None
        session, waiting = await self._database.write(write)
        node.session = session
        _log.info("node_live", node_id=node.node_id, session=session)
        node.send(Attached(session, hello, nodes.LEASE / 1000 if self._database.is_shared else None))
        await self._reconciler.fill(node)
        self._reconciler.look_at(waiting)

    async def _note(self, node: Attachment, session: int, observation: _InSession) -> None:
        match observation:
            case UpToDate():
                self._is_any_up_to_date = True
                self._note_progress()
            case Goodbye():
                await self._note_gone(node, session)
            case Confirmed(_, versions, shortfalls):
                # All at once would hold up everybody else for a second where thousands are confirmed. In the order of
                # changes, so that the watermark passes none that comes with a later batch.
                for some in batches(sorted(versions, key=lambda id: versions[id].revision)):
                    await self._note_confirmed(node, session, {id: versions[id] for id in some}, shortfalls)
            case ResourcesRejected(_, rejections):
                for rejection in rejections:
                    await self._note_rejected(node, session, rejection)

    async def _note_gone(self, node: Attachment, session: int) -> None:
        node.session = None
        _log.info("node_gone", node_id=node.node_id, session=session)
        self._reconciler.look_at(await self._database.write(lambda tx: leave(tx, node.node_id, session)))

    async def _note_confirmed(
        self, node: Attachment, session: int, versions: Mapping[str, PublishedVersion], shortfalls: Sequence[Shortfall]
    ) -> None:
        healed = [id for id, version in versions.items() if version.generation > self._in_error.get(id, _ABOVE_ALL)]

        def write(tx: Transaction) -> None:
            revisions = {id: version.revision for id, version in versions.items()}
            ids = watermark.observe(tx, node.node_id, session, revisions)
            for shortfall in shortfalls:
                _warn(tx, shortfall, versions)
            transitions.begin_confirmed(tx, ids)
            transitions.succeed(tx, ids)
            if healed:
                errors.heal(tx.connection, node.node_id, healed)

        await self._database.write(write)
        for id in healed:
            self._in_error.pop(id, None)
        self._awaited -= versions.keys()
        self._note_progress()

    def _note_progress(self) -> None:
        if self._is_any_up_to_date and not self._awaited:
            self._caught_up.set()

    async def _note_rejected(self, node: Attachment, session: int, rejection: RejectedResource) -> None:
        """Fail the jobs that the rejection is about. Without any, what was in force before cannot be again: ERROR."""
        failure, reason = reasons.of_rejection(node.node_id, rejection)

        def write(tx: Transaction) -> bool:
            nodes.check(tx.connection, node.node_id, session)
            everything = ResourceRef(ResourceKind.LOAD_BALANCER, rejection.load_balancer_id)
            concerns = rejection.concerns | {everything}
            about = queries.touching(tx.connection, rejection.load_balancer_id, concerns, rejection.generation)
            if about:
                rollback.fail(tx, about, failure, reason)
                return False
            if load_balancers.generation(tx.connection, rejection.load_balancer_id) != rejection.generation:
                # Gone, or rolled back because another node rejects it, too: what is said of the newest counts.
                return False
            errors.note(tx.connection, node.node_id, rejection.load_balancer_id, rejection.concerns)
            return True

        if not await self._database.write(write):
            return
        _log.warning(
            "listener_rejected",
            resources=sorted(map(str, rejection.concerns)),
            load_balancer_id=rejection.load_balancer_id,
            generation=rejection.generation,
            reason=reason,
        )
        self._in_error[rejection.load_balancer_id] = rejection.generation
        node.send(AcknowledgeRejection(rejection.load_balancer_id, rejection.generation))


def _warn(tx: Transaction, shortfall: Shortfall, versions: Mapping[str, PublishedVersion]) -> None:
    """Say in the jobs that are about to succeed what they do not bring about."""
    ids = shortfall.load_balancer_ids & versions.keys()
    if not ids:
        return
    match shortfall.kind:
        case ShortfallKind.BANDWIDTH:
            about = queries.about_bandwidth(tx.connection, ids)
            warned = reasons.of_bandwidth(shortfall.reason)
        case ShortfallKind.CONNECTIONS:
            about = [
                each.job_id
                for id, removed in draining.removed(tx.connection, ids).items()
                for each in removed
                if each.generation <= versions[id].generation
            ]
            warned = reasons.of_connections(shortfall.reason)
    transitions.warn(tx, about, warned)


def _merged(told: Iterable[tuple[Attachment, _Told]]) -> list[tuple[Attachment, _Told]]:
    """The same, neighbouring confirmations of a node as one: a flood of them costs one commit."""
    merged: list[tuple[Attachment, _Told]] = []
    for node, observation in told:
        last_node, last = merged[-1] if merged else (None, None)
        if (
            isinstance(observation, Confirmed)
            and isinstance(last, Confirmed)
            and last_node is node
            and last.session == observation.session
        ):
            merged[-1] = (
                node,
                replace(
                    last,
                    versions={**last.versions, **observation.versions},
                    shortfalls=[*last.shortfalls, *observation.shortfalls],
                ),
            )
        else:
            merged.append((node, observation))
    return merged
