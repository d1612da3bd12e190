"""A service in the foreground: its settings, its start, its end by a signal."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final, Protocol, Self, TypeVar

import click
import structlog
import uvloop

from equipoise.cli.command_line import begin_again_without
from equipoise.cli.memory import give_back_what_is_freed, set_apart_what_stays
from equipoise.logs import configure_logs
from equipoise.settings.load import SettingsError, load, secret_overrides
from equipoise.settings.table import Settings

Command = TypeVar("Command", bound=Callable[..., None])

data_dir_option: Final = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The folder for all that the service stores; made at the first start.",
)
listen_option: Final = click.option(
    "--listen", default="127.0.0.1:8080", show_default=True, help="HOST:PORT of the API; port 0 takes any free one."
)
_config_option: Final = click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), help="A TOML file with settings."
)
_set_option: Final = click.option(
    "--set", "overrides", multiple=True, metavar="NAME=VALUE", help="One setting; may be repeated."
)


def settings_options(command: Command) -> Command:
    """Options of a command that takes settings."""
    return _config_option(_set_option(command))


class Foreground(Protocol):
    """What can be run in the foreground."""

    @property
    def ready(self) -> str:
        """What is said of it once it has started."""

    def leave_traffic(self) -> None:
        """Let its end be none of the traffic."""

    async def failed(self) -> None:
        """Return only by raising: what made a part of it fail for good."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...


def settings_of(config: Path | None, overrides: tuple[str, ...]) -> Settings:
    """The settings of a service that is to run in this process; its log is written as they say.

    Begins the process again if the command line shows a password.
    """
    try:
        settings = load(config, os.environ, overrides)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    configure_logs(settings.log.format, settings.log.level)
    if secret := secret_overrides(overrides):
        structlog.get_logger("equipoise").warning(
            "password_on_command_line",
            variables=sorted({variable for variable, _ in secret.values()}),
            effect="others could read it for a moment; the service starts again without it",
            remedy="give it in an environment variable or in the file of --config",
        )
        begin_again_without(secret)
    return settings


def run(make: Callable[[], Foreground], cannot_start: tuple[type[Exception], ...]) -> None:
    """Run a service until SIGTERM or SIGINT; SIGUSR2 ends it and leaves Envoy.

    Args:
        cannot_start: what it raises when it cannot start; shown without a traceback.
    """
    give_back_what_is_freed()
    try:
        uvloop.run(_serve(make))
    except cannot_start as error:
        raise click.ClickException(str(error)) from error


def address(listen: str) -> tuple[str, int]:
    """Host and port of `--listen`."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter("must be HOST:PORT, for example 127.0.0.1:8080", param_hint="--listen")
    return host.strip("[]") or "0.0.0.0", int(port)


async def _serve(make: Callable[[], Foreground]) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    service = make()

    def leave() -> None:
        service.leave_traffic()
        asked_to_stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    loop.add_signal_handler(signal.SIGUSR2, leave)
    stopped = asyncio.ensure_future(asked_to_stop.wait())
    log = structlog.get_logger("equipoise")
    async with AsyncExitStack() as parts:
        starting = asyncio.ensure_future(parts.enter_async_context(service))
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            log.info("stopping", before="it was started")
            starting.cancel()
            # Ends what was started so far; what was done in that very moment is ended by this block.
            with suppress(asyncio.CancelledError):
                await starting
            return
        starting.result()
        set_apart_what_stays()
        click.echo(f"ready {service.ready}")
        failed = asyncio.ensure_future(service.failed())
        await asyncio.wait((failed, stopped), return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        stopped.cancel()
        if failed.done():
            # A defect: better a restart, which finds everything in the database, than half a service.
            failed.result()
        failed.cancel()
