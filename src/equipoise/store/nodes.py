"""Statements about data-plane nodes and what each has confirmed."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, Insert, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from equipoise.store.tables import load_balancers, nodes, observations

_PRESENT: Final = select(load_balancers.c.id).where(load_balancers.c.id.in_(bindparam("ids", expanding=True)))
_SET_ALL_GONE: Final = update(nodes).values(live=False)


def _upserts(insert: type[sqlite.Insert] | type[postgresql.Insert]) -> tuple[Insert, Insert]:
    """Put a node, and put an observation, in the spelling of a dialect; both know ON CONFLICT."""
    node, observation = insert(nodes), insert(observations)
    return (
        node.on_conflict_do_update(index_elements=["id"], set_={"live": node.excluded.live}),
        observation.on_conflict_do_update(
            index_elements=["load_balancer_id", "node_id"], set_={"generation": observation.excluded.generation}
        ),
    )


_UPSERTS: Final = {"sqlite": _upserts(sqlite.Insert), "postgresql": _upserts(postgresql.Insert)}


def set_live(connection: Connection, node_id: str, live: bool) -> None:
    """A node's stream opened or closed."""
    put_node, _ = _UPSERTS[connection.dialect.name]
    connection.execute(put_node, {"id": node_id, "live": live})


def set_all_gone(connection: Connection) -> None:
    """No stream is open: the state at the start of the controller."""
    connection.execute(_SET_ALL_GONE)


def observe(connection: Connection, node_id: str, generations: Mapping[str, int]) -> Sequence[str]:
    """A node has these generations of these load balancers in force. Returns those that still exist."""
    known = connection.execute(_PRESENT, {"ids": list(generations)}).scalars().all()
    if known:
        _, put_observation = _UPSERTS[connection.dialect.name]
        connection.execute(
            put_observation,
            [{"load_balancer_id": id, "node_id": node_id, "generation": generations[id]} for id in known],
        )
    return known
