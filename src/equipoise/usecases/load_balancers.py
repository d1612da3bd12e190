"""Load balancers: create, show, list, update, delete (with or without their address)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from ipaddress import IPv4Network
from typing import Any

from sqlalchemy import Connection

from equipoise.domain import addresses as pools
from equipoise.domain.changes import AddressKept, Change, Created, Removed, Updated
from equipoise.domain.commands import Column, CreateLoadBalancer
from equipoise.domain.errors import Rule, RuleBroken
from equipoise.domain.jobs import EVERY_LISTENER, NOTHING, JobType
from equipoise.domain.model import EXTERNAL, Address, LoadBalancer, Status
from equipoise.domain.rules import load_balancer as rules
from equipoise.store import addresses, jobs, load_balancers, rows, tables
from equipoise.store.database import Transaction
from equipoise.usecases import lookup, members
from equipoise.usecases.acceptance import accept_change, write_changes, written
from equipoise.usecases.context import Accepted, Caller, Policy, new_id
from equipoise.usecases.pools import exhausted, free_address


def create_load_balancer(tx: Transaction, caller: Caller, policy: Policy, command: CreateLoadBalancer) -> Accepted:
    """Accept a new load balancer with an address of its own.

    When the pool has no address left the job is accepted all the same and has failed by the time of the answer
    (errors.json: ELB.3001 and ELB.4001 are errors of jobs).

    Raises:
        RuleBroken: LB_QUOTA, LB_VIP_INVALID, LB_VIP_TAKEN or ELASTIC_IP_UNKNOWN.
    """
    quota = policy.quotas_of(caller.project_id).load_balancers
    if load_balancers.count(tx.connection, caller.project_id) >= quota:
        raise RuleBroken(Rule.LB_QUOTA, f"The project may have {quota} load balancers; delete one or ask for more.")
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
    return accept_change(
        tx, caller, policy, JobType.CREATE_LOAD_BALANCER, id, id, changes, NOTHING, load_balancer_entities(record)
    )


def show_load_balancer(connection: Connection, caller: Caller, id: str) -> LoadBalancer:
    """One load balancer. Raises RuleBroken: LB_UNKNOWN."""
    return lookup.load_balancer(connection, caller, id)


def list_load_balancers(
    connection: Connection, caller: Caller, filters: Mapping[str, Column], limit: int | None, marker: str | None
) -> Sequence[LoadBalancer]:
    """One page of the project's load balancers."""
    return load_balancers.list_of(connection, caller.project_id, filters, limit, marker)


def update_load_balancer(tx: Transaction, caller: Caller, policy: Policy, id: str, body: object) -> Accepted:
    """Change name, description, bandwidth or administrative state. The body is checked here: which fields mean
    anything depends on the type.

    Raises:
        RuleBroken: those of `rules.load_balancer.update_load_balancer`, LB_UNKNOWN, LB_BEING_DELETED or
            LB_UPDATE_FORBIDDEN.
    """
    current = lookup.changeable_load_balancer(tx.connection, caller, id)
    columns = asdict(current)
    on_the_wire = columns | {"tenantId": current.project_id}
    command = rules.update_load_balancer(body, current=on_the_wire, may_freeze=caller.may_freeze)
    meant: dict[str, Any] = dict(command.changes)
    changes = write_changes(tx, "load_balancers", id, columns, meant, id)
    if "bandwidth" in meant:
        # It is the elastic IP's, and stays with it when the load balancer goes.
        changes += _write_address(tx, addresses.of_load_balancer(tx.connection, id), "bandwidth", meant["bandwidth"])
    wanted = replace(current, **meant)
    # Only starting and stopping reach the listeners; a listener's refusal says nothing about a new name.
    scope = EVERY_LISTENER if "admin_state_up" in written(changes) else NOTHING
    return accept_change(
        tx, caller, policy, JobType.UPDATE_LOAD_BALANCER, id, id, changes, scope, load_balancer_entities(wanted)
    )


def delete_load_balancer(
    tx: Transaction, caller: Caller, policy: Policy, id: str, *, keep_address: bool = False
) -> Accepted:
    """Delete a load balancer and all below it; its address goes back to the pool or stays with the project.

    Raises:
        RuleBroken: LB_DELETE_UNKNOWN, LB_BEING_DELETED, LB_UPDATE_FORBIDDEN, or LB_HAS_MEMBERS for an External one
            that still has members.
    """
    current = lookup.changeable_load_balancer(tx.connection, caller, id, Rule.LB_DELETE_UNKNOWN)
    if keep_address and current.type != EXTERNAL:
        raise RuleBroken(
            Rule.LB_UPDATE_FORBIDDEN, "Only an External load balancer has an elastic IP to keep; delete it without."
        )
    if current.type == EXTERNAL and load_balancers.has_members(tx.connection, id):
        raise RuleBroken(Rule.LB_HAS_MEMBERS, f"Load balancer {id} still has members; remove them first.")
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
        {"elb_id": id},
        [_deletion_of(below) for below in load_balancers.all_below(tx.connection, id)],
    )


def load_balancer_entities(record: LoadBalancer) -> dict[str, Any]:
    """What a job about a load balancer shows (jobs.md); its status follows from the job and is added when read."""
    return {
        "elb": {
            "id": record.id,
            "name": record.name,
            "description": record.description,
            "type": record.type,
            "bandwidth": record.bandwidth,
            "vip_address": record.vip_address,
            "tenant_id": record.project_id,
            "admin_state_up": record.admin_state_up == 1,
            "vpc_id": record.vpc_id,
        }
    }


def _deletion_of(below: load_balancers.Below) -> jobs.NewPart:
    """The sub-job for a thing that goes with its load balancer; it has no changes of its own, the row goes as well."""
    match below.table:
        case "members":
            return jobs.NewPart(JobType.REMOVE_MEMBER, members.removal_entities(below.listener_id, [below.id]))
        case "health_checks":
            entities = {"listener_id": below.listener_id, "healthcheck_id": below.id}
            return jobs.NewPart(JobType.DELETE_HEALTH_CHECK, entities)
        case _:
            return jobs.NewPart(JobType.DELETE_LISTENER, {"listener_id": below.listener_id})


def _new_record(tx: Transaction, caller: Caller, command: CreateLoadBalancer, id: str, address: str) -> LoadBalancer:
    return LoadBalancer(
        **asdict(command) | {"vip_address": address},
        id=id,
        project_id=caller.project_id,
        status=Status.PENDING_CREATE,
        deleting=False,
        generation=0,
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
    connection: Connection, caller: Caller, policy: Policy, command: CreateLoadBalancer, pool: IPv4Network
) -> tuple[str | None, Address | None]:
    """The address to use (None: the pool is exhausted), and what is known of it where the project holds it already."""
    wanted = command.vip_address
    if wanted is None:
        return free_address(connection, policy, pool), None
    if not pools.contains(pool, wanted):
        raise RuleBroken(Rule.LB_VIP_INVALID, f"vip_address: {wanted} is not an address of the pool {pool}.")
    held = addresses.held_by(connection, caller.project_id, wanted)
    if command.type == EXTERNAL and held is None:
        raise RuleBroken(
            Rule.ELASTIC_IP_UNKNOWN,
            f"vip_address: {wanted} is no elastic IP of this project; leave it out for a new one.",
        )
    in_use = addresses.is_taken(connection, wanted) if held is None else held.load_balancer_id is not None
    if in_use:
        raise RuleBroken(Rule.LB_VIP_TAKEN, f"vip_address: {wanted} is in use by another load balancer.")
    return wanted, held


def _pool_for(policy: Policy, command: CreateLoadBalancer) -> IPv4Network:
    pool = policy.pools[command.type]
    if command.type == EXTERNAL:
        return pool
    return policy.networks.pool(command.vpc_id, command.vip_subnet_id, command.vip_address, otherwise=pool)


def _fail_for_want_of_address(
    tx: Transaction, caller: Caller, policy: Policy, record: LoadBalancer, pool: IPv4Network
) -> Accepted:
    external = record.type == EXTERNAL
    job = jobs.NewJob(
        id=new_id(),
        project_id=caller.project_id,
        job_type=JobType.CREATE_LOAD_BALANCER,
        load_balancer_id=record.id,
        resource_id=record.id,
        generation=0,
        scope=NOTHING,
        entities=load_balancer_entities(record),
        changes=(),
        request_id=caller.request_id,
        time_limit=policy.job_time_limit,
    )
    jobs.accept(tx, job)
    jobs.fail(
        tx,
        [job.id],
        Rule.ELASTIC_IP_POOL_EXHAUSTED if external else Rule.ADDRESS_POOL_EXHAUSTED,
        exhausted(pool),
    )
    return Accepted(job.id, record.id)
