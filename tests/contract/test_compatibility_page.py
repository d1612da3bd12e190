"""The compatibility page names every operation, every status that is not the published one, and every reserved code."""

import re
from pathlib import Path

from stand import Api
from tests.contract.test_catalogue_walk import CATALOGUE

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "compatibility.md").read_text()


def _part(title: str) -> str:
    return PAGE.split(f" {title}\n", 1)[1].split("\n#", 1)[0]


def test_every_operation_is_on_the_page_with_its_method_and_path(api: Api) -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([A-Z]+)(?:, HEAD)? (\S+) \|", _part("Operations"), re.MULTILINE)
    named = {(name, method, re.sub(r"{\w*id}", "{}", path)) for name, method, path in rows}
    paths = api.http.get("/openapi.json").json()["paths"]
    assert named == {
        (operation["operationId"], method.upper(), re.sub(r"{\w*id}", "{}", path))
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def test_every_status_that_is_not_the_published_one_is_on_the_page() -> None:
    rows = re.findall(r"^\| (ELB\.\d+) \| (\d+) \| (\d+) \|", PAGE, re.MULTILINE)
    assert set(rows) == {
        (entry["code"], str(entry["documented_status"]), str(entry["status"]))
        for entry in CATALOGUE
        if entry["status"] not in {None, entry["documented_status"]}
    }


def test_every_reserved_code_is_on_the_page() -> None:
    assert set(re.findall(r"ELB\.\d+", _part("Codes that are never given"))) == {
        entry["code"] for entry in CATALOGUE if entry["when"] is None
    }
