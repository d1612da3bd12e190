"""Accepting a change: the columns that differ are written, the generation rises, a job is made for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from equipoise.domain.changes import Change, Updated
from equipoise.domain.commands import Column
from equipoise.domain.jobs import JobType
from equipoise.store import jobs, load_balancers, rows, tables
from equipoise.store.database import Transaction
from equipoise.usecases.context import Accepted, Caller, Policy, new_id


def accept_change(
    tx: Transaction,
    caller: Caller,
    policy: Policy,
    job_type: JobType,
    load_balancer_id: str,
    resource_id: str,
    changes: Sequence[Change],
    scope: str,
    entities: dict[str, Any] | None = None,
    parts: Sequence[jobs.NewPart] = (),
) -> Accepted:
    """Raise the generation of the load balancer and accept the job that promises it.

    Args:
        resource_id: what the answer is about.
        changes: the rows just written, for the end of the job.
        scope: which listener's refusal fails the job (`equipoise.domain.jobs`).
        entities: what the job shows; empty for the synchronous operations.
        parts: its sub-jobs.
    """
    job = jobs.NewJob(
        id=new_id(),
        project_id=caller.project_id,
        job_type=job_type,
        load_balancer_id=load_balancer_id,
        resource_id=resource_id,
        generation=load_balancers.raise_generation(tx, load_balancer_id),
        scope=scope,
        entities=entities or {},
        changes=changes,
        request_id=caller.request_id,
        time_limit=policy.job_time_limit,
        parts=parts,
    )
    jobs.accept(tx, job)
    return Accepted(job.id, resource_id)


def write_changes(
    tx: Transaction, table: str, id: str, current: Mapping[str, Column], wanted: Mapping[str, Column]
) -> list[Change]:
    """Write those of the wanted columns that differ, and say what was there before."""
    after = {name: value for name, value in wanted.items() if current[name] != value}
    if not after:
        return []
    rows.set_columns(tx.connection, tables.metadata.tables[table], id, {**after, "update_time": tx.now})
    return [Updated(table, id, {name: current[name] for name in after}, after)]
