"""Statements about which nodes may speak to the controllers: the authority, join tokens, and the nodes by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, delete, select, update

from equipoise.core.admission import AdmittedNode, StoredAuthority, StoredJoinToken
from equipoise.store import rows
from equipoise.store.tables import admitted_nodes, authorities, join_tokens, nodes


def _columns(kind: type[Any], table: Table) -> list[Any]:
    return list(rows.columns_of(kind, table))


_AUTHORITY: Final = select(*_columns(StoredAuthority, authorities))
_TOKEN: Final = select(*_columns(StoredJoinToken, join_tokens)).where(join_tokens.c.id == bindparam("of_id"))
_USE: Final = update(join_tokens).where(join_tokens.c.id == bindparam("of_id")).values(used_by=bindparam("by"))
_FORGET_TOKENS: Final = delete(join_tokens).where(join_tokens.c.expires < bindparam("before"))
_NODES: Final = select(*_columns(AdmittedNode, admitted_nodes))
_BY_ID: Final = _NODES.where(admitted_nodes.c.id == bindparam("of_id"))
_BY_NAME: Final = _NODES.where(admitted_nodes.c.name == bindparam("of_name"))
_IDS: Final = select(admitted_nodes.c.id)
_NOTE: Final = (
    update(admitted_nodes).where(admitted_nodes.c.id == bindparam("of_id")).values(certificate_until=bindparam("until"))
)
_REMOVE: Final = delete(admitted_nodes).where(admitted_nodes.c.name == bindparam("of_name"))
_SHOWN: Final = (
    select(*_columns(AdmittedNode, admitted_nodes), nodes.c.live)
    .outerjoin_from(admitted_nodes, nodes, nodes.c.id == admitted_nodes.c.id)
    .order_by(admitted_nodes.c.name)
)


@dataclass(frozen=True, slots=True)
class ShownNode:
    """A node as it is shown: who it is, and whether a controller has it."""

    admitted: AdmittedNode
    live: bool


def authority(connection: Connection) -> StoredAuthority | None:
    """The authority; None before there is one."""
    row = connection.execute(_AUTHORITY).first()
    return None if row is None else StoredAuthority(*row)


def any_sealed(connection: Connection) -> str | None:
    """The encrypted private key of the authority; None when there is none."""
    found = authority(connection)
    return None if found is None else found.key


def create_authority(connection: Connection, new: StoredAuthority) -> None:
    """Store the authority; there must be none."""
    connection.execute(
        authorities.insert().values(number=1, certificate=new.certificate, key=new.key, create_time=new.create_time)
    )


def add_token(connection: Connection, new: StoredJoinToken, forget_before: int) -> None:
    """Store a join token, and forget those that expired before that time, in milliseconds since 1970."""
    connection.execute(_FORGET_TOKENS, {"before": forget_before})
    rows.insert(connection, join_tokens, new)


def token(connection: Connection, id: str) -> StoredJoinToken | None:
    """The join token; None for one that was never made here or was forgotten."""
    row = connection.execute(_TOKEN, {"of_id": id}).first()
    return None if row is None else StoredJoinToken(*row)


def use_token(connection: Connection, id: str, key_fingerprint: str) -> None:
    """Note whose key used a join token."""
    connection.execute(_USE, {"of_id": id, "by": key_fingerprint})


def admit(connection: Connection, new: AdmittedNode) -> None:
    """Store a node whose id and name are free."""
    rows.insert(connection, admitted_nodes, new)


def find(connection: Connection, id: str) -> AdmittedNode | None:
    """The node of that id, if it may speak."""
    row = connection.execute(_BY_ID, {"of_id": id}).first()
    return None if row is None else AdmittedNode(*row)


def find_by_name(connection: Connection, name: str) -> AdmittedNode | None:
    """The node of that name, if it may speak."""
    row = connection.execute(_BY_NAME, {"of_name": name}).first()
    return None if row is None else AdmittedNode(*row)


def note_certificate(connection: Connection, id: str, until: int) -> None:
    """Note when the newest certificate of a node expires."""
    connection.execute(_NOTE, {"of_id": id, "until": until})


def remove(connection: Connection, name: str) -> bool:
    """Let the node of that name speak no more. Returns whether there was one."""
    return connection.execute(_REMOVE, {"of_name": name}).rowcount > 0


def ids(connection: Connection) -> set[str]:
    """The nodes that may speak."""
    return set(connection.execute(_IDS).scalars())


def shown(connection: Connection) -> Sequence[ShownNode]:
    """All nodes that may speak, by name."""
    return [ShownNode(AdmittedNode(*row[:-1]), bool(row[-1])) for row in connection.execute(_SHOWN)]
