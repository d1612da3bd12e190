"""The types of single fields on the wire that the documents of several APIs have in common."""

from typing import Annotated

from msgspec import Meta

ID_PATTERN = "^[0-9a-f]{32}$"
REFERENCE_PATTERN = "^[A-Za-z0-9_.:-]{1,64}$"


def one_of(*values: object) -> Meta:
    """A value out of these."""
    return Meta(extra_json_schema={"enum": list(values)})


def described(text: str) -> Meta:
    """A sentence for the reader of the document."""
    return Meta(description=text)


Id = Annotated[str, Meta(pattern=ID_PATTERN, description="32 lower-case hexadecimal characters.")]
