"""The migrations lead to exactly the schema that `equipoise.store.tables` declares."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from equipoise.store.database import open_engine
from equipoise.store.migrate import upgrade
from equipoise.store.tables import metadata


def test_the_migrations_make_what_the_tables_declare(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    engine = open_engine(empty_database_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
