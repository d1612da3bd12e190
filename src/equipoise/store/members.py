"""Statements about members and what the data plane saw of their health."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, func, select, update

from equipoise.core.commands import Filter
from equipoise.core.model import Algorithm, Member, Protocol
from equipoise.store import rows, statuses, tables
from equipoise.store.database import Transaction
from equipoise.store.events import HealthMoved
from equipoise.store.tables import members, pools

_read = rows.reader(Member)

_COUNT = select(func.count()).select_from(members).where(members.c.pool_id == bindparam("pool_id"))
_AT_ADDRESSES = select(members).where(
    members.c.pool_id == bindparam("pool_id"),
    members.c.address.in_(bindparam("addresses", expanding=True)),
)
_BY_IDS = select(members).where(
    members.c.pool_id == bindparam("pool_id"),
    members.c.id.in_(bindparam("ids", expanding=True)),
    members.c.deleting.is_(False),
)
# A proxy makes no checks over UDP and calls whoever it does not check healthy.
_CHECKED_BY_ENVOY = select(pools.c.id).where(pools.c.id == bindparam("of_pool"), pools.c.protocol != Protocol.UDP)
_OBSERVE = (
    update(members)
    .where(members.c.pool_id.in_(_CHECKED_BY_ENVOY), members.c.address == bindparam("at_address"))
    .values(healthy=bindparam("is_healthy"))
)
_OBSERVE_OVER_UDP = (
    update(members)
    .where(members.c.pool_id == bindparam("of_pool"), members.c.address == bindparam("at_address"))
    .values(healthy=bindparam("is_healthy"))
)
_FAILING = select(members.c.pool_id, members.c.address).where(
    members.c.pool_id.in_(bindparam("ids", expanding=True)), members.c.healthy.is_(False)
)
_MOVE = (
    update(tables.load_balancers)
    .where(
        tables.load_balancers.c.id.in_(
            select(pools.c.load_balancer_id).where(
                pools.c.id.in_(bindparam("ids", expanding=True)),
                pools.c.protocol != Protocol.UDP,
                pools.c.algorithm == Algorithm.ROUND_ROBIN,
            )
        )
    )
    .values(revision=bindparam("at_revision"))
    .returning(tables.load_balancers.c.id)
)
_RESTORE = (
    update(members)
    .where(members.c.id.in_(bindparam("ids", expanding=True)))
    # What was seen of its health was seen before it was removed.
    .values(deleting=False, healthy=None, update_time=bindparam("now"))
)
_FORGET_HEALTH = update(members).where(members.c.pool_id == bindparam("of_pool")).values(healthy=None)


def list_of(
    connection: Connection,
    pool_id: str,
    filters: Iterable[Filter],
    limit: int | None,
    marker: str | None,
    under_way: Collection[str] = (),
) -> Sequence[Member]:
    """One page of the members of a pool; the filter `healthy` takes None for "not known".

    Args:
        under_way: ids of those that unfinished jobs make, remove or want again: they are PENDING_CREATE, whatever is
            stored.
    """
    status = statuses.pending_if(members.c.id.in_(under_way), members.c.status)
    statement = select(*statuses.shown(members.c, status)).where(
        members.c.pool_id == pool_id, members.c.deleting.is_(False)
    )
    found = connection.execute(rows.page(statement, members, filters, limit, marker, status=status))
    return [_read(row) for row in found.mappings()]


def at_addresses(connection: Connection, pool_id: str, addresses: Sequence[str]) -> Sequence[Member]:
    """The members of a pool at any of the addresses, those whose removal has not ended included."""
    found = connection.execute(_AT_ADDRESSES, {"pool_id": pool_id, "addresses": list(addresses)})
    return [_read(row) for row in found.mappings()]


def by_ids(connection: Connection, pool_id: str, ids: Sequence[str]) -> Sequence[Member]:
    """Those of the members named by `ids` that the pool has."""
    found = connection.execute(_BY_IDS, {"pool_id": pool_id, "ids": list(ids)})
    return [_read(row) for row in found.mappings()]


def restore(tx: Transaction, ids: Sequence[str]) -> None:
    """Take the mark of deletion away from members that are added again."""
    tx.connection.execute(_RESTORE, {"ids": list(ids), "now": tx.now})


def count(connection: Connection, pool_id: str) -> int:
    """How many members count against the quota of the pool: while it is being removed one may come back."""
    return connection.execute(_COUNT, {"pool_id": pool_id}).scalar_one()


def observe_health(tx: Transaction, seen: Mapping[tuple[str, str], bool]) -> None:
    """Write down what a proxy saw, (pool id, address) -> healthy, and tell of whom that changes the share: where
    members take turns, one that comes back begins with less (`equipoise.controller.slow_start`)."""
    found = tx.connection.execute(_FAILING, {"ids": sorted({pool_id for pool_id, _ in seen})})
    failing = {(row.pool_id, row.address) for row in found}
    moved = sorted({member[0] for member, healthy in seen.items() if (member in failing) is healthy})
    tx.connection.execute(_OBSERVE, _values(seen))
    for id in tx.connection.execute(_MOVE, {"ids": moved, "at_revision": tx.revision}).scalars():
        tx.emit(HealthMoved(id))


def observe_health_over_udp(connection: Connection, seen: Mapping[tuple[str, str], bool]) -> None:
    """Write down what a node saw by its own checks, (pool id, address) -> healthy. Each node acts by itself on what it
    sees."""
    connection.execute(_OBSERVE_OVER_UDP, _values(seen))


def _values(seen: Mapping[tuple[str, str], bool]) -> Sequence[Mapping[str, object]]:
    return [
        {"of_pool": pool_id, "at_address": address, "is_healthy": healthy}
        for (pool_id, address), healthy in seen.items()
    ]


def forget_health(connection: Connection, pool_id: str) -> None:
    """Health is unknown again: nothing checks the members of the pool any more, or checks them anew."""
    connection.execute(_FORGET_HEALTH, {"of_pool": pool_id})
