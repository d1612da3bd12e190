"""Keeps the sessions of nodes that ask for it, and ends those that nobody renews.

A node that was paused or cut off for longer than a lease, or whose controller was, is not live: the jobs of others do
not wait for it. It gives way by its own clock and is then taken over anew, by whichever controller it reaches.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

import structlog

from equipoise.controller.fleet import Attachment, Fleet
from equipoise.proxy.link import Renew, Renewed
from equipoise.store import errors, nodes
from equipoise.store.database import Database, StoreUnavailable, Transaction
from equipoise.store.jobs import queries, transitions

_log = structlog.get_logger("equipoise.controller")

_GATHER_SECONDS: Final = 0.5
"""For how long renewals are gathered: many nodes cost one commit."""


class Leases:
    """Runs beside a controller whose database others may use.

    Args:
        lost: called with a node and its session when that does not hold any more.
        look_at: assigns load balancers again.
    """

    def __init__(
        self,
        database: Database,
        fleet: Fleet,
        lost: Callable[[Attachment, int], None],
        look_at: Callable[[Iterable[str]], None],
    ) -> None:
        self._database = database
        self._fleet = fleet
        self._lost = lost
        self._look_at = look_at
        self._asked: dict[str, Renew] = {}

    def ask(self, node_id: str, renew: Renew) -> None:
        """A node asks for the time of another lease."""
        self._asked[node_id] = renew

    async def run(self) -> None:
        """Renew and expire, for ever.

        After an outage that kept all from renewing, whoever is back first must not end the others: it gives them the
        time of a lease.
        """
        reached_since = reached = time.monotonic()
        while True:
            if time.monotonic() - reached > nodes.LEASE / 1000:
                reached_since = time.monotonic()
            try:
                await self.renew()
                await self.expire(only_look=time.monotonic() - reached_since < nodes.LEASE / 1000)
                reached = time.monotonic()
            except StoreUnavailable as error:
                _log.warning("leases_not_renewed", reason=str(error), retry_in=_GATHER_SECONDS)
            await asyncio.sleep(_GATHER_SECONDS)

    async def renew(self) -> None:
        """Renew the sessions of the nodes that asked for it. Raises StoreUnavailable."""
        asked, self._asked = self._asked, {}
        sessions = {node_id: renew.session for node_id, renew in asked.items()}
        if not sessions:
            return
        # Other services ask for leases themselves, when they have to know.
        held = await self._database.write(partial(nodes.renew, sessions=sessions), is_news=False)
        for node_id, (session, number) in ((id, (each.session, each.number)) for id, each in asked.items()):
            node = self._fleet.find(node_id, session)
            if node is None:
                continue
            if node_id in held:
                node.send(Renewed(number))
            else:
                self._lost(node, session)

    async def expire(self, *, only_look: bool = False) -> None:
        """End the sessions whose lease is over. Raises StoreUnavailable."""
        now = self._database.now()
        if not await self._database.read_one(lambda connection: nodes.any_expired(connection, now)) or only_look:
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
        for node_id, session in self._fleet.sessions.items():
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
