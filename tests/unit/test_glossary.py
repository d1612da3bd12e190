"""One word for each thing: names that docs/reference/glossary.md retired are gone from the code."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
GLOSSARY = (ROOT / "docs" / "reference" / "glossary.md").read_text("utf-8")
ROWS = re.findall(r"^\| \*\*(.+?)\*\* \|\s*(.*?)\s*\|\s*(.*?)\s*\|$", GLOSSARY, re.MULTILINE)

RETIRED = {
    "acquit": "bisect a push",
    "cancel_part": "sub-job",
    "Edge": "adapter",
    "figures": "metrics",
    "Figures": "metrics",
    "hindrance": "unavailable reason",
    "make_final": "finalize",
    "Marks": "backlog limits",
    "NewPart": "sub-job",
    "obstacle": "unavailable reason",
    "Place": "listen address",
    "StandIn": "standby",
    "Surroundings": "listener context",
    "suspect": "bisect a push",
    "take_back": "roll back, rollback",
}
"""Names that are not used any more, with the word of the glossary that took their place."""


def names() -> Iterator[tuple[str, str]]:
    """Every name that the package defines, and the file where it does."""
    for path in sorted((ROOT / "src" / "equipoise").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node.name, str(path.relative_to(ROOT))
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id, str(path.relative_to(ROOT))
            elif isinstance(node, ast.arg):
                yield node.arg, str(path.relative_to(ROOT))


def test_names_that_the_glossary_retired_are_gone() -> None:
    assert [(name, where) for name, where in names() if name.strip("_") in RETIRED] == []


def test_no_class_has_the_name_of_another_one() -> None:
    where = defaultdict(list)
    for path in sorted((ROOT / "src" / "equipoise").rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in where.items() if len(files) > 1} == {}


def test_every_word_stands_once_and_in_order() -> None:
    words = [word.lower() for word, _, _ in ROWS]
    assert len(words) > 40
    assert words == sorted(set(words))


def test_what_took_the_place_of_a_retired_name_is_in_the_glossary() -> None:
    words = {word for word, _, _ in ROWS}
    assert set(RETIRED.values()) - words == set()
