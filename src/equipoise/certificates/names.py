"""Names in certificates: of subjects and issuers, and the general names of extensions (RFC 5280, section 4.2.1.6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from equipoise.certificates import der
from equipoise.certificates.der import DerFault, Element
from equipoise.quoting import shown

COMMON_NAME: Final = "2.5.4.3"
_EXPLICIT: Final = 0xA0, 0xA1

OF_SERVERS: Final = frozenset({0x82, 0x86, 0x87})
"""The tags of general names that can name a server: DNS names, URIs, addresses."""


@dataclass(frozen=True, slots=True)
class Name:
    """A distinguished name: attributes by type and text, in sets that are nearly always of one."""

    sets: Sequence[Sequence[tuple[str, str]]]

    def matches(self, other: "Name") -> bool:
        """Whether both mean the same (RFC 5280, section 7.1): case, blanks and string types make no difference."""
        return self._compared() == other._compared()

    def first(self, kind: str) -> str | None:
        """Return the text of the first attribute of this type."""
        return next((text for each in self.sets for found, text in each if found == kind), None)

    def __str__(self) -> str:
        last = [text for each in self.sets for _, text in each][-1:]
        return shown(self.first(COMMON_NAME) or "".join(last))

    def _compared(self) -> Sequence[Sequence[tuple[str, str]]]:
        return [sorted((kind, " ".join(text.casefold().split())) for kind, text in each) for each in self.sets]


def read_name(element: Element) -> Name:
    """Read a Name. Raises DerFault."""
    return Name([read_set(each) for each in der.inside(element)])


def read_set(element: Element, tag: int = der.SET) -> Sequence[tuple[str, str]]:
    """Read one set of attributes of a Name, with their texts. Raises DerFault."""
    attributes = [der.exactly(2, der.inside(attribute)) for attribute in der.inside(element, tag)]
    if not attributes:
        raise DerFault("has a name with an empty set in it")
    return [(der.oid(kind), _text(value)) for kind, value in attributes]


def general_names(row: Sequence[Element]) -> Sequence[Element]:
    """Return general names. Raises DerFault: one that cannot be read hides all others from data plane and clients."""
    for name in row:
        match name.tag:
            case 0x81 | 0x82 | 0x86 | 0x87 | 0xA3:  # e-mail, DNS, URI, address, X.400
                pass
            case 0x88:  # registered identifier
                der.oid(Element(der.OID, name.content, name.encoded))
            case 0xA0:  # other
                kind, value = der.exactly(2, der.elements(name.content))
                der.oid(kind)
                der.check_any(der.only(der.content(value, _EXPLICIT[0])))
            case 0xA4:  # directory
                read_name(der.only(name.content))
            case 0xA5:  # EDI
                *assigner, party = der.between(1, 2, der.elements(name.content))
                for each, tag in zip((*assigner, party), _EXPLICIT[-1 - len(assigner) :], strict=True):
                    der.text(der.only(der.content(each, tag)))
            case _:
                raise DerFault(f"is not built as X.509 says: there is no general name of tag {name.tag:#04x}")
    return row


def _text(element: Element) -> str:
    # Unique identifiers are of this type.
    return der.bits(element)[0].hex() if element.tag == der.BIT_STRING else der.text(element)
