"""The walk through the error catalogue: every entry that has a condition is provoked and gives what it says."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import httpx
import pytest

from equipoise.api.classic.errors import SOURCES, Elb, entry_of
from tests.contract.catalogue_cases import CASES, CERTIFICATES, Key, World
from tests.contract.wire import refusal

Entry = dict[str, Any]
Record = Callable[[str, object], None]

CATALOGUE: list[Entry] = json.loads(files("equipoise.api.classic").joinpath("errors.json").read_bytes())


def _keyed(catalogue: list[Entry]) -> dict[Key, Entry]:
    """Each entry by the key of its case: the operation only where the code stands more than once."""
    keyed: dict[Key, Entry] = {}
    for entry in catalogue:
        repeated = len([other for other in catalogue if other["code"] == entry["code"]]) > 1
        operation = entry["operation"] if repeated else ""
        number = len([key for key in keyed if key[:2] == (entry["code"], operation)])
        keyed[entry["code"], operation, number] = entry
    return keyed


ENTRIES = _keyed(CATALOGUE)
WITH_CONDITION = {key: entry for key, entry in ENTRIES.items() if entry["when"] is not None}
RESERVED = {key: entry for key, entry in ENTRIES.items() if entry["when"] is None}


@pytest.mark.parametrize("key", WITH_CONDITION, ids=lambda key: " ".join(filter(None, map(str, key))))
def test_each_condition_gives_the_status_code_and_message_of_its_entry(
    key: Key, world: World, record_property: Record
) -> None:
    assert key in CASES, "an entry of errors.json that nothing provokes: add a case to catalogue_cases.py"
    entry = ENTRIES[key]
    told = CASES[key](world)
    if isinstance(told, httpx.Response):
        assert refusal(told) == (entry["status"], entry["code"]), told.text
        assert told.json()["message"] == entry["message"].replace("..nilKey..", "port")
    elif entry["in"] == "warning in the job record":
        [warning] = told["warnings"]
        assert warning["code"] == entry["code"]
        assert told["error_code"] is None
    else:
        assert entry["in"].startswith("job error_code")
        assert told["error_code"] == entry["code"], told
        assert told["status"] == "FAIL"
        assert told["fail_reason"]
    _count(record_property, "provoked")


@pytest.mark.parametrize("body", [{}, {"certificate": "x"}, {"private_key": "x"}])
def test_a_certificate_without_its_parts_has_the_message_that_an_entry_quotes(
    world: World, body: dict[str, str]
) -> None:
    """The one message that stands in a condition, not in an entry of its own."""
    entry = ENTRIES["ELB.1001", "create load balancer", 0]
    answer = world.api.call("POST", CERTIFICATES, json=body)
    assert refusal(answer) == (entry["status"], entry["code"])
    assert f'(certificate: "{answer.json()["message"]}")' in entry["when"]


def test_every_case_belongs_to_an_entry_with_a_condition() -> None:
    assert not CASES.keys() - WITH_CONDITION.keys()


@pytest.mark.parametrize("key", RESERVED, ids=lambda key: key[0])
def test_what_is_reserved_is_never_given_and_says_why(key: Key, record_property: Record) -> None:
    given = [entry_of(source) for source in SOURCES.values() if isinstance(source, Elb)]
    entry = ENTRIES[key]
    assert entry["in"].startswith("reserved")
    assert not [
        one
        for one in given
        if (one.code, one.operation, one.message) == (entry["code"], entry["operation"], entry["message"])
    ]
    _count(record_property, "reserved")


def _count(record_property: Record, what: str) -> None:
    """For the line at the end of the run (tests/conftest.py)."""
    record_property("catalogue", what)
    record_property("entries", len(ENTRIES))
    record_property("conditions", len(WITH_CONDITION))
