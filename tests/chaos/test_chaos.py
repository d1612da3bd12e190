"""A short run of the fault harness on each database. The long one is `make chaos`."""

from itertools import islice
from pathlib import Path

import pytest

from tests.chaos.faults import Fault, schedule
from tests.chaos.run import Length, Summary, run
from tests.databases import Postgres


def assert_all_is_well(summary: Summary) -> None:
    print(summary.table())
    assert summary.violations == []
    # That there was something to lose, and something that went wrong.
    assert summary.kills
    assert summary.jobs["SUCCESS"]


@pytest.mark.timeout(300)
def test_whatever_goes_wrong_no_job_is_lost_and_nothing_is_half_done(tmp_path: Path) -> None:
    summary = run(tmp_path, "sqlite", Length(seconds=25))
    assert_all_is_well(summary)


@pytest.mark.timeout(300)
def test_the_same_holds_on_postgresql(tmp_path: Path, postgres: Postgres) -> None:
    summary = run(tmp_path, "postgresql", Length(seconds=15), server_url=postgres.new_database())
    assert_all_is_well(summary)


def test_a_seed_says_what_goes_wrong_and_every_kind_comes_first_once() -> None:
    first, second = (list(islice(schedule("7", server=True), 40)) for _ in range(2))
    assert first == second != list(islice(schedule("8", server=True), 40))
    assert {planned.fault for planned in first[: len(Fault)]} == set(Fault)
