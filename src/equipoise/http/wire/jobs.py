"""The job on the wire (jobs.md), and the answer of a task."""

from typing import Any

from equipoise.domain.errors import Rule
from equipoise.domain.jobs import Job, JobStatus, JobType
from equipoise.domain.model import Status
from equipoise.http import catalogue
from equipoise.http.wire.resources import Document, member_status
from equipoise.http.wire.times import job_time

_CREATED = {
    JobStatus.INIT: Status.PENDING_CREATE,
    JobStatus.RUNNING: Status.PENDING_CREATE,
    JobStatus.SUCCESS: Status.ACTIVE,
    JobStatus.FAIL: Status.ERROR,
}
"""What a job that creates something says of its state."""


def job(record: Job, *, empty_sub_jobs: bool = False) -> Document:
    """A job. `error_code` and `fail_reason` are null unless it failed, `end_time` is empty until it has ended.

    Args:
        empty_sub_jobs: give `sub_jobs` also where there are none (jobs.md, Choice).
    """
    sub_jobs = [job(part, empty_sub_jobs=empty_sub_jobs) for part in record.sub_jobs]
    return _alone(record) | ({"sub_jobs": sub_jobs} if sub_jobs or empty_sub_jobs else {})


def _alone(record: Job) -> Document:
    return {
        "status": record.status.value,
        "entities": _entities(record),
        "job_id": record.id,
        "job_type": record.job_type.value,
        "begin_time": job_time(record.begin_time),
        "end_time": "" if record.end_time is None else job_time(record.end_time),
        "error_code": None if record.failure is None else catalogue.code_of(Rule[record.failure]),
        "fail_reason": record.fail_reason,
    }


def task(project_id: str, job_id: str) -> Document:
    """The answer of a task; the uri begins with /v1/ as published (jobs.md, Choice)."""
    return {"uri": f"/v1/{project_id}/jobs/{job_id}", "job_id": job_id}


def _entities(record: Job) -> dict[str, Any]:
    """What the job is about, with the state that follows from how far it is."""
    match record.job_type:
        case JobType.CREATE_LOAD_BALANCER:
            return {"elb": {**record.entities["elb"], "status": _CREATED[record.status].value}}
        case JobType.UPDATE_LOAD_BALANCER:
            return {"elb": {**record.entities["elb"], "status": Status.ACTIVE.value}}
        case JobType.CREATE_MEMBER:
            status = member_status(_CREATED[record.status])
            return {"members": [{**member, "status": status} for member in record.entities["members"]]}
        case _:
            return record.entities
