"""What makes a delivery trustworthy: its secret, its headers, its signature, in the way of Standard Webhooks 1.0.

A receiver needs no code of ours: https://www.standardwebhooks.com names libraries for many languages.
"""

import base64
import hashlib
import hmac
import secrets
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with
_NEW_KEY_BYTES: Final = 32


def new_secret() -> str:
    """A secret that nobody can guess."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_NEW_KEY_BYTES)).decode()


def headers(secret: str, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a delivery.

    Args:
        id: of the delivery; the same whenever it is sent again.
        timestamp: seconds since 1970 at which it is sent.
    """
    signed = f"{id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX))
