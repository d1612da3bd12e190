"""Fixtures for tests against a running service; those for databases are in tests/store."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stand import Api, Backends, Service, running_backends, running_service
from stand.postgres import Postgres, running_postgres
from tests.contract.catalogue_cases import World

# The same examples every time: a run says something about the change before it. `make fuzz` looks for new ones.
# What takes long says something about the machine, and fails nothing.
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests that leave it as they found it."""
    with running_service(tmp_path_factory.mktemp("shared") / "data") as service:
        yield service


@pytest.fixture
def api(shared_service: Service) -> Iterator[Api]:
    with Api(shared_service) as client:
        yield client


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    """A service for one test alone, which may kill it."""
    with running_service(tmp_path / "data") as service:
        yield service


@pytest.fixture
def backends() -> Iterator[Backends]:
    with running_backends(3) as three:
        yield three


@pytest.fixture(scope="module")
def world(shared_service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Things in the shared service, and services of other kinds, for tables of requests; made when asked for."""
    made = World(shared_service, tmp_path_factory.mktemp("world"))
    yield made
    made.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much of the error catalogue was provoked (tests/contract/test_catalogue_walk.py)."""
    walked = [
        dict(report.user_properties)
        for report in terminalreporter.getreports("passed")
        if "catalogue" in dict(report.user_properties)
    ]
    if walked:
        provoked = len([one for one in walked if one["catalogue"] == "provoked"])
        reserved = len([one for one in walked if one["catalogue"] == "reserved"])
        terminalreporter.write_line(
            f"error catalogue: {walked[0]['entries']} entries, {walked[0]['conditions']} with a condition "
            f"({provoked} provoked), {reserved} reserved"
        )
