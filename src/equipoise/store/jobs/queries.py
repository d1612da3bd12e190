"""Reads of jobs, and the deletion of those that ended long ago."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import (
    Connection,
    RowMapping,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
)

from equipoise.core.changes import Updated
from equipoise.core.jobs import (
    UNFINISHED,
    FailureReason,
    Job,
    JobFilters,
    JobStatus,
    JobType,
    Warned,
    WarningReason,
)
from equipoise.core.references import Scope
from equipoise.store import changes, subjects
from equipoise.store.database import Transaction
from equipoise.store.jobs.columns import IS_WHOLE, OF_THESE, READ_COLUMNS, UNFINISHED_WHOLE
from equipoise.store.tables import (
    jobs,
    unfinished,
    webhook_deliveries,
)

# The project is compared afterwards: named here, it leads SQLite to the index by project, and to all jobs of that.
_GET = (
    select(*READ_COLUMNS)
    .where(or_(jobs.c.id == bindparam("id"), jobs.c.parent_id == bindparam("id")))
    .order_by(jobs.c.position)
)
_SCOPES_UP_TO = select(jobs.c.id, jobs.c.scope).where(*UNFINISHED_WHOLE, jobs.c.generation <= bindparam("up_to"))
_UPDATES_OF_LISTENERS = select(jobs.c.changes).where(
    jobs.c.load_balancer_id == bindparam("lb_id"), jobs.c.job_type == JobType.UPDATE_LISTENER, unfinished
)
_UPDATES = select(jobs.c.changes).where(jobs.c.job_type == JobType.UPDATE_LISTENER, unfinished)
_ENDED_BEFORE = (
    select(jobs.c.id)
    .where(
        IS_WHOLE,
        jobs.c.end_time < bindparam("before"),
        ~exists().where(webhook_deliveries.c.job_id == jobs.c.id),
    )
    .limit(bindparam("most"))
)
_OF_LOAD_BALANCERS = select(jobs.c.id, jobs.c.subject).where(
    OF_THESE,
    unfinished,
    IS_WHOLE,
    jobs.c.job_type.in_([JobType.CREATE_LOAD_BALANCER, JobType.UPDATE_LOAD_BALANCER]),
)
_OVERDUE = select(jobs.c.id, jobs.c.status).where(unfinished, IS_WHOLE, jobs.c.deadline <= bindparam("now"))
_LATE = (
    select(jobs.c.id)
    .where(unfinished, IS_WHOLE, or_(jobs.c.deadline <= bindparam("now"), jobs.c.deadline > bindparam("latest")))
    .limit(1)
)
_COUNT_UNFINISHED = select(func.count()).select_from(jobs).where(unfinished, IS_WHOLE)
_UNFINISHED = (
    select(jobs.c.job_type, jobs.c.status, func.count())
    .where(unfinished, IS_WHOLE)
    .group_by(jobs.c.job_type, jobs.c.status)
)
_STATES = select(jobs.c.id, jobs.c.parent_id, jobs.c.status).where(
    or_(jobs.c.id.in_(bindparam("ids", expanding=True)), jobs.c.parent_id.in_(bindparam("ids", expanding=True)))
)
_WAITING = select(jobs.c.load_balancer_id).where(unfinished).distinct()


def get(connection: Connection, project_id: str, id: str) -> Job | None:
    """The job of that project with its sub-jobs; a sub-job can be asked for by its own id, too."""
    found = [_read(row) for row in connection.execute(_GET, {"id": id}).mappings()]
    if not found or found[0].project_id != project_id:
        return None
    job, *parts = found
    return replace(job, sub_jobs=tuple(parts)) if parts else job


def states(connection: Connection, ids: Collection[str]) -> dict[str, frozenset[tuple[str, str]]]:
    """Of each of these jobs its state and those of its sub-jobs, by id."""
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in connection.execute(_STATES, {"ids": list(ids)}):
        for id in (row.id, row.parent_id):
            found[id].add((row.id, row.status))
    return {id: frozenset(found[id]) for id in ids if id in found}


def about_bandwidth(connection: Connection, load_balancer_ids: Collection[str]) -> Sequence[str]:
    """Unfinished jobs that show a bandwidth of these load balancers."""
    rows = connection.execute(_OF_LOAD_BALANCERS, {"lb_ids": list(load_balancer_ids)}).all()
    return [row.id for row in rows if row.subject["bandwidth"] is not None]


def touching(connection: Connection, load_balancer_id: str, rejected: Scope, generation: int) -> Sequence[str]:
    """Unfinished jobs up to `generation` that a rejection of these resources is about."""
    found = connection.execute(_SCOPES_UP_TO, {"lb_id": load_balancer_id, "up_to": generation})
    return [row.id for row in found if not rejected.isdisjoint(subjects.scope_from_json(row.scope))]


def ports_to_be_freed(connection: Connection, load_balancer_id: str) -> set[tuple[str, int]]:
    """Ports that listeners (by id) have left, not yet confirmed by the data plane: a failing job takes them back."""
    found = connection.execute(_UPDATES_OF_LISTENERS, {"lb_id": load_balancer_id}).scalars()
    updates = [change for value in found for change in changes.from_json(value) if isinstance(change, Updated)]
    of_listeners = [change for change in updates if change.table == "listeners"]
    return {(change.id, port) for change in of_listeners if isinstance(port := change.before.get("port"), int)}


def gives_up_certificate(connection: Connection, certificate_id: str) -> bool:
    """Whether a listener has left the certificate without the data plane having confirmed it: it may come back."""
    found = (change for value in connection.execute(_UPDATES).scalars() for change in changes.from_json(value))
    return any(isinstance(one, Updated) and one.before.get("certificate_id") == certificate_id for one in found)


def overdue(connection: Connection, now: int) -> Sequence[tuple[str, str]]:
    """Unfinished jobs whose deadline is not after `now`: id and state."""
    return [(row.id, row.status) for row in connection.execute(_OVERDUE, {"now": now})]


def has_late(connection: Connection, now: int, latest: int) -> bool:
    """Whether any unfinished job has a deadline that is not after `now`, or is after `latest`."""
    return connection.execute(_LATE, {"now": now, "latest": latest}).first() is not None


def list_of(
    connection: Connection, project_id: str, filters: JobFilters, limit: int | None, marker: str | None
) -> Sequence[Job]:
    """One page of the jobs of a project, the newest first, without their sub-jobs."""
    statement = select(*READ_COLUMNS).where(jobs.c.project_id == project_id, IS_WHOLE)
    for column, value in ((jobs.c.status, filters.status), (jobs.c.job_type, filters.job_type)):
        if value is not None:
            statement = statement.where(column == value)
    if filters.resource_id is not None:
        statement = statement.where(
            or_(jobs.c.load_balancer_id == filters.resource_id, jobs.c.resource_id == filters.resource_id)
        )
    if filters.begin_time_from is not None:
        statement = statement.where(jobs.c.begin_time >= filters.begin_time_from)
    if filters.begin_time_to is not None:
        statement = statement.where(jobs.c.begin_time <= filters.begin_time_to)
    if marker is not None:
        last = select(jobs.c.begin_time).where(jobs.c.id == marker, jobs.c.project_id == project_id).scalar_subquery()
        statement = statement.where(or_(jobs.c.begin_time < last, and_(jobs.c.begin_time == last, jobs.c.id < marker)))
    newest_first = statement.order_by(jobs.c.begin_time.desc(), jobs.c.id.desc()).limit(limit)
    return [_read(row) for row in connection.execute(newest_first).mappings()]


def forget_ended(tx: Transaction, before: int, most: int) -> int:
    """Delete at most `most` jobs, with their sub-jobs, that ended before `before`. Returns how many.

    A job whose end is still to be told to a webhook stays.
    """
    ids = tx.connection.execute(_ENDED_BEFORE, {"before": before, "most": most}).scalars().all()
    tx.connection.execute(delete(jobs).where(jobs.c.id.in_(ids)))
    return len(ids)


def count_unfinished(connection: Connection) -> int:
    """How many jobs have not ended."""
    return connection.execute(_COUNT_UNFINISHED).scalar_one()


def unfinished_by_type(connection: Connection) -> dict[tuple[str, str], int]:
    """How many jobs have not ended, by type and state."""
    return {(job_type, status): count for job_type, status, count in connection.execute(_UNFINISHED)}


def waiting_load_balancers(connection: Connection) -> Sequence[str]:
    """The load balancers that have unfinished jobs."""
    return connection.execute(_WAITING).scalars().all()


def _read(row: RowMapping) -> Job:
    job = Job(
        **{
            **row,
            "job_type": JobType(row["job_type"]),
            "status": JobStatus(row["status"]),
            "subject": subjects.from_json(row["subject"]),
            "failure": None if row["failure"] is None else FailureReason[row["failure"]],
            "warnings": tuple(Warned(WarningReason[warned["reason"]], warned["message"]) for warned in row["warnings"]),
        }
    )
    # What it will fail for is not what it has failed for.
    return replace(job, failure=None, fail_reason=None) if job.failure and job.status in UNFINISHED else job
