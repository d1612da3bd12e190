"""Statements about webhooks and what is to be delivered to them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from uuid import uuid4

from sqlalchemy import Connection, bindparam, delete, func, select, update

from equipoise.core.model import Webhook
from equipoise.store import rows
from equipoise.store.database import Transaction
from equipoise.store.events import DeliveryWanted
from equipoise.store.tables import webhook_deliveries as deliveries
from equipoise.store.tables import webhooks

_read = rows.reader(Webhook)

_GET = select(webhooks).where(webhooks.c.project_id == bindparam("project_id"))
_DELETE = delete(webhooks).where(webhooks.c.project_id == bindparam("project_id"))
_ANY_SEALED = select(webhooks.c.secret).limit(1)
_DUE = (
    select(deliveries.c.id)
    .where(deliveries.c.project_id == bindparam("of_project"), deliveries.c.next_time <= bindparam("now"))
    .order_by(deliveries.c.next_time)
    .limit(bindparam("most"))
)
_CLAIM = (
    update(deliveries)
    .where(deliveries.c.id.in_(_DUE.scalar_subquery()))
    .values(next_time=bindparam("until"), attempts=deliveries.c.attempts + 1)
    .returning(deliveries.c.id, deliveries.c.job_id, deliveries.c.attempts)
)
_DONE = delete(deliveries).where(deliveries.c.id.in_(bindparam("ids", expanding=True)))
_AGAIN = update(deliveries).where(deliveries.c.id == bindparam("of_id")).values(next_time=bindparam("at"))
_NEXT_TIME = select(func.min(deliveries.c.next_time)).where(deliveries.c.project_id == bindparam("project_id"))
_PROJECTS = select(deliveries.c.project_id).distinct()


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is this process's to send: the `attempt`-th time, counted from 1. `secret` is encrypted."""

    id: str
    job_id: str
    attempt: int
    url: str = field(repr=False)
    secret: str = field(repr=False)


def get(connection: Connection, project_id: str) -> Webhook | None:
    """The webhook of a project."""
    row = connection.execute(_GET, {"project_id": project_id}).mappings().first()
    return None if row is None else _read(row)


def put(connection: Connection, webhook: Webhook) -> None:
    """Store the webhook of a project in the place of the one that there is; what is to be delivered stays so."""
    if connection.execute(
        update(webhooks).where(webhooks.c.project_id == webhook.project_id).values(**asdict(webhook))
    ).rowcount:
        return
    rows.insert(connection, webhooks, webhook)


def remove(connection: Connection, project_id: str) -> bool:
    """Delete the webhook of a project with what was to be delivered. Returns whether there was one."""
    return connection.execute(_DELETE, {"project_id": project_id}).rowcount > 0


def any_sealed(connection: Connection) -> str | None:
    """The encrypted secret of any webhook, None when there is none."""
    return connection.execute(_ANY_SEALED).scalars().first()


def want(tx: Transaction, ended: Iterable[tuple[str, str]]) -> None:
    """Note that the ends of jobs are to be delivered, in the transaction in which they end: (project id, job id)."""
    values = [
        {
            "id": uuid4().hex,
            "project_id": project_id,
            "job_id": job_id,
            "attempts": 0,
            "next_time": tx.now,
        }
        for project_id, job_id in ended
    ]
    if not values:
        return
    tx.connection.execute(deliveries.insert(), values)
    for project_id in sorted({str(value["project_id"]) for value in values}):
        tx.emit(DeliveryWanted(project_id))


def claim(tx: Transaction, project_id: str, most: int, lease: int) -> Sequence[Claimed]:
    """Take at most `most` deliveries of a project that are due; for `lease` milliseconds nobody else does."""
    webhook = get(tx.connection, project_id)
    if webhook is None:
        return []
    values = {"of_project": project_id, "now": tx.now, "until": tx.now + lease, "most": most}
    found = tx.connection.execute(_CLAIM, values)
    return [Claimed(row.id, row.job_id, row.attempts, webhook.url, webhook.secret) for row in found]


def settle(tx: Transaction, done: Sequence[str], again: Mapping[str, int]) -> None:
    """Forget the deliveries that are done; send the others again after so many milliseconds."""
    if done:
        tx.connection.execute(_DONE, {"ids": list(done)})
    if again:
        tx.connection.execute(_AGAIN, [{"of_id": id, "at": tx.now + pause} for id, pause in again.items()])


def next_time(connection: Connection, project_id: str) -> int | None:
    """When the next delivery of a project is due, in milliseconds since 1970; None when there is none."""
    due: int | None = connection.execute(_NEXT_TIME, {"project_id": project_id}).scalar_one()
    return due


def projects_with_deliveries(connection: Connection) -> Sequence[str]:
    """The projects to which something is to be delivered."""
    return connection.execute(_PROJECTS).scalars().all()
