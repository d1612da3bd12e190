"""Statements about jobs: accept, begin, succeed, fail. The only place that writes the state of a job.

Every statement that moves a job is guarded by the states it may come from (`equipoise.domain.jobs.SOURCES`), so a
job ends once, whoever tries and however often.

A sub-job is a row of its own that shares load balancer, generation, scope and deadline with its parent, and so moves
in the same statement, unless it failed alone before. Only parents are counted and chosen to fail. A parent that holds a
failure before its end has a part that failed: it ends as FAIL where it would end as SUCCESS.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from equipoise.domain.changes import Change, Updated
from equipoise.domain.jobs import (
    PARTS_FAIL_ALONE,
    SOURCES,
    UNFINISHED,
    FailureReason,
    Job,
    JobFilters,
    JobStatus,
    JobType,
    Subject,
    Warned,
    WarningReason,
)
from equipoise.domain.references import Kind, ResourceRef, Scope
from equipoise.store import certificates, changes, inheritance, load_balancers, subjects, webhooks
from equipoise.store.database import Transaction
from equipoise.store.events import JobMoved, LoadBalancerGone, PartsMoved
from equipoise.store.tables import (
    health_monitors,
    jobs,
    listeners,
    nodes,
    observations,
    pools,
    unfinished,
    webhook_deliveries,
)
from equipoise.store.tables import load_balancers as load_balancer_table
from equipoise.store.tables import webhooks as webhook_table

_READ_COLUMNS: Final = [
    jobs.c.id,
    jobs.c.project_id,
    jobs.c.job_type,
    jobs.c.status,
    jobs.c.load_balancer_id,
    jobs.c.generation,
    jobs.c.subject,
    jobs.c.failure,
    jobs.c.fail_reason,
    jobs.c.begin_time,
    jobs.c.running_time,
    jobs.c.end_time,
    jobs.c.parent_id,
    jobs.c.warnings,
]
_TOLD_COLUMNS: Final = [
    jobs.c.id,
    jobs.c.parent_id,
    jobs.c.position,
    jobs.c.job_type,
    jobs.c.status,
    jobs.c.project_id,
    jobs.c.load_balancer_id,
    jobs.c.generation,
    jobs.c.request_id,
    jobs.c.begin_time,
    jobs.c.failure,
    jobs.c.fail_reason,
]


def _may_become(status: JobStatus) -> ColumnElement[bool]:
    return jobs.c.status.in_(SOURCES[status])


_OF_THESE = jobs.c.load_balancer_id.in_(bindparam("lb_ids", expanding=True))
# A clock that was set back must not make a job end before it began.
_LAST_TIME = func.coalesce(jobs.c.running_time, jobs.c.begin_time)
_TIME = case((bindparam("now") < _LAST_TIME, _LAST_TIME), else_=bindparam("now"))
_LIVE_NODE = exists().where(nodes.c.live)
_UNCONFIRMED_NODE = exists(
    select(nodes.c.id)
    .select_from(
        nodes.outerjoin(
            observations,
            and_(
                observations.c.node_id == nodes.c.id,
                observations.c.load_balancer_id == jobs.c.load_balancer_id,
            ),
        )
    )
    .where(
        nodes.c.live,
        or_(observations.c.generation.is_(None), observations.c.generation < jobs.c.generation),
    )
    .correlate(jobs)
)

_IS_WHOLE = jobs.c.parent_id.is_(None)
# Asked along with the end of a job, so that a project without a webhook costs no statement. Not EXISTS: for SQLite
# the names in RETURNING are written without their tables, and would be compared with themselves.
_HAS_WEBHOOK = jobs.c.project_id.in_(select(webhook_table.c.project_id)).label("has_webhook")
_ENDED_COLUMNS: Final = [*_TOLD_COLUMNS, jobs.c.changes, _HAS_WEBHOOK]

_GET = (
    select(*_READ_COLUMNS)
    .where(
        or_(jobs.c.id == bindparam("id"), jobs.c.parent_id == bindparam("id")),
        jobs.c.project_id == bindparam("project_id"),
    )
    .order_by(jobs.c.position)
)
_BEGIN = (
    update(jobs)
    .where(
        _OF_THESE,
        unfinished,
        _may_become(JobStatus.RUNNING),
        jobs.c.generation
        <= select(load_balancer_table.c.generation)
        .where(load_balancer_table.c.id == jobs.c.load_balancer_id)
        .scalar_subquery(),
        _LIVE_NODE,
    )
    .values(status=JobStatus.RUNNING, running_time=_TIME)
    .returning(*_TOLD_COLUMNS)
)
_BEGIN_CONFIRMED = (
    update(jobs)
    .where(
        _OF_THESE,
        unfinished,
        _may_become(JobStatus.RUNNING),
        exists().where(
            observations.c.load_balancer_id == jobs.c.load_balancer_id,
            observations.c.generation >= jobs.c.generation,
        ),
    )
    .values(status=JobStatus.RUNNING, running_time=_TIME)
    .returning(*_TOLD_COLUMNS)
)
_SUCCEED = (
    update(jobs)
    .where(_OF_THESE, unfinished, _may_become(JobStatus.SUCCESS), _LIVE_NODE, ~_UNCONFIRMED_NODE)
    .values(
        status=case((jobs.c.failure.is_(None), JobStatus.SUCCESS), else_=JobStatus.FAIL),
        end_time=_TIME,
    )
    .returning(*_ENDED_COLUMNS)
)
_FAIL = (
    update(jobs)
    .where(
        or_(
            jobs.c.id.in_(bindparam("ids", expanding=True)),
            jobs.c.parent_id.in_(bindparam("ids", expanding=True)),
        ),
        _may_become(JobStatus.FAIL),
    )
    .values(
        status=JobStatus.FAIL,
        end_time=_TIME,
        failure=bindparam("because"),
        fail_reason=bindparam("reason"),
    )
    .returning(*_ENDED_COLUMNS)
)
_wholes = jobs.alias()
_CANCEL_PART = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("part_id"),
        jobs.c.status == JobStatus.INIT,
        exists(
            select(_wholes.c.id).where(_wholes.c.id == jobs.c.parent_id, _wholes.c.job_type.in_(PARTS_FAIL_ALONE))
        ).correlate(jobs),
    )
    .values(status=JobStatus.FAIL, end_time=_TIME, failure=bindparam("because"), fail_reason=bindparam("reason"))
    .returning(*_TOLD_COLUMNS, jobs.c.changes)
)
_MARK_AS_FAILING = (
    update(jobs)
    .where(jobs.c.id == bindparam("job_id"), unfinished)
    .values(failure=bindparam("because"), fail_reason=bindparam("reason"), subject=bindparam("about"))
)
_UNFINISHED_WHOLE = (jobs.c.load_balancer_id == bindparam("lb_id"), unfinished, _IS_WHOLE)
_SCOPES_UP_TO = select(jobs.c.id, jobs.c.scope).where(*_UNFINISHED_WHOLE, jobs.c.generation <= bindparam("up_to"))
_ABOUT = select(jobs.c.id, jobs.c.job_type, jobs.c.scope, jobs.c.resource_id).where(*_UNFINISHED_WHOLE)
# The load balancer itself and what jobs can be about below it, of which nothing can be once that is gone.
_PRESENT = union_all(
    select(literal(Kind.LOAD_BALANCER.value), load_balancer_table.c.id).where(
        load_balancer_table.c.id == bindparam("lb_id")
    ),
    select(literal(Kind.LISTENER.value), listeners.c.id).where(listeners.c.load_balancer_id == bindparam("lb_id")),
    select(literal(Kind.POOL.value), pools.c.id).where(pools.c.load_balancer_id == bindparam("lb_id")),
    select(literal(Kind.HEALTH_MONITOR.value), health_monitors.c.id).where(
        health_monitors.c.pool_id.in_(select(pools.c.id).where(pools.c.load_balancer_id == bindparam("lb_id")))
    ),
)
_OWN_KINDS: Final[Mapping[str, Kind]] = {
    JobType.UPDATE_LISTENER: Kind.LISTENER,
    JobType.UPDATE_HEALTH_MONITOR: Kind.HEALTH_MONITOR,
}
"""Of which kind the resource of a job is that is to be there all the time, whatever its scope says."""
_UPDATES_OF_LISTENERS = select(jobs.c.changes).where(
    jobs.c.load_balancer_id == bindparam("lb_id"), jobs.c.job_type == JobType.UPDATE_LISTENER, unfinished
)
_RENEWALS = select(jobs.c.id, jobs.c.changes).where(jobs.c.job_type == JobType.UPDATE_CERTIFICATE, unfinished)
_ANY_RENEWAL = (
    select(jobs.c.id)
    .where(jobs.c.id.in_(bindparam("ids", expanding=True)), jobs.c.job_type == JobType.UPDATE_CERTIFICATE)
    .limit(1)
)
_UPDATES = select(jobs.c.changes).where(jobs.c.job_type == JobType.UPDATE_LISTENER, unfinished)
_ENDED_BEFORE = (
    select(jobs.c.id)
    .where(
        _IS_WHOLE,
        jobs.c.end_time < bindparam("before"),
        ~exists().where(webhook_deliveries.c.job_id == jobs.c.id),
    )
    .limit(bindparam("most"))
)
_OF_LOAD_BALANCERS = select(jobs.c.id, jobs.c.subject, jobs.c.warnings).where(
    _OF_THESE,
    unfinished,
    _IS_WHOLE,
    jobs.c.job_type.in_([JobType.CREATE_LOAD_BALANCER, JobType.UPDATE_LOAD_BALANCER]),
)
_WARN = update(jobs).where(jobs.c.id == bindparam("job_id"), unfinished).values(warnings=bindparam("about"))
_OVERDUE = select(jobs.c.id, jobs.c.status).where(unfinished, _IS_WHOLE, jobs.c.deadline <= bindparam("now"))
_LATE = (
    select(jobs.c.id)
    .where(unfinished, _IS_WHOLE, or_(jobs.c.deadline <= bindparam("now"), jobs.c.deadline > bindparam("latest")))
    .limit(1)
)
_LIMIT_DEADLINES = (
    update(jobs).where(unfinished, jobs.c.deadline > bindparam("latest")).values(deadline=bindparam("latest"))
)
_COUNT_UNFINISHED = select(func.count()).select_from(jobs).where(unfinished, _IS_WHOLE)
_UNFINISHED = (
    select(jobs.c.job_type, jobs.c.status, func.count())
    .where(unfinished, _IS_WHOLE)
    .group_by(jobs.c.job_type, jobs.c.status)
)
_WAITING = select(jobs.c.load_balancer_id).where(unfinished).distinct()


@dataclass(frozen=True, slots=True)
class NewPart:
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
    parts: Sequence[NewPart] = ()


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


def get(connection: Connection, project_id: str, id: str) -> Job | None:
    """The job of that project with its sub-jobs; a sub-job can be asked for by its own id, too."""
    found = [_read(row) for row in connection.execute(_GET, {"id": id, "project_id": project_id}).mappings()]
    if not found:
        return None
    job, *parts = found
    return replace(job, sub_jobs=tuple(parts)) if parts else job


def begin(tx: Transaction, load_balancer_ids: Sequence[str]) -> None:
    """INIT to RUNNING: the newest generation of these load balancers is being handed to a live node."""
    _tell(tx, tx.connection.execute(_BEGIN, {"lb_ids": list(load_balancer_ids), "now": tx.now}).all())


def without_warning(connection: Connection, load_balancer_ids: Sequence[str], warned: Warned) -> Sequence[str]:
    """Unfinished jobs that show a bandwidth of these load balancers and do not carry this warning."""
    rows = connection.execute(_OF_LOAD_BALANCERS, {"lb_ids": list(load_balancer_ids)}).all()
    warning = _warning_to_json(warned)
    return [row.id for row in rows if row.subject["bandwidth"] is not None and warning not in row.warnings]


def warn(tx: Transaction, ids: Sequence[str], warned: Warned) -> None:
    """Say in the record of these jobs what they do not bring about; one that has ended stays as it is."""
    for id in ids:
        tx.connection.execute(_WARN, {"job_id": id, "about": [_warning_to_json(warned)]})


def begin_confirmed(tx: Transaction, load_balancer_ids: Sequence[str]) -> None:
    """INIT to RUNNING where a node has the job's generation in force already: it connected before `begin` ran."""
    _tell(tx, tx.connection.execute(_BEGIN_CONFIRMED, {"lb_ids": list(load_balancer_ids), "now": tx.now}).all())


def succeed(tx: Transaction, load_balancer_ids: Sequence[str]) -> None:
    """RUNNING to SUCCESS for every job of these load balancers that all live nodes have confirmed.

    A job with a part that failed alone ends as FAIL; what its other parts changed stays. There is no success without
    a live node: nobody could have confirmed.
    """
    ended = _in_order(tx.connection.execute(_SUCCEED, {"lb_ids": list(load_balancer_ids), "now": tx.now}).all())
    # A job that fails here has no changes of its own: they are those of its parts.
    made = _changes_of(ended)
    changes.make_final(tx.connection, inheritance.left_to_make_final(tx.connection, ended))
    _prune_certificates(tx.connection, made)
    _tell_of_end(tx, ended)
    for row in ended:
        if row.job_type == JobType.DELETE_LOAD_BALANCER:
            tx.emit(LoadBalancerGone(row.load_balancer_id))


def fail(tx: Transaction, ids: Sequence[str], failure: FailureReason, reason: str) -> bool:
    """To FAIL, with everything these jobs changed taken back as a new generation.

    Jobs about something that is thereby gone (a listener whose creation failed) fail with it, and so do all that
    renew the same certificate. Returns whether any job was failed; one that has ended already stays as it is.
    """
    together = [*ids, *_of_the_same_renewals(tx.connection, ids)]
    values = {"ids": together, "now": tx.now, "because": failure.name, "reason": reason}
    ended = _in_order(tx.connection.execute(_FAIL, values).all())
    made = _changes_of(ended)
    changes.take_back(tx.connection, inheritance.left_to_take_back(tx.connection, ended))
    _prune_certificates(tx.connection, made)
    # Of a renewed certificate, those whose own job has succeeded already have to go back, too.
    touched = {row.load_balancer_id for row in ended} | _users_of_renewed(tx.connection, made)
    _tell_of_end(tx, ended)
    for load_balancer_id in sorted(touched):
        _close_after_failure(tx, load_balancer_id, failure, reason)
    return bool(ended)


def cancel_part(tx: Transaction, id: str, failure: FailureReason, reason: str) -> bool:
    """INIT to FAIL for one part alone, with what it changed taken back as a new generation; its job goes on.

    Returns whether it was: not one that has begun or ended, nor one that goes with its job (`PARTS_FAIL_ALONE`).
    """
    values = {"part_id": id, "now": tx.now, "because": failure.name, "reason": reason}
    ended = tx.connection.execute(_CANCEL_PART, values).all()
    changes.take_back(tx.connection, inheritance.left_to_take_back(tx.connection, ended))
    _tell(tx, ended)
    for row in ended:
        _close_after_failure(tx, row.load_balancer_id, failure, reason)
    return bool(ended)


def mark_as_failing(tx: Transaction, id: str, failure: FailureReason, reason: str, subject: Subject) -> None:
    """A part of this job has failed: the job goes on, and its end will be FAIL for this reason."""
    values = {"job_id": id, "because": failure.name, "reason": reason, "about": subjects.to_json(subject)}
    tx.connection.execute(_MARK_AS_FAILING, values)


def _of_the_same_renewals(connection: Connection, ids: Sequence[str]) -> list[str]:
    """The unfinished jobs, apart from `ids`, that change a certificate in the same way as any of `ids`."""
    if connection.execute(_ANY_RENEWAL, {"ids": list(ids)}).first() is None:
        return []
    under_way = [(row.id, _renewals(changes.from_json(row.changes))) for row in connection.execute(_RENEWALS)]
    failing = [renewal for id, renewals in under_way if id in ids for renewal in renewals]
    return [id for id, renewals in under_way if id not in ids and any(each in failing for each in renewals)]


def _renewals(made: Iterable[Change]) -> list[Updated]:
    return [change for change in made if isinstance(change, Updated) and change.table == "certificates"]


def _users_of_renewed(connection: Connection, made: Iterable[Change]) -> set[str]:
    ids = (renewal.id for renewal in _renewals(made))
    return {listener.load_balancer_id for id in ids for listener in certificates.users(connection, id)}


def _prune_certificates(connection: Connection, made: Iterable[Change]) -> None:
    """Delete the contents that a changed certificate no longer needs: no key outlives its use."""
    for id in {renewal.id for renewal in _renewals(made)}:
        under_way = [
            renewal
            for row in connection.execute(_RENEWALS)
            for renewal in _renewals(changes.from_json(row.changes))
            if renewal.id == id
        ]
        needed = [each["content_id"] for one in under_way for each in (one.before, one.after) if "content_id" in each]
        certificates.prune(connection, id, [str(content_id) for content_id in needed])


def _close_after_failure(tx: Transaction, load_balancer_id: str, failure: FailureReason, reason: str) -> None:
    """Fail what is about something that is gone, or else let the data plane go back, too."""
    values = {"lb_id": load_balancer_id}
    present = {ResourceRef(Kind(kind), id) for kind, id in tx.connection.execute(_PRESENT, values)}
    orphaned = [
        row.id
        for row in tx.connection.execute(_ABOUT, values).all()
        if not _needs(row.job_type, row.scope, row.resource_id, load_balancer_id) <= present
    ]
    if orphaned:
        fail(tx, orphaned, failure, f"What it was about does not exist: {reason}")
    elif present:
        load_balancers.raise_generation(tx, load_balancer_id)
    else:
        tx.emit(LoadBalancerGone(load_balancer_id))


def _needs(job_type: str, scope: Sequence[str], resource_id: str, load_balancer_id: str) -> Scope:
    """What has to be there so that a job is about anything."""
    needs = {ResourceRef(Kind.LOAD_BALANCER, load_balancer_id)}
    if job_type in _OWN_KINDS:
        needs.add(ResourceRef(_OWN_KINDS[job_type], resource_id))
    if job_type != JobType.UPDATE_CERTIFICATE:
        # A certificate is renewed with or without this listener.
        needs |= subjects.scope_from_json(scope)
    return frozenset(needs)


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


def limit_deadlines(tx: Transaction, latest: int) -> None:
    """Bring deadlines after `latest` near: the clock was set back since, and no job waits longer for that."""
    tx.connection.execute(_LIMIT_DEADLINES, {"latest": latest})


def list_of(
    connection: Connection, project_id: str, filters: JobFilters, limit: int | None, marker: str | None
) -> Sequence[Job]:
    """One page of the jobs of a project, the newest first, without their sub-jobs."""
    statement = select(*_READ_COLUMNS).where(jobs.c.project_id == project_id, _IS_WHOLE)
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


def _own(job: NewJob | NewPart) -> dict[str, Any]:
    return {"job_type": job.job_type, "subject": subjects.to_json(job.subject), "changes": changes.to_json(job.changes)}


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


def _warning_to_json(warned: Warned) -> dict[str, str]:
    return {"reason": warned.reason.name, "message": warned.message}


def _in_order(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """In the order in which the changes were made."""
    return sorted(rows, key=lambda row: (row.generation, row.position))


def _changes_of(rows: Iterable[Row[Any]]) -> list[Change]:
    return list(chain.from_iterable(changes.from_json(row.changes) for row in rows))


def _tell_of_end(tx: Transaction, rows: Sequence[Row[Any]]) -> None:
    _tell(tx, rows)
    webhooks.want(tx, [(row.project_id, row.id) for row in rows if row.has_webhook and row.parent_id is None])


def _tell(tx: Transaction, rows: Iterable[Row[Any]]) -> None:
    """Tell of jobs one by one, and of sub-jobs, a thousand of which would only be noise, by their ids."""
    part_ids = []
    for row in rows:
        if row.parent_id is None:
            tx.emit(_moved(tx, row))
        else:
            part_ids.append(row.id)
    if part_ids:
        tx.emit(PartsMoved(tuple(part_ids)))


def _moved(tx: Transaction, row: Row[Any]) -> JobMoved:
    failed = row.status == JobStatus.FAIL
    return JobMoved(
        job_id=row.id,
        job_type=JobType(row.job_type),
        status=JobStatus(row.status),
        project_id=row.project_id,
        load_balancer_id=row.load_balancer_id,
        generation=row.generation,
        request_id=row.request_id,
        elapsed=max(0, tx.now - row.begin_time),
        failure=row.failure if failed else None,
        fail_reason=row.fail_reason if failed else None,
    )
