"""The migrations lead to exactly the schema that `equipoise.store.tables` declares, from wherever they begin."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from equipoise.store.database import open_engine, sqlite_url
from equipoise.store.migrate import SchemaTooNewError, upgrade
from equipoise.store.tables import metadata
from tests.databases import Postgres
from tests.upgrade.archive import unpack


def differences(url: str) -> object:
    engine = open_engine(url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    return found


def test_the_migrations_make_what_the_tables_declare(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    assert differences(empty_database_url) == []


def test_they_make_it_of_what_an_older_version_has_left(tmp_path: Path, postgres: Postgres) -> None:
    unpack("0.1.0", tmp_path / "here" / "kept")
    [setting] = unpack("0.1.0", tmp_path / "there" / "kept", postgres).settings
    for url in (sqlite_url(tmp_path / "here" / "kept" / "equipoise.db"), setting.partition("=")[2]):
        upgrade(url)
        assert differences(url) == []


def test_what_a_newer_version_has_made_is_refused_and_left_as_it_is(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNewError, match=r"the schema 9999.*Nothing was changed"):
        upgrade(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == ["9999"]
    engine.dispose()
    assert differences(database_url) == []
