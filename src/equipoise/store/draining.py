"""Statements about removed members whose connections have still to end. Who ends them is the nodes' business."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, delete, exists, func, select

from equipoise.core.model import DrainingMember, Status
from equipoise.store.database import Transaction
from equipoise.store.tables import draining_members, jobs, load_balancers, members, pools

_IS_MEMBER_AGAIN: ColumnElement[bool] = exists().where(
    members.c.pool_id == draining_members.c.pool_id,
    members.c.address == draining_members.c.address,
    members.c.deleting.is_(False),
)
_SUPERSEDE = delete(draining_members).where(
    draining_members.c.pool_id == bindparam("of_pool"),
    draining_members.c.address.in_(bindparam("addresses", expanding=True)),
)
# Of a load balancer of the statement around it.
HAS_REMOVALS: Final = (
    exists()
    .where(draining_members.c.pool_id == pools.c.id, pools.c.load_balancer_id == load_balancers.c.id)
    .correlate(load_balancers)
)
_REMOVED = (
    select(
        pools.c.load_balancer_id,
        draining_members.c.job_id,
        # A job that is forgotten was confirmed long ago.
        func.coalesce(jobs.c.generation, 0),
        draining_members.c.ends_at,
        draining_members.c.pool_id,
        draining_members.c.address,
    )
    .join(pools, pools.c.id == draining_members.c.pool_id)
    .outerjoin(jobs, jobs.c.id == draining_members.c.job_id)
    .where(pools.c.load_balancer_id.in_(bindparam("lb_ids", expanding=True)), ~_IS_MEMBER_AGAIN)
)
_FORGET = delete(draining_members).where(
    draining_members.c.ends_at <= bindparam("up_to"), draining_members.c.status == Status.ACTIVE
)


class RemovedMember(NamedTuple):
    """A member that was removed by a job at that generation. `ends_at` is when its connections are to end, in
    milliseconds since 1970 (UTC)."""

    load_balancer_id: str
    job_id: str
    generation: int
    ends_at: int
    pool_id: str
    address: str


def begin(tx: Transaction, job_id: str, draining: Sequence[DrainingMember]) -> None:
    """Note when the connections of members end that a job removes from one pool; earlier notes on them are void."""
    addresses = sorted({one.address for one in draining})
    tx.connection.execute(_SUPERSEDE, {"of_pool": draining[0].pool_id, "addresses": addresses})
    tx.connection.execute(draining_members.insert(), [asdict(one) | {"job_id": job_id} for one in draining])


def removed(connection: Connection, load_balancer_ids: Collection[str]) -> Mapping[str, Sequence[RemovedMember]]:
    """The removals by load balancer. One whose address is a member again is left out: it keeps its connections."""
    found: defaultdict[str, list[RemovedMember]] = defaultdict(list)
    for row in connection.execute(_REMOVED, {"lb_ids": list(load_balancer_ids)}):
        found[row[0]].append(RemovedMember(*row))
    return found


def forget(connection: Connection, up_to: int) -> None:
    """Drop the confirmed removals whose connections ended at `up_to` or before."""
    connection.execute(_FORGET, {"up_to": up_to})
