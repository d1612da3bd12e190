"""Statements about idempotency keys: which accepted write a key stands for."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, select

from equipoise.store.database import Transaction
from equipoise.store.tables import idempotency_keys as keys

_FIND: Final = select(keys.c.fingerprint, keys.c.job_id, keys.c.resource_id).where(
    keys.c.project_id == bindparam("project_id"), keys.c.key == bindparam("key")
)
_FORGET: Final = delete(keys).where(keys.c.create_time < bindparam("before"))


@dataclass(frozen=True, slots=True)
class Known:
    """What a key stands for."""

    fingerprint: str
    job_id: str
    resource_id: str


def find(tx: Transaction, project_id: str, key: str) -> Known | None:
    """The write that came with this key first."""
    row = tx.connection.execute(_FIND, {"project_id": project_id, "key": key}).first()
    return None if row is None else Known(row.fingerprint, row.job_id, row.resource_id)


def remember(tx: Transaction, project_id: str, key: str, fingerprint: str, job_id: str, resource_id: str) -> None:
    """Note what a key stands for, in the transaction of the write itself."""
    tx.connection.execute(
        keys.insert(),
        {
            "project_id": project_id,
            "key": key,
            "fingerprint": fingerprint,
            "job_id": job_id,
            "resource_id": resource_id,
            "create_time": tx.now,
        },
    )


def forget(tx: Transaction, before: int) -> None:
    """Drop the keys that were first used before `before`, in milliseconds since 1970."""
    tx.connection.execute(_FORGET, {"before": before})
