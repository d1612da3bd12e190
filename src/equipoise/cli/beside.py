"""Commands that an operator gives beside a service that runs, or does not: they use its database."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from equipoise.data_directory import DataDirectory
from equipoise.settings.load import SettingsError, load
from equipoise.settings.table import Settings
from equipoise.store.database import Database, StoreUnavailable, sqlite_url
from equipoise.store.migrate import is_current

T = TypeVar("T")


def settings_and_url(data_dir: Path | None, config: Path | None, overrides: tuple[str, ...]) -> tuple[Settings, str]:
    """The settings of the service, and the URL of its database."""
    if data_dir is None:
        raise click.UsageError("Missing option '--data-dir'.")
    try:
        settings = load(config, os.environ, overrides)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    file = DataDirectory(data_dir).database
    if not settings.database.url and not file.exists():
        raise click.ClickException(f"There is no database in {data_dir}: start the service first.")
    return settings, settings.database.url or sqlite_url(file)


def in_database(url: str, work: Callable[[Database], Awaitable[T]], *expected: type[Exception]) -> T:
    """Do something in the database of a service. `expected` errors are shown without a traceback."""
    shown: tuple[type[Exception], ...] = (StoreUnavailable, *expected)
    try:
        if not is_current(url):
            raise click.ClickException("The database is not of this version: start the service of this version first.")
        return asyncio.run(_with(url, work))
    except shown as error:
        raise click.ClickException(str(error)) from error


async def _with(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    database = Database(url)
    database.start()
    try:
        return await work(database)
    finally:
        await database.stop()


def show(**fields: object) -> None:
    """One line of JSON."""
    click.echo(msgspec.json.encode(fields).decode())
