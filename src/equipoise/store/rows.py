"""Statements and conversions that hold for every resource table: insert a record, read records, list with paging."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Insert, RowMapping, Select, Table, delete, update

from equipoise.domain.commands import Column
from equipoise.domain.model import Status

Record = TypeVar("Record")


def reader(kind: type[Record]) -> Callable[[RowMapping], Record]:
    """A function that makes a record of a row with the same columns."""

    def read(row: RowMapping) -> Record:
        values = dict(row)
        if "status" in values:
            values["status"] = Status(values["status"])
        return kind(**values)

    return read


def insert(connection: Connection, table: Table, *records: Any) -> None:
    """Store dataclass records whose fields are the columns of `table`."""
    names = table.columns.keys()
    connection.execute(_insertion(table), [{name: getattr(record, name) for name in names} for record in records])


# A statement that is made anew each time is also taken apart anew to be found among the compiled ones.
@cache
def _insertion(table: Table) -> Insert:
    return table.insert()


def set_columns(connection: Connection, table: Table, id: str, values: Mapping[str, Column]) -> None:
    """Give columns of one row new values."""
    connection.execute(update(table).where(table.c.id == id).values(**values))


def mark_deleting(connection: Connection, table: Table, ids: Sequence[str], deleting: bool = True) -> None:
    """Mark rows as about to be removed, or take the mark away."""
    connection.execute(update(table).where(table.c.id.in_(ids)).values(deleting=deleting))


def set_status(connection: Connection, table: Table, ids: Sequence[str], status: Status) -> None:
    """Bring rows into a state."""
    connection.execute(update(table).where(table.c.id.in_(ids)).values(status=status))


def delete_rows(connection: Connection, table: Table, ids: Sequence[str]) -> None:
    """Delete rows and, by reference, all below them."""
    connection.execute(delete(table).where(table.c.id.in_(ids)))


def page(
    statement: Select[Any],
    table: Table,
    filters: Mapping[str, Column],
    limit: int | None,
    marker: str | None,
    *,
    status: ColumnElement[str] | None = None,
) -> Select[Any]:
    """Narrow a list to the rows whose columns equal `filters`, after `marker`, at most `limit`.

    The order is by id: it does not change while a client pages, whatever is created or deleted meanwhile.

    Args:
        status: what the filter `status` is held against, if not what is stored (`equipoise.store.statuses`).
    """
    for name, value in filters.items():
        column = status if name == "status" and status is not None else table.c[name]
        statement = statement.where(column.is_(None) if value is None else column == value)
    if marker is not None:
        statement = statement.where(table.c.id > marker)
    return statement.order_by(table.c.id).limit(limit)
