"""How jobs fail: what they changed is rolled back, with everything that hangs on it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import (
    Connection,
    bindparam,
    exists,
    literal,
    or_,
    select,
    union_all,
    update,
)

from equipoise.core.changes import Change, Updated
from equipoise.core.jobs import (
    SUB_JOBS_FAIL_ALONE,
    FailureReason,
    JobStatus,
    JobType,
)
from equipoise.core.references import ResourceKind, ResourceRef, Scope
from equipoise.store import certificates, changes, inheritance, load_balancers, subjects
from equipoise.store.database import Transaction
from equipoise.store.events import LoadBalancerGone
from equipoise.store.jobs.columns import (
    ENDED_COLUMNS,
    REVISION,
    TIME,
    TOLD_COLUMNS,
    UNFINISHED_WHOLE,
    at,
    changes_of,
    in_order,
    may_become,
)
from equipoise.store.jobs.notices import tell, tell_of_end
from equipoise.store.tables import (
    health_monitors,
    jobs,
    listeners,
    pools,
    unfinished,
)
from equipoise.store.tables import load_balancers as load_balancer_table

_FAILED: Final = {
    "status": JobStatus.FAIL,
    "end_time": TIME,
    "failure": bindparam("because"),
    "fail_reason": bindparam("reason"),
    "revision": REVISION,
}
_FAIL = (
    update(jobs)
    .where(
        or_(
            jobs.c.id.in_(bindparam("ids", expanding=True)),
            jobs.c.parent_id.in_(bindparam("ids", expanding=True)),
        ),
        may_become(JobStatus.FAIL),
    )
    .values(_FAILED)
    .returning(*ENDED_COLUMNS)
)
_wholes = jobs.alias()
_CANCEL_SUB_JOB = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("part_id"),
        jobs.c.status == JobStatus.INIT,
        exists(
            select(_wholes.c.id).where(_wholes.c.id == jobs.c.parent_id, _wholes.c.job_type.in_(SUB_JOBS_FAIL_ALONE))
        ).correlate(jobs),
    )
    .values(_FAILED)
    .returning(*TOLD_COLUMNS, jobs.c.changes)
)
_ABOUT = select(jobs.c.id, jobs.c.job_type, jobs.c.scope, jobs.c.resource_id).where(*UNFINISHED_WHOLE)
# The load balancer itself and what jobs can be about below it, of which nothing can be once that is gone.
_PRESENT = union_all(
    select(literal(ResourceKind.LOAD_BALANCER.value), load_balancer_table.c.id).where(
        load_balancer_table.c.id == bindparam("lb_id")
    ),
    select(literal(ResourceKind.LISTENER.value), listeners.c.id).where(
        listeners.c.load_balancer_id == bindparam("lb_id")
    ),
    select(literal(ResourceKind.POOL.value), pools.c.id).where(pools.c.load_balancer_id == bindparam("lb_id")),
    select(literal(ResourceKind.HEALTH_MONITOR.value), health_monitors.c.id).where(
        health_monitors.c.pool_id.in_(select(pools.c.id).where(pools.c.load_balancer_id == bindparam("lb_id")))
    ),
)
_OWN_KINDS: Final[Mapping[str, ResourceKind]] = {
    JobType.UPDATE_LISTENER: ResourceKind.LISTENER,
    JobType.UPDATE_HEALTH_MONITOR: ResourceKind.HEALTH_MONITOR,
}
"""Of which kind the resource of a job is that is to be there all the time, whatever its scope says."""
_RENEWALS = select(jobs.c.id, jobs.c.changes).where(jobs.c.job_type == JobType.UPDATE_CERTIFICATE, unfinished)
_ANY_RENEWAL = (
    select(jobs.c.id)
    .where(jobs.c.id.in_(bindparam("ids", expanding=True)), jobs.c.job_type == JobType.UPDATE_CERTIFICATE)
    .limit(1)
)


def fail(tx: Transaction, ids: Sequence[str], failure: FailureReason, reason: str) -> bool:
    """To FAIL, with everything these jobs changed rolled back as a new generation.

    Jobs about something that is thereby gone (a listener whose creation failed) fail with it, and so do all that
    renew the same certificate. Returns whether any job was failed; one that has ended already stays as it is.
    """
    together = [*ids, *_of_the_same_renewals(tx.connection, ids)]
    values = {"ids": together, "because": failure.name, "reason": reason} | at(tx)
    ended = in_order(tx.connection.execute(_FAIL, values).all())
    made = changes_of(ended)
    changes.roll_back(tx.connection, inheritance.left_to_roll_back(tx.connection, ended))
    prune_certificates(tx.connection, made)
    # Of a renewed certificate, those whose own job has succeeded already have to go back, too.
    touched = {row.load_balancer_id for row in ended} | _users_of_renewed(tx.connection, made)
    tell_of_end(tx, ended)
    for load_balancer_id in sorted(touched):
        _close_after_failure(tx, load_balancer_id, failure, reason)
    return bool(ended)


def cancel_sub_job(tx: Transaction, id: str, failure: FailureReason, reason: str) -> bool:
    """INIT to FAIL for one sub-job alone, with what it changed rolled back as a new generation; its job goes on.

    Returns whether it was: not one that has begun or ended, nor one that goes with its job (`SUB_JOBS_FAIL_ALONE`).
    """
    values = {"part_id": id, "because": failure.name, "reason": reason} | at(tx)
    ended = tx.connection.execute(_CANCEL_SUB_JOB, values).all()
    changes.roll_back(tx.connection, inheritance.left_to_roll_back(tx.connection, ended))
    tell(tx, ended)
    for row in ended:
        _close_after_failure(tx, row.load_balancer_id, failure, reason)
    return bool(ended)


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


def prune_certificates(connection: Connection, made: Iterable[Change]) -> None:
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
    present = {ResourceRef(ResourceKind(kind), id) for kind, id in tx.connection.execute(_PRESENT, values)}
    orphaned = [
        row.id
        for row in tx.connection.execute(_ABOUT, values).all()
        if not _needs(row.job_type, row.scope, row.resource_id, load_balancer_id) <= present
    ]
    if orphaned:
        fail(tx, orphaned, failure, f"The resource that this job is about no longer exists: {reason}")
    elif present:
        load_balancers.raise_generation(tx, load_balancer_id)
    else:
        tx.emit(LoadBalancerGone(load_balancer_id))


def _needs(job_type: str, scope: Sequence[str], resource_id: str, load_balancer_id: str) -> Scope:
    """What has to be there so that a job is about anything."""
    needs = {ResourceRef(ResourceKind.LOAD_BALANCER, load_balancer_id)}
    if job_type in _OWN_KINDS:
        needs.add(ResourceRef(_OWN_KINDS[job_type], resource_id))
    if job_type != JobType.UPDATE_CERTIFICATE:
        # A certificate is renewed with or without this listener.
        needs |= subjects.scope_from_json(scope)
    return frozenset(needs)
