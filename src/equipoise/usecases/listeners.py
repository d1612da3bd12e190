"""Listeners, each with a pool of its own: create, show, list, update, delete."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol as Shape

from sqlalchemy import Connection

from equipoise.core.changes import Created, Removed
from equipoise.core.commands import CreateListenerCommand, Filter, UpdateListenerCommand
from equipoise.core.errors import NotFound, PortTaken, QuotaExceeded
from equipoise.core.jobs import JobType
from equipoise.core.model import Listener, LoadBalancer, Pool, Protocol, Status
from equipoise.core.references import NOTHING, ResourceKind
from equipoise.core.references import listeners as listener_refs
from equipoise.core.references import pools as pool_refs
from equipoise.store import certificates, listeners, pools, rows, tables
from equipoise.store.database import Transaction
from equipoise.store.jobs import queries
from equipoise.store.listeners import ListenerAndPool, UsedPort
from equipoise.usecases import lookup
from equipoise.usecases.acceptance import Write, accept_change, write_changes, written
from equipoise.usecases.context import Accepted, Caller, Policy, new_id

# What the data plane never sees: a rejection cannot be about it.
_DESCRIPTIVE = frozenset({"name", "description"})


@dataclass(frozen=True, slots=True)
class ListenerView:
    """A listener as users see it: with its default pool, the health monitor of that and the number of its members."""

    listener: Listener
    pool: Pool | None
    health_monitor_id: str | None
    member_number: int


@dataclass(frozen=True, slots=True)
class ListenerFilters:
    """Which listeners to list, by columns of their own, of their default pool, and by its health monitor."""

    listener: Sequence[Filter] = ()
    pool: Sequence[Filter] = ()
    health_monitor_id: str | None = None


class ListenerContext(Shape):
    """What a listener must fit beside itself.

    All of it is checked for every listener. An API that tells errors in the order of its fields asks in that order.
    """

    def load_balancer(self, id: str) -> LoadBalancer:
        """The load balancer that the listener is to have. Raises NotFound, BeingDeleted or Frozen."""

    def check_port(self, protocol: str, port: int) -> None:
        """Raise PortTaken unless the port is free for the protocol on that load balancer."""

    def check_certificate(self, id: str) -> None:
        """Raise NotFound unless there is such a certificate."""


def create_listener(
    tx: Transaction, caller: Caller, policy: Policy, asked: Callable[[ListenerContext], CreateListenerCommand]
) -> Accepted:
    """Accept a new listener with a pool of its own, which has the same id.

    Args:
        asked: what to create; it may look at what it must fit.

    Raises:
        what `asked` and `ListenerContext` raise, or QuotaExceeded.
    """
    context = _Context(tx.connection, caller)
    command = asked(context)
    load_balancer_id = context.load_balancer(command.load_balancer_id).id
    context.check_port(command.protocol, command.port)
    if command.certificate_id is not None:
        context.check_certificate(command.certificate_id)
    quota = policy.quotas_of(caller.project_id).listeners
    if len(context.used_ports()) >= quota:
        raise QuotaExceeded(ResourceKind.LISTENER, ResourceKind.LOAD_BALANCER, quota, "delete one or ask for more")
    id = new_id()
    listener = Listener(
        id=id,
        project_id=caller.project_id,
        load_balancer_id=load_balancer_id,
        name=command.name,
        description=command.description,
        protocol=command.protocol,
        port=command.port,
        default_pool_id=id,
        idle_timeout=command.idle_timeout,
        certificate_id=command.certificate_id,
        tls_protocols=command.tls_protocols,
        tls_ciphers=command.tls_ciphers,
        admin_state_up=True,
        status=Status.PENDING_CREATE,
        deleting=False,
        create_time=tx.now,
        update_time=tx.now,
    )
    pool = Pool(
        id=id,
        project_id=caller.project_id,
        load_balancer_id=load_balancer_id,
        private_to=id,
        name="",
        description="",
        **asdict(command.pool),
        admin_state_up=True,
        # Its state is that of the listener.
        status=Status.ACTIVE,
        deleting=False,
        create_time=tx.now,
        update_time=tx.now,
    )
    rows.insert(tx.connection, tables.listeners, listener)
    rows.insert(tx.connection, tables.pools, pool)
    # Whatever becomes of the listener becomes of its pool.
    changes = [Created("listeners", id)]
    return accept_change(
        tx, caller, policy, JobType.CREATE_LISTENER, load_balancer_id, id, changes, listener_refs(id) | pool_refs(id)
    )


def show_listener(connection: Connection, caller: Caller, id: str) -> ListenerView:
    """One listener. Raises NotFound."""
    return _views(connection, [lookup.listener(connection, caller, id)])[0]


def list_listeners(
    connection: Connection, caller: Caller, filters: ListenerFilters, limit: int | None, marker: str | None
) -> Sequence[ListenerView]:
    """One page of the project's listeners."""
    found = listeners.list_of(
        connection, caller.project_id, filters.listener, filters.pool, filters.health_monitor_id, limit, marker
    )
    return _views(connection, found)


def update_listener(
    tx: Transaction,
    caller: Caller,
    policy: Policy,
    id: str,
    asked: Callable[[Listener, Pool | None, ListenerContext], UpdateListenerCommand],
) -> Accepted:
    """Change a listener and its own pool.

    Args:
        asked: what to change of what stands; it may look at what that must fit.

    Raises:
        what `asked` and `ListenerContext` raise, NotFound, BeingDeleted or Frozen.
    """
    current, pool = lookup.changeable_listener(tx.connection, caller, id)
    context = _Context(tx.connection, caller, current.load_balancer_id)
    command = asked(current, pool, context)
    match command.listener:
        case {"port": int(port)} if port != current.port:
            context.check_port(current.protocol, port)
    match command.listener:
        case {"certificate_id": str(certificate_id)} if certificate_id != current.certificate_id:
            context.check_certificate(certificate_id)
    writes = [Write("listeners", id, asdict(current), command.listener)]
    scope = listener_refs(id)
    if pool is not None and pool.private_to == id:
        writes.append(Write("pools", pool.id, asdict(pool), command.pool))
        scope |= pool_refs(pool.id)
    changes = write_changes(tx, writes, current.load_balancer_id)
    if written(changes) <= _DESCRIPTIVE:
        scope = NOTHING
    return accept_change(tx, caller, policy, JobType.UPDATE_LISTENER, current.load_balancer_id, id, changes, scope)


def delete_listener(tx: Transaction, caller: Caller, policy: Policy, id: str) -> Accepted:
    """Delete a listener with its own pool, the members and the health monitor of that.

    Raises:
        NotFound, BeingDeleted or Frozen.
    """
    current, _ = lookup.changeable_listener(tx.connection, caller, id)
    rows.mark_deleting(tx.connection, tables.listeners, [id])
    changes = [Removed("listeners", id)]
    return accept_change(tx, caller, policy, JobType.DELETE_LISTENER, current.load_balancer_id, id, changes, NOTHING)


def _views(connection: Connection, found: Sequence[ListenerAndPool]) -> list[ListenerView]:
    ids = [pool.id for _, pool in found if pool is not None]
    monitors = pools.health_monitor_ids(connection, ids)
    numbers = pools.member_numbers(connection, ids)
    return [
        ListenerView(listener, pool, monitors.get(pool.id), numbers.get(pool.id, 0))
        if pool is not None
        else ListenerView(listener, None, None, 0)
        for listener, pool in found
    ]


class _Context:
    """What stands beside a listener; what was looked up is not looked up again.

    Args:
        load_balancer_id: of a listener that is there; of a new one it is told by `load_balancer`.
    """

    def __init__(self, connection: Connection, caller: Caller, load_balancer_id: str = "") -> None:
        self._connection = connection
        self._caller = caller
        self._load_balancer_id = load_balancer_id
        self._load_balancer: LoadBalancer | None = None
        self._used_ports: Sequence[UsedPort] | None = None
        self._fits: set[object] = set()

    def load_balancer(self, id: str) -> LoadBalancer:
        if self._load_balancer is None or self._load_balancer.id != id:
            self._load_balancer = lookup.changeable_load_balancer(self._connection, self._caller, id)
            self._load_balancer_id = id
            self._used_ports = None
        return self._load_balancer

    def used_ports(self) -> Sequence[UsedPort]:
        if self._used_ports is None:
            self._used_ports = listeners.used_ports(self._connection, self._load_balancer_id)
        return self._used_ports

    def check_port(self, protocol: str, port: int) -> None:
        """A port counts once for UDP and once for everything that runs over TCP. A port that an unfinished job is about
        to free is still taken: if that job fails, its listener comes back.
        """
        if ("port", protocol, port) in self._fits:
            return
        udp = protocol == Protocol.UDP
        alike = [one for one in self.used_ports() if (one.protocol == Protocol.UDP) == udp]
        taken = next((one.listener_id for one in alike if one.port == port), None)
        if taken is not None:
            raise PortTaken(port, f"is taken by listener {taken} of this load balancer.")
        leaving = {
            id for id, left in queries.ports_to_be_freed(self._connection, self._load_balancer_id) if left == port
        }
        if any(one.listener_id in leaving for one in alike):
            raise PortTaken(port, "is still being given up by another listener.")
        self._fits.add(("port", protocol, port))

    def check_certificate(self, id: str) -> None:
        if ("certificate", id) in self._fits:
            return
        if certificates.get(self._connection, self._caller.project_id, id) is None:
            raise NotFound(
                ResourceKind.CERTIFICATE,
                id,
                f"certificate_id: there is no certificate {id} in this project; list them to see which there are.",
            )
        self._fits.add(("certificate", id))
