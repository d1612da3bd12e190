"""Doing it twice is doing it once: a write that is sent again under its idempotency key is answered, not repeated."""

from collections.abc import Callable

from equipoise.domain.errors import Rule, RuleBroken
from equipoise.store import idempotency
from equipoise.store.database import Transaction
from equipoise.usecases.attempt import Attempt
from equipoise.usecases.context import Accepted


def once(
    attempt: Attempt | None, project_id: str, work: Callable[[Transaction], Accepted]
) -> Callable[[Transaction], Accepted]:
    """`work`, unless its key was used before: then what it led to. Both in one transaction, so two at once are one.

    Raises:
        RuleBroken: IDEMPOTENCY_KEY_REUSED, when the key came with another request.
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
            raise RuleBroken(
                Rule.IDEMPOTENCY_KEY_REUSED,
                "This Idempotency-Key came with another request before; use a new key for a new request.",
            )
        return Accepted(known.job_id, known.resource_id)

    return write
