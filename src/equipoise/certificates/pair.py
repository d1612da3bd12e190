"""Whether a certificate, its chain and a private key belong together and can be served: what a user must repair if not.

Stricter than the data plane where that would serve something broken (a chain out of order), and as strict where it
would refuse without saying what is wrong. Expired certificates pass: clients judge that, and clocks differ.
"""

import re
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from equipoise.domain.errors import InvalidField
from equipoise.domain.references import Kind

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey
PublicKey = RSAPublicKey | EllipticCurvePublicKey

RSA_BITS: Final = range(2048, 8193)
CURVES: Final = (SECP256R1, SECP384R1, SECP521R1)
KINDS: Final = f"RSA with {RSA_BITS[0]} to {RSA_BITS[-1]} bits, or ECDSA on P-256, P-384 or P-521"
CHAIN_LENGTH: Final = 10

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_CERTIFICATE: Final = "CERTIFICATE"
_PRIVATE_KEY: Final = "PRIVATE KEY"


def check_pair(certificate: str, private_key: str) -> None:
    """Check both, PEM as the user gave them.

    Raises:
        InvalidField; the detail names the part that is wrong and never quotes the key.
    """
    chain = _chain(certificate)
    key = _key(private_key)
    _check_match(chain, key)
    _check_usage(chain[0])
    _check_order(chain)


# --- the certificate and its chain --------------------------------------------------------------------------------


def _chain(pem: str) -> list[x509.Certificate]:
    blocks = _blocks(pem)
    if any(label.endswith(_PRIVATE_KEY) for label, _ in blocks):
        raise _wrong("certificate holds a private key; give that as private_key, it would be readable here")
    texts = [text for label, text in blocks if label == _CERTIFICATE]
    if not texts:
        raise _wrong("certificate is not in PEM; it must hold -----BEGIN CERTIFICATE-----")
    if len(texts) > CHAIN_LENGTH:
        raise _wrong(f"certificate has {len(texts)} certificates; at most {CHAIN_LENGTH} are allowed")
    return [_decoded(text, number) for number, text in enumerate(texts, start=1)]


def _decoded(pem: str, number: int) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        # Both are decoded at the first look only.
        certificate.public_key()
        certificate.extensions  # noqa: B018
    except (ValueError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType) as fault:
        raise _wrong(f"certificate: the {_ordinal(number)} one in it cannot be read; is it cut off?") from fault
    return certificate


def _check_order(chain: list[x509.Certificate]) -> None:
    for number, (below, above) in enumerate(pairwise(chain), start=1):
        try:
            below.verify_directly_issued_by(above)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as fault:
            raise _wrong(
                f"certificate: the {_ordinal(number + 1)} one did not issue the {_ordinal(number)}; "
                "put the server's own first, then each issuer after what it issued"
            ) from fault


def _check_usage(own: x509.Certificate) -> None:
    """Envoy refuses such a certificate without a reason; with RSA it may still transport a key."""
    if not isinstance(own.public_key(), EllipticCurvePublicKey):
        return
    try:
        usage = own.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.digital_signature:
        raise _wrong("certificate: its key usage does not allow digital signatures, which TLS needs of an ECDSA key")


# --- the private key ----------------------------------------------------------------------------------------------


def _key(pem: str) -> PrivateKey:
    # Some tools put the parameters of the curve before the key.
    found = [(label, text) for label, text in _blocks(pem) if label.endswith(_PRIVATE_KEY)]
    if not found:
        raise _wrong("private_key is not in PEM; it must hold -----BEGIN PRIVATE KEY----- or its RSA or EC form")
    if len(found) > 1:
        raise _wrong(f"private_key holds {len(found)} keys; give the one of the certificate")
    label, text = found[0]
    if label.startswith("ENCRYPTED") or "Proc-Type: 4,ENCRYPTED" in text:
        raise _wrong("private_key is encrypted; give it without a passphrase")
    try:
        # The library's own check looks for primes, and keeps every thread from running for 0.4 s with 4096 bits.
        key = load_pem_private_key(text.encode(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without the cause: it may quote the key.
        raise _wrong("private_key cannot be read; is it cut off?") from None
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey) or not _is_served(key.public_key()):
        raise _wrong(f"private_key is of a kind that is not served; it must be {KINDS}")
    if isinstance(key, RSAPrivateKey) and not _is_consistent(key):
        raise _wrong("private_key is damaged: its numbers do not fit each other")
    return key


def _is_served(key: PublicKey) -> bool:
    if isinstance(key, RSAPublicKey):
        return key.key_size in RSA_BITS
    return isinstance(key.curve, CURVES)


def _is_consistent(key: RSAPrivateKey) -> bool:
    """The equations of RFC 8017, section 3.2, without the question whether p and q are primes: only its owner suffers.

    The same is checked by the data plane when it loads the key.
    """
    numbers = key.private_numbers()
    public = numbers.public_numbers
    return (
        min(numbers.p, numbers.q) > 1
        and numbers.p * numbers.q == public.n
        and public.e * numbers.dmp1 % (numbers.p - 1) == 1
        and public.e * numbers.dmq1 % (numbers.q - 1) == 1
        and numbers.d % (numbers.p - 1) == numbers.dmp1
        and numbers.d % (numbers.q - 1) == numbers.dmq1
        and numbers.q * numbers.iqmp % numbers.p == 1
    )


def _check_match(chain: list[x509.Certificate], key: PrivateKey) -> None:
    public = key.public_key().public_numbers()
    fits = [_public_numbers(certificate) == public for certificate in chain]
    if fits[0]:
        return
    if any(fits):
        raise _wrong(
            f"private_key belongs to the {_ordinal(fits.index(True) + 1)} certificate; that one must come first"
        )
    raise _wrong("private_key does not match the certificate; give the key with which it was requested")


def _public_numbers(certificate: x509.Certificate) -> object:
    key = certificate.public_key()
    return key.public_numbers() if isinstance(key, RSAPublicKey | EllipticCurvePublicKey) else None


# --- words --------------------------------------------------------------------------------------------------------


def _blocks(pem: str) -> list[tuple[str, str]]:
    """Label and text of each PEM block; whatever stands around them is ignored, as everywhere."""
    return [(match[1], match[0]) for match in _BLOCK.finditer(pem)]


def _ordinal(number: int) -> str:
    return ("first", "second", "third")[number - 1] if number <= 3 else f"{number}th"


def _wrong(sentence: str) -> InvalidField:
    return InvalidField(Kind.CERTIFICATE, "", sentence + ".")
