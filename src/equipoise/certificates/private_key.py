"""The private key as the user gave it: read, and refused with what is wrong where it cannot be served."""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from equipoise.certificates import pem
from equipoise.certificates.kinds import KINDS, is_served
from equipoise.certificates.pem import PemFault
from equipoise.certificates.wording import wrong

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey

PRIVATE_KEY: Final = "PRIVATE KEY"
"""How the label of every form of a private key ends."""


def read_key(text: str) -> PrivateKey:
    """Read the key from PEM. Raises InvalidField."""
    # Some tools put the parameters of the curve before the key, some the certificates after it.
    try:
        blocks = pem.blocks(text)
    except PemFault as fault:
        raise wrong(f"private_key {fault}") from None
    found = [block for block in blocks if block.label.endswith(PRIVATE_KEY)]
    if not found:
        others = [block.label for block in blocks if pem.is_known(block.label)]
        if others:
            raise wrong(f"private_key holds no private key, but {others[0]}")
        raise wrong("private_key is not in PEM; it must hold -----BEGIN PRIVATE KEY----- or its RSA or EC form")
    if len(found) > 1:
        raise wrong(f"private_key holds {len(found)} keys; give the one of the certificate")
    if found[0].is_encrypted:
        raise wrong("private_key is encrypted; give it without a passphrase")
    if found[0].label == "OPENSSH PRIVATE KEY":
        raise wrong("private_key is in the form of OpenSSH; `ssh-keygen -p -m PEM -f FILE` changes it to PEM")
    try:
        # The library's own check looks for primes, and keeps every thread from running for 0.4 s with 4096 bits.
        key = load_der_private_key(found[0].decoded(), None, unsafe_skip_rsa_key_validation=True)
    except PemFault as fault:
        raise wrong(f"private_key {fault}") from None
    except TypeError:
        raise wrong("private_key is encrypted; give it without a passphrase") from None
    except UnsupportedAlgorithm:
        raise wrong(f"private_key is of a kind that is not served; it must be {KINDS}") from None
    except ValueError:
        # Without the cause: it may quote the key.
        raise wrong("private_key cannot be read as PKCS#8, RSA or EC key; is it cut off or damaged?") from None
    if not isinstance(key, PrivateKey) or not is_served(key.public_key()):
        raise wrong(f"private_key is of a kind that is not served; it must be {KINDS}")
    if isinstance(key, RSAPrivateKey) and not _is_consistent(key):
        raise wrong("private_key is damaged: its numbers do not fit each other")
    return key


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
        and numbers.d < public.n
        and numbers.d % (numbers.p - 1) == numbers.dmp1
        and numbers.d % (numbers.q - 1) == numbers.dmq1
        and numbers.iqmp < numbers.p
        and numbers.q * numbers.iqmp % numbers.p == 1
    )
