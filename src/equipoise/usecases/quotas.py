"""Quotas: how much a project may have, and has. They are enforced where things are created."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from equipoise.core.references import ResourceKind
from equipoise.store import listeners, load_balancers
from equipoise.usecases.context import Caller, Policy


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """One quota. `used` counts in the whole project, also where the quota is for each load balancer (listener)."""

    kind: ResourceKind
    used: int
    quota: int


def show_quotas(connection: Connection, caller: Caller, policy: Policy) -> Sequence[QuotaUse]:
    """The quotas of the project."""
    quotas = policy.quotas_of(caller.project_id)
    return [
        QuotaUse(
            ResourceKind.LOAD_BALANCER, load_balancers.count(connection, caller.project_id), quotas.load_balancers
        ),
        QuotaUse(ResourceKind.LISTENER, listeners.count_of_project(connection, caller.project_id), quotas.listeners),
    ]
