"""Elastic IPs: take one from the pool, show, list, give it back. Using one is the load balancer's business."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from equipoise.core import addresses as pools
from equipoise.core.commands import CreateElasticIpCommand, Filter
from equipoise.core.errors import AddressTaken, InUse, InvalidField, NotFound, PoolExhausted
from equipoise.core.model import EXTERNAL, Address
from equipoise.core.references import ResourceKind, ResourceRef
from equipoise.store import addresses, rows, tables
from equipoise.store.database import Transaction
from equipoise.usecases.context import Caller, Policy, new_id
from equipoise.usecases.pools import exhausted, free_address


def create_elastic_ip(tx: Transaction, caller: Caller, policy: Policy, command: CreateElasticIpCommand) -> Address:
    """Take an elastic IP for the project: the one asked for, or any that is free.

    Raises:
        InvalidField (not of the pool), AddressTaken or PoolExhausted.
    """
    record = Address(
        id=new_id(),
        address=_address(tx.connection, policy, command.address),
        project_id=caller.project_id,
        type=EXTERNAL,
        load_balancer_id=None,
        bandwidth=command.bandwidth,
        charge_mode=command.charge_mode,
        eip_type=command.eip_type,
        create_time=tx.now,
    )
    rows.insert(tx.connection, tables.addresses, record)
    return record


def show_elastic_ip(connection: Connection, caller: Caller, id: str) -> Address:
    """One elastic IP. Raises NotFound."""
    found = addresses.get_elastic_ip(connection, caller.project_id, id)
    if found is None:
        raise NotFound(
            ResourceKind.ELASTIC_IP,
            id,
            "There is no such elastic IP in this project; list them to see which there are.",
        )
    return found


def list_elastic_ips(
    connection: Connection, caller: Caller, filters: Iterable[Filter], limit: int | None, marker: str | None
) -> Sequence[Address]:
    """One page of the project's elastic IPs."""
    return addresses.list_elastic_ips(connection, caller.project_id, filters, limit, marker)


def delete_elastic_ip(tx: Transaction, caller: Caller, id: str) -> None:
    """Give an elastic IP back to the pool.

    Raises:
        NotFound, or InUse while a load balancer has it.
    """
    record = show_elastic_ip(tx.connection, caller, id)
    if not addresses.give_back(tx.connection, id):
        user = record.load_balancer_id
        raise InUse(
            ResourceKind.ELASTIC_IP,
            id,
            None if user is None else ResourceRef(ResourceKind.LOAD_BALANCER, user),
            f"Load balancer {record.load_balancer_id} uses {record.address}; delete that one first.",
        )


def _address(connection: Connection, policy: Policy, wanted: str | None) -> str:
    pool = policy.pools[EXTERNAL]
    if wanted is None:
        chosen = free_address(connection, policy, pool)
        if chosen is None:
            raise PoolExhausted(exhausted(pool))
        return chosen
    if not pools.contains(pool, wanted):
        raise InvalidField(ResourceKind.ELASTIC_IP, "address", f"{wanted} is not an address of the pool {pool}.")
    if addresses.is_taken(connection, wanted):
        raise AddressTaken("address", f"{wanted} is taken; leave it out for one that is free.")
    return wanted
