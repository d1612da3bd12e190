"""Statements about data-plane nodes and what each has confirmed."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from equipoise.store.tables import load_balancers, nodes, observations


def set_live(connection: Connection, node_id: str, live: bool) -> None:
    """A node's stream opened or closed."""
    insert = _insert(connection)(nodes).values(id=node_id, live=live)
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_={"live": live}))


def set_all_gone(connection: Connection) -> None:
    """No stream is open: the state at the start of the controller."""
    connection.execute(update(nodes).values(live=False))


def observe(connection: Connection, node_id: str, generations: Mapping[str, int]) -> Sequence[str]:
    """A node has these generations of these load balancers in force. Returns those that still exist."""
    present = connection.execute(select(load_balancers.c.id).where(load_balancers.c.id.in_(list(generations))))
    known = present.scalars().all()
    if known:
        insert = _insert(connection)(observations)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["load_balancer_id", "node_id"], set_={"generation": insert.excluded.generation}
            ),
            [{"load_balancer_id": id, "node_id": node_id, "generation": generations[id]} for id in known],
        )
    return known


def _insert(connection: Connection) -> type[sqlite.Insert] | type[postgresql.Insert]:
    """The dialect's INSERT that knows ON CONFLICT; both spell it the same."""
    return postgresql.Insert if connection.dialect.name == "postgresql" else sqlite.Insert
