"""Statements about the keys of tokens, and about tokens that were revoked."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, Insert, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from equipoise.core.identity import TokenKey
from equipoise.store import rows
from equipoise.store.database import Transaction
from equipoise.store.tables import revoked_tokens, token_keys

_KEYS: Final = select(token_keys.c.key).order_by(token_keys.c.create_time.desc(), token_keys.c.id)
_REVOKED: Final = select(revoked_tokens.c.audit_id, revoked_tokens.c.expires).where(
    revoked_tokens.c.revision > bindparam("since"), revoked_tokens.c.expires > bindparam("now")
)
_FORGET: Final = delete(revoked_tokens).where(revoked_tokens.c.expires <= bindparam("until"))


def _insertion(insert: type[sqlite.Insert] | type[postgresql.Insert]) -> Insert:
    return insert(revoked_tokens).on_conflict_do_nothing(index_elements=["audit_id"])


_REVOKE: Final = {"sqlite": _insertion(sqlite.Insert), "postgresql": _insertion(postgresql.Insert)}


def keys(connection: Connection) -> Sequence[str]:
    """The keys that tokens count with, the newest first; encrypted."""
    return connection.execute(_KEYS).scalars().all()


def any_sealed(connection: Connection) -> str | None:
    """Any of the keys, encrypted; None when there is none."""
    return connection.execute(_KEYS).scalars().first()


def add_key(connection: Connection, added: TokenKey) -> None:
    """Store a key; it makes tokens after the next start of each service."""
    rows.insert(connection, token_keys, added)


def revoke(tx: Transaction, expires: Mapping[str, int]) -> None:
    """Store revocations: audit id -> when the token expires, in seconds since 1970. A second one changes nothing."""
    if expires:
        values = [{"audit_id": id, "expires": at, "revision": tx.revision} for id, at in expires.items()]
        tx.connection.execute(_REVOKE[tx.connection.dialect.name], values)


def revoked_since(connection: Connection, revision: int, now: int) -> Mapping[str, int]:
    """The revocations after a revision whose tokens have not expired by `now`, as `revoke` takes them."""
    found = connection.execute(_REVOKED, {"since": revision, "now": now})
    return {row.audit_id: row.expires for row in found}


def forget(connection: Connection, until: int) -> None:
    """Delete the revocations of tokens that expired by then, in seconds since 1970."""
    connection.execute(_FORGET, {"until": until})
