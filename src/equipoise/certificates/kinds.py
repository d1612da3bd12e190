"""The kinds of keys that are served: what the data plane and common clients take of a server."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, SECP521R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

RSA_BITS: Final = range(2048, 8193)
EXPONENT_BITS: Final = 33
"""The longest public exponent that BoringSSL takes."""

CURVES: Final = (SECP256R1, SECP384R1, SECP521R1)
KINDS: Final = f"RSA with {RSA_BITS[0]} to {RSA_BITS[-1]} bits, or ECDSA on P-256, P-384 or P-521"


def is_served(key: object) -> bool:
    """Whether a public key is of such a kind."""
    if isinstance(key, RSAPublicKey):
        return key.key_size in RSA_BITS
    return isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, CURVES)


def described(key: object) -> str:
    """How a sentence names the kind of a public key."""
    if isinstance(key, RSAPublicKey):
        return f"RSA with {key.key_size} bits"
    return f"ECDSA on {key.curve.name}" if isinstance(key, EllipticCurvePublicKey) else "neither RSA nor ECDSA"
