"""Health checks: at most one for each listener."""

from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from equipoise.domain.changes import Created, Removed
from equipoise.domain.errors import Rule, RuleBroken
from equipoise.domain.jobs import JobType
from equipoise.domain.model import HealthCheck, Listener, Status
from equipoise.domain.rules import health_check as rules
from equipoise.store import health_checks, members, rows, tables
from equipoise.store.database import Transaction
from equipoise.usecases import lookup
from equipoise.usecases.acceptance import accept_change, write_changes
from equipoise.usecases.context import Accepted, Caller, Policy, new_id


@dataclass(frozen=True, slots=True)
class HealthCheckView:
    """A health check as users see it: with the port that it asks, its own or the backend port of its listener."""

    check: HealthCheck
    connect_port: int


def create_health_check(tx: Transaction, caller: Caller, policy: Policy, body: object) -> Accepted:
    """Accept a health check for a listener that has none. The body is checked here: its listener comes first.

    Raises:
        RuleBroken: those of `rules.health_check`, HEALTH_CHECK_LISTENER_UNKNOWN, HEALTH_CHECK_EXISTS,
            LB_BEING_DELETED or LB_UPDATE_FORBIDDEN.
    """
    listener = lookup.changeable_listener(
        tx.connection, caller, rules.listener_id(body), Rule.HEALTH_CHECK_LISTENER_UNKNOWN
    )
    command = rules.create_health_check(body, listener_protocol=listener.protocol)
    present = health_checks.of_listener(tx.connection, listener.id)
    if present is not None:
        raise RuleBroken(
            Rule.HEALTH_CHECK_EXISTS,
            f"Listener {listener.id} has health check {present} already; update that one or delete it first.",
        )
    record = HealthCheck(
        **asdict(command),
        id=new_id(),
        status=Status.PENDING_CREATE,
        deleting=False,
        create_time=tx.now,
        update_time=tx.now,
    )
    rows.insert(tx.connection, tables.health_checks, record)
    # What an earlier check saw of the members says nothing about this one.
    members.forget_health(tx.connection, listener.id)
    changes = [Created("health_checks", record.id)]
    return accept_change(
        tx,
        caller,
        policy,
        JobType.CREATE_HEALTH_CHECK,
        listener.load_balancer_id,
        record.id,
        changes,
        scope=listener.id,
    )


def show_health_check(connection: Connection, caller: Caller, id: str) -> HealthCheckView:
    """One health check. Raises RuleBroken: HEALTH_CHECK_UNKNOWN."""
    found = lookup.health_check(connection, caller, id)
    return HealthCheckView(found, _connect_port(found, lookup.listener(connection, caller, found.listener_id)))


def update_health_check(tx: Transaction, caller: Caller, policy: Policy, id: str, body: object) -> Accepted:
    """Change a health check. The body is checked here: which values fit depends on those that stand.

    Raises:
        RuleBroken: those of `rules.health_check.update_health_check`, HEALTH_CHECK_UNKNOWN, LB_BEING_DELETED or
            LB_UPDATE_FORBIDDEN.
    """
    current = lookup.health_check(tx.connection, caller, id)
    listener = lookup.changeable_listener(tx.connection, caller, current.listener_id)
    columns = asdict(current)
    command = rules.update_health_check(
        body, current=columns, listener_protocol=listener.protocol, backend_port=listener.backend_port
    )
    wanted = {**command.changes, **command.repeated}
    changes = write_changes(tx, "health_checks", id, columns, wanted, listener.load_balancer_id)
    return accept_change(
        tx, caller, policy, JobType.UPDATE_HEALTH_CHECK, listener.load_balancer_id, id, changes, scope=listener.id
    )


def delete_health_check(tx: Transaction, caller: Caller, policy: Policy, id: str) -> Accepted:
    """Delete a health check; its members then count as able to serve.

    Raises:
        RuleBroken: HEALTH_CHECK_UNKNOWN, LB_BEING_DELETED or LB_UPDATE_FORBIDDEN.
    """
    current = lookup.health_check(tx.connection, caller, id)
    listener = lookup.changeable_listener(tx.connection, caller, current.listener_id)
    rows.mark_deleting(tx.connection, tables.health_checks, [id])
    changes = [Removed("health_checks", id)]
    return accept_change(
        tx, caller, policy, JobType.DELETE_HEALTH_CHECK, listener.load_balancer_id, id, changes, scope=listener.id
    )


def _connect_port(check: HealthCheck, listener: Listener) -> int:
    return check.healthcheck_connect_port or listener.backend_port
