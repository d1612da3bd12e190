"""What every use case needs besides its command: who asks, and what the operator allows."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from uuid import uuid4

from equipoise.core.networks import Networks
from equipoise.core.quotas import Quotas


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, for which project, and the id of the request that the job and the logs carry."""

    project_id: str
    request_id: str
    may_freeze: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's settings that use cases obey.

    Attributes:
        pools: the address pool of each load balancer type.
        networks: the VPCs and subnets that there are, with their own pools for Internal.
        quotas: of every project that has none of its own.
        project_quotas: of single projects, by their id.
        job_time_limit: seconds after which an unconfirmed job fails.
        chooser: the source of randomness for addresses; seeded in tests.
    """

    pools: Mapping[str, IPv4Network]
    quotas: Quotas
    job_time_limit: float
    networks: Networks = field(default_factory=Networks)
    project_quotas: Mapping[str, Quotas] = field(default_factory=dict)
    chooser: random.Random = field(default_factory=random.Random)

    def quotas_of(self, project_id: str) -> Quotas:
        """What this project may have."""
        return self.project_quotas.get(project_id, self.quotas)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a write: the job to follow and the resource it is about.

    Attributes:
        job_id: empty where the data plane has nothing to do.
        together: more jobs, that succeed or fail with that one.
    """

    job_id: str
    resource_id: str
    together: tuple[str, ...] = ()

    @property
    def job_ids(self) -> tuple[str, ...]:
        return (self.job_id, *self.together) if self.job_id else ()


def new_id() -> str:
    """32 lower-case hexadecimal characters."""
    return uuid4().hex
