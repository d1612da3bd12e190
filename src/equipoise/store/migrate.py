"""Brings the schema of a database to the newest revision. Alembic is loaded only when there is something to do."""

from pathlib import Path
from typing import Final

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import OperationalError

from equipoise.store.database import StoreUnavailable, open_engine

HEAD: Final = "0005"
"""The newest revision in `migrations/versions`."""


def upgrade(url: str) -> None:
    """Create or upgrade the schema; a database that is at `HEAD` already is left alone.

    Raises:
        StoreUnavailable: the database cannot be reached or written.
    """
    engine = open_engine(url)
    try:
        _upgrade(engine)
    except OperationalError as error:
        raise StoreUnavailable(str(error.orig)) from error
    finally:
        engine.dispose()


def _upgrade(engine: Engine) -> None:
    if _revision(engine) == HEAD:
        return
    # Imported here: it costs a tenth of a second and 10 MiB, and most starts do not need it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
