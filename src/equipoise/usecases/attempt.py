"""One sending of a write under an idempotency key. What follows from it is in `idempotency`."""

import re
from hashlib import blake2b
from typing import Final

from equipoise.domain.errors import Rule, RuleBroken

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class Attempt:
    """One sending of a write under a key. What makes two sendings the same is method, path and body.

    Raises:
        RuleBroken: IDEMPOTENCY_KEY_INVALID.
    """

    def __init__(self, key: str, method: str, path: str) -> None:
        if not _KEY.fullmatch(key):
            raise RuleBroken(
                Rule.IDEMPOTENCY_KEY_INVALID,
                "Idempotency-Key must be 1 to 255 visible ASCII characters without spaces.",
            )
        self.key = key
        self._digest = blake2b(f"{method} {path}\n".encode(), digest_size=32)

    def add_body(self, body: bytes) -> None:
        """Count the body in."""
        self._digest.update(body)

    @property
    def fingerprint(self) -> str:
        return self._digest.hexdigest()
