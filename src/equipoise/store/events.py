"""What a committed transaction tells the rest of the process. Told after the commit, never before, and never lost work:
whoever misses an event finds the same in the database."""

from dataclasses import dataclass
from typing import Self

from equipoise.core.jobs import JobStatus, JobType


@dataclass(frozen=True, slots=True)
class LoadBalancerMoved:
    """The generation of a load balancer rose: what is desired may differ from what is in force.

    `is_foreign`: another service has changed it, or what it saw of its members' health.
    """

    load_balancer_id: str
    is_foreign: bool = False

    @classmethod
    def elsewhere(cls, load_balancer_id: str) -> Self:
        """The same at another service."""
        return cls(load_balancer_id, is_foreign=True)


@dataclass(frozen=True, slots=True)
class HealthMoved:
    """A member failed its health check or came back: its share changes. Nothing that users asked for changed,
    nor the generation."""

    load_balancer_id: str


@dataclass(frozen=True, slots=True)
class LoadBalancerGone:
    """A load balancer was deleted for good; nothing of it is desired or in force any more."""

    load_balancer_id: str


@dataclass(frozen=True, slots=True)
class JobMoved:
    """A job entered `status`; `elapsed` is milliseconds since it was accepted."""

    job_id: str
    job_type: JobType
    status: JobStatus
    project_id: str
    load_balancer_id: str
    generation: int
    request_id: str
    elapsed: int
    failure: str | None = None
    fail_reason: str | None = None


@dataclass(frozen=True, slots=True)
class SubJobsMoved:
    """Sub-jobs entered another state, with their job or alone."""

    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeliveryWanted:
    """A job of a project with a webhook has ended."""

    project_id: str


Event = LoadBalancerMoved | HealthMoved | LoadBalancerGone | JobMoved | SubJobsMoved | DeliveryWanted
