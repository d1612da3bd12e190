"""Finding what a request names, within the project that asks; what another project owns does not exist."""

from sqlalchemy import Connection

from equipoise.domain.errors import Rule, RuleBroken
from equipoise.domain.model import AdminState, Certificate, HealthCheck, Listener, LoadBalancer
from equipoise.store import certificates, health_checks, listeners, load_balancers
from equipoise.usecases.context import Caller


def load_balancer(connection: Connection, caller: Caller, id: str, missing: Rule = Rule.LB_UNKNOWN) -> LoadBalancer:
    """The load balancer, or the rule `missing`."""
    found = load_balancers.get(connection, caller.project_id, id)
    if found is None:
        raise RuleBroken(missing, f"There is no load balancer {id} in this project; list them to see which there are.")
    return found


def changeable_load_balancer(
    connection: Connection, caller: Caller, id: str, missing: Rule = Rule.LB_UNKNOWN
) -> LoadBalancer:
    """The load balancer, if it takes changes: not being deleted, and not frozen unless the caller may freeze.

    Raises:
        RuleBroken: `missing`, LB_BEING_DELETED or LB_UPDATE_FORBIDDEN.
    """
    found = load_balancer(connection, caller, id, missing)
    if found.deleting:
        raise RuleBroken(Rule.LB_BEING_DELETED, f"Load balancer {id} is being deleted and takes no more changes.")
    if found.admin_state_up == AdminState.FROZEN and not caller.may_freeze:
        raise RuleBroken(Rule.LB_UPDATE_FORBIDDEN, f"Load balancer {id} is frozen; an administrator can release it.")
    return found


def listener(connection: Connection, caller: Caller, id: str, missing: Rule = Rule.LISTENER_UNKNOWN) -> Listener:
    """The listener, or the rule `missing`."""
    found = listeners.get(connection, caller.project_id, id)
    if found is None:
        raise RuleBroken(missing, f"There is no listener {id} in this project; list them to see which there are.")
    return found


def changeable_listener(
    connection: Connection, caller: Caller, id: str, missing: Rule = Rule.LISTENER_UNKNOWN
) -> Listener:
    """The listener, if its load balancer takes changes."""
    found = listener(connection, caller, id, missing)
    changeable_load_balancer(connection, caller, found.load_balancer_id)
    return found


def health_check(connection: Connection, caller: Caller, id: str) -> HealthCheck:
    """The health check."""
    found = health_checks.get(connection, caller.project_id, id)
    if found is None:
        raise RuleBroken(Rule.HEALTH_CHECK_UNKNOWN, f"There is no health check {id} in this project.")
    return found


def certificate(connection: Connection, caller: Caller, id: str) -> Certificate:
    """The certificate."""
    found = certificates.get(connection, caller.project_id, id)
    if found is None:
        raise RuleBroken(
            Rule.CERTIFICATE_UNKNOWN, f"There is no certificate {id} in this project; list them to see which there are."
        )
    return found
