"""What each node has in force, as one number: every change up to the watermark of the node, except those of the load
balancers that lag.

A node confirms versions of load balancers. The watermark rises to the newest of them, and whoever has changed up to it
without being confirmed is written down as lagging. So in the usual case, where everything is in force, there is no row
for a load balancer, however many there are.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Insert, and_, bindparam, delete, or_, select, true, union_all, update
from sqlalchemy.dialects import postgresql, sqlite

from equipoise.store.database import Transaction
from equipoise.store.nodes import IS_ATTACHED, SessionLostError
from equipoise.store.tables import jobs, lagging, load_balancers, nodes, unfinished

_WATERMARK = select(nodes.c.in_force).where(nodes.c.id == bindparam("of_node")).correlate(None).scalar_subquery()
# A load balancer tells of its last change only. One before it matters as long as a job waits for it.
_CHANGES = union_all(
    select(load_balancers.c.id, load_balancers.c.revision).where(
        or_(
            load_balancers.c.id.in_(bindparam("ids", expanding=True)),
            and_(load_balancers.c.revision > _WATERMARK, load_balancers.c.revision <= bindparam("up_to")),
        )
    ),
    select(jobs.c.load_balancer_id, jobs.c.accepted_revision).where(
        unfinished,
        # A sub-job stands for the same change as its job.
        jobs.c.parent_id.is_(None),
        jobs.c.accepted_revision > _WATERMARK,
        jobs.c.accepted_revision <= bindparam("up_to"),
    ),
).subquery()
# The changes of what is confirmed and those that the watermark is about to pass, or one row without, as long as the
# node is attached.
_LOOK: Final = (
    select(nodes.c.in_force, _CHANGES.c.id, _CHANGES.c.revision, lagging.c.revision.label("lagging"))
    .outerjoin_from(nodes, _CHANGES, true())
    .outerjoin(lagging, and_(lagging.c.node_id == nodes.c.id, lagging.c.load_balancer_id == _CHANGES.c.id))
    .where(*IS_ATTACHED)
)
_RAISE: Final = update(nodes).where(*IS_ATTACHED).values(in_force=bindparam("up_to"))
_CATCH_UP: Final = delete(lagging).where(
    lagging.c.node_id == bindparam("of_node"), lagging.c.load_balancer_id.in_(bindparam("ids", expanding=True))
)


def _fall_behind(insert: type[sqlite.Insert] | type[postgresql.Insert]) -> Insert:
    """Put a row of what lags, in the spelling of a dialect; both know ON CONFLICT."""
    row = insert(lagging)
    return row.on_conflict_do_update(
        index_elements=["load_balancer_id", "node_id"], set_={"revision": row.excluded.revision}
    )


_FALL_BEHIND: Final = {"sqlite": _fall_behind(sqlite.Insert), "postgresql": _fall_behind(postgresql.Insert)}


def observe(tx: Transaction, node_id: str, session: int, revisions: Mapping[str, int]) -> Sequence[str]:
    """A node has these load balancers in force, by id, up to these revisions. Returns those that still exist.

    It has its turn among all writers, so no change up to the new watermark is committed after it. A revision that is
    not older than the transaction counts as nothing: the database has fallen back since it was published.

    Raises SessionLostError, and then has written nothing.
    """
    confirmed = {id: revision for id, revision in revisions.items() if revision < tx.revision}
    up_to = max(confirmed.values(), default=-1)
    own = {"of_node": node_id, "in_session": session}
    found = tx.connection.execute(_LOOK, own | {"ids": list(revisions), "up_to": up_to}).all()
    if not found:
        raise SessionLostError
    before = found[0].in_force
    known: dict[str, None] = {}
    reached: dict[str, int] = {}
    lags: defaultdict[str, bool] = defaultdict(bool)
    was_lagging: dict[str, int] = {}
    for row in found:
        if row.id is None:
            continue
        if row.id in revisions:
            known[row.id] = None
        if row.lagging is not None:
            was_lagging[row.id] = row.lagging
        reached[row.id] = max(was_lagging.get(row.id, before), confirmed.get(row.id, -1))
        # One that lags may have changes below the watermark that are not among these, but none after its last one.
        lags[row.id] |= row.revision > reached[row.id] and (row.revision <= up_to or row.id in was_lagging)
    behind = [id for id, is_behind in lags.items() if is_behind and was_lagging.get(id) != reached[id]]
    if behind:
        tx.connection.execute(
            _FALL_BEHIND[tx.connection.dialect.name],
            [{"node_id": node_id, "load_balancer_id": id, "revision": reached[id]} for id in behind],
        )
    if caught_up := [id for id in was_lagging if not lags[id]]:
        tx.connection.execute(_CATCH_UP, own | {"ids": caught_up})
    if up_to > before:
        tx.connection.execute(_RAISE, own | {"up_to": up_to})
    return list(known)
