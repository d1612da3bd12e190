"""Quotas: how much a project may have, and has. They are enforced where things are created."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from equipoise.store import listeners, load_balancers
from equipoise.usecases.context import Caller, Policy


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """One quota. `used` counts in the whole project, also where the quota is for each load balancer (listener)."""

    type: str
    used: int
    quota: int


def show_quotas(connection: Connection, caller: Caller, policy: Policy) -> Sequence[QuotaUse]:
    """The quotas of the project."""
    quotas = policy.quotas_of(caller.project_id)
    return [
        QuotaUse("elb", load_balancers.count(connection, caller.project_id), quotas.load_balancers),
        QuotaUse("listener", listeners.count_of_project(connection, caller.project_id), quotas.listeners),
    ]
