"""Jobs: what became of what was asked."""

from collections.abc import Sequence

from sqlalchemy import Connection

from equipoise.domain.errors import Rule, RuleBroken
from equipoise.domain.jobs import Job, JobFilters, JobStatus
from equipoise.store import jobs
from equipoise.store.database import Transaction
from equipoise.usecases.context import Caller


def show_job(connection: Connection, caller: Caller, id: str) -> Job:
    """One job. Raises RuleBroken: JOB_UNKNOWN, also for a job of another project."""
    return present(jobs.get(connection, caller.project_id, id), id)


def list_jobs(
    connection: Connection, caller: Caller, filters: JobFilters, limit: int | None, marker: str | None
) -> Sequence[Job]:
    """One page of the project's jobs, the newest first."""
    return jobs.list_of(connection, caller.project_id, filters, limit, marker)


def cancel_job(tx: Transaction, caller: Caller, id: str) -> Job:
    """Fail a job that has not begun, and give back everything that it took.

    Raises:
        RuleBroken: JOB_UNKNOWN, or JOB_NOT_CANCELLABLE for one that runs or has ended, or for a part of another.
    """
    job = show_job(tx.connection, caller, id)
    if job.status != JobStatus.INIT:
        raise RuleBroken(
            Rule.JOB_NOT_CANCELLABLE, f"Job {id} is {job.status}; only a job that is still INIT can be cancelled."
        )
    reason = "The job was cancelled before it began. Everything that it had changed was taken back."
    if not jobs.fail(tx, [id], Rule.JOB_CANCELLED, reason):
        raise RuleBroken(Rule.JOB_NOT_CANCELLABLE, f"Job {id} is a part of another; cancel that one.")
    return show_job(tx.connection, caller, id)


def present(job: Job | None, id: str) -> Job:
    """The job, if there is one. Raises RuleBroken: JOB_UNKNOWN."""
    if job is None:
        raise RuleBroken(Rule.JOB_UNKNOWN, f"There is no job {id} in this project.")
    return job
