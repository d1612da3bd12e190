"""Load balancers: create, show, list, update, delete (with or without their address)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from ipaddress import IPv4Network
from typing import Any

from sqlalchemy import Connection

from equipoise.core import addresses as pools
from equipoise.core.changes import AddressKept, Change, Created, Removed, Updated
from equipoise.core.commands import Column, CreateLoadBalancerCommand, Filter, UpdateLoadBalancerCommand
from equipoise.core.errors import AddressTaken, InUse, InvalidField, NotApplicable, NotFound, QuotaExceeded
from equipoise.core.jobs import (
    DeletionSubject,
    FailureReason,
    HealthMonitorSubject,
    JobType,
    ListenerSubject,
    LoadBalancerSubject,
    MembersSubject,
    MemberSubject,
)
from equipoise.core.model import EXTERNAL, Address, LoadBalancer, Status
from equipoise.core.references import NOTHING, ResourceKind, ResourceRef
from equipoise.store import addresses, load_balancers, rows, tables
from equipoise.store.database import Transaction
from equipoise.store.jobs import rollback, transitions
from equipoise.usecases import lookup
from equipoise.usecases.acceptance import Write, accept_change, write_changes, written
from equipoise.usecases.context import Accepted, Caller, Policy, new_id
from equipoise.usecases.pools import exhausted, free_address


def create_load_balancer(
    tx: Transaction, caller: Caller, policy: Policy, command: CreateLoadBalancerCommand
) -> Accepted:
    """Accept a new load balancer with an address of its own.

    When the pool has no address left the job is accepted all the same and has failed by the time of the answer.

    Raises:
        QuotaExceeded, InvalidField (the address), AddressTaken or NotFound (the elastic IP).
    """
    quota = policy.quotas_of(caller.project_id).load_balancers
    if load_balancers.count(tx.connection, caller.project_id) >= quota:
        raise QuotaExceeded(ResourceKind.LOAD_BALANCER, ResourceKind.PROJECT, quota, "delete one or ask for more")
    id = new_id()
    pool = _pool_for(policy, command)
    address, held = _address_for(tx.connection, caller, policy, command, pool)
    record = _new_record(tx, caller, command, id, address or "")
    if address is None:
        return _fail_for_want_of_address(tx, caller, policy, record, pool)
    if held is not None:
        # An elastic IP that was there before brings its own.
        record = replace(record, bandwidth=held.bandwidth, charge_mode=held.charge_mode, eip_type=held.eip_type)
    rows.insert(tx.connection, tables.load_balancers, record)
    changes: list[Change] = [Created("load_balancers", id)]
    if held is None:
        rows.insert(tx.connection, tables.addresses, _new_address(tx, record))
    else:
        changes += _write_address(tx, held, "load_balancer_id", id)
    return accept_change(tx, caller, policy, JobType.CREATE_LOAD_BALANCER, id, id, changes, NOTHING, _subject(record))


def show_load_balancer(connection: Connection, caller: Caller, id: str) -> LoadBalancer:
    """One load balancer. Raises NotFound."""
    return lookup.load_balancer(connection, caller, id)


def list_load_balancers(
    connection: Connection, caller: Caller, filters: Iterable[Filter], limit: int | None, marker: str | None
) -> Sequence[LoadBalancer]:
    """One page of the project's load balancers."""
    return load_balancers.list_of(connection, caller.project_id, filters, limit, marker)


def update_load_balancer(
    tx: Transaction, caller: Caller, policy: Policy, id: str, asked: Callable[[LoadBalancer], UpdateLoadBalancerCommand]
) -> Accepted:
    """Change name, description, bandwidth or administrative state.

    Args:
        asked: what to change of what stands: which columns mean anything depends on the type.

    Raises:
        what `asked` raises, NotFound, BeingDeleted or Frozen.
    """
    current = lookup.changeable_load_balancer(tx.connection, caller, id)
    meant: dict[str, Any] = dict(asked(current).changes)
    changes = write_changes(tx, [Write("load_balancers", id, asdict(current), meant)], id)
    if "bandwidth" in meant:
        # It is the elastic IP's, and stays with it when the load balancer goes.
        changes += _write_address(tx, addresses.of_load_balancer(tx.connection, id), "bandwidth", meant["bandwidth"])
    wanted = replace(current, **meant)
    # Only starting and stopping reach the listeners; a rejection of one says nothing about a new name.
    everything = frozenset({ResourceRef(ResourceKind.LOAD_BALANCER, id)})
    scope = everything if "admin_state_up" in written(changes) else NOTHING
    return accept_change(tx, caller, policy, JobType.UPDATE_LOAD_BALANCER, id, id, changes, scope, _subject(wanted))


def delete_load_balancer(
    tx: Transaction, caller: Caller, policy: Policy, id: str, *, keep_address: bool = False
) -> Accepted:
    """Delete a load balancer and all below it; its address goes back to the pool or stays with the project.

    Raises:
        NotFound, BeingDeleted, Frozen, NotApplicable (an Internal one has nothing to keep), or InUse for an External
            one that still has members.
    """
    current = lookup.changeable_load_balancer(tx.connection, caller, id)
    if keep_address and current.type != EXTERNAL:
        raise NotApplicable("Only an External load balancer has an elastic IP to keep; delete it without.")
    if current.type == EXTERNAL and load_balancers.has_members(tx.connection, id):
        raise InUse(ResourceKind.LOAD_BALANCER, id, None, f"Load balancer {id} still has members; remove them first.")
    rows.mark_deleting(tx.connection, tables.load_balancers, [id])
    changes: list[Change] = [AddressKept(id)] if keep_address else []
    changes.append(Removed("load_balancers", id))
    return accept_change(
        tx,
        caller,
        policy,
        JobType.DELETE_LOAD_BALANCER,
        id,
        id,
        changes,
        NOTHING,
        DeletionSubject(id),
        [_deletion_of(below) for below in load_balancers.all_below(tx.connection, id)],
    )


def _subject(record: LoadBalancer) -> LoadBalancerSubject:
    return LoadBalancerSubject(
        id=record.id,
        name=record.name,
        description=record.description,
        type=record.type,
        bandwidth=record.bandwidth,
        vip_address=record.vip_address,
        project_id=record.project_id,
        admin_state_up=record.admin_state_up,
        vpc_id=record.vpc_id,
    )


def _deletion_of(below: load_balancers.Below) -> transitions.NewSubJob:
    """The sub-job for a thing that goes with its load balancer; it has no changes of its own, the row goes as well."""
    match below:
        case load_balancers.Below(ResourceKind.MEMBER, id, str(pool_id)):
            return transitions.NewSubJob(JobType.REMOVE_MEMBER, MembersSubject(pool_id, (MemberSubject(id),)))
        case load_balancers.Below(ResourceKind.HEALTH_MONITOR, id, str(pool_id)):
            return transitions.NewSubJob(JobType.DELETE_HEALTH_MONITOR, HealthMonitorSubject(pool_id, id))
        case _:
            return transitions.NewSubJob(JobType.DELETE_LISTENER, ListenerSubject(below.id))


def _new_record(
    tx: Transaction, caller: Caller, command: CreateLoadBalancerCommand, id: str, address: str
) -> LoadBalancer:
    return LoadBalancer(
        **asdict(command) | {"vip_address": address},
        id=id,
        project_id=caller.project_id,
        status=Status.PENDING_CREATE,
        deleting=False,
        generation=0,
        revision=0,
        create_time=tx.now,
        update_time=tx.now,
    )


def _new_address(tx: Transaction, load_balancer: LoadBalancer) -> Address:
    return Address(
        id=new_id(),
        address=load_balancer.vip_address,
        project_id=load_balancer.project_id,
        type=load_balancer.type,
        load_balancer_id=load_balancer.id,
        bandwidth=load_balancer.bandwidth,
        charge_mode=load_balancer.charge_mode,
        eip_type=load_balancer.eip_type,
        create_time=tx.now,
    )


def _write_address(tx: Transaction, address: Address, column: str, value: Column) -> list[Change]:
    before = asdict(address)[column]
    if before != value:
        rows.set_columns(tx.connection, tables.addresses, address.id, {column: value})
    return [Updated("addresses", address.id, {column: before}, {column: value})]


def _address_for(
    connection: Connection, caller: Caller, policy: Policy, command: CreateLoadBalancerCommand, pool: IPv4Network
) -> tuple[str | None, Address | None]:
    """The address to use (None: the pool is exhausted), and what is known of it where the project holds it already."""
    wanted = command.vip_address
    if wanted is None:
        return free_address(connection, policy, pool), None
    if not pools.contains(pool, wanted):
        raise InvalidField(ResourceKind.LOAD_BALANCER, "vip_address", f"{wanted} is not an address of the pool {pool}.")
    held = addresses.held_by(connection, caller.project_id, wanted)
    if command.type == EXTERNAL and held is None:
        raise NotFound(
            ResourceKind.ELASTIC_IP,
            wanted,
            f"vip_address: {wanted} is no elastic IP of this project; leave it out for a new one.",
        )
    in_use = addresses.is_taken(connection, wanted) if held is None else held.load_balancer_id is not None
    if in_use:
        raise AddressTaken("vip_address", f"{wanted} is in use by another load balancer.")
    return wanted, held


def _pool_for(policy: Policy, command: CreateLoadBalancerCommand) -> IPv4Network:
    pool = policy.pools[command.type]
    if command.type == EXTERNAL:
        return pool
    return policy.networks.pool(command.vpc_id, command.vip_subnet_id, command.vip_address, otherwise=pool)


def _fail_for_want_of_address(
    tx: Transaction, caller: Caller, policy: Policy, record: LoadBalancer, pool: IPv4Network
) -> Accepted:
    external = record.type == EXTERNAL
    job = transitions.NewJob(
        id=new_id(),
        project_id=caller.project_id,
        job_type=JobType.CREATE_LOAD_BALANCER,
        load_balancer_id=record.id,
        resource_id=record.id,
        generation=0,
        scope=NOTHING,
        subject=_subject(record),
        changes=(),
        request_id=caller.request_id,
        time_limit=policy.job_time_limit,
    )
    transitions.accept(tx, job)
    rollback.fail(
        tx,
        [job.id],
        FailureReason.NO_ELASTIC_IP_LEFT if external else FailureReason.NO_ADDRESS_LEFT,
        exhausted(pool),
    )
    return Accepted(job.id, record.id)
