"""Whether one certificate issued another: by name, and by signature where that can be verified."""

from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import (
    MD5,
    SHA1,
    SHA3_224,
    SHA3_256,
    SHA3_384,
    SHA3_512,
    SHA224,
    SHA256,
    SHA384,
    SHA512,
    HashAlgorithm,
)
from cryptography.hazmat.primitives.serialization import load_der_public_key

from equipoise.certificates import der
from equipoise.certificates.der import DerFault, Element
from equipoise.certificates.outline import Outline, SignatureAlgorithm, read_algorithm

_RSA_PSS: Final = "1.2.840.113549.1.1.10"
_PURE: Final = {"1.3.101.112": Ed25519PublicKey, "1.3.101.113": Ed448PublicKey}

# What an authority signed with them is served all the same; clients judge that.
_MD5, _SHA1 = MD5(), SHA1()  # noqa: S303

_SIGNATURES: Final[dict[str, tuple[type, HashAlgorithm]]] = {
    "1.2.840.113549.1.1.4": (RSAPublicKey, _MD5),
    "1.2.840.113549.1.1.5": (RSAPublicKey, _SHA1),
    "1.2.840.113549.1.1.14": (RSAPublicKey, SHA224()),
    "1.2.840.113549.1.1.11": (RSAPublicKey, SHA256()),
    "1.2.840.113549.1.1.12": (RSAPublicKey, SHA384()),
    "1.2.840.113549.1.1.13": (RSAPublicKey, SHA512()),
    "2.16.840.1.101.3.4.3.13": (RSAPublicKey, SHA3_224()),
    "2.16.840.1.101.3.4.3.14": (RSAPublicKey, SHA3_256()),
    "2.16.840.1.101.3.4.3.15": (RSAPublicKey, SHA3_384()),
    "2.16.840.1.101.3.4.3.16": (RSAPublicKey, SHA3_512()),
    "1.2.840.10045.4.1": (EllipticCurvePublicKey, _SHA1),
    "1.2.840.10045.4.3.1": (EllipticCurvePublicKey, SHA224()),
    "1.2.840.10045.4.3.2": (EllipticCurvePublicKey, SHA256()),
    "1.2.840.10045.4.3.3": (EllipticCurvePublicKey, SHA384()),
    "1.2.840.10045.4.3.4": (EllipticCurvePublicKey, SHA512()),
    "1.2.840.10040.4.3": (DSAPublicKey, _SHA1),
    "2.16.840.1.101.3.4.3.1": (DSAPublicKey, SHA224()),
    "2.16.840.1.101.3.4.3.2": (DSAPublicKey, SHA256()),
}
"""Signature algorithms with the kind of key that makes them and their digest (RFC 3279, 4055, 5754, 5758)."""

_DIGESTS: Final[dict[str, HashAlgorithm]] = {
    "1.3.14.3.2.26": _SHA1,
    "2.16.840.1.101.3.4.2.4": SHA224(),
    "2.16.840.1.101.3.4.2.1": SHA256(),
    "2.16.840.1.101.3.4.2.2": SHA384(),
    "2.16.840.1.101.3.4.2.3": SHA512(),
}
_DEFAULT_SALT: Final = 20


def signed(below: Outline, above: Outline) -> bool | None:
    """Whether the key of `above` signed `below`; None where that cannot be verified, with an unknown algorithm say."""
    try:
        key = load_der_public_key(above.key)
        algorithm = below.signature_algorithm.oid
        if algorithm in _PURE:
            if not isinstance(key, Ed25519PublicKey | Ed448PublicKey):
                return False
            key.verify(below.signature, below.signed)
        elif algorithm == _RSA_PSS:
            padding, digest = _pss(below.signature_algorithm)
            if not isinstance(key, RSAPublicKey):
                return False
            key.verify(below.signature, below.signed, padding, digest)
        elif algorithm in _SIGNATURES:
            return _verified(below, key, *_SIGNATURES[algorithm])
        else:
            return None
    except InvalidSignature:
        return False
    except (ValueError, OverflowError, UnsupportedAlgorithm, DerFault, KeyError):
        # OverflowError: the salt is longer than any can be.
        return None
    return True


def _verified(below: Outline, key: object, kind: type, digest: HashAlgorithm) -> bool:
    if not isinstance(key, kind):
        return False
    match key:
        case RSAPublicKey():
            key.verify(below.signature, below.signed, PKCS1v15(), digest)
        case EllipticCurvePublicKey():
            key.verify(below.signature, below.signed, ECDSA(digest))
        case DSAPublicKey():
            key.verify(below.signature, below.signed, digest)
    return True


def _pss(algorithm: SignatureAlgorithm) -> tuple[AsymmetricPadding, HashAlgorithm]:
    """RFC 4055, section 3.1: digest, mask and length of the salt; each may be left out."""
    given = {each.tag: der.only(each.content) for each in der.inside(der.only(algorithm.parameters))}
    mask = _SHA1 if 0xA1 not in given else _digest(der.only(read_algorithm(given[0xA1]).parameters))
    digest = _SHA1 if 0xA0 not in given else _digest(given[0xA0])
    salt = _DEFAULT_SALT if 0xA2 not in given else der.integer(given[0xA2])
    return PSS(MGF1(mask), salt), digest


def _digest(element: Element) -> HashAlgorithm:
    return _DIGESTS[read_algorithm(element).oid]
