"""Databases for tests of this level: what the store promises holds on both kinds."""

import shutil
from pathlib import Path

import pytest

from equipoise.store.database import sqlite_url
from equipoise.store.migrate import upgrade
from stand.postgres import Postgres


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


@pytest.fixture
def server_url(postgres: Postgres, postgres_pattern: str) -> str:
    """A PostgreSQL database with the schema and nothing in it, for what several services do with it."""
    return postgres.new_database(like=postgres_pattern)
