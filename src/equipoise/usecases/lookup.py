"""Finding what a request names, within the project that asks; what another project owns does not exist."""

from sqlalchemy import Connection

from equipoise.core.errors import BeingDeleted, Frozen, NotFound
from equipoise.core.model import AdminState, Certificate, HealthMonitor, Listener, LoadBalancer, Pool
from equipoise.core.references import ResourceKind
from equipoise.store import certificates, health_monitors, listeners, load_balancers, pools
from equipoise.store.listeners import ListenerAndPool
from equipoise.usecases.context import Caller


def load_balancer(connection: Connection, caller: Caller, id: str) -> LoadBalancer:
    """The load balancer. Raises NotFound."""
    found = load_balancers.get(connection, caller.project_id, id)
    if found is None:
        raise NotFound(ResourceKind.LOAD_BALANCER, id)
    return found


def changeable_load_balancer(connection: Connection, caller: Caller, id: str) -> LoadBalancer:
    """The load balancer, if it takes changes: not being deleted, and not frozen unless the caller may freeze.

    Raises:
        NotFound, BeingDeleted or Frozen.
    """
    found = load_balancer(connection, caller, id)
    if found.deleting:
        raise BeingDeleted(id)
    if found.admin_state_up == AdminState.FROZEN and not caller.may_freeze:
        raise Frozen(id)
    return found


def listener(connection: Connection, caller: Caller, id: str) -> ListenerAndPool:
    """The listener with its default pool. Raises NotFound."""
    found = listeners.get(connection, caller.project_id, id)
    if found is None:
        raise NotFound(ResourceKind.LISTENER, id)
    return found


def changeable_listener(connection: Connection, caller: Caller, id: str) -> ListenerAndPool:
    """The listener, if its load balancer takes changes. Raises NotFound, BeingDeleted or Frozen."""
    found, pool = listener(connection, caller, id)
    changeable_load_balancer(connection, caller, found.load_balancer_id)
    return found, pool


def pool(connection: Connection, caller: Caller, id: str) -> tuple[Pool, Listener | None]:
    """The pool, with its listener if it is private to one. Raises NotFound."""
    found = pools.get(connection, caller.project_id, id)
    if found is None:
        raise NotFound(ResourceKind.POOL, id)
    return found


def changeable_pool(connection: Connection, caller: Caller, id: str) -> tuple[Pool, Listener | None]:
    """The pool, if its load balancer takes changes. Raises NotFound, BeingDeleted or Frozen."""
    found, owner = pool(connection, caller, id)
    changeable_load_balancer(connection, caller, found.load_balancer_id)
    return found, owner


def health_monitor(connection: Connection, caller: Caller, id: str) -> tuple[HealthMonitor, Pool, Listener | None]:
    """The health monitor with its pool, and the listener to which that is private. Raises NotFound."""
    found = health_monitors.get(connection, caller.project_id, id)
    if found is None:
        raise NotFound(ResourceKind.HEALTH_MONITOR, id)
    return found


def certificate(connection: Connection, caller: Caller, id: str) -> Certificate:
    """The certificate. Raises NotFound."""
    found = certificates.get(connection, caller.project_id, id)
    if found is None:
        raise NotFound(ResourceKind.CERTIFICATE, id)
    return found
