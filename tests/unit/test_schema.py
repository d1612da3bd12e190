"""The migrations lead to exactly the schema that `equipoise.store.tables` declares."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from equipoise.store.database import open_engine, sqlite_url
from equipoise.store.migrate import upgrade
from equipoise.store.tables import metadata


def test_the_migrations_make_what_the_tables_declare(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "test.db")
    upgrade(url)
    engine = open_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
