"""The job on the wire (jobs.md), and the answer of a task."""

from collections.abc import Iterable
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
from msgspec import Meta
from starlette.responses import Response

from equipoise.api.classic import errors as catalogue
from equipoise.api.classic.wire import types as t
from equipoise.api.classic.wire.resources import Named, member_status
from equipoise.api.classic.wire.times import job_time
from equipoise.api.service import Submission
from equipoise.core.jobs import (
    DeletionSubject,
    FailureReason,
    HealthMonitorSubject,
    Job,
    JobStatus,
    JobType,
    ListenerSubject,
    LoadBalancerSubject,
    MembersSubject,
    MemberSubject,
    Transition,
)
from equipoise.core.model import AdminState, Status
from equipoise.http.respond import json_response
from equipoise.usecases.context import Caller

_CREATED = {
    JobStatus.INIT: Status.PENDING_CREATE,
    JobStatus.RUNNING: Status.PENDING_CREATE,
    JobStatus.SUCCESS: Status.ACTIVE,
    JobStatus.FAIL: Status.ERROR,
}
"""What a job that creates something says of its state."""


class JobLoadBalancer(TypedDict):
    """The load balancer that a job is about; here its administrative state is a boolean."""

    id: t.Id
    name: t.Name
    description: t.Description
    type: t.LoadBalancerType
    status: t.ResourceStatus
    bandwidth: t.Bandwidth | None
    vip_address: Annotated[str, t.described("An IPv4 address; empty where none was left.")]
    tenant_id: str
    admin_state_up: bool
    vpc_id: t.Reference


class AboutLoadBalancer(TypedDict):
    """Entities of createELB and updateELB."""

    elb: JobLoadBalancer


class AboutDeletion(TypedDict):
    """Entities of deleteELB."""

    elb_id: t.Id


class JobMember(TypedDict):
    """A member that a job adds."""

    id: t.Id
    address: t.IPv4
    server_id: t.Reference
    listener_id: t.Id
    status: t.MemberStatus


class AboutNewMembers(TypedDict):
    """Entities of createMember."""

    members: list[JobMember]


class AboutRemovedMembers(TypedDict):
    """Entities of removeMember."""

    listener_id: t.Id
    members: list[Named]


class AboutListener(TypedDict):
    """Entities of the sub-jobs that delete what is below a load balancer."""

    listener_id: t.Id
    healthcheck_id: NotRequired[t.Id]


class AboutNothing(TypedDict):
    """Entities of the jobs of synchronous operations."""


ENTITIES = (AboutLoadBalancer, AboutDeletion, AboutNewMembers, AboutRemovedMembers, AboutListener, AboutNothing)
Entities = Annotated[
    dict[str, Any],
    Meta(
        description="What the job is about, by its type.",
        extra_json_schema={"anyOf": [{"$ref": f"#/components/schemas/{kind.__name__}"} for kind in ENTITIES]},
    ),
]


class TransitionDocument(TypedDict):
    """A job entered a state."""

    status: t.JobState
    time: t.JobTime
    cause: str


class JobWarning(TypedDict):
    """What a job does not bring about on this machine although it succeeds."""

    code: str
    message: str


class JobDocument(TypedDict):
    """A job. Error code and reason are null unless it failed. Warnings and sub-jobs are left out where there are none.

    The history is there when it was asked for.
    """

    status: t.JobState
    entities: Entities
    job_id: t.Id
    job_type: t.JobKind
    begin_time: t.JobTime
    end_time: t.JobEndTime
    error_code: str | None
    fail_reason: str | None
    warnings: NotRequired[list[JobWarning]]
    sub_jobs: NotRequired[list["JobDocument"]]
    history: NotRequired[list[TransitionDocument]]


class JobEvent(TypedDict):
    """One event of the stream that follows a job; `data` is a transition and the id of the job, in JSON."""

    id: str
    event: t.JobState
    data: str


class JobList(TypedDict):
    """A page of jobs, without their sub-jobs."""

    jobs: list[JobDocument]


class Task(TypedDict):
    """The job of an accepted task, to be asked about at its uri."""

    uri: str
    job_id: t.Id


def job(record: Job, *, empty_sub_jobs: bool = False) -> JobDocument:
    """A job. `error_code` and `fail_reason` are null unless it failed, `end_time` is empty until it has ended.

    Args:
        empty_sub_jobs: give `sub_jobs` also where there are none (jobs.md, Choice).
    """
    document = _alone(record)
    if record.sub_jobs or empty_sub_jobs:
        document["sub_jobs"] = [job(part, empty_sub_jobs=empty_sub_jobs) for part in record.sub_jobs]
    return document


def _alone(record: Job) -> JobDocument:
    document: JobDocument = {
        "status": record.status.value,
        "entities": _entities(record),
        "job_id": record.id,
        "job_type": record.job_type.value,
        "begin_time": job_time(record.begin_time),
        "end_time": "" if record.end_time is None else job_time(record.end_time),
        "error_code": None if record.failure is None else catalogue.code_of(record.failure),
        "fail_reason": record.fail_reason,
    }
    if record.warnings:
        document["warnings"] = [
            {"code": catalogue.code_of(warned.reason), "message": warned.message} for warned in record.warnings
        ]
    return document


def jobs(records: Iterable[Job]) -> JobList:
    """A page of jobs, without their sub-jobs."""
    return {"jobs": [_alone(record) for record in records]}


def history(record: Job) -> list[TransitionDocument]:
    """Every state that the job entered, with time and cause."""
    return [_transition(one) for one in record.history]


def event(number: int, job_id: str, transition: Transition) -> bytes:
    """One transition as a server-sent event; its id lets a client that was cut off go on behind it."""
    data = msgspec.json.encode({"job_id": job_id, **_transition(transition)}).decode()
    return f"id: {number}\nevent: {transition.status.value}\ndata: {data}\n\n".encode()


def _transition(transition: Transition) -> TransitionDocument:
    return {"status": transition.status.value, "time": job_time(transition.time), "cause": transition.cause}


def task_response(caller: Caller, submission: Submission) -> Response:
    """The answer of a task: 200 with the job to follow, or 202 while there is a backlog."""
    return json_response(task(caller.project_id, submission.accepted.job_id), status=202 if submission.busy else 200)


def task(project_id: str, job_id: str) -> Task:
    """The answer of a task; the uri begins with /v1/ as published (jobs.md, Choice)."""
    return {"uri": f"/v1/{project_id}/jobs/{job_id}", "job_id": job_id}


def _entities(record: Job) -> dict[str, Any]:
    """What the job is about (jobs.md), with the state that follows from how far it is."""
    match record.subject:
        case LoadBalancerSubject() as subject:
            creates = record.job_type is JobType.CREATE_LOAD_BALANCER
            return {"elb": _load_balancer(subject, _CREATED[record.status] if creates else Status.ACTIVE)}
        case DeletionSubject(id):
            return {"elb_id": id}
        case MembersSubject(pool_id, members) if record.job_type is JobType.CREATE_MEMBER:
            return {"members": [_new_member(record, pool_id, member) for member in members]}
        case MembersSubject(pool_id, members):
            return {"listener_id": pool_id, "members": [{"id": member.id} for member in members]}
        case HealthMonitorSubject(pool_id, id):
            return {"listener_id": pool_id, "healthcheck_id": id}
        case ListenerSubject(id):
            return {"listener_id": id}
    return {}


def _load_balancer(subject: LoadBalancerSubject, status: Status) -> JobLoadBalancer:
    return {
        "id": subject.id,
        "name": subject.name,
        "description": subject.description,
        "type": subject.type,
        "bandwidth": subject.bandwidth,
        "vip_address": subject.vip_address,
        "tenant_id": subject.project_id,
        "admin_state_up": subject.admin_state_up == AdminState.ON,
        "vpc_id": subject.vpc_id,
        "status": status.value,
    }


def _new_member(record: Job, pool_id: str, member: MemberSubject) -> JobMember:
    """A member that a job adds. Of a job of which only parts failed, those of the other parts are in force."""
    if member.rolled_back:
        status = Status.ERROR
    elif record.failure is FailureReason.SUB_JOBS_FAILED:
        status = Status.ACTIVE
    else:
        status = _CREATED[record.status]
    return {
        "id": member.id,
        "address": member.address or "",
        "server_id": member.server_id or "",
        "listener_id": pool_id,
        "status": member_status(status),
    }
