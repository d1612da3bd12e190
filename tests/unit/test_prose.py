"""Lines of prose in the documentation have at most 120 characters, so that a change of a page can be reviewed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "src", "tests", "benchmarks", "stand")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])

LONGEST = 120

_FENCE = re.compile(r" *(`{3,}|~{3,})")
_ONE_LINK = re.compile(r" *(?:[-*] )?(?:\[[^\]]*\]\(\S+\)|<?https?://\S+)[.,;:)]*")


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Each line of prose with its number: no code, no row of a table, no line that is one link and nothing else."""
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        if fence:
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif begun := _FENCE.match(line):
            fence = begun[1]
        elif not line.lstrip().startswith("|") and not _ONE_LINK.fullmatch(line):
            yield number, line


def too_long(text: str) -> list[tuple[int, int]]:
    """The number and the length of each line of prose that is too long."""
    return [(number, len(line)) for number, line in prose(text) if len(line) > LONGEST]


def test_what_counts_as_prose() -> None:
    long = "word " * 25
    link = f"https://example.com/{'a' * 120}"
    text = "\n".join([long, f"# {long}", f"- {long}", f"see {link}", "ä" * 120])
    assert too_long(text) == [(1, 125), (2, 127), (3, 127), (4, 144)]
    text = "\n".join([f"| {long} |", f"- [a link]({link}).", link, "````sh", "```", long, "````", "~~~", long, "~~~"])
    assert too_long(text) == []
    assert too_long(f"```sh\n{long}\n```\n{long}") == [(4, 125)]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_of_prose_are_not_too_long(page: Path) -> None:
    assert too_long(page.read_text("utf-8")) == [], "wrap these lines: (number, length)"
