"""Finding a free address in a pool. Whose it becomes is the caller's."""

from ipaddress import IPv4Network

from sqlalchemy import Connection

from equipoise.core import addresses as pools
from equipoise.store import addresses
from equipoise.usecases.context import Policy


def free_address(connection: Connection, policy: Policy, pool: IPv4Network) -> str | None:
    """Any free address of the pool, or None when there is none."""
    return pools.choose(
        pool,
        lambda address: addresses.is_taken(connection, address),
        lambda: addresses.all_taken(connection),
        policy.chooser,
    )


def exhausted(pool: IPv4Network) -> str:
    """The sentence for one who asked in vain."""
    return (
        f"Every address of the pool {pool} is in use or held; release one that is not needed, "
        "or ask the operator for a larger pool."
    )
