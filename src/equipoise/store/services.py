"""Statements about the services that share a database: which there are, and with which settings."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert

from equipoise.store.database import Transaction
from equipoise.store.tables import services

_put = insert(services)
_PUT: Final = _put.on_conflict_do_update(
    index_elements=["id"], set_={"settings": _put.excluded.settings, "lease_until": _put.excluded.lease_until}
)
_FORGET: Final = delete(services).where(services.c.lease_until < bindparam("now"))
_REMOVE: Final = delete(services).where(services.c.id == bindparam("of_id"))
_OTHERS: Final = (
    select(services.c.id, services.c.settings)
    .where(services.c.id != bindparam("own"), services.c.lease_until >= bindparam("now"))
    .order_by(services.c.id)
)


def put(tx: Transaction, id: str, settings: Mapping[str, str], lease: int) -> None:
    """Say for `lease` milliseconds that a service is there, and forget those that say so no longer."""
    tx.connection.execute(_FORGET, {"now": tx.now})
    tx.connection.execute(_PUT, {"id": id, "settings": dict(settings), "lease_until": tx.now + lease})


def remove(tx: Transaction, id: str) -> None:
    """A service has ended."""
    tx.connection.execute(_REMOVE, {"of_id": id})


def others(connection: Connection, id: str, now: int) -> Mapping[str, Mapping[str, str]]:
    """The settings of the services that are there beside this one, by their id."""
    return {row.id: row.settings for row in connection.execute(_OTHERS, {"own": id, "now": now})}
