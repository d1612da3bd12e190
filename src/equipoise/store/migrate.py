"""Brings the schema of a database to the newest revision. Alembic is loaded only when there is something to do."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import OperationalError

from equipoise.store.database import StoreUnavailable, open_engine
from equipoise.store.server import lock_for_migration

HEAD: Final = "0009"
"""The newest revision in `migrations/versions`."""


class SchemaTooNewError(Exception):
    """The database has a schema that this version does not know; the message says what to do."""


def upgrade(url: str) -> None:
    """Create or upgrade the schema; a database that is at `HEAD` already is left alone.

    Several services may start on one database server at once: one upgrades it, the others wait for that.

    Raises:
        SchemaTooNewError: a newer version has written it; nothing is changed.
        StoreUnavailable: the database cannot be reached or written.
    """
    engine = open_engine(url)
    try:
        _upgrade(engine)
    except OperationalError as error:
        raise StoreUnavailable(str(error.orig)) from error
    finally:
        engine.dispose()


def is_current(url: str) -> bool:
    """Whether the schema is at `HEAD`. Raises StoreUnavailable."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return _revision(connection) == HEAD
    except OperationalError as error:
        raise StoreUnavailable(str(error.orig)) from error
    finally:
        engine.dispose()


def _upgrade(engine: Engine) -> None:
    with engine.connect() as connection:
        if _revision(connection) == HEAD:
            return
    # Imported here: it costs a tenth of a second and 10 MiB, and most starts do not need it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            lock_for_migration(connection)
        # Another service may have upgraded it while this one waited.
        revision = _revision(connection)
        if revision is not None and revision not in known:
            raise SchemaTooNewError(
                f"The database has the schema {revision}, and this version knows none after {HEAD}: a newer version "
                "has upgraded it. Nothing was changed. Start the newer version again, or restore the backup from "
                "before the upgrade."
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
