"""Jobs: what became of what was asked."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from equipoise.core.errors import NotCancellable, NotFound
from equipoise.core.jobs import FailureReason, Job, JobFilters, JobStatus, MembersSubject
from equipoise.core.references import ResourceKind
from equipoise.store.database import Transaction
from equipoise.store.jobs import queries, rollback, transitions
from equipoise.usecases.context import Caller

_NAMED: Final = 20
"""Members that a reason names; the sub-jobs tell the rest."""


def show_job(connection: Connection, caller: Caller, id: str) -> Job:
    """One job. Raises NotFound, also for a job of another project."""
    return present(queries.get(connection, caller.project_id, id), id)


def list_jobs(
    connection: Connection, caller: Caller, filters: JobFilters, limit: int | None, marker: str | None
) -> Sequence[Job]:
    """One page of the project's jobs, the newest first."""
    return queries.list_of(connection, caller.project_id, filters, limit, marker)


def cancel_job(tx: Transaction, caller: Caller, id: str) -> Job:
    """Fail a job that has not begun, and give back everything that it took.

    Of a part only what is its own is given back; the other parts go on, and their job fails at its end.

    Raises:
        NotFound, or NotCancellable for one that runs or has ended, or for a part of a deletion.
    """
    job = show_job(tx.connection, caller, id)
    if job.status != JobStatus.INIT:
        raise NotCancellable(f"Job {id} is {job.status}; only a job that is still INIT can be cancelled.")
    reason = "The job was cancelled before it began. Everything that it had changed was rolled back."
    if job.parent_id is None:
        rollback.fail(tx, [id], FailureReason.CANCELLED, reason)
    elif rollback.cancel_sub_job(tx, id, FailureReason.CANCELLED, reason):
        _let_whole_fail(tx, show_job(tx.connection, caller, job.parent_id))
    else:
        raise NotCancellable(
            f"Job {id} is a part of the deletion {job.parent_id}, which takes all or nothing; cancel that one."
        )
    return show_job(tx.connection, caller, id)


def _let_whole_fail(tx: Transaction, whole: Job) -> None:
    """Note in a job which of its parts have failed; when none is left, it ends here."""
    failed = [part for part in whole.sub_jobs if part.status == JobStatus.FAIL]
    gone = [member.id for part in failed for member in _members(part).members]
    names = ", ".join(gone[:_NAMED]) + (f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else "")
    others = "The other sub-jobs stay." if len(failed) < len(whole.sub_jobs) else "Nothing is left of the request."
    reason = (
        f"{len(failed)} of {len(whole.sub_jobs)} sub-jobs failed, those about the members {names}, and were rolled "
        f"back: {failed[-1].fail_reason} {others}"
    )
    about = _members(whole)
    members = tuple(replace(one, rolled_back=one.rolled_back or one.id in gone) for one in about.members)
    transitions.mark_as_failing(tx, whole.id, FailureReason.SUB_JOBS_FAILED, reason, replace(about, members=members))
    if len(failed) == len(whole.sub_jobs):
        rollback.fail(tx, [whole.id], FailureReason.SUB_JOBS_FAILED, reason)


def _members(job: Job) -> MembersSubject:
    """What a job with parts is about: only those about members have parts that fail alone."""
    if not isinstance(job.subject, MembersSubject):
        raise TypeError(f"job {job.id} is about no members")
    return job.subject


def present(job: Job | None, id: str) -> Job:
    """The job, if there is one. Raises NotFound."""
    if job is None:
        raise NotFound(ResourceKind.JOB, id, f"There is no job {id} in this project.")
    return job
