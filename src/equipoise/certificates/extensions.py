"""Extensions that clients read before anything else: one that is not built as RFC 5280 says makes them refuse them all.

OpenSSL ends the handshake with an ECDSA certificate then ("bad ecc cert"), and does not verify an RSA one.
"""

from collections.abc import Callable, Mapping
from typing import Final

from equipoise.certificates import der
from equipoise.certificates.der import DerFault, Element
from equipoise.certificates.names import general_names, read_set

KEY_USAGE: Final = "2.5.29.15"
ALTERNATIVE_NAMES: Final = "2.5.29.17"
TLS_FEATURE: Final = "1.3.6.1.5.5.7.1.24"

_RELATIVE: Final = 0xA1
"""A name of a distribution point that goes on from the one of the issuer."""


def check_extension(kind: str, value: bytes) -> None:
    """Check the value of an extension, if its type is one of those. Raises DerFault."""
    if kind not in _CHECKS:
        return
    name, check = _CHECKS[kind]
    try:
        check(der.only(value))
    except DerFault as fault:
        raise DerFault(f"has an extension ({name}) that {fault}") from fault


def _basic_constraints(element: Element) -> None:
    rest = list(der.inside(element))
    if rest and rest[0].tag == der.BOOLEAN:
        der.check_any(rest.pop(0))
    if rest and der.integer(rest.pop(0)) < 0:
        raise DerFault("limits the length of the path to a negative number")
    der.exactly(0, rest)


def _extended_usage(element: Element) -> None:
    for each in der.inside(element):
        der.oid(each)


def _key_identifier(element: Element) -> None:
    der.content(element, der.OCTET_STRING)


def _authority(element: Element) -> None:
    fields = _in_order(element, (0x80, 0xA1, 0x82))
    general_names(der.elements(fields.get(0xA1, b"")))
    if 0x82 in fields:
        der.integer(Element(der.INTEGER, fields[0x82], b""))


def _alternative_names(element: Element) -> None:
    general_names(der.inside(element))


def _constraints(element: Element) -> None:
    for subtrees in _in_order(element, (0xA0, 0xA1)).values():
        for subtree in der.elements(subtrees):
            general_names(der.inside(subtree)[:1])


def _distribution_points(element: Element) -> None:
    for point in der.inside(element):
        fields = _in_order(point, (0xA0, 0x81, 0xA2))
        if not fields.keys() & {0xA0, 0xA2}:
            raise DerFault("names a distribution point without a place")
        if 0xA0 in fields:
            name = der.only(fields[0xA0])
            if name.tag == _RELATIVE:
                read_set(name, _RELATIVE)
            else:
                general_names(der.inside(name, 0xA0))
        if 0x81 in fields:
            der.bits(Element(der.BIT_STRING, fields[0x81], b""))
        general_names(der.elements(fields.get(0xA2, b"")))


def _bits(element: Element) -> None:
    der.bits(element)


def _sequence(element: Element) -> None:
    der.inside(element)


def _in_order(element: Element, tags: tuple[int, ...]) -> Mapping[int, bytes]:
    """Return the contents of optional fields by tag; they must come in this order. Raises DerFault."""
    found = [each.tag for each in der.inside(element)]
    if found != [tag for tag in tags if tag in found]:
        raise DerFault("is not built as X.509 says: its fields are others, or in another order")
    return {each.tag: each.content for each in der.inside(element)}


_CHECKS: Final[Mapping[str, tuple[str, Callable[[Element], None]]]] = {
    KEY_USAGE: ("key usage", _bits),
    ALTERNATIVE_NAMES: ("subject alternative names", _alternative_names),
    "2.5.29.14": ("subject key identifier", _key_identifier),
    "2.5.29.19": ("basic constraints", _basic_constraints),
    "2.5.29.30": ("name constraints", _constraints),
    "2.5.29.31": ("CRL distribution points", _distribution_points),
    "2.5.29.35": ("authority key identifier", _authority),
    "2.5.29.37": ("extended key usage", _extended_usage),
    "1.3.6.1.5.5.7.1.7": ("IP address blocks", _sequence),
    "1.3.6.1.5.5.7.1.8": ("autonomous system identifiers", _sequence),
    "1.3.6.1.5.5.7.1.14": ("proxy certificate information", _sequence),
    "2.16.840.1.113730.1.1": ("Netscape certificate type", _bits),
}
"""How each is named, and checked."""
