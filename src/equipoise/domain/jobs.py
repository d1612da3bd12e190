"""The job: its states, the one table of transitions between them, and the kinds of job there are.

A job promises that the data plane has caught up with a generation of its load balancer (jobs.md). Which rows
it changed is in `equipoise.domain.changes`; nothing here stores or sends anything.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from equipoise.domain.errors import Rule


class JobStatus(StrEnum):
    """INIT accepted, RUNNING handed to the nodes, SUCCESS in force on every live node, FAIL taken back."""

    INIT = "INIT"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"


class JobType(StrEnum):
    """The five types of the contract, then those of the synchronous operations, which wait for their own job."""

    CREATE_LOAD_BALANCER = "createELB"
    UPDATE_LOAD_BALANCER = "updateELB"
    DELETE_LOAD_BALANCER = "deleteELB"
    CREATE_MEMBER = "createMember"
    REMOVE_MEMBER = "removeMember"
    CREATE_LISTENER = "createListener"
    UPDATE_LISTENER = "updateListener"
    DELETE_LISTENER = "deleteListener"
    CREATE_HEALTH_CHECK = "createHealthCheck"
    UPDATE_HEALTH_CHECK = "updateHealthCheck"
    DELETE_HEALTH_CHECK = "deleteHealthCheck"
    UPDATE_CERTIFICATE = "updateCertificate"


@dataclass(frozen=True, slots=True)
class JobFilters:
    """Which jobs to list; None admits all. Times are milliseconds since 1970 (UTC), both inclusive.

    `resource_id` is a load balancer, or the listener or health check that the job is about.
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

PARTS_FAIL_ALONE: Final = (JobType.CREATE_MEMBER, JobType.REMOVE_MEMBER)
"""The jobs of which a part may fail while the others succeed. What is deleted with its load balancer goes with it."""

TAKEN_BACK: Final = "taken_back"
"""Marks, in the entities of a job, a member whose part has failed alone. Not for users, who are shown its state."""

NOTHING: Final = ""
"""Scope of a job whose change no listener of the data plane can refuse."""

EVERY_LISTENER: Final = "*"
"""Scope of a job that touches every listener of its load balancer. Any other scope is a listener id."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A job entered a state. `time` is milliseconds since 1970 (UTC); `cause` says why, for people."""

    status: JobStatus
    time: int
    cause: str


@dataclass(frozen=True, slots=True)
class Warned:
    """What a job does not bring about although it succeeds, and why, for people. It is no reason to fail."""

    rule: Rule
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """One job as stored.

    Times are milliseconds since 1970 (UTC), `end_time` None until the job has ended. `failure` is the name of the
    `Rule` for which it failed. `entities` is what it is about, as jobs.md lists it, without the states that follow
    from `status`. `warnings` are what it cannot bring about on this machine.
    `sub_jobs` are the parts of which it consists, in their order; a part has none itself, but a `parent_id`.
    """

    id: str
    project_id: str
    job_type: JobType
    status: JobStatus
    load_balancer_id: str
    generation: int
    entities: dict[str, Any]
    failure: str | None
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
