"""The job: its states, the one table of transitions between them, and the kinds of job there are.

A job promises that the data plane has caught up with a generation of its load balancer. Which rows it
changed is in `equipoise.core.changes`; nothing here stores or sends anything.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final


class JobStatus(StrEnum):
    """INIT accepted, RUNNING handed to the nodes, SUCCESS in force on every live node, FAIL rolled back."""

    INIT = "INIT"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"


class JobType(StrEnum):
    """Those of tasks, then those of synchronous changes, which wait for their own job. Users know these names."""

    CREATE_LOAD_BALANCER = "createELB"
    UPDATE_LOAD_BALANCER = "updateELB"
    DELETE_LOAD_BALANCER = "deleteELB"
    CREATE_MEMBER = "createMember"
    REMOVE_MEMBER = "removeMember"
    CREATE_LISTENER = "createListener"
    UPDATE_LISTENER = "updateListener"
    DELETE_LISTENER = "deleteListener"
    CREATE_HEALTH_MONITOR = "createHealthCheck"
    UPDATE_HEALTH_MONITOR = "updateHealthCheck"
    DELETE_HEALTH_MONITOR = "deleteHealthCheck"
    UPDATE_CERTIFICATE = "updateCertificate"


@dataclass(frozen=True, slots=True)
class JobFilters:
    """Which jobs to list; None admits all. Times are milliseconds since 1970 (UTC), both inclusive.

    `resource_id` is a load balancer, or the listener or health monitor that the job is about.
    """

    status: str | None = None
    job_type: str | None = None
    resource_id: str | None = None
    begin_time_from: int | None = None
    begin_time_to: int | None = None


SOURCES: Final[dict[JobStatus, tuple[JobStatus, ...]]] = {
    JobStatus.INIT: (),
    JobStatus.RUNNING: (JobStatus.INIT,),
    JobStatus.SUCCESS: (JobStatus.RUNNING,),
    JobStatus.FAIL: (JobStatus.INIT, JobStatus.RUNNING),
}
"""From which states a job may come into a state: the guard of every statement that moves a job."""

UNFINISHED: Final = (JobStatus.INIT, JobStatus.RUNNING)

SUB_JOBS_FAIL_ALONE: Final = (JobType.CREATE_MEMBER, JobType.REMOVE_MEMBER)
"""The jobs of which a part may fail while the others succeed. What is deleted with its load balancer goes with it."""


@dataclass(frozen=True, slots=True)
class LoadBalancerSubject:
    """A load balancer as its job leaves it; `vip_address` is empty where there was none left."""

    id: str
    name: str
    description: str
    type: str
    bandwidth: int | None
    vip_address: str
    project_id: str
    admin_state_up: int
    vpc_id: str


@dataclass(frozen=True, slots=True)
class DeletionSubject:
    """A load balancer that its job deletes with all below it."""

    load_balancer_id: str


@dataclass(frozen=True, slots=True)
class MemberSubject:
    """A member that a job adds, or removes: then only its id is told.

    `rolled_back`: the part of the job that is about it has failed alone.
    """

    id: str
    address: str | None = None
    server_id: str | None = None
    rolled_back: bool = False


@dataclass(frozen=True, slots=True)
class MembersSubject:
    """Members of one pool."""

    pool_id: str
    members: tuple[MemberSubject, ...]


@dataclass(frozen=True, slots=True)
class HealthMonitorSubject:
    """The health monitor of a pool."""

    pool_id: str
    id: str


@dataclass(frozen=True, slots=True)
class ListenerSubject:
    """A listener."""

    id: str


Subject = LoadBalancerSubject | DeletionSubject | MembersSubject | HealthMonitorSubject | ListenerSubject | None
"""What a job tells of what it is about, without the states that follow from how far it is; None tells nothing."""


class FailureReason(Enum):
    """Why a job failed. Stored by name."""

    CANNOT_LISTEN = auto()
    """An address and port cannot be had on a node."""

    REJECTED = auto()
    """The data plane rejects the change."""

    NOT_CONFIRMED = auto()
    """The data plane did not confirm the change in time."""

    CANCELLED = auto()
    """The user cancelled it."""

    SUB_JOBS_FAILED = auto()
    """Some of its parts failed."""

    NO_ELASTIC_IP_LEFT = auto()
    """The pool of elastic IPs is exhausted."""

    NO_ADDRESS_LEFT = auto()
    """The pool of private addresses is exhausted."""


class WarningReason(Enum):
    """What a job could not bring about on this machine. Stored by name."""

    BANDWIDTH_NOT_ENFORCED = auto()
    CONNECTIONS_NOT_CUT = auto()


@dataclass(frozen=True, slots=True)
class Transition:
    """A job entered a state. `time` is milliseconds since 1970 (UTC); `cause` says why, for people."""

    status: JobStatus
    time: int
    cause: str


@dataclass(frozen=True, slots=True)
class Warned:
    """What a job does not bring about although it succeeds, and why, for people. It is no reason to fail."""

    reason: WarningReason
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """One job as stored.

    Times are milliseconds since 1970 (UTC), `end_time` None until the job has ended. `warnings` are what it cannot
    bring about on this machine. `sub_jobs` are the parts of which it consists, in their order; a part has none itself,
    but a `parent_id`.
    """

    id: str
    project_id: str
    job_type: JobType
    status: JobStatus
    load_balancer_id: str
    generation: int
    subject: Subject
    failure: FailureReason | None
    fail_reason: str | None
    begin_time: int
    running_time: int | None
    end_time: int | None
    parent_id: str | None = None
    warnings: tuple[Warned, ...] = ()
    sub_jobs: "tuple[Job, ...]" = ()

    @property
    def ended(self) -> bool:
        return self.status not in UNFINISHED

    @property
    def history(self) -> list[Transition]:
        """Every state that the job entered, in order. States follow one another once, so three times tell it all."""
        story = [Transition(JobStatus.INIT, self.begin_time, "The request was accepted and is stored.")]
        if self.running_time is not None:
            cause = "The change was handed to the data plane."
            story.append(Transition(JobStatus.RUNNING, self.running_time, cause))
        if self.end_time is not None:
            cause = self.fail_reason or "Every live node has confirmed the change."
            story.append(Transition(self.status, self.end_time, cause))
        return story
