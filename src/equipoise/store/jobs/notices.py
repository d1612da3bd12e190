"""Tells, after the commit, which jobs have moved; webhooks are told of those that have ended."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    Row,
)

from equipoise.core.jobs import (
    JobStatus,
    JobType,
)
from equipoise.store import webhooks
from equipoise.store.database import Transaction
from equipoise.store.events import JobMoved, SubJobsMoved


def tell_of_end(tx: Transaction, rows: Sequence[Row[Any]]) -> None:
    tell(tx, rows)
    webhooks.want(tx, [(row.project_id, row.id) for row in rows if row.has_webhook and row.parent_id is None])


def tell(tx: Transaction, rows: Iterable[Row[Any]]) -> None:
    """Tell of jobs one by one, and of sub-jobs, a thousand of which would only be noise, by their ids."""
    part_ids = []
    for row in rows:
        if row.parent_id is None:
            tx.emit(_moved(tx, row))
        else:
            part_ids.append(row.id)
    if part_ids:
        tx.emit(SubJobsMoved(tuple(part_ids)))


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
