"""The server's own certificate: whether the data plane serves it, which refuses most of this without a reason."""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from equipoise.certificates import der
from equipoise.certificates.extensions import ALTERNATIVE_NAMES, KEY_USAGE, TLS_FEATURE
from equipoise.certificates.kinds import EXPONENT_BITS, KINDS, described, is_served
from equipoise.certificates.names import COMMON_NAME, OF_SERVERS
from equipoise.certificates.outline import NULL, Outline
from equipoise.certificates.wording import wrong, wrong_at
from equipoise.core.errors import InvalidField

_RSA: Final = "1.2.840.113549.1.1.1"
_ECDSA: Final = "1.2.840.10045.2.1"
_KINDS_OF_KEYS: Final = {
    "1.2.840.113549.1.1.10": "RSA for PSS alone",
    "1.2.840.10040.4.1": "DSA",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
}
_COMPRESSED: Final = (b"\x02", b"\x03", b"\x06", b"\x07")
"""How points begin that are compressed, or both (SEC 1, section 2.3.3)."""

_DIGITAL_SIGNATURE: Final = 0x80
_STAPLE: Final = bytes((0x30, 3, 2, 1, 5))
"""The TLS feature status_request alone (RFC 7633): the one value of the extension that the data plane obeys."""


def check_kind(own: Outline) -> None:
    """Check that the key in it is of a kind that is served. Raises InvalidField."""
    algorithm = own.key_algorithm
    if algorithm.oid not in (_RSA, _ECDSA):
        raise _not_served(_KINDS_OF_KEYS.get(algorithm.oid, algorithm.oid))
    if algorithm.oid == _RSA and algorithm.parameters != NULL:
        raise wrong_at(1, "has an RSA key without the NULL that must stand in place of its parameters")
    if algorithm.oid == _ECDSA and algorithm.parameters[:1] != bytes((der.OID,)):
        raise wrong_at(
            1,
            "has an ECDSA key that does not name its curve (explicit parameters); make the key with a named curve "
            "(`-param_enc named_curve` of openssl) and request another certificate",
        )
    if algorithm.oid == _ECDSA and own.key_bits[:1] in _COMPRESSED:
        raise wrong_at(1, "has an ECDSA key whose point is compressed; TLS needs it uncompressed")
    try:
        key = load_der_public_key(own.key)
    except UnsupportedAlgorithm as fault:
        raise _not_served("ECDSA on another curve") from fault
    except ValueError as fault:
        raise wrong_at(1, "has a key that is damaged") from fault
    if not is_served(key):
        raise _not_served(described(key))
    if isinstance(key, RSAPublicKey) and key.public_numbers().e.bit_length() > EXPONENT_BITS:
        raise wrong_at(1, f"has an RSA key whose public exponent is longer than {EXPONENT_BITS} bits")


def check_uses(own: Outline) -> None:
    """Check what it is for and whom it names. Raises InvalidField."""
    _check_usage(own)
    _check_features(own)
    _check_names(own)


def _not_served(kind: str) -> InvalidField:
    return wrong_at(1, f"has a key of a kind that is not served ({kind}); it must be {KINDS}")


def _check_usage(own: Outline) -> None:
    """The data plane refuses such a certificate without a reason; with RSA it may still transport a key."""
    encoded = own.extensions.get(KEY_USAGE)
    if own.key_algorithm.oid != _ECDSA or encoded is None:
        return
    usage, _ = der.bits(der.only(encoded))
    if not usage or not usage[0] & _DIGITAL_SIGNATURE:
        raise wrong("certificate: its key usage does not allow digital signatures, which TLS needs of an ECDSA key")


def _check_features(own: Outline) -> None:
    if own.extensions.get(TLS_FEATURE) == _STAPLE:
        raise wrong("certificate: it demands a stapled OCSP answer (must-staple), which is not served")


def _check_names(own: Outline) -> None:
    """The data plane names its sessions after the certificate. It looks at the first CN, and else for other names."""
    common = own.subject.first(COMMON_NAME)
    if common == "":
        raise wrong("certificate: the common name (CN) of its subject is empty; leave it out or give it a text")
    if common is None and not _has_name_of_server(own):
        raise wrong(
            "certificate: it names no server: its subject has no common name (CN), and it has no alternative name "
            "that is a DNS name, a URI or an address"
        )


def _has_name_of_server(own: Outline) -> bool:
    encoded = own.extensions.get(ALTERNATIVE_NAMES)
    return encoded is not None and any(each.tag in OF_SERVERS for each in der.inside(der.only(encoded)))
