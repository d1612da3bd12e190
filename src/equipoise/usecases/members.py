"""Members of a listener: add, list, remove."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from equipoise.domain.changes import Change, Created, Removed, Wanted
from equipoise.domain.commands import Column, NewMember
from equipoise.domain.errors import Rule, RuleBroken
from equipoise.domain.jobs import JobType
from equipoise.domain.model import DrainingMember, Listener, Member, Status
from equipoise.store import draining as draining_store
from equipoise.store import inheritance, listeners, members, rows, tables
from equipoise.store.database import Transaction
from equipoise.store.jobs import NewPart
from equipoise.usecases import lookup
from equipoise.usecases.acceptance import accept_change
from equipoise.usecases.context import Accepted, Caller, Policy, new_id

MILLISECONDS_A_MINUTE = 60_000

_COLUMN_NAMES = {"server_address": "address"}
_HEALTHY = {"NORMAL": True, "ABNORMAL": False, "UNAVAILABLE": None}


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member as users see it: its health means something only while its listener has a health check."""

    member: Member
    checked: bool


def add_members(
    tx: Transaction, caller: Caller, policy: Policy, listener_id: str, wanted: Sequence[NewMember]
) -> Accepted:
    """Accept new members. Those that the listener has already (same server and address) are named, not added again.

    The job names as many as were asked for, also where one is among them twice: clients count them (jobs.md).

    Raises:
        RuleBroken: MEMBER_LISTENER_UNKNOWN, MEMBER_QUOTA, LB_BEING_DELETED or LB_UPDATE_FORBIDDEN.
    """
    listener = lookup.changeable_listener(tx.connection, caller, listener_id, Rule.MEMBER_LISTENER_UNKNOWN)
    known = {
        (member.server_id, member.address): member
        for member in members.at_addresses(tx.connection, listener_id, [one.address for one in wanted])
    }
    changes = _wanted(tx, listener, list(known.values()))
    new: list[Member] = []
    named: list[Member] = []
    for one in wanted:
        key = (one.server_id, one.address)
        if key not in known:
            known[key] = _new_member(tx, listener_id, one)
            new.append(known[key])
        named.append(known[key])
    quota = policy.quotas_of(caller.project_id).members
    if new and members.count(tx.connection, listener_id) + len(new) > quota:
        raise RuleBroken(
            Rule.MEMBER_QUOTA, f"A listener may have {quota} members; remove some or use another listener."
        )
    if new:
        rows.insert(tx.connection, tables.members, *new)
    entities = {"members": [_entity(member) for member in named]}
    changes |= {member.id: Created("members", member.id) for member in new}
    parts = _parts(
        NewPart(JobType.CREATE_MEMBER, {"members": [_entity(member)]}, [changes[id]] if id in changes else [])
        for id, member in {member.id: member for member in named}.items()
    )
    return accept_change(
        tx,
        caller,
        policy,
        JobType.CREATE_MEMBER,
        listener.load_balancer_id,
        listener_id,
        [] if parts else list(changes.values()),
        listener_id,
        entities,
        parts,
    )


def list_members(
    connection: Connection,
    caller: Caller,
    listener_id: str,
    filters: Mapping[str, Column],
    limit: int | None,
    marker: str | None,
) -> Sequence[MemberView]:
    """One page of the members of a listener.

    Raises:
        RuleBroken: LISTENER_UNKNOWN, or MEMBER_UNKNOWN when a filter by id matches nothing (classic-api.md, Choice).
    """
    listener = lookup.listener(connection, caller, listener_id)
    checked = bool(listeners.health_check_ids(connection, [listener_id]))
    wanted = {_COLUMN_NAMES.get(name, name): value for name, value in filters.items()}
    if wanted.get("status") == "PENDING":
        wanted["status"] = Status.PENDING_CREATE
    if "health_status" in wanted:
        health = _HEALTHY[str(wanted.pop("health_status"))]
        if not checked and health is not None:
            return []
        if checked or health is not None:
            wanted["healthy"] = health
    under_way = inheritance.rows_under_way(connection, listener.load_balancer_id, "members")
    found = members.list_of(connection, listener_id, wanted, limit, marker, under_way)
    if not found and "id" in filters:
        raise RuleBroken(Rule.MEMBER_UNKNOWN, f"There is no member {filters['id']} under listener {listener_id}.")
    return [MemberView(member, checked) for member in found]


def remove_members(tx: Transaction, caller: Caller, policy: Policy, listener_id: str, ids: Sequence[str]) -> Accepted:
    """Remove members: all of those named, or none when one of them does not exist.

    Raises:
        RuleBroken: LISTENER_UNKNOWN, MEMBER_UNKNOWN, LB_BEING_DELETED or LB_UPDATE_FORBIDDEN.
    """
    listener = lookup.changeable_listener(tx.connection, caller, listener_id)
    found = {member.id: member for member in members.by_ids(tx.connection, listener_id, ids)}
    unknown = [id for id in ids if id not in found]
    if unknown:
        raise RuleBroken(
            Rule.MEMBER_UNKNOWN, f"There is no member {unknown[0]} under listener {listener_id}; nothing was removed."
        )
    rows.mark_deleting(tx.connection, tables.members, ids)
    entities = removal_entities(listener_id, ids)
    draining = _draining(tx, listener, [found[id].address for id in ids])
    changes: dict[str, list[Change]] = {id: [Removed("members", id)] for id in ids}
    for id, one in zip(ids, draining, strict=False):
        changes[id].append(Created("draining_members", one.id))
    parts = _parts(
        NewPart(JobType.REMOVE_MEMBER, removal_entities(listener_id, [id]), changes) for id, changes in changes.items()
    )
    accepted = accept_change(
        tx,
        caller,
        policy,
        JobType.REMOVE_MEMBER,
        listener.load_balancer_id,
        listener_id,
        [] if parts else [change for of_one in changes.values() for change in of_one],
        listener_id,
        entities,
        parts,
    )
    if draining:
        draining_store.begin(tx, listener.load_balancer_id, accepted.job_id, draining)
    return accepted


def _draining(tx: Transaction, listener: Listener, addresses: Sequence[str]) -> list[DrainingMember]:
    """When the connections of removed members end. Nothing but connections of a TCP listener outlives its member."""
    if listener.protocol != "TCP":
        return []
    minutes = (listener.tcp_draining_timeout or 0) if listener.tcp_draining else 0
    ends_at = tx.now + minutes * MILLISECONDS_A_MINUTE
    return [DrainingMember(new_id(), listener.id, address, ends_at, Status.PENDING_CREATE) for address in addresses]


def removal_entities(listener_id: str, ids: Sequence[str]) -> dict[str, Any]:
    """What a job about the removal of members shows (jobs.md)."""
    return {"listener_id": listener_id, "members": [{"id": id} for id in ids]}


def _parts(each: Iterable[NewPart]) -> list[NewPart]:
    """One sub-job a member, for a request about several; for one the job itself says it all."""
    parts = list(each)
    return parts if len(parts) > 1 else []


def _wanted(tx: Transaction, listener: Listener, known: Sequence[Member]) -> dict[str, Change]:
    """What adding known members changes, by id: nothing, unless other jobs under way have made or removed them.

    One whose removal has not ended is the same member still, and is taken back.
    """
    if not known:
        return {}
    leaving = [member.id for member in known if member.deleting]
    if leaving:
        members.restore(tx, leaving)
    under_way = inheritance.rows_under_way(tx.connection, listener.load_balancer_id, "members")
    return {member.id: Wanted("members", member.id, member.deleting) for member in known if member.id in under_way}


def _new_member(tx: Transaction, listener_id: str, wanted: NewMember) -> Member:
    return Member(
        id=new_id(),
        listener_id=listener_id,
        server_id=wanted.server_id,
        address=wanted.address,
        status=Status.PENDING_CREATE,
        deleting=False,
        healthy=None,
        create_time=tx.now,
        update_time=tx.now,
    )


def _entity(member: Member) -> dict[str, str]:
    return {
        "id": member.id,
        "address": member.address,
        "server_id": member.server_id,
        "listener_id": member.listener_id,
    }
