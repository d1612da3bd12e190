"""Health monitors: at most one for each pool."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from equipoise.core.changes import Created, Removed
from equipoise.core.commands import CreateHealthMonitorCommand, UpdateHealthMonitorCommand
from equipoise.core.errors import AlreadyExists
from equipoise.core.jobs import JobType
from equipoise.core.model import HealthMonitor, Listener, Pool, Status
from equipoise.core.references import ResourceKind, ResourceRef
from equipoise.core.references import pools as pool_refs
from equipoise.store import health_monitors, members, rows, tables
from equipoise.store.database import Transaction
from equipoise.usecases import lookup
from equipoise.usecases.acceptance import Write, accept_change, write_changes
from equipoise.usecases.context import Accepted, Caller, Policy, new_id


@dataclass(frozen=True, slots=True)
class HealthMonitorView:
    """A health monitor as users see it: with its pool, and the listener to which that is private."""

    monitor: HealthMonitor
    pool: Pool
    listener: Listener | None

    @property
    def port(self) -> int | None:
        """The port that is asked: its own or the default port of the pool."""
        return self.monitor.port or self.pool.default_port


def create_health_monitor(
    tx: Transaction,
    caller: Caller,
    policy: Policy,
    pool_id: str,
    asked: Callable[[Pool, Listener | None], CreateHealthMonitorCommand],
) -> Accepted:
    """Accept a health monitor for a pool that has none.

    Args:
        asked: what to create for that pool, and the listener to which it is private.

    Raises:
        what `asked` raises, NotFound (the pool), AlreadyExists, BeingDeleted or Frozen.
    """
    pool, listener = lookup.changeable_pool(tx.connection, caller, pool_id)
    command = asked(pool, listener)
    present = health_monitors.of_pool(tx.connection, pool.id)
    if present is not None:
        raise AlreadyExists(ResourceKind.HEALTH_MONITOR, present, ResourceRef(ResourceKind.POOL, pool.id))
    record = HealthMonitor(
        **asdict(command),
        id=new_id(),
        pool_id=pool.id,
        status=Status.PENDING_CREATE,
        deleting=False,
        create_time=tx.now,
        update_time=tx.now,
    )
    rows.insert(tx.connection, tables.health_monitors, record)
    # What an earlier monitor saw of the members says nothing about this one.
    members.forget_health(tx.connection, pool.id)
    changes = [Created("health_monitors", record.id)]
    return accept_change(
        tx,
        caller,
        policy,
        JobType.CREATE_HEALTH_MONITOR,
        pool.load_balancer_id,
        record.id,
        changes,
        pool_refs(pool.id),
    )


def show_health_monitor(connection: Connection, caller: Caller, id: str) -> HealthMonitorView:
    """One health monitor. Raises NotFound."""
    return HealthMonitorView(*lookup.health_monitor(connection, caller, id))


def update_health_monitor(
    tx: Transaction,
    caller: Caller,
    policy: Policy,
    id: str,
    asked: Callable[[HealthMonitorView], UpdateHealthMonitorCommand],
) -> Accepted:
    """Change a health monitor.

    Args:
        asked: what to change of what stands.

    Raises:
        what `asked` raises, NotFound, BeingDeleted or Frozen.
    """
    current = _changeable(tx, caller, id)
    write = Write("health_monitors", id, asdict(current.monitor), asked(current).changes)
    changes = write_changes(tx, [write], current.pool.load_balancer_id)
    return accept_change(
        tx,
        caller,
        policy,
        JobType.UPDATE_HEALTH_MONITOR,
        current.pool.load_balancer_id,
        id,
        changes,
        pool_refs(current.pool.id),
    )


def delete_health_monitor(tx: Transaction, caller: Caller, policy: Policy, id: str) -> Accepted:
    """Delete a health monitor; the members of its pool then count as able to serve.

    Raises:
        NotFound, BeingDeleted or Frozen.
    """
    pool = _changeable(tx, caller, id).pool
    rows.mark_deleting(tx.connection, tables.health_monitors, [id])
    changes = [Removed("health_monitors", id)]
    return accept_change(
        tx, caller, policy, JobType.DELETE_HEALTH_MONITOR, pool.load_balancer_id, id, changes, pool_refs(pool.id)
    )


def _changeable(tx: Transaction, caller: Caller, id: str) -> HealthMonitorView:
    found = show_health_monitor(tx.connection, caller, id)
    lookup.changeable_load_balancer(tx.connection, caller, found.pool.load_balancer_id)
    return found
