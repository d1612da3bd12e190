"""Accepting a change: the columns that differ are written, the generation rises, a job is made for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equipoise.core.changes import Change, Updated
from equipoise.core.commands import Column
from equipoise.core.jobs import JobType, Subject
from equipoise.core.references import Scope
from equipoise.store import inheritance, load_balancers, rows, tables
from equipoise.store.database import Transaction
from equipoise.store.jobs import transitions
from equipoise.usecases.context import Accepted, Caller, Policy, new_id


def accept_change(
    tx: Transaction,
    caller: Caller,
    policy: Policy,
    job_type: JobType,
    load_balancer_id: str,
    resource_id: str,
    changes: Sequence[Change],
    scope: Scope,
    subject: Subject = None,
    parts: Sequence[transitions.NewSubJob] = (),
) -> Accepted:
    """Raise the generation of the load balancer and accept the job that promises it.

    Args:
        resource_id: what the answer is about.
        changes: the rows just written, for the end of the job.
        scope: whose rejection by the data plane fails the job.
        subject: what the job tells of what it is about; None for the synchronous changes.
        parts: its sub-jobs.
    """
    job = transitions.NewJob(
        id=new_id(),
        project_id=caller.project_id,
        job_type=job_type,
        load_balancer_id=load_balancer_id,
        resource_id=resource_id,
        generation=load_balancers.raise_generation(tx, load_balancer_id),
        scope=scope,
        subject=subject,
        changes=changes,
        request_id=caller.request_id,
        time_limit=policy.job_time_limit,
        parts=parts,
    )
    transitions.accept(tx, job)
    return Accepted(job.id, resource_id)


@dataclass(frozen=True, slots=True)
class Write:
    """What is wanted of one row, and what its record holds now."""

    table: str
    id: str
    current: Mapping[str, Column]
    wanted: Mapping[str, Column]


def write_changes(tx: Transaction, writes: Sequence[Write], load_balancer_id: str | None = None) -> list[Change]:
    """Write those of the wanted columns that differ, and say what was there before.

    Args:
        load_balancer_id: of the rows, if they have one. A column that an unfinished job of it has brought to the wanted
            value already counts as well: should that job fail, the column keeps what was wanted here.
    """
    equal = any(one.current[name] == value for one in writes for name, value in one.wanted.items())
    under_way: Mapping[tuple[str, str], set[str]] = {}
    if equal and load_balancer_id is not None:
        under_way = inheritance.columns_under_way(tx.connection, load_balancer_id)
    changes: list[Change] = []
    for one in writes:
        after = {name: value for name, value in one.wanted.items() if one.current[name] != value}
        if after:
            rows.set_columns(tx.connection, tables.metadata.tables[one.table], one.id, {**after, "update_time": tx.now})
        repeated = under_way.get((one.table, one.id), set()) - after.keys()
        after |= {name: value for name, value in one.wanted.items() if name in repeated}
        if after:
            changes.append(Updated(one.table, one.id, {name: one.current[name] for name in after}, after))
    return changes


def written(changes: Sequence[Change]) -> set[str]:
    """The columns that these changes write."""
    return {name for change in changes if isinstance(change, Updated) for name in change.after}
