"""The reference page of error codes, made from the catalogue."""

from collections.abc import Iterable
from textwrap import wrap
from typing import Final

from equipoise.api.classic.errors import ENTRIES, Entry

LINE: Final = 110
"""Characters of the longest line of prose."""


def errors_reference() -> str:
    """The reference page, in Markdown."""
    given = [entry for entry in ENTRIES if entry.when is not None]
    reserved = [entry for entry in ENTRIES if entry.when is None]
    lines = [
        "# Error codes",
        "",
        "Written by `make docs` from `src/equipoise/api/classic/errors.json`: change it there. The messages are the",
        "published ones, letter for letter. [return-values.md](return-values.md) shows the body in which they stand.",
        "",
        "| code | operation | status | message | when |",
        "|---|---|---|---|---|",
        *_rows(given),
        "",
        "A status of `job` means that the code stands in the record of a job, as `error_code` or in a warning.",
        "",
        "## Reserved",
        "The service never gives these codes. They concern internal components of the original cloud, or a condition",
        "that cannot occur here.",
        "",
        *wrap(", ".join(dict.fromkeys(entry.code for entry in reserved)), LINE),
    ]
    return "\n".join(lines) + "\n"


def _rows(entries: Iterable[Entry]) -> Iterable[str]:
    for each in entries:
        yield f"| {each.code} | {each.operation} | {each.status or 'job'} | {each.message} | {each.when} |"
