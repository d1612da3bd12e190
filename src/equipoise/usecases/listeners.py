"""Listeners: create, show, list, update, delete."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from equipoise.domain.changes import Created, Removed
from equipoise.domain.commands import Column
from equipoise.domain.errors import Rule, RuleBroken
from equipoise.domain.jobs import NOTHING, JobType
from equipoise.domain.model import Listener, Status
from equipoise.domain.rules import listener as rules
from equipoise.store import certificates, jobs, listeners, rows, tables
from equipoise.store.database import Transaction
from equipoise.usecases import lookup
from equipoise.usecases.acceptance import accept_change, write_changes, written
from equipoise.usecases.context import Accepted, Caller, Policy, new_id

# What the data plane never sees: a refusal cannot be about it.
_DESCRIPTIVE = frozenset({"name", "description"})

_COLUMN_NAMES = {"loadbalancer_id": "load_balancer_id"}


@dataclass(frozen=True, slots=True)
class ListenerView:
    """A listener as users see it: with the id of its health check and the number of its members."""

    listener: Listener
    healthcheck_id: str | None
    member_number: int


def create_listener(tx: Transaction, caller: Caller, policy: Policy, body: object) -> Accepted:
    """Accept a new listener. The body is checked here: of what it says and what is stored the first field counts.

    Raises:
        RuleBroken: those of `rules.listener.create_listener`, LISTENER_LB_UNKNOWN, LB_BEING_DELETED,
            LB_UPDATE_FORBIDDEN, LISTENER_PORT_REPEATED, LISTENER_FIELD_INVALID (no such certificate), LISTENER_QUOTA.
    """
    command = rules.create_listener(body, _Surroundings(tx.connection, caller))
    load_balancer_id = command.loadbalancer_id
    quota = policy.quotas_of(caller.project_id).listeners
    if listeners.count(tx.connection, load_balancer_id) >= quota:
        raise RuleBroken(
            Rule.LISTENER_QUOTA, f"The load balancer may have {quota} listeners; delete one or ask for more."
        )
    values = asdict(command) | {"load_balancer_id": load_balancer_id}
    del values["loadbalancer_id"]
    record = Listener(
        **values,
        id=new_id(),
        project_id=caller.project_id,
        admin_state_up=True,
        status=Status.PENDING_CREATE,
        deleting=False,
        create_time=tx.now,
        update_time=tx.now,
    )
    rows.insert(tx.connection, tables.listeners, record)
    changes = [Created("listeners", record.id)]
    return accept_change(
        tx, caller, policy, JobType.CREATE_LISTENER, load_balancer_id, record.id, changes, scope=record.id
    )


def show_listener(connection: Connection, caller: Caller, id: str) -> ListenerView:
    """One listener. Raises RuleBroken: LISTENER_UNKNOWN."""
    return _views(connection, [lookup.listener(connection, caller, id)])[0]


def list_listeners(
    connection: Connection, caller: Caller, filters: Mapping[str, Column], limit: int | None, marker: str | None
) -> Sequence[ListenerView]:
    """One page of the project's listeners."""
    columns = {_COLUMN_NAMES.get(name, name): value for name, value in filters.items()}
    return _views(connection, listeners.list_of(connection, caller.project_id, columns, limit, marker))


def update_listener(tx: Transaction, caller: Caller, policy: Policy, id: str, body: object) -> Accepted:
    """Change a listener. The body is checked here: which values fit depends on those that stand.

    Raises:
        RuleBroken: those of `rules.listener.update_listener`, LISTENER_UNKNOWN, LISTENER_FIELD_INVALID (no such
            certificate), LISTENER_PORT_REPEATED, LB_BEING_DELETED or LB_UPDATE_FORBIDDEN.
    """
    current = lookup.changeable_listener(tx.connection, caller, id)
    columns = asdict(current)
    on_the_wire = columns | {"loadbalancer_id": current.load_balancer_id}
    around = _Surroundings(tx.connection, caller, current.load_balancer_id)
    command = rules.update_listener(body, current=on_the_wire, around=around)
    changes = write_changes(
        tx, "listeners", id, columns, {**command.changes, **command.repeated}, current.load_balancer_id
    )
    scope = NOTHING if written(changes) <= _DESCRIPTIVE else id
    return accept_change(tx, caller, policy, JobType.UPDATE_LISTENER, current.load_balancer_id, id, changes, scope)


def delete_listener(tx: Transaction, caller: Caller, policy: Policy, id: str) -> Accepted:
    """Delete a listener with its members and its health check.

    Raises:
        RuleBroken: LISTENER_DELETE_UNKNOWN, LB_BEING_DELETED or LB_UPDATE_FORBIDDEN.
    """
    current = lookup.changeable_listener(tx.connection, caller, id, Rule.LISTENER_DELETE_UNKNOWN)
    rows.mark_deleting(tx.connection, tables.listeners, [id])
    changes = [Removed("listeners", id)]
    return accept_change(tx, caller, policy, JobType.DELETE_LISTENER, current.load_balancer_id, id, changes, NOTHING)


def _views(connection: Connection, found: Sequence[Listener]) -> list[ListenerView]:
    ids = [listener.id for listener in found]
    checks = listeners.health_check_ids(connection, ids)
    numbers = listeners.member_numbers(connection, ids)
    return [ListenerView(listener, checks.get(listener.id), numbers.get(listener.id, 0)) for listener in found]


class _Surroundings:
    """What stands beside a listener.

    Args:
        load_balancer_id: of a listener that is there; of a new one it is named by its body.
    """

    def __init__(self, connection: Connection, caller: Caller, load_balancer_id: str = "") -> None:
        self._connection = connection
        self._caller = caller
        self._load_balancer_id = load_balancer_id

    def load_balancer_type(self, id: str) -> str:
        """Raises RuleBroken: LISTENER_LB_UNKNOWN, LB_BEING_DELETED or LB_UPDATE_FORBIDDEN."""
        found = lookup.changeable_load_balancer(self._connection, self._caller, id, Rule.LISTENER_LB_UNKNOWN)
        self._load_balancer_id = id
        return found.type

    def check_port(self, protocol: str, port: int) -> None:
        """Raises RuleBroken: LISTENER_PORT_REPEATED.

        A port counts once for UDP and once for everything that runs over TCP. A port that an unfinished job is about
        to free is still taken: if that job fails, its listener comes back.
        """
        udp = protocol == "UDP"
        there = listeners.on_port(self._connection, self._load_balancer_id, port)
        taken = [id for id, other in there if (other == "UDP") == udp]
        to_be_freed = jobs.ports_to_be_freed(self._connection, self._load_balancer_id)
        leaving = [id for id, left in to_be_freed if left == port]
        if taken:
            raise RuleBroken(
                Rule.LISTENER_PORT_REPEATED, f"port: {port} is taken by listener {taken[0]} of this load balancer."
            )
        if any((other == "UDP") == udp for other in listeners.protocols(self._connection, leaving)):
            raise RuleBroken(Rule.LISTENER_PORT_REPEATED, f"port: {port} is still being given up by another listener.")

    def check_certificate(self, id: str) -> None:
        """Raises RuleBroken: LISTENER_FIELD_INVALID."""
        if certificates.get(self._connection, self._caller.project_id, id) is None:
            raise RuleBroken(
                Rule.LISTENER_FIELD_INVALID,
                f"certificate_id: there is no certificate {id} in this project; list them to see which there are.",
            )
