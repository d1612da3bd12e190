"""Fixtures for tests against a running service."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from equipoise.store.database import sqlite_url
from equipoise.store.migrate import upgrade
from stand import Api, Backends, Service, running_backends, running_service
from tests.contract.catalogue_cases import World
from tests.databases import Postgres, running_postgres

# The same examples every time: a run says something about the change before it. `make fuzz` looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a schema, once of each kind."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "test.db")
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(scope="session")
def sqlite_pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema: a copy is made in a tenth of the time that migrations take."""
    file = tmp_path_factory.mktemp("pattern") / "test.db"
    upgrade(sqlite_url(file))
    return file


@pytest.fixture(scope="session")
def postgres_pattern(postgres: Postgres) -> str:
    """The name of a database with the schema."""
    url = postgres.new_database()
    upgrade(url)
    return url.rpartition("/")[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the schema and nothing in it, once of each kind: what the store promises holds on both."""
    if request.param == "sqlite":
        file = tmp_path / "test.db"
        shutil.copy(request.getfixturevalue("sqlite_pattern"), file)
        return sqlite_url(file)
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database(like=request.getfixturevalue("postgres_pattern"))


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
