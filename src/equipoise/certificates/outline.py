"""What a certificate says (RFC 5280), read as far as serving it needs, and as strictly as the data plane reads it.

Libraries judge more than that: they refuse `*` in a PrintableString, an explicit FALSE or a version 2, which real
certificates have and BoringSSL serves, and take what it refuses. They also have no reason to give.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from equipoise.certificates import der
from equipoise.certificates.der import DerFault, Element
from equipoise.certificates.extensions import check_extension
from equipoise.certificates.names import Name, read_name
from equipoise.quoting import shown

NULL: Final = b"\x05\x00"

_VERSION, _ISSUER_ID, _SUBJECT_ID, _EXTENSIONS = 0xA0, 0x81, 0x82, 0xA3
_VERSIONS: Final = {0: 1, 1: 2, 2: 3}

_TIMES: Final = {
    der.UTC_TIME: re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:Z|[+-](?:[01]\d|2[0-3])[0-5]\d)"),
    der.GENERALIZED_TIME: re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z"),
}
_GREGORIAN_CYCLE: Final = 400
"""Years after which leap years are the same again; `datetime` has no year 0."""


@dataclass(frozen=True, slots=True)
class SignatureAlgorithm:
    """An AlgorithmIdentifier: its object identifier, and its parameters as they are encoded, empty without any."""

    oid: str
    parameters: bytes


@dataclass(frozen=True, slots=True)
class Outline:
    """A certificate. `signed` is what the signature is over; `key` the SubjectPublicKeyInfo; extensions are by type."""

    encoded: bytes
    signed: bytes
    issuer: Name
    subject: Name
    key: bytes
    key_algorithm: SignatureAlgorithm
    key_bits: bytes
    extensions: Mapping[str, bytes]
    signature_algorithm: SignatureAlgorithm
    signature: bytes


def outline(encoded: bytes) -> Outline:
    """Read a certificate.

    Raises:
        DerFault: clients or the data plane could not read it; the message says why and follows a subject.
    """
    signed, algorithm, signature = der.exactly(3, der.inside(der.only(encoded)))
    fields = list(der.inside(signed))
    version = _version(fields)
    if len(fields) < 6:
        raise DerFault("is not built as X.509 says: it has too few fields")
    serial, inner_algorithm, issuer, validity, subject, key, *optional = fields
    der.integer(serial)
    read_algorithm(inner_algorithm)
    for each in der.exactly(2, der.inside(validity)):
        _check_time(each)
    key_algorithm, key_bits = der.exactly(2, der.inside(key))
    return Outline(
        encoded=encoded,
        signed=signed.encoded,
        issuer=read_name(issuer),
        subject=read_name(subject),
        key=key.encoded,
        key_algorithm=read_algorithm(key_algorithm),
        key_bits=der.bits(key_bits)[0],
        extensions=_extensions(optional, version),
        signature_algorithm=read_algorithm(algorithm),
        signature=der.bits(signature)[0],
    )


def read_algorithm(element: Element) -> SignatureAlgorithm:
    """Read an AlgorithmIdentifier. Raises DerFault."""
    kind, *parameters = der.between(1, 2, der.inside(element))
    for each in parameters:
        der.check_any(each)
    return SignatureAlgorithm(der.oid(kind), parameters[0].encoded if parameters else b"")


def _version(fields: list[Element]) -> int:
    """Take the version off the fields, if it is there."""
    if not fields or fields[0].tag != _VERSION:
        return 1
    number = der.integer(der.only(fields.pop(0).content))
    if number not in _VERSIONS:
        raise DerFault(f"has version {shown(number + 1)}, but X.509 knows 1 to 3")
    return _VERSIONS[number]


def _extensions(optional: Sequence[Element], version: int) -> Mapping[str, bytes]:
    tags = [each.tag for each in optional]
    if tags != sorted(set(tags)) or not set(tags) <= {_ISSUER_ID, _SUBJECT_ID, _EXTENSIONS}:
        raise DerFault("is not built as X.509 says: it ends with fields that no version has")
    if (tags and version == 1) or (_EXTENSIONS in tags and version == 2):
        raise DerFault(f"has extensions or unique identifiers, which version {version} has not")
    found: dict[str, bytes] = {}
    for each in optional:
        if each.tag != _EXTENSIONS:
            der.bits(each, each.tag)
            continue
        for extension in der.inside(der.only(each.content)):
            kind, value = _extension(extension)
            if kind in found:
                raise DerFault(f"has the extension {kind} twice")
            check_extension(kind, value)
            found[kind] = value
    return found


def _extension(element: Element) -> tuple[str, bytes]:
    kind, *critical, value = der.between(2, 3, der.inside(element))
    if critical and len(der.content(critical[0], der.BOOLEAN)) != 1:
        raise DerFault("is not DER: a BOOLEAN in it has not one byte")
    return der.oid(kind), der.content(value, der.OCTET_STRING)


def _check_time(element: Element) -> None:
    form = _TIMES.get(element.tag)
    match = form.fullmatch(element.content) if form else None
    if match is None:
        raise DerFault("is valid from or to a time that is not written as RFC 5280 asks (YYMMDDHHMMSSZ)")
    year, month, day, hour, minute, second = (int(number) for number in match.groups())
    try:
        datetime(year or _GREGORIAN_CYCLE, month, day, hour, minute, second)
    except ValueError as fault:
        raise DerFault(f"is valid from or to a time that does not exist: {fault}") from fault
