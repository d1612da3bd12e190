"""Carries out what became of a job's changes: make them final, or take them back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Table, select

from equipoise.core.changes import AddressKept, Change, Created, Removed, Updated, Wanted
from equipoise.core.model import Status
from equipoise.store import addresses, rows
from equipoise.store.tables import metadata

_KINDS: Final = {kind.__name__: kind for kind in (Created, Updated, Removed, Wanted, AddressKept)}


def to_json(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Changes as the job's column holds them."""
    return [{"kind": type(change).__name__, **asdict(change)} for change in changes]


def from_json(value: Sequence[dict[str, Any]]) -> list[Change]:
    """The inverse of `to_json`."""
    return [_KINDS[entry["kind"]](**{k: v for k, v in entry.items() if k != "kind"}) for entry in value]


def finalize(connection: Connection, changes: Sequence[Change]) -> None:
    """The job succeeded: what it created is ACTIVE, what it removed is gone."""
    for group in _alike(changes):
        match group:
            case [Created(), *_]:
                rows.set_status(connection, *_rows_of(group), Status.ACTIVE)
            case [Removed(), *_]:
                rows.delete_rows(connection, *_rows_of(group))
            case [AddressKept(load_balancer_id)]:
                addresses.keep(connection, load_balancer_id)


def roll_back(connection: Connection, changes: Sequence[Change]) -> None:
    """The job failed: rows return to what they were, but only where they still hold what the job wrote."""
    for group in _alike(reversed(changes)):
        match group:
            case [Created(), *_]:
                rows.delete_rows(connection, *_rows_of(group))
            case [Removed(was_deleting=was_deleting) | Wanted(was_deleting=was_deleting), *_]:
                rows.mark_deleting(connection, *_rows_of(group), deleting=was_deleting)
            case [Updated() as change]:
                _restore(connection, change)


def _alike(changes: Iterable[Change]) -> Iterator[list[Change]]:
    """Neighbours that one statement can carry out together: a thousand members are one, not a thousand."""

    def key(numbered: tuple[int, Change]) -> tuple[object, ...]:
        number, change = numbered
        match change:
            case Created():
                return Created, change.table
            case Removed() | Wanted():
                return type(change), change.table, change.was_deleting
        return (number,)

    for _, group in groupby(enumerate(changes), key):
        yield [change for _, change in group]


def _rows_of(group: Sequence[Change]) -> tuple[Table, list[str]]:
    """The table and the ids that a group of `_alike` is about."""
    rows_of_one_table = [change for change in group if isinstance(change, Created | Removed | Wanted)]
    return metadata.tables[rows_of_one_table[0].table], [change.id for change in rows_of_one_table]


def _restore(connection: Connection, change: Updated) -> None:
    table = metadata.tables[change.table]
    row = connection.execute(select(table).where(table.c.id == change.id)).mappings().first()
    if row is None:
        return
    back = {name: change.before[name] for name, value in change.after.items() if row[name] == value}
    if back:
        rows.set_columns(connection, table, change.id, back)
