"""The certificate with its chain as the user gave it: found in PEM, read, and checked for its order."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from equipoise.certificates import der, outline, pem
from equipoise.certificates.der import DerFault
from equipoise.certificates.issuance import signed
from equipoise.certificates.outline import Outline
from equipoise.certificates.pem import Block, PemFault
from equipoise.certificates.private_key import PRIVATE_KEY
from equipoise.certificates.wording import ordinal, wrong, wrong_at
from equipoise.core.errors import InvalidField

CHAIN_LENGTH: Final = 10
CHAIN_BYTES: Final = 102_400
"""What clients with OpenSSL or BoringSSL take of the message that holds the chain (SSL_MAX_CERT_LIST_DEFAULT)."""

_TRUSTED: Final = "TRUSTED CERTIFICATE"
_CERTIFICATES: Final = ("CERTIFICATE", "X509 CERTIFICATE", _TRUSTED)
_HARMLESS: Final = ("EC PARAMETERS", "DH PARAMETERS", "DSA PARAMETERS", "PUBLIC KEY", "RSA PUBLIC KEY", "X509 CRL")
"""What tools write beside certificates, and no certificate can be lost with."""

_REQUESTS: Final = ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
_BUNDLES: Final = ("PKCS7", "CMS")
_ORDER: Final = "put the server's own first, then each issuer after what it issued"


def encoded_chain(text: str) -> Sequence[bytes]:
    """Return each certificate of a text, in DER. Raises InvalidField."""
    try:
        blocks = pem.blocks(text)
    except PemFault as fault:
        raise wrong(f"certificate {fault}") from None
    if any(block.label.endswith(PRIVATE_KEY) for block in blocks):
        raise wrong("certificate holds a private key; give that as private_key, it would be readable here")
    found = [block for block in blocks if block.label in _CERTIFICATES]
    for block in blocks:
        _check_label(block)
    if not found:
        raise wrong("certificate is not in PEM; it must hold -----BEGIN CERTIFICATE-----")
    if len(found) > CHAIN_LENGTH:
        raise wrong(f"certificate has {len(found)} certificates; at most {CHAIN_LENGTH} are allowed")
    chain = [_encoded(block, number) for number, block in enumerate(found, start=1)]
    if 3 + sum(3 + len(each) for each in chain) > CHAIN_BYTES:
        raise wrong(
            f"certificate has {sum(map(len, chain))} bytes with its chain (in DER); clients take {CHAIN_BYTES} at most"
        )
    return chain


def read_chain(text: str) -> Sequence[Outline]:
    """Read each certificate of a text. Raises InvalidField."""
    return [_outlined(encoded, number) for number, encoded in enumerate(encoded_chain(text), start=1)]


def check_order(chain: Sequence[Outline]) -> None:
    """Check that each certificate was issued by the next. Raises InvalidField."""
    for number, (below, above) in enumerate(pairwise(chain), start=1):
        # Where a signature cannot be verified, the names alone decide: nothing false is said of a sound chain.
        if not below.issuer.matches(above.subject) or signed(below, above) is False:
            raise _out_of_order(chain, number)


def _check_label(block: Block) -> None:
    if block.label in _REQUESTS:
        raise wrong("certificate holds a certificate request; give the certificate that was issued for it")
    if block.label in _BUNDLES:
        raise wrong(
            f"certificate holds a bundle ({block.label}); give its certificates one by one in PEM, "
            "as `openssl pkcs7 -print_certs` writes them"
        )
    if block.label not in _CERTIFICATES and block.label not in _HARMLESS:
        raise wrong("certificate holds a block of another label than CERTIFICATE; correct the label or leave it out")


def _encoded(block: Block, number: int) -> bytes:
    try:
        # OpenSSL writes whom it trusts for what after a certificate of that label. That is of no use to clients.
        element = der.first if block.label == _TRUSTED else der.only
        return element(block.decoded()).encoded
    except (PemFault, DerFault) as fault:
        raise wrong_at(number, fault) from fault


def _outlined(encoded: bytes, number: int) -> Outline:
    try:
        return outline.outline(encoded)
    except DerFault as fault:
        raise wrong_at(number, fault) from fault


def _out_of_order(chain: Sequence[Outline], number: int) -> InvalidField:
    """Why the certificate of this number, counted from 1, is not followed by its issuer."""
    below, above = chain[number - 1 : number + 1]
    seen = [each.encoded for each in chain].index(above.encoded) + 1
    if seen <= number:
        return wrong(f"certificate: the {ordinal(number + 1)} one is the {ordinal(seen)} once more; leave one out")
    told = f"certificate: the {ordinal(number + 1)} one did not issue the {ordinal(number)}"
    for later, candidate in enumerate(chain[number + 1 :], start=number + 2):
        if below.issuer.matches(candidate.subject) and signed(below, candidate):
            return wrong(f"{told}, the {ordinal(later)} did; {_ORDER}")
    if below.issuer.matches(above.subject):
        return wrong(
            f"{told}: it has the issuer's name, {above.subject}, but another key than made the signature; "
            "take the certificate that the issuer has for that key"
        )
    if below.issuer.matches(below.subject):
        return wrong(f"{told}, which {below.subject} issued for itself; nothing may follow it")
    return wrong(f"{told}: the issuer is {below.issuer}, and not {above.subject}; {_ORDER}")
