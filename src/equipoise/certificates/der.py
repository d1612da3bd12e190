"""Reads DER (X.690) far enough for certificates: elements, object identifiers, bit strings. As strict as BoringSSL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OID: Final = 0x06
UTF8_STRING: Final = 0x0C
NUMERIC_STRING: Final = 0x12
PRINTABLE_STRING: Final = 0x13
T61_STRING: Final = 0x14
IA5_STRING: Final = 0x16
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
UNIVERSAL_STRING: Final = 0x1C
BMP_STRING: Final = 0x1E
SEQUENCE: Final = 0x30
SET: Final = 0x31

_ENCODINGS: Final = {
    UTF8_STRING: "utf-8",
    NUMERIC_STRING: "latin-1",
    PRINTABLE_STRING: "latin-1",
    T61_STRING: "latin-1",
    IA5_STRING: "latin-1",
    UNIVERSAL_STRING: "utf-32-be",
    BMP_STRING: "utf-16-be",
}
"""The types of text that clients read."""

_LONG_TAG: Final = 0x1F
_CONTEXT: Final = 0x80
_MOST_LENGTH_BYTES: Final = 4
_LARGEST_ARC: Final = 2**128 - 1
"""No longer numbers are given out than those of UUIDs (X.667). To write out longer ones takes quadratic time."""


class DerFault(Exception):
    """What is not DER, or not what should be there. The message says why and follows a subject."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag, its content, and both with the length between them."""

    tag: int
    content: bytes
    encoded: bytes


def first(data: bytes, at: int = 0) -> Element:
    """Return the element that begins at a place; more may follow. Raises DerFault."""
    if len(data) < at + 2:
        raise DerFault("is cut off")
    tag, length, start = data[at], data[at + 1], at + 2
    if tag & _LONG_TAG == _LONG_TAG:
        raise DerFault("is not DER: a tag in it is longer than a byte")
    if length >= 0x80:
        number = data[start : start + (length & 0x7F)]
        if not 1 <= length & 0x7F <= _MOST_LENGTH_BYTES or len(number) != length & 0x7F:
            raise DerFault("is not DER: a length in it is missing or endless")
        start += len(number)
        length = int.from_bytes(number, "big")
        if length < 0x80 or number[0] == 0:
            raise DerFault("is not DER: a length in it has more bytes than it needs")
    if start + length > len(data):
        raise DerFault(f"is cut off: {start + length - at} bytes are announced, {len(data) - at} are there")
    return Element(tag, data[start : start + length], data[at : start + length])


def elements(data: bytes) -> Sequence[Element]:
    """Return all elements that stand in a row. Raises DerFault."""
    found: list[Element] = []
    at = 0
    while at < len(data):
        found.append(first(data, at))
        at += len(found[-1].encoded)
    return found


def only(data: bytes) -> Element:
    """Return the one element that is all of it. Raises DerFault."""
    found = first(data)
    if len(found.encoded) != len(data):
        raise DerFault(f"has {len(data) - len(found.encoded)} bytes after its end")
    return found


def inside(element: Element, tag: int = SEQUENCE) -> Sequence[Element]:
    """Return what an element of this tag holds. Raises DerFault."""
    return elements(content(element, tag))


def content(element: Element, tag: int) -> bytes:
    """Return the content of an element that must have this tag. Raises DerFault."""
    if element.tag != tag:
        raise DerFault(f"is not built as X.509 says: tag {element.tag:#04x} stands in place of {tag:#04x}")
    return element.content


def integer(element: Element) -> int:
    """Return the number of an INTEGER. Raises DerFault: also when it has more bytes than it needs."""
    number = content(element, INTEGER)
    if not number or (len(number) > 1 and (number[0], number[1] >> 7) in ((0, 0), (0xFF, 1))):
        raise DerFault("is not DER: a number in it is empty or has more bytes than it needs")
    return int.from_bytes(number, "big", signed=True)


def oid(element: Element) -> str:
    """Return an OBJECT IDENTIFIER as dotted numbers. Raises DerFault."""
    encoded = content(element, OID)
    if not encoded or encoded[-1] & 0x80:
        raise DerFault("is not DER: an object identifier in it is empty or cut off")
    arcs: list[int] = []
    number, begins = 0, True
    for byte in encoded:
        if begins and byte == 0x80:
            raise DerFault("is not DER: an object identifier in it has more bytes than it needs")
        number = number << 7 | byte & 0x7F
        if number > _LARGEST_ARC:
            raise DerFault("has an object identifier with a number of more than 128 bits")
        begins = not byte & 0x80
        if begins:
            arcs.append(number)
            number = 0
    root = min(arcs[0] // 40, 2)
    return ".".join(map(str, (root, arcs[0] - 40 * root, *arcs[1:])))


def bits(element: Element, tag: int = BIT_STRING) -> tuple[bytes, int]:
    """Return the bytes of a BIT STRING and how many bits of the last one are unused. Raises DerFault."""
    encoded = content(element, tag)
    unused = encoded[0] if encoded else 8
    if unused > 7 or (unused and (len(encoded) == 1 or encoded[-1] & (1 << unused) - 1)):
        raise DerFault("is not DER: a bit string in it is empty or has bits set that are unused")
    return encoded[1:], unused


def text(element: Element) -> str:
    """Return what a string says. Raises DerFault: also for types that clients do not read."""
    if element.tag not in _ENCODINGS:
        raise DerFault(f"has a text of an ASN.1 type that clients do not read (tag {element.tag:#04x})")
    try:
        found = element.content.decode(_ENCODINGS[element.tag])
    except UnicodeDecodeError as fault:
        raise DerFault("has a text that is not encoded as it says") from fault
    if any(_is_no_character(ord(each), element.tag) for each in found):
        raise DerFault("has a text that holds what Unicode says is no character")
    return found


def check_any(element: Element) -> None:
    """Check what may be of any type: that its content is one of its type. Raises DerFault."""
    match element.tag:
        case _ if element.tag in _ENCODINGS:
            text(element)
        case 0x01 if len(element.content) == 1:  # BOOLEAN
            pass
        case 0x02:  # INTEGER
            integer(element)
        case 0x03:  # BIT STRING
            bits(element)
        case 0x05 if not element.content:  # NULL
            pass
        case 0x06:  # OBJECT IDENTIFIER
            oid(element)
        case 0x04 | 0x30 | 0x31:  # OCTET STRING, SEQUENCE, SET
            pass
        case tag if tag < _CONTEXT:
            raise DerFault(f"holds a value of a type that is not known here (tag {tag:#04x})")


def exactly(number: int, found: Sequence[Element]) -> Sequence[Element]:
    """Return elements of which there must be so many. Raises DerFault."""
    return between(number, number, found)


def between(least: int, most: int, found: Sequence[Element]) -> Sequence[Element]:
    """Return elements of which there must be so many. Raises DerFault."""
    if not least <= len(found) <= most:
        raise DerFault(f"is not built as X.509 says: {len(found)} fields stand in place of {most}")
    return found


def _is_no_character(number: int, tag: int) -> bool:
    # A BMPString has no surrogates: what Python made one character of is two in it.
    return number & 0xFFFE == 0xFFFE or 0xFDD0 <= number <= 0xFDEF or (tag == BMP_STRING and number > 0xFFFF)
