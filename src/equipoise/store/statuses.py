"""The status that users see: PENDING_CREATE while a job about a thing has not ended, otherwise what is stored.

A job ends as SUCCESS when every live node has confirmed its generation, and in the same transaction as the rows that
it is about. So "the generation of the last change is confirmed" and "no job about it is under way" are one statement;
it is made of the rows of jobs each time a thing is read, and there is no flag that could say something else.

What a listener shows is also in force only with the health monitor of its pool, with the content of its certificate,
and while its load balancer is neither being started nor stopped nor deleted. Members have a status of their own.
"""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, String, Text, case, cast, literal, or_, select

from equipoise.core.jobs import JobType
from equipoise.core.model import Status
from equipoise.core.references import ResourceKind
from equipoise.store.tables import jobs, listeners, load_balancers, unfinished

_ABOUT_MEMBERS: Final = (JobType.CREATE_MEMBER, JobType.REMOVE_MEMBER)


def _names(kind: ResourceKind, id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the scope of a job names the resource: it is a list of texts (`equipoise.store.subjects`)."""
    return cast(jobs.c.scope, Text).like(literal(f'%"{kind.value}:') + id + literal('"%'))


_OF_LISTENER: Final = select(jobs.c.id).where(
    jobs.c.load_balancer_id == listeners.c.load_balancer_id,
    unfinished,
    # Its sub-jobs, a thousand of which there may be, say no more of a listener than the job.
    jobs.c.parent_id.is_(None),
    jobs.c.job_type.not_in(_ABOUT_MEMBERS),
    or_(
        jobs.c.resource_id == listeners.c.id,
        _names(ResourceKind.LISTENER, listeners.c.id),
        _names(ResourceKind.POOL, listeners.c.default_pool_id),
        _names(ResourceKind.LOAD_BALANCER, listeners.c.load_balancer_id),
        jobs.c.job_type == JobType.DELETE_LOAD_BALANCER,
    ),
)
_OF_LOAD_BALANCER: Final = select(jobs.c.id).where(
    jobs.c.load_balancer_id == load_balancers.c.id,
    unfinished,
    jobs.c.parent_id.is_(None),
    jobs.c.resource_id == load_balancers.c.id,
)


def pending_if(is_under_way: ColumnElement[bool], stored: ColumnElement[str]) -> ColumnElement[str]:
    """The status of a thing that is PENDING_CREATE while something is under way."""
    return case((is_under_way, literal(Status.PENDING_CREATE.value, String)), else_=stored)


OF_LISTENER: Final = pending_if(_OF_LISTENER.correlate(listeners).exists(), listeners.c.status)
OF_LOAD_BALANCER: Final = pending_if(_OF_LOAD_BALANCER.correlate(load_balancers).exists(), load_balancers.c.status)


def shown(columns: Iterable[ColumnElement[Any]], status: ColumnElement[str]) -> list[ColumnElement[Any]]:
    """The columns, with this status in place of the stored one."""
    return [status.label("status") if column.key == "status" else column for column in columns]
