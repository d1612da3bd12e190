"""Statements about data-plane nodes: which controller has each, and for how long. What each has in force is elsewhere
(`equipoise.store.watermark`).

A controller takes a node over with a session: the revision at which it did. All that it writes about the node names the
session, so nothing counts that a controller says which has lost the node meanwhile. Sessions of a shared database end
with their lease, unless it is renewed; whose controller is dead or cut off holds up no job.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, Insert, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import text

from equipoise.store.database import Transaction
from equipoise.store.tables import nodes, traffic

LEASE: Final = 6_000
"""Milliseconds for which a session holds without being renewed."""

IS_ATTACHED: Final = (
    nodes.c.id == bindparam("of_node"),
    nodes.c.session == bindparam("in_session"),
    nodes.c.live.is_(True),
)
_ATTACHED: Final = select(nodes.c.id).where(*IS_ATTACHED)
_DETACH: Final = update(nodes).where(*IS_ATTACHED).values(live=False)
_SET_ALL_GONE: Final = update(nodes).values(live=False)
_RENEW: Final = (
    update(nodes)
    .where(
        nodes.c.id.in_(bindparam("ids", expanding=True)),
        nodes.c.session.in_(bindparam("sessions", expanding=True)),
        nodes.c.live.is_(True),
    )
    .values(lease_until=bindparam("until"))
    .returning(nodes.c.id, nodes.c.session)
)
# After a start of the server everybody gets the time of one lease to renew theirs.
_IS_EXPIRED: Final = (
    nodes.c.live.is_(True),
    nodes.c.lease_until < bindparam("now"),
    text(f"pg_postmaster_start_time() < clock_timestamp() - interval '{LEASE} milliseconds'"),
)
_ANY_EXPIRED: Final = select(nodes.c.id).where(*_IS_EXPIRED).limit(1)
_EXPIRE: Final = update(nodes).where(*_IS_EXPIRED).values(live=False).returning(nodes.c.id)
_LIVE: Final = select(nodes.c.id).where(nodes.c.live.is_(True)).order_by(nodes.c.id)
_FORGET: Final = delete(nodes).where(nodes.c.live.is_(False), nodes.c.lease_until < bindparam("before"))

_FORGET_TRAFFIC: Final = delete(traffic).where(traffic.c.node_id.not_in(select(nodes.c.id)))


class SessionLostError(Exception):
    """Another controller has the node, or its lease is over: nothing was written, and nothing more is to be said."""


def _put(insert: type[sqlite.Insert] | type[postgresql.Insert]) -> Insert:
    """Put a node, in the spelling of a dialect; both know ON CONFLICT. What it has in force stays."""
    node = insert(nodes)
    taken_over = {column: getattr(node.excluded, column) for column in ("live", "session", "lease_until")}
    return node.on_conflict_do_update(index_elements=["id"], set_=taken_over)


_PUT: Final = {"sqlite": _put(sqlite.Insert), "postgresql": _put(postgresql.Insert)}


def attach(tx: Transaction, node_id: str) -> int:
    """Take a node over, from whoever has it. Returns the number of the session."""
    values = {"id": node_id, "live": True, "session": tx.revision, "lease_until": tx.now + LEASE}
    tx.connection.execute(_PUT[tx.connection.dialect.name], values)
    return tx.revision


def detach(connection: Connection, node_id: str, session: int) -> bool:
    """Give a node up. Returns whether it was in that session."""
    return connection.execute(_DETACH, {"of_node": node_id, "in_session": session}).rowcount > 0


def check(connection: Connection, node_id: str, session: int) -> None:
    """Raises SessionLostError unless the node is in that session."""
    if connection.execute(_ATTACHED, {"of_node": node_id, "in_session": session}).first() is None:
        raise SessionLostError


def renew(tx: Transaction, sessions: Mapping[str, int]) -> set[str]:
    """Renew the leases of these sessions, by node. Returns the nodes whose session still holds."""
    values = {"ids": list(sessions), "sessions": list(sessions.values()), "until": tx.now + LEASE}
    return {row.id for row in tx.connection.execute(_RENEW, values) if sessions[row.id] == row.session}


def any_expired(connection: Connection, now: int) -> bool:
    """Whether the lease of a live node is over. Of a shared database only."""
    return connection.execute(_ANY_EXPIRED, {"now": now}).first() is not None


def expire(tx: Transaction) -> Sequence[str]:
    """End the sessions whose lease is over. Returns the nodes. Of a shared database only."""
    return tx.connection.execute(_EXPIRE, {"now": tx.now}).scalars().all()


def set_all_gone(connection: Connection) -> None:
    """Nobody has a node: the state at the start of the only service on a database."""
    connection.execute(_SET_ALL_GONE)


def live(connection: Connection) -> Sequence[str]:
    """The nodes that count."""
    return connection.execute(_LIVE).scalars().all()


def forget_gone(connection: Connection, before: int) -> None:
    """Drop the nodes that are gone since before that time, with what they confirmed and counted. Of a shared database,
    where leases are renewed as long as a node is live."""
    connection.execute(_FORGET, {"before": before})
    connection.execute(_FORGET_TRAFFIC)
