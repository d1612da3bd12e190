"""Carries out what became of a job's changes: make them final, or take them back."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, select

from equipoise.domain.changes import AddressKept, Change, Created, Removed, Updated
from equipoise.domain.model import Status
from equipoise.store import addresses, rows
from equipoise.store.tables import metadata

_KINDS: Final = {kind.__name__: kind for kind in (Created, Updated, Removed, AddressKept)}


def to_json(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Changes as the job's column holds them."""
    return [{"kind": type(change).__name__, **asdict(change)} for change in changes]


def from_json(value: Sequence[dict[str, Any]]) -> list[Change]:
    """The inverse of `to_json`."""
    return [_KINDS[entry["kind"]](**{k: v for k, v in entry.items() if k != "kind"}) for entry in value]


def make_final(connection: Connection, changes: Sequence[Change]) -> None:
    """The job succeeded: what it created is ACTIVE, what it removed is gone."""
    for change in changes:
        match change:
            case Created(table, id):
                rows.set_columns(connection, metadata.tables[table], id, {"status": Status.ACTIVE})
            case Removed(table, id):
                rows.delete_row(connection, metadata.tables[table], id)
            case AddressKept(load_balancer_id):
                addresses.keep(connection, load_balancer_id)
            case Updated():
                pass


def take_back(connection: Connection, changes: Sequence[Change]) -> None:
    """The job failed: rows return to what they were, but only where they still hold what the job wrote."""
    for change in reversed(changes):
        match change:
            case Created(table, id):
                rows.delete_row(connection, metadata.tables[table], id)
            case Removed(table, id):
                rows.mark_deleting(connection, metadata.tables[table], [id], deleting=False)
            case Updated():
                _restore(connection, change)
            case AddressKept():
                pass


def _restore(connection: Connection, change: Updated) -> None:
    table = metadata.tables[change.table]
    row = connection.execute(select(table).where(table.c.id == change.id)).mappings().first()
    if row is None:
        return
    back = {name: change.before[name] for name, value in change.after.items() if row[name] == value}
    if back:
        rows.set_columns(connection, table, change.id, back)
