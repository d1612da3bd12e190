"""Accepting a change: the columns that differ are written, the generation rises, a job is made for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from equipoise.domain.changes import Change, Updated
from equipoise.domain.commands import Column
from equipoise.domain.jobs import JobType
from equipoise.store import inheritance, jobs, load_balancers, rows, tables
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
    tx: Transaction,
    table: str,
    id: str,
    current: Mapping[str, Column],
    wanted: Mapping[str, Column],
    load_balancer_id: str | None = None,
) -> list[Change]:
    """Write those of the wanted columns that differ, and say what was there before.

    Args:
        load_balancer_id: of the row, if it has one. A column that an unfinished job of it has brought to the wanted
            value already counts as well: should that job fail, the column keeps what was wanted here.
    """
    different = {name: value for name, value in wanted.items() if current[name] != value}
    if different:
        rows.set_columns(tx.connection, tables.metadata.tables[table], id, {**different, "update_time": tx.now})
    equal = {name: value for name, value in wanted.items() if name not in different}
    after = different | _repeated(tx, table, id, equal, load_balancer_id)
    return [Updated(table, id, {name: current[name] for name in after}, after)] if after else []


def written(changes: Sequence[Change]) -> set[str]:
    """The columns that these changes write."""
    return {name for change in changes if isinstance(change, Updated) for name in change.after}


def _repeated(
    tx: Transaction, table: str, id: str, equal: Mapping[str, Column], load_balancer_id: str | None
) -> dict[str, Column]:
    if not equal or load_balancer_id is None:
        return {}
    under_way = inheritance.columns_under_way(tx.connection, load_balancer_id, table, id)
    return {name: value for name, value in equal.items() if name in under_way}
