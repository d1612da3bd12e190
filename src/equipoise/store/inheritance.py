"""What a failing job leaves alone, and hands on, because other jobs have changed the same things since."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, or_, select, update

from equipoise.domain.changes import Change, Created, Removed, Updated
from equipoise.domain.jobs import JobType
from equipoise.domain.model import Status
from equipoise.store import changes, rows
from equipoise.store.tables import jobs, listeners, members, unfinished

_UNFINISHED_CHANGES = (
    select(jobs.c.id, jobs.c.generation, jobs.c.changes)
    .where(
        or_(
            jobs.c.load_balancer_id.in_(bindparam("lb_ids", expanding=True)),
            jobs.c.job_type == JobType.UPDATE_CERTIFICATE,
        ),
        unfinished,
    )
    .order_by(jobs.c.generation, jobs.c.position)
)
_SET_CHANGES = update(jobs).where(jobs.c.id == bindparam("job_id")).values(changes=bindparam("made"))
_again = members.alias()
_DOUBLES = (
    select(members.c.id.label("old_id"), _again.c.id.label("new_id"), listeners.c.load_balancer_id)
    .select_from(members)
    .join(
        _again,
        and_(
            _again.c.listener_id == members.c.listener_id,
            _again.c.server_id == members.c.server_id,
            _again.c.address == members.c.address,
            _again.c.id != members.c.id,
            _again.c.deleting.is_(False),
        ),
    )
    .join(listeners, listeners.c.id == members.c.listener_id)
    .where(members.c.id.in_(bindparam("ids", expanding=True)), members.c.deleting.is_(False))
)


def columns_under_way(connection: Connection, load_balancer_id: str, table: str, id: str) -> set[str]:
    """The columns of a row that unfinished jobs of its load balancer have written."""
    found = connection.execute(_UNFINISHED_CHANGES, {"lb_ids": [load_balancer_id]})
    updates = [one for row in found for one in changes.from_json(row.changes) if isinstance(one, Updated)]
    return {name for one in updates if (one.table, one.id) == (table, id) for name in one.after}


def not_written_over(connection: Connection, failed: Sequence[Row[Any]]) -> list[Change]:
    """The changes of failed jobs without the columns that an unfinished job has written since.

    Such a column stays as it is. The job that wrote it inherits what the failed one had found there, for the case that
    it fails, too.
    """
    made = [change for row in failed for change in changes.from_json(row.changes)]
    if not any(isinstance(change, Updated) for change in made):
        return made
    load_balancer_ids = list({row.load_balancer_id for row in failed})
    under_way = connection.execute(_UNFINISHED_CHANGES, {"lb_ids": load_balancer_ids}).all()
    writers = [_Writer(row.id, row.generation, changes.from_json(row.changes)) for row in under_way]
    left = [
        _without_inherited(change, row.generation, writers) if isinstance(change, Updated) else change
        for row in reversed(failed)
        for change in reversed(changes.from_json(row.changes))
    ]
    for writer in writers:
        if writer.has_inherited:
            connection.execute(_SET_CHANGES, {"job_id": writer.id, "made": changes.to_json(writer.changes)})
    return left[::-1]


def _without_inherited(change: Updated, generation: int, writers: Sequence["_Writer"]) -> Updated:
    """Let the next job that has written a column inherit what was there; return what then is left to take back."""
    left = dict(change.after)
    for name in change.after:
        if change.table == "certificates":
            # Several jobs of different load balancers carry the same renewal. They have no common order, but the id
            # of a content is given once, so it says which renewal came next.
            heirs = [each for each in writers if name == "content_id" and each.found(change, name)]
        else:
            heirs = [each for each in writers if each.generation > generation and each.has_written(change, name)][:1]
        for heir in heirs:
            heir.inherit(change, name)
            left.pop(name, None)
    return replace(change, before={name: change.before[name] for name in left}, after=left)


def let_doubles_stay(connection: Connection, taken_back: Iterable[Change]) -> None:
    """Members that come back because their removal failed, and were added again meanwhile: one of each is enough.

    The new one stays, whatever becomes of the job that added it: the server was a member before.
    """
    back = [change.id for change in taken_back if isinstance(change, Removed) and change.table == "members"]
    if not back:
        return
    doubles = connection.execute(_DOUBLES, {"ids": back}).all()
    if not doubles:
        return
    stay = {row.new_id for row in doubles}
    rows.delete_rows(connection, members, [row.old_id for row in doubles])
    rows.set_status(connection, members, list(stay), Status.ACTIVE)
    for row in connection.execute(_UNFINISHED_CHANGES, {"lb_ids": [row.load_balancer_id for row in doubles]}).all():
        made = changes.from_json(row.changes)
        others = [change for change in made if not (isinstance(change, Created) and change.id in stay)]
        if len(others) < len(made):
            connection.execute(_SET_CHANGES, {"job_id": row.id, "made": changes.to_json(others)})


@dataclass(slots=True)
class _Writer:
    """An unfinished job and what it has changed."""

    id: str
    generation: int
    changes: list[Change]
    has_inherited: bool = False

    def _of_the_same_row(self, other: Updated, name: str) -> list[Updated]:
        return [
            own
            for own in self.changes
            if isinstance(own, Updated) and (own.table, own.id) == (other.table, other.id) and name in own.after
        ]

    def has_written(self, other: Updated, name: str) -> bool:
        """Whether it has written the same column of the same row."""
        return bool(self._of_the_same_row(other, name))

    def found(self, other: Updated, name: str) -> bool:
        """Whether it found in that column what the other one had written there."""
        return any(own.before[name] == other.after[name] for own in self._of_the_same_row(other, name))

    def inherit(self, failed: Updated, name: str) -> None:
        """Remember for that column what the failed one had found there."""
        for own in self._of_the_same_row(failed, name):
            own.before[name] = failed.before[name]
        self.has_inherited = True
