"""Whether a certificate, its chain and a private key belong together and can be served: what a user must repair if not.

What passes is served whole by the data plane, in the form of `served_certificate` and `served_key`. Stricter than the
data plane where that would serve something broken (a chain out of order), and as strict where it would refuse without
saying what is wrong; docs/reference/tls.md lists every reason. Expired certificates pass: clients judge that, and
clocks differ.
"""

from collections.abc import Sequence

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from equipoise.certificates import pem
from equipoise.certificates.chain import check_order, encoded_chain, read_chain
from equipoise.certificates.outline import Outline
from equipoise.certificates.own import check_kind, check_uses
from equipoise.certificates.private_key import PrivateKey, read_key
from equipoise.certificates.wording import ordinal, wrong
from equipoise.core.errors import InvalidField


def check_pair(certificate: str, private_key: str) -> None:
    """Check both, PEM as the user gave them.

    Raises:
        InvalidField; the detail names the part that is wrong and never quotes the key.
    """
    chain = read_chain(certificate)
    check_kind(chain[0])
    _check_match(chain, read_key(private_key))
    check_uses(chain[0])
    check_order(chain)


def served_certificate(certificate: str) -> str:
    """Return the chain in the one form in which it is served: strict PEM, without anything around it.

    What was stored before it could be checked, and cannot be understood, is returned as it is.
    """
    try:
        return "".join(pem.armoured("CERTIFICATE", encoded) for encoded in encoded_chain(certificate))
    except InvalidField:
        return certificate


def served_key(private_key: str) -> str:
    """Return the private key in the one form in which it is served: PKCS#8 in strict PEM.

    What was stored before it could be checked, and cannot be understood, is returned as it is.
    """
    try:
        key = read_key(private_key)
    except InvalidField:
        return private_key
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _check_match(chain: Sequence[Outline], key: PrivateKey) -> None:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    fits = [certificate.key == public for certificate in chain]
    if fits[0]:
        return
    if any(fits):
        raise wrong(f"private_key belongs to the {ordinal(fits.index(True) + 1)} certificate; that one must come first")
    raise wrong("private_key does not match the certificate; give the key with which it was requested")
