"""Statements about removed members whose connections have still to end. Who ends them is the controller's business."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, exists, select

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
HAS_UNCONFIRMED: Final = (
    exists()
    .where(
        draining_members.c.pool_id == pools.c.id,
        pools.c.load_balancer_id == load_balancers.c.id,
        draining_members.c.status == Status.PENDING_CREATE,
    )
    .correlate(load_balancers)
)
_UNCONFIRMED = (
    select(
        pools.c.load_balancer_id,
        jobs.c.generation,
        draining_members.c.job_id,
        draining_members.c.ends_at,
        draining_members.c.pool_id,
        draining_members.c.address,
    )
    .join(pools, pools.c.id == draining_members.c.pool_id)
    .join(jobs, jobs.c.id == draining_members.c.job_id)
    .where(
        pools.c.load_balancer_id.in_(bindparam("lb_ids", expanding=True)),
        draining_members.c.status == Status.PENDING_CREATE,
        ~_IS_MEMBER_AGAIN,
    )
)
_DUE = select(draining_members.c.pool_id, draining_members.c.address).where(
    draining_members.c.ends_at <= bindparam("now"), draining_members.c.status == Status.ACTIVE, ~_IS_MEMBER_AGAIN
)
_FORGET = delete(draining_members).where(
    draining_members.c.ends_at <= bindparam("up_to"), draining_members.c.status == Status.ACTIVE
)
_ANY_ENDED = select(draining_members.c.id).where(draining_members.c.ends_at <= bindparam("up_to")).limit(1)


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A removal that the data plane has not confirmed; `ends_at` is when its connections are to end."""

    load_balancer_id: str
    generation: int
    job_id: str
    ends_at: int
    pool_id: str
    address: str


def begin(tx: Transaction, job_id: str, draining: Sequence[DrainingMember]) -> None:
    """Note when the connections of members end that a job removes from one pool; earlier notes on them are void."""
    addresses = sorted({one.address for one in draining})
    tx.connection.execute(_SUPERSEDE, {"of_pool": draining[0].pool_id, "addresses": addresses})
    tx.connection.execute(draining_members.insert(), [asdict(one) | {"job_id": job_id} for one in draining])


def unconfirmed(connection: Connection, load_balancer_ids: Collection[str]) -> Sequence[Unconfirmed]:
    """The removals of these load balancers that the data plane has not confirmed; those undone are left out."""
    return [Unconfirmed(*row) for row in connection.execute(_UNCONFIRMED, {"lb_ids": list(load_balancer_ids)})]


def due(connection: Connection, now: int) -> Mapping[str, Collection[str]]:
    """Addresses by pool whose connections are to end now. One that is a member again keeps its connections."""
    addresses: dict[str, set[str]] = {}
    for row in connection.execute(_DUE, {"now": now}):
        addresses.setdefault(row.pool_id, set()).add(row.address)
    return addresses


def any_ended(connection: Connection, up_to: int) -> bool:
    """Whether any draining ended at `up_to` or before: a look that costs next to nothing."""
    return connection.execute(_ANY_ENDED, {"up_to": up_to}).first() is not None


def forget(connection: Connection, up_to: int) -> None:
    """Drop the drainings that ended at `up_to` or before."""
    connection.execute(_FORGET, {"up_to": up_to})
