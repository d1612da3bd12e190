"""The migrations lead to exactly the schema that `equipoise.store.tables` declares, from wherever they begin, and leave
what an old one holds.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, insert, select, text

from equipoise.core.model import LoadBalancer, Status
from equipoise.store import load_balancers, migrate
from equipoise.store.database import open_engine, sqlite_url
from equipoise.store.migrate import SchemaTooNewError, upgrade
from equipoise.store.tables import metadata
from stand.postgres import Postgres
from tests.upgrade.archive import unpack


def differences(url: str) -> object:
    engine = open_engine(url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    return found


PROJECT = "a" * 32
BEFORE_ZONES = "0001"
OLD = LoadBalancer(
    id="b" * 32,
    project_id=PROJECT,
    name="old",
    description="made before zones were kept",
    type="Internal",
    vpc_id="vpc",
    vip_subnet_id="subnet",
    vip_address="127.78.0.1",
    security_group_id="group",
    az=None,
    bandwidth=None,
    admin_state_up=1,
    charge_mode=None,
    eip_type=None,
    status=Status.ACTIVE,
    deleting=False,
    generation=7,
    revision=1,
    create_time=1,
    update_time=2,
)


def config() -> Config:
    found = Config()
    found.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    return found


def bring_to(url: str, revision: str) -> None:
    """Make the schema as it was at a revision."""
    engine = open_engine(url)
    with engine.begin() as connection:
        own = config()
        own.attributes["connection"] = connection
        command.upgrade(own, revision)
    engine.dispose()


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


def test_the_newest_revision_is_the_one_that_a_start_looks_for() -> None:
    assert ScriptDirectory.from_config(config()).get_current_head() == migrate.HEAD


def test_what_an_older_schema_holds_is_there_after_the_upgrade(empty_database_url: str) -> None:
    bring_to(empty_database_url, BEFORE_ZONES)
    engine = open_engine(empty_database_url)
    with engine.begin() as connection:
        table = Table("load_balancers", MetaData(), autoload_with=connection)
        assert "az" not in table.columns
        connection.execute(insert(table).values({column.name: getattr(OLD, column.name) for column in table.columns}))
    upgrade(empty_database_url)
    with engine.connect() as connection:
        assert load_balancers.get(connection, PROJECT, OLD.id) == OLD
        assert connection.execute(select(metadata.tables["load_balancers"].c.az)).scalars().all() == [None]
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
    # Once more changes nothing: a start looks at the revision first.
    upgrade(empty_database_url)


def test_services_that_start_at_once_on_an_empty_server_all_find_the_schema(postgres: Postgres) -> None:
    url = postgres.new_database()
    with ThreadPoolExecutor(4) as services:
        # Raises what any of them raised.
        list(services.map(upgrade, [url] * 4))
    assert differences(url) == []
