"""The transitions of jobs: accept, begin, succeed. With `rollback` the only place that writes the state of a job.

Every statement that moves a job is guarded by the states it may come from (`equipoise.core.jobs.SOURCES`), so a
job ends once, whoever tries and however often.

A sub-job is a row of its own that shares load balancer, generation, scope and deadline with its parent, and so moves
in the same statement, unless it failed alone before. Only parents are counted and chosen to fail. A parent that holds a
failure before its end has a sub-job that failed: it ends as FAIL where it would end as SUCCESS.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    bindparam,
    case,
    select,
    update,
)

from equipoise.core.changes import Change
from equipoise.core.jobs import (
    FailureReason,
    JobStatus,
    JobType,
    Subject,
    Warned,
)
from equipoise.core.references import Scope
from equipoise.store import changes, inheritance, subjects
from equipoise.store.database import Transaction
from equipoise.store.events import JobMoved, LoadBalancerGone
from equipoise.store.jobs.columns import (
    CONFIRMING_NODE,
    ENDED_COLUMNS,
    LIVE_NODE,
    OF_THESE,
    REVISION,
    TIME,
    TOLD_COLUMNS,
    UNCONFIRMED_NODE,
    at,
    changes_of,
    in_order,
    may_become,
    warning_to_json,
)
from equipoise.store.jobs.notices import tell, tell_of_end
from equipoise.store.jobs.rollback import prune_certificates
from equipoise.store.tables import (
    jobs,
    unfinished,
)
from equipoise.store.tables import load_balancers as load_balancer_table

_BEGIN = (
    update(jobs)
    .where(
        OF_THESE,
        unfinished,
        may_become(JobStatus.RUNNING),
        jobs.c.generation
        <= select(load_balancer_table.c.generation)
        .where(load_balancer_table.c.id == jobs.c.load_balancer_id)
        .scalar_subquery(),
        LIVE_NODE,
    )
    .values(status=JobStatus.RUNNING, running_time=TIME, revision=REVISION)
    .returning(*TOLD_COLUMNS)
)
_BEGIN_CONFIRMED = (
    update(jobs)
    .where(
        OF_THESE,
        unfinished,
        may_become(JobStatus.RUNNING),
        CONFIRMING_NODE,
    )
    .values(status=JobStatus.RUNNING, running_time=TIME, revision=REVISION)
    .returning(*TOLD_COLUMNS)
)
_SUCCEED = (
    update(jobs)
    .where(OF_THESE, unfinished, may_become(JobStatus.SUCCESS), LIVE_NODE, ~UNCONFIRMED_NODE)
    .values(
        status=case((jobs.c.failure.is_(None), JobStatus.SUCCESS), else_=JobStatus.FAIL),
        end_time=TIME,
        revision=REVISION,
    )
    .returning(*ENDED_COLUMNS)
)
_MARK_AS_FAILING = (
    update(jobs)
    .where(jobs.c.id == bindparam("job_id"), unfinished)
    .values(failure=bindparam("because"), fail_reason=bindparam("reason"), subject=bindparam("about"))
)
_WARNINGS = select(jobs.c.id, jobs.c.warnings).where(jobs.c.id.in_(bindparam("ids", expanding=True)), unfinished)
_WARN = update(jobs).where(jobs.c.id == bindparam("job_id")).values(warnings=bindparam("about"))
_LIMIT_DEADLINES = (
    update(jobs).where(unfinished, jobs.c.deadline > bindparam("latest")).values(deadline=bindparam("latest"))
)


@dataclass(frozen=True, slots=True)
class NewSubJob:
    """A sub-job to accept with its job. `changes` are those of this part alone; the job has those of no part."""

    job_type: JobType
    subject: Subject
    changes: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to accept. `scope` are the resources whose rejection by the data plane would fail it."""

    id: str
    project_id: str
    job_type: JobType
    load_balancer_id: str
    resource_id: str
    generation: int
    scope: Scope
    subject: Subject
    changes: Sequence[Change]
    request_id: str
    time_limit: float
    parts: Sequence[NewSubJob] = ()


def accept(tx: Transaction, job: NewJob) -> None:
    """Store a job as INIT, with its parts; it must be in the same transaction as the changes it stands for."""
    shared = {
        "project_id": job.project_id,
        "status": JobStatus.INIT,
        "load_balancer_id": job.load_balancer_id,
        "resource_id": job.resource_id,
        "generation": job.generation,
        "scope": subjects.scope_to_json(job.scope),
        "request_id": job.request_id,
        "begin_time": tx.now,
        "deadline": tx.now + int(job.time_limit * 1000),
        "warnings": [],
        "accepted_revision": tx.revision,
        "revision": tx.revision,
    }
    whole = shared | {"id": job.id, "parent_id": None, "position": 0} | _own(job)
    parts = [
        shared | {"id": uuid4().hex, "parent_id": job.id, "position": position} | _own(part)
        for position, part in enumerate(job.parts, start=1)
    ]
    tx.connection.execute(jobs.insert(), [whole, *parts])
    tx.emit(
        JobMoved(
            job_id=job.id,
            job_type=job.job_type,
            status=JobStatus.INIT,
            project_id=job.project_id,
            load_balancer_id=job.load_balancer_id,
            generation=job.generation,
            request_id=job.request_id,
            elapsed=0,
        )
    )


def begin(tx: Transaction, load_balancer_ids: Sequence[str]) -> None:
    """INIT to RUNNING: the newest generation of these load balancers is being handed to a live node."""
    tell(tx, tx.connection.execute(_BEGIN, {"lb_ids": list(load_balancer_ids)} | at(tx)).all())


def warn(tx: Transaction, ids: Sequence[str], warned: Warned) -> None:
    """Say once in the record of these jobs what they do not bring about; one that has ended stays as it is."""
    warning = warning_to_json(warned)
    for id, warnings in tx.connection.execute(_WARNINGS, {"ids": list(ids)}).all():
        if warning not in warnings:
            tx.connection.execute(_WARN, {"job_id": id, "about": [*warnings, warning]})


def begin_confirmed(tx: Transaction, load_balancer_ids: Sequence[str]) -> None:
    """INIT to RUNNING where a node has the job's generation in force already: it connected before `begin` ran."""
    tell(tx, tx.connection.execute(_BEGIN_CONFIRMED, {"lb_ids": list(load_balancer_ids)} | at(tx)).all())


def succeed(tx: Transaction, load_balancer_ids: Sequence[str]) -> None:
    """RUNNING to SUCCESS for every job of these load balancers that all live nodes have confirmed.

    A job with a part that failed alone ends as FAIL; what its other parts changed stays. There is no success without
    a live node: nobody could have confirmed.
    """
    ended = in_order(tx.connection.execute(_SUCCEED, {"lb_ids": list(load_balancer_ids)} | at(tx)).all())
    # A job that fails here has no changes of its own: they are those of its parts.
    made = changes_of(ended)
    changes.finalize(tx.connection, inheritance.left_to_finalize(tx.connection, ended))
    prune_certificates(tx.connection, made)
    tell_of_end(tx, ended)
    for row in ended:
        if row.job_type == JobType.DELETE_LOAD_BALANCER:
            tx.emit(LoadBalancerGone(row.load_balancer_id))


def mark_as_failing(tx: Transaction, id: str, failure: FailureReason, reason: str, subject: Subject) -> None:
    """A part of this job has failed: the job goes on, and its end will be FAIL for this reason."""
    values = {"job_id": id, "because": failure.name, "reason": reason, "about": subjects.to_json(subject)}
    tx.connection.execute(_MARK_AS_FAILING, values)


def limit_deadlines(tx: Transaction, latest: int) -> None:
    """Bring deadlines after `latest` near: the clock was set back since, and no job waits longer for that."""
    tx.connection.execute(_LIMIT_DEADLINES, {"latest": latest})


def _own(job: NewJob | NewSubJob) -> dict[str, Any]:
    return {"job_type": job.job_type, "subject": subjects.to_json(job.subject), "changes": changes.to_json(job.changes)}
