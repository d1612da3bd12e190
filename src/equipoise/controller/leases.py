"""Keeps the sessions of this controller's nodes, and ends those of controllers that do not.

Whoever was paused or cut off for longer than a lease has lost its nodes: the jobs of others do not wait for them. It
learns of it by its next write about them, takes them over anew and brings them up to date.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import structlog

from equipoise.store import errors, nodes
from equipoise.store.database import Database, StoreUnavailable, Transaction
from equipoise.store.jobs import queries, transitions

_log = structlog.get_logger("equipoise.controller")

RENEW_SECONDS: Final = 2.0
"""A third of a lease: two renewals may be lost."""


class Leases:
    """Runs beside a controller whose database others may use.

    Args:
        sessions: those of this controller, by node, as they are at any moment.
        lost: called with a node and its session when that does not hold any more.
        look_at: applies load balancers again.
    """

    def __init__(
        self,
        database: Database,
        sessions: Mapping[str, int],
        lost: Callable[[str, int], None],
        look_at: Callable[[Iterable[str]], None],
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._lost = lost
        self._look_at = look_at

    async def run(self) -> None:
        """Renew and expire, for ever.

        After an outage that kept all from renewing, whoever is back first must not end the others: it gives them the
        time of a lease.
        """
        renewed_since = renewed = time.monotonic()
        while True:
            if time.monotonic() - renewed > nodes.LEASE / 1000:
                renewed_since = time.monotonic()
            try:
                await self.renew()
                renewed = time.monotonic()
                if renewed - renewed_since >= nodes.LEASE / 1000:
                    await self.expire()
            except StoreUnavailable as error:
                _log.warning("leases_not_renewed", reason=str(error), retry_in=RENEW_SECONDS)
            await asyncio.sleep(RENEW_SECONDS)

    async def renew(self) -> None:
        """Renew the own sessions. Raises StoreUnavailable."""
        asked = dict(self._sessions)
        if not asked:
            return
        held = await self._database.write(partial(nodes.renew, sessions=asked))
        for node_id, session in asked.items():
            if node_id not in held:
                self._lost(node_id, session)

    async def expire(self) -> None:
        """End the sessions of others whose lease is over. Raises StoreUnavailable."""
        now = self._database.now()
        if not await self._database.read(lambda connection: nodes.any_expired(connection, now)):
            return

        def write(tx: Transaction) -> tuple[Sequence[str], Sequence[str]]:
            gone = nodes.expire(tx)
            return gone, _left_behind(tx) if gone else ()

        gone, waiting = await self._database.write(write)
        for node_id in gone:
            _log.warning("node_gone", node_id=node_id, reason="its lease is over", effect="no job waits for it")
        self._look_at(waiting)

    async def give_up(self) -> None:
        """Give all nodes up at the end of the service, so that nobody waits for their leases to end."""
        for node_id, session in self._sessions.items():
            try:
                await self._database.write(partial(leave, node_id=node_id, session=session))
            except StoreUnavailable as error:
                _log.warning("node_not_given_up", node_id=node_id, reason=str(error), effect="its lease ends by itself")


def leave(tx: Transaction, node_id: str, session: int) -> Sequence[str]:
    """Give a node up, if it is in that session. Returns the load balancers with jobs that wait for others."""
    return _left_behind(tx) if nodes.detach(tx.connection, node_id, session) else ()


def _left_behind(tx: Transaction) -> Sequence[str]:
    """After nodes have gone: end what the others have confirmed already. Returns the load balancers with jobs left."""
    waiting = queries.waiting_load_balancers(tx.connection)
    transitions.succeed(tx, waiting)
    if nodes.live(tx.connection):
        errors.forget_gone_nodes(tx.connection)
    return waiting
