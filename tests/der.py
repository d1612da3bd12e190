"""Writes DER (X.690) for tests, whatever it says: libraries make no certificates that are odd."""

from base64 import b64decode, b64encode
from textwrap import wrap

NULL = b"\x05\x00"
TRUE = b"\x01\x01\xff"
UTF8, PRINTABLE = 0x0C, 0x13


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def integer(number: int) -> bytes:
    return tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def bits(data: bytes, unused: int = 0) -> bytes:
    return tlv(0x03, bytes((unused,)), data)


def octets(data: bytes) -> bytes:
    return tlv(0x04, data)


def oid(dotted: str) -> bytes:
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    encoded = b""
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        encoded += bytes(reversed(groups))
    return tlv(0x06, encoded)


def utc_time(text: str) -> bytes:
    return tlv(0x17, text.encode())


def generalized_time(text: str) -> bytes:
    return tlv(0x18, text.encode())


def name(*attributes: tuple[str, int, bytes]) -> bytes:
    """A distinguished name: type, tag of the text, text."""
    return sequence(*(tlv(0x31, sequence(oid(kind), tlv(tag, text))) for kind, tag, text in attributes))


def common_name(text: str | bytes, tag: int = UTF8) -> bytes:
    return name(("2.5.4.3", tag, text if isinstance(text, bytes) else text.encode()))


def extension(kind: str, value: bytes, *, critical: bool = False) -> bytes:
    return sequence(oid(kind), *([TRUE] if critical else []), octets(value))


def alternative_names(*names: tuple[int, bytes]) -> bytes:
    """The extension with general names: tag and content."""
    return extension("2.5.29.17", sequence(*(tlv(tag, content) for tag, content in names)))


def pem(data: bytes, label: str = "CERTIFICATE") -> str:
    lines = [f"-----BEGIN {label}-----", *wrap(b64encode(data).decode(), 64), f"-----END {label}-----"]
    return "\n".join(lines) + "\n"


def unpem(text: str) -> list[bytes]:
    """What strict PEM holds."""
    return [b64decode("".join(block.split("\n")[1:]).split("-----")[0]) for block in text.split("-----BEGIN ")[1:]]
