"""Doing it twice is doing it once: a write that is sent again under its idempotency key is answered, not repeated."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Self

from equipoise.core.errors import KeyInvalid, KeyReused
from equipoise.store import idempotency
from equipoise.store.database import Transaction
from equipoise.usecases.context import Accepted

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending of a write under a key. Two with one fingerprint are the same write."""

    key: str
    fingerprint: str

    @classmethod
    def of(cls, key: str, method: str, path: str, body: bytes) -> Self:
        """What makes two sendings the same is method, path and body."""
        return cls(key, blake2b(f"{method} {path}\n".encode() + body, digest_size=32).hexdigest())


def checked_key(text: str) -> str:
    """The key. Raises KeyInvalid."""
    if not _KEY.fullmatch(text):
        raise KeyInvalid("Idempotency-Key must be 1 to 255 visible ASCII characters without spaces.")
    return text


def once(
    attempt: Attempt | None, project_id: str, work: Callable[[Transaction], Accepted]
) -> Callable[[Transaction], Accepted]:
    """`work`, unless its key was used before: then what it led to. Both in one transaction, so two at once are one.

    Raises:
        KeyReused: the key came with another request.
    """
    if attempt is None:
        return work

    def write(tx: Transaction) -> Accepted:
        known = idempotency.find(tx, project_id, attempt.key)
        if known is None:
            accepted = work(tx)
            idempotency.remember(
                tx, project_id, attempt.key, attempt.fingerprint, accepted.job_id, accepted.resource_id
            )
            return accepted
        if known.fingerprint != attempt.fingerprint:
            raise KeyReused("This Idempotency-Key came with another request before; use a new key for a new request.")
        return Accepted(known.job_id, known.resource_id)

    return write
