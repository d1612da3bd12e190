"""The reference pages: those that are generated are up to date, links lead somewhere, sources that are cited exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pytest

from equipoise.api.classic.errors_page import errors_reference
from equipoise.api.classic.wire import requests, resources

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])

# A page that source code names as where a rule comes from.
_CITED = re.compile(r"\b([a-z]+(?:-[a-z]+)*\.md)\b")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def cited() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "src").rglob("*.py")):
        for name in _CITED.findall(path.read_text("utf-8")):
            yield str(path.relative_to(ROOT)), name


def test_the_page_of_error_codes_is_up_to_date() -> None:
    assert (REFERENCE / "errors.md").read_text("utf-8") == errors_reference()


def test_every_source_that_code_cites_is_a_page() -> None:
    known = {path.name for path in PAGES}
    assert [(where, name) for where, name in cited() if name not in known] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = _LINK.findall(page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def fields_in(title: str) -> set[str]:
    """The fields in the tables of a part of the page of the classic API: rows that say whether one is mandatory."""
    part = (REFERENCE / "classic-api.md").read_text("utf-8").split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| ([a-zA-Z_, ]+) \| (?:mandatory|optional|External|Internal|HTTP|not at)", part, re.MULTILINE)
    return {name.removeprefix("or ") for row in rows for name in row.split(", ")}


@pytest.mark.parametrize(
    ("title", "wire", "more"),
    [
        ("Load balancers", requests.CreateLoadBalancer, set()),
        ("Listeners", requests.CreateListener, {"admin_state_up"}),
        ("Health checks", requests.CreateHealthCheck, {"healthcheck_path"}),
        ("Certificates", requests.CreateCertificate, set()),
    ],
)
def test_the_page_names_exactly_the_fields_of_a_resource(title: str, wire: type, more: set[str]) -> None:
    assert fields_in(title) == get_type_hints(wire).keys() | more


def test_the_page_says_which_fields_of_a_listener_an_update_changes() -> None:
    part = (REFERENCE / "classic-api.md").read_text("utf-8").split("\n## Listeners\n", 1)[1].split("\n## ", 1)[0]
    changed = set(re.findall(r"^\| (\w+) \|.*\| yes \|$", part, re.MULTILINE))
    assert changed == get_type_hints(requests.UpdateListener).keys()


def test_every_field_of_an_answer_is_named() -> None:
    text = (REFERENCE / "classic-api.md").read_text("utf-8")
    documents = (
        resources.LoadBalancerDocument,
        resources.ListedListener,
        resources.MemberDocument,
        resources.HealthCheckDocument,
        resources.CertificateDocument,
    )
    named = set(re.findall(r"\w+", text))
    missing = {name for document in documents for name in get_type_hints(document)} - named
    assert missing == set()
