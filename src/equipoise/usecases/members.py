"""Members of a pool: add, list, remove."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy import Connection

from equipoise.core.changes import Change, Created, Removed, Wanted
from equipoise.core.commands import AddMemberCommand, Filter
from equipoise.core.errors import NotFound, QuotaExceeded
from equipoise.core.jobs import JobType, MembersSubject, MemberSubject
from equipoise.core.model import DrainingMember, Member, Pool, Protocol, Status
from equipoise.core.references import ResourceKind, ResourceRef
from equipoise.core.references import pools as pool_refs
from equipoise.store import draining as draining_store
from equipoise.store import inheritance, members, pools, rows, tables
from equipoise.store.database import Transaction
from equipoise.store.jobs.transitions import NewSubJob
from equipoise.usecases import lookup
from equipoise.usecases.acceptance import accept_change
from equipoise.usecases.context import Accepted, Caller, Policy, new_id


class Health(Enum):
    """UNKNOWN: nothing checks it, or the data plane has not seen enough to say."""

    HEALTHY = auto()
    UNHEALTHY = auto()
    UNKNOWN = auto()


_SEEN = {Health.HEALTHY: True, Health.UNHEALTHY: False, Health.UNKNOWN: None}


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as users see it: what was seen of its health means something only while its pool has a monitor."""

    member: Member
    monitored: bool

    @property
    def health(self) -> Health:
        if not self.monitored or self.member.healthy is None:
            return Health.UNKNOWN
        return Health.HEALTHY if self.member.healthy else Health.UNHEALTHY


def add_members(
    tx: Transaction, caller: Caller, policy: Policy, pool_id: str, wanted: Sequence[AddMemberCommand]
) -> Accepted:
    """Accept new members. Those that the pool has already (same server, address, port) are named, not added again.

    The job names as many as were asked for, also where one is among them twice: clients count them.

    Raises:
        NotFound, QuotaExceeded, BeingDeleted or Frozen.
    """
    pool, _ = lookup.changeable_pool(tx.connection, caller, pool_id)
    known = {
        (member.server_id, member.address, member.port): member
        for member in members.at_addresses(tx.connection, pool_id, [one.address for one in wanted])
    }
    changes = _wanted(tx, pool, list(known.values()))
    new: list[Member] = []
    named: list[Member] = []
    for one in wanted:
        key = (one.server_id, one.address, one.port)
        if key not in known:
            known[key] = _new_member(tx, pool_id, one)
            new.append(known[key])
        named.append(known[key])
    quota = policy.quotas_of(caller.project_id).members
    if new and members.count(tx.connection, pool_id) + len(new) > quota:
        raise QuotaExceeded(ResourceKind.MEMBER, ResourceKind.POOL, quota, "remove some or use another pool")
    if new:
        rows.insert(tx.connection, tables.members, *new)
    changes |= {member.id: Created("members", member.id) for member in new}
    parts = _parts(
        NewSubJob(
            JobType.CREATE_MEMBER, MembersSubject(pool_id, (_subject(member),)), [changes[id]] if id in changes else []
        )
        for id, member in {member.id: member for member in named}.items()
    )
    return accept_change(
        tx,
        caller,
        policy,
        JobType.CREATE_MEMBER,
        pool.load_balancer_id,
        pool_id,
        [] if parts else list(changes.values()),
        pool_refs(pool_id),
        MembersSubject(pool_id, tuple(map(_subject, named))),
        parts,
    )


def list_members(
    connection: Connection,
    caller: Caller,
    pool_id: str,
    filters: Iterable[Filter],
    health: Health | None,
    limit: int | None,
    marker: str | None,
) -> Sequence[MemberView]:
    """One page of the members of a pool, of those with this health if one is given. Raises NotFound (the pool)."""
    pool, _ = lookup.pool(connection, caller, pool_id)
    monitored = bool(pools.health_monitor_ids(connection, [pool_id]))
    wanted = list(filters)
    if health is not None:
        if not monitored and health is not Health.UNKNOWN:
            return []
        if monitored:
            wanted.append(("healthy", _SEEN[health]))
    under_way = inheritance.members_under_way(connection, pool.load_balancer_id, pool_id)
    found = members.list_of(connection, pool_id, wanted, limit, marker, under_way)
    return [MemberView(one, monitored) for one in found]


def remove_members(tx: Transaction, caller: Caller, policy: Policy, pool_id: str, ids: Sequence[str]) -> Accepted:
    """Remove members: all of those named, or none when one of them does not exist.

    Raises:
        NotFound (the pool or a member), BeingDeleted or Frozen.
    """
    pool, _ = lookup.changeable_pool(tx.connection, caller, pool_id)
    found = {member.id: member for member in members.by_ids(tx.connection, pool_id, ids)}
    unknown = [id for id in ids if id not in found]
    if unknown:
        raise NotFound(
            ResourceKind.MEMBER,
            unknown[0],
            f"There is no member {unknown[0]} in pool {pool_id}; nothing was removed.",
            of=ResourceRef(ResourceKind.POOL, pool_id),
        )
    rows.mark_deleting(tx.connection, tables.members, ids)
    draining = _draining(tx, pool, [found[id].address for id in ids])
    changes: dict[str, list[Change]] = {id: [Removed("members", id)] for id in ids}
    for id, one in zip(ids, draining, strict=False):
        changes[id].append(Created("draining_members", one.id))
    parts = _parts(
        NewSubJob(JobType.REMOVE_MEMBER, _removal(pool_id, [id]), changes) for id, changes in changes.items()
    )
    accepted = accept_change(
        tx,
        caller,
        policy,
        JobType.REMOVE_MEMBER,
        pool.load_balancer_id,
        pool_id,
        [] if parts else [change for of_one in changes.values() for change in of_one],
        pool_refs(pool_id),
        _removal(pool_id, ids),
        parts,
    )
    if draining:
        draining_store.begin(tx, accepted.job_id, draining)
    return accepted


def _draining(tx: Transaction, pool: Pool, addresses: Sequence[str]) -> list[DrainingMember]:
    """When the connections of removed members end. Nothing but connections over TCP outlives its member."""
    if pool.protocol != Protocol.TCP:
        return []
    ends_at = tx.now + ((pool.draining_timeout or 0) if pool.draining else 0)
    return [DrainingMember(new_id(), pool.id, address, ends_at, Status.PENDING_CREATE) for address in addresses]


def _removal(pool_id: str, ids: Iterable[str]) -> MembersSubject:
    return MembersSubject(pool_id, tuple(map(MemberSubject, ids)))


def _parts(each: Iterable[NewSubJob]) -> list[NewSubJob]:
    """One sub-job a member, for a request about several; for one the job itself says it all."""
    parts = list(each)
    return parts if len(parts) > 1 else []


def _wanted(tx: Transaction, pool: Pool, known: Sequence[Member]) -> dict[str, Change]:
    """What adding known members changes, by id: nothing, unless other jobs under way have made or removed them.

    One whose removal has not ended is the same member still, and is taken back.
    """
    if not known:
        return {}
    leaving = [member.id for member in known if member.deleting]
    if leaving:
        members.restore(tx, leaving)
    under_way = inheritance.members_under_way(tx.connection, pool.load_balancer_id, pool.id)
    return {member.id: Wanted("members", member.id, member.deleting) for member in known if member.id in under_way}


def _new_member(tx: Transaction, pool_id: str, wanted: AddMemberCommand) -> Member:
    return Member(
        id=new_id(),
        pool_id=pool_id,
        server_id=wanted.server_id,
        address=wanted.address,
        port=wanted.port,
        weight=wanted.weight,
        backup=wanted.backup,
        monitor_address=wanted.monitor_address,
        monitor_port=wanted.monitor_port,
        admin_state_up=True,
        healthy=None,
        status=Status.PENDING_CREATE,
        deleting=False,
        create_time=tx.now,
        update_time=tx.now,
    )


def _subject(member: Member) -> MemberSubject:
    return MemberSubject(member.id, member.address, member.server_id)
