"""PEM (RFC 7468) as people send it: finds the blocks in a text, whatever a tool did to its blanks and line ends.

Understood without doubt, and so taken: a BOM, CRLF or CR, indents, blanks or literal `\\n` in place of line ends,
quotes, blocks joined on one line, dashes too many or too few, lost padding, any text around blocks. What cannot be
understood is a fault, for a block that is passed over in silence is a certificate that clients miss.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from equipoise.quoting import shown

_LINE: Final = 64
_DASHES: Final = "\\-\u2010-\u2015\u2212"
"""The hyphen, and what word processors make of it."""

_MARK: Final = re.compile(
    rf"(?<=[{_DASHES}])\s{{0,4}}(BEGIN|END)\s{{0,4}}([A-Z0-9][A-Z0-9\s]{{0,40}})(?=[{_DASHES}])", re.IGNORECASE
)
_LOST: Final = re.compile(r"(?<![A-Za-z0-9+/])MI[A-P][A-Za-z0-9+/]{40}")
"""How the Base64 of any certificate or key of 256 bytes to 64 KiB begins."""

_NOISE: Final = re.compile(rf"\\+[nrt]?|[\s\"',{_DASHES}\u200b\ufeff]+")
_NOT_BASE64: Final = re.compile(r"[^A-Za-z0-9+/=]")
_ENCRYPTED: Final = "ENCRYPTED"

_KNOWN: Final = {
    "".join(label.split()): label
    for label in (
        "CERTIFICATE",
        "X509 CERTIFICATE",
        "TRUSTED CERTIFICATE",
        "CERTIFICATE REQUEST",
        "NEW CERTIFICATE REQUEST",
        "PKCS7",
        "CMS",
        "X509 CRL",
        "PUBLIC KEY",
        "RSA PUBLIC KEY",
        "EC PARAMETERS",
        "DH PARAMETERS",
        "DSA PARAMETERS",
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "DSA PRIVATE KEY",
        "ANY PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
    )
}


class PemFault(Exception):
    """A text, or a block of it, that cannot be understood. The message says why and follows a subject."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its label in capitals, and what stands between its marks, which may be a key."""

    label: str
    body: str = field(repr=False)

    @property
    def is_encrypted(self) -> bool:
        """Whether a passphrase is needed, as the label or the header of RFC 1421 says."""
        return _ENCRYPTED in self.label or _ENCRYPTED in self.body

    def decoded(self) -> bytes:
        """Return what the Base64 stands for. Raises PemFault."""
        base64 = _NOISE.sub("", self.body).rstrip("=")
        wrong = _NOT_BASE64.search(base64)
        if wrong is not None:
            raise PemFault(f"holds {shown(wrong[0])}, which is no character of Base64")
        if "=" in base64:
            raise PemFault("holds = in the middle of its Base64; is it two blocks in one?")
        if not base64 or len(base64) % 4 == 1:
            raise PemFault("is empty or cut off")
        return b64decode(base64 + "=" * (-len(base64) % 4))


def blocks(text: str) -> Sequence[Block]:
    """Return the blocks of a text in their order.

    Raises:
        PemFault: a block lacks its begin or its end, or has lost both.
    """
    marks = list(_MARK.finditer(text))
    found: list[Block] = []
    around: list[str] = []
    seen = at = 0
    while at < len(marks):
        mark, label = marks[at], _label(marks[at])
        after = marks[at + 1] if at + 1 < len(marks) else None
        if _begins(mark) and after is not None and not _begins(after) and _label(after) == label:
            around.append(text[seen : mark.start()])
            found.append(Block(label, text[mark.end() : after.start()]))
            seen = after.end()
            at += 2
            continue
        if label in _KNOWN.values():
            lost, there = ("END", "BEGIN") if _begins(mark) else ("BEGIN", "END")
            raise PemFault(
                f"has a block with -----{there} {label}----- but without -----{lost} {label}-----; is it cut off?"
            )
        at += 1
    around.append(text[seen:])
    if found and any(_LOST.search(each) for each in around):
        raise PemFault("holds Base64 outside of its blocks; each block needs its -----BEGIN and -----END lines")
    return found


def armoured(label: str, data: bytes) -> str:
    """Return one block in the strict form of RFC 7468."""
    base64 = b64encode(data).decode()
    lines = (base64[at : at + _LINE] for at in range(0, len(base64), _LINE))
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def is_known(label: str) -> bool:
    """Whether a block of this label is of some use somewhere; sentences quote no others."""
    return label in _KNOWN.values()


def _begins(mark: re.Match[str]) -> bool:
    return mark[1].upper() == "BEGIN"


def _label(mark: re.Match[str]) -> str:
    words = mark[2].upper().split()
    return _KNOWN.get("".join(words), " ".join(words))
