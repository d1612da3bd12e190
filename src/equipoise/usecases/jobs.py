"""Jobs: what became of what was asked."""

from sqlalchemy import Connection

from equipoise.domain.errors import Rule, RuleBroken
from equipoise.domain.jobs import Job
from equipoise.store import jobs
from equipoise.usecases.context import Caller


def show_job(connection: Connection, caller: Caller, id: str) -> Job:
    """One job. Raises RuleBroken: JOB_UNKNOWN, also for a job of another project."""
    found = jobs.get(connection, caller.project_id, id)
    if found is None:
        raise RuleBroken(Rule.JOB_UNKNOWN, f"There is no job {id} in this project.")
    return found
