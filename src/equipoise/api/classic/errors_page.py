"""The reference page of error codes, made from the catalogue."""

from collections.abc import Iterable

from equipoise.api.classic.errors import ENTRIES, Entry


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
        "The service never gives these. They are about inner components of the original cloud, or their condition",
        "cannot come about here.",
        "",
        ", ".join(dict.fromkeys(entry.code for entry in reserved)),
    ]
    return "\n".join(lines) + "\n"


def _rows(entries: Iterable[Entry]) -> Iterable[str]:
    for each in entries:
        yield f"| {each.code} | {each.operation} | {each.status or 'job'} | {each.message} | {each.when} |"
