"""What statements about jobs have in common: columns and conditions."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    select,
)

from equipoise.core.changes import Change
from equipoise.core.jobs import (
    SOURCES,
    JobStatus,
    Warned,
)
from equipoise.store import changes
from equipoise.store.database import Transaction
from equipoise.store.tables import (
    jobs,
    lagging,
    nodes,
    unfinished,
)
from equipoise.store.tables import webhooks as webhook_table

READ_COLUMNS: Final = [
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
TOLD_COLUMNS: Final = [
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


def may_become(status: JobStatus) -> ColumnElement[bool]:
    return jobs.c.status.in_(SOURCES[status])


OF_THESE = jobs.c.load_balancer_id.in_(bindparam("lb_ids", expanding=True))
# A clock that was set back must not make a job end before it began.
_LAST_TIME = func.coalesce(jobs.c.running_time, jobs.c.begin_time)
TIME = case((bindparam("now") < _LAST_TIME, _LAST_TIME), else_=bindparam("now"))
REVISION: Final[BindParameter[int]] = bindparam("at_revision")
LIVE_NODE = exists().where(nodes.c.live)
# Up to which revision the load balancer of a job is in force on a node.
_IN_FORCE = func.coalesce(lagging.c.revision, nodes.c.in_force)


def _nodes_where(*conditions: ColumnElement[bool]) -> Select[Any]:
    own = and_(lagging.c.node_id == nodes.c.id, lagging.c.load_balancer_id == jobs.c.load_balancer_id)
    return select(nodes.c.id).outerjoin_from(nodes, lagging, own).where(*conditions).correlate(jobs)


CONFIRMING_NODE = _nodes_where(jobs.c.accepted_revision <= _IN_FORCE).exists()
UNCONFIRMED_NODE = _nodes_where(nodes.c.live, jobs.c.accepted_revision > _IN_FORCE).exists()
IS_WHOLE = jobs.c.parent_id.is_(None)
# Asked along with the end of a job, so that a project without a webhook costs no statement. Not EXISTS: for SQLite
# the names in RETURNING are written without their tables, and would be compared with themselves.
_HAS_WEBHOOK = jobs.c.project_id.in_(select(webhook_table.c.project_id)).label("has_webhook")
ENDED_COLUMNS: Final = [*TOLD_COLUMNS, jobs.c.changes, _HAS_WEBHOOK]
UNFINISHED_WHOLE = (jobs.c.load_balancer_id == bindparam("lb_id"), unfinished, IS_WHOLE)


def at(tx: Transaction) -> dict[str, int]:
    """The values of `TIME` and `REVISION` in a transaction."""
    return {"now": tx.now, "at_revision": tx.revision}


def warning_to_json(warned: Warned) -> dict[str, str]:
    return {"reason": warned.reason.name, "message": warned.message}


def in_order(rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """In the order in which the changes were made."""
    return sorted(rows, key=lambda row: (row.generation, row.position))


def changes_of(rows: Iterable[Row[Any]]) -> list[Change]:
    return list(chain.from_iterable(changes.from_json(row.changes) for row in rows))
