"""Statements about what nodes reject that no job is about: such a listener or pool is in ERROR until no node does."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import BindParameter, Connection, bindparam, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from equipoise.core.model import Status
from equipoise.core.references import ResourceKind, Scope, ids_of
from equipoise.store.tables import listeners, nodes, pools, rejections

_IDS: Final[BindParameter[str]] = bindparam("ids", expanding=True)
_IN_ERROR = select(listeners.c.load_balancer_id).where(listeners.c.status == Status.ERROR).distinct()
_SET_ERROR = tuple(
    (kind, update(table).where(table.c.id.in_(bindparam("rejected", expanding=True))).values(status=Status.ERROR))
    for kind, table in ((ResourceKind.LISTENER, listeners), (ResourceKind.POOL, pools))
)
_NOTE = {
    "sqlite": sqlite.insert(rejections).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(rejections).on_conflict_do_nothing(),
}
_FORGET = delete(rejections).where(
    rejections.c.node_id == bindparam("of_node"), rejections.c.load_balancer_id.in_(_IDS)
)
_FORGET_GONE = delete(rejections).where(rejections.c.node_id.in_(select(nodes.c.id).where(nodes.c.live.is_(False))))
_CLEAR = tuple(
    update(table)
    .where(
        table.c.load_balancer_id.in_(_IDS),
        table.c.status == Status.ERROR,
        ~exists().where(
            rejections.c.load_balancer_id == table.c.load_balancer_id,
            rejections.c.node_id == nodes.c.id,
            nodes.c.live.is_(True),
        ),
    )
    .values(status=Status.ACTIVE)
    for table in (listeners, pools)
)


def in_error(connection: Connection) -> Sequence[str]:
    """The load balancers with a listener in ERROR."""
    return connection.execute(_IN_ERROR).scalars().all()


def note(connection: Connection, node_id: str, load_balancer_id: str, rejected: Scope) -> None:
    """A node rejects something that no job is about: after a restart its port was gone, for example."""
    connection.execute(_NOTE[connection.dialect.name], {"node_id": node_id, "load_balancer_id": load_balancer_id})
    for kind, statement in _SET_ERROR:
        connection.execute(statement, {"rejected": ids_of(kind, rejected)})


def heal(connection: Connection, node_id: str, load_balancer_ids: Collection[str]) -> None:
    """A node has everything of these load balancers in force again. The error ends unless another node rejects it."""
    ids = list(load_balancer_ids)
    connection.execute(_FORGET, {"of_node": node_id, "ids": ids})
    for statement in _CLEAR:
        connection.execute(statement, {"ids": ids})


def forget_gone_nodes(connection: Connection) -> None:
    """What nodes rejected that are gone counts no longer, as long as there is another one that is live."""
    connection.execute(_FORGET_GONE)
    ids = list(in_error(connection))
    for statement in _CLEAR:
        connection.execute(statement, {"ids": ids})
