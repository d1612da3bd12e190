"""Statements and conversions that hold for every resource table: insert a record, read records, list with paging."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Insert,
    RowMapping,
    Select,
    Table,
    delete,
    literal,
    update,
)

from equipoise.core.commands import Column, Filter
from equipoise.core.model import Status

Record = TypeVar("Record")


def reader(kind: type[Record]) -> Callable[[RowMapping], Record]:
    """A function that makes a record of a row with the same columns."""

    def read(row: RowMapping) -> Record:
        values = dict(row)
        if "status" in values:
            values["status"] = Status(values["status"])
        return kind(**values)

    return read


def columns_of(kind: type[Any], table: Table) -> list[ColumnElement[Any]]:
    """The columns of a table in the order of the fields of its record, for `maker`."""
    return [table.c[field.name] for field in fields(kind)]


def maker(kind: type[Record]) -> Callable[[Sequence[Any]], Record]:
    """A function that makes a record of the values of `columns_of`."""
    build = cast(Callable[..., Record], kind)
    at = [field.name for field in fields(cast(type[Any], kind))].index("status")

    def make(values: Sequence[Any]) -> Record:
        return build(*values[:at], Status(values[at]), *values[at + 1 :])

    return make


def outer(make: Callable[[Sequence[Any]], Record]) -> Callable[[Sequence[Any]], Record | None]:
    """The same, and None where an outer join found no row."""
    return lambda values: None if values[0] is None else make(values)


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
    filters: Iterable[Filter],
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
    statement = matching(statement, table, filters, status=status)
    if marker is not None:
        statement = statement.where(table.c.id > marker)
    return statement.order_by(table.c.id).limit(limit)


def matching(
    statement: Select[Any], table: Table, filters: Iterable[Filter], *, status: ColumnElement[str] | None = None
) -> Select[Any]:
    """Narrow a list to the rows whose columns equal `filters`; `status` as of `page`."""
    for name, value in filters:
        column = status if name == "status" and status is not None else table.c[name]
        statement = statement.where(column.is_(None) if value is None else column == _sought(value))
    return statement


def _sought(value: Column) -> Any:
    """What a column is compared with. A number that no column can hold is no error of the database: nothing has it."""
    return literal(value, BigInteger) if type(value) is int else value
