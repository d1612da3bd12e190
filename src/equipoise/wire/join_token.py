"""A join token: all that a node needs for its first connection, as one line of text.

It holds the certificate of the authority, by which the node knows a controller, and a certificate of its own with its
private key, by which a controller knows the token. So the very first connection is as safe as all others.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Self

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from equipoise.wire.authority import KeyPair, Validity, read_private_key, to_pem

_PREFIX: Final = "equipoise-join-1."
_DECODER: Final = msgspec.msgpack.Decoder(tuple[bytes, bytes, bytes])


class JoinTokenError(Exception):
    """A text is no join token. The message says what to do and quotes nothing."""


@dataclass(frozen=True, slots=True)
class JoinToken:
    """`authority` is the certificate of the authority, PEM; `pair` is what the token is known by."""

    authority: bytes
    pair: KeyPair

    def to_text(self) -> str:
        """One line."""
        secret = read_private_key(self.pair.key).private_numbers().private_value.to_bytes(32)
        parts = (_der(self.authority), _der(self.pair.certificate), secret)
        return _PREFIX + urlsafe_b64encode(msgspec.msgpack.encode(parts)).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Raises JoinTokenError."""
        encoded = text.strip().removeprefix(_PREFIX)
        try:
            authority, certificate, secret = _DECODER.decode(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
            key = ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1())
            pair = KeyPair(_pem(certificate), to_pem(key))
            return cls(_pem(authority), pair)
        except (ValueError, msgspec.DecodeError):
            # Without the cause, which may quote it.
            raise JoinTokenError(
                "the join token must be the whole line that `equipoise node token` has shown"
            ) from None

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of what it is known by, in hexadecimal digits; it gives nothing away."""
        return sha256(self.pair.certificate).hexdigest()

    def has_expired(self, now: datetime) -> bool:
        """Whether no controller will even look at it. It may be used for a shorter time."""
        return now >= Validity.of(self.pair.certificate).end


def _der(certificate: bytes) -> bytes:
    return x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)


def _pem(certificate: bytes) -> bytes:
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)
