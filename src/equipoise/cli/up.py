"""`equipoise up`: the whole service in the foreground, until SIGTERM or SIGINT; SIGUSR2 ends it and leaves Envoy."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

import click
import structlog
import uvloop

from equipoise.app.service import Equipoise
from equipoise.certificates.vault import VaultError
from equipoise.cli.command_line import begin_again_without
from equipoise.cli.memory import give_back_what_is_freed, set_apart_what_stays
from equipoise.data_directory import DataDirectoryError
from equipoise.http.server import ListenError
from equipoise.identity.former_files import IdentityFileError
from equipoise.logs import configure_logs
from equipoise.metrics.token import MetricsTokenError
from equipoise.settings.load import SettingsError, load, secret_overrides
from equipoise.settings.table import Settings
from equipoise.store.database import StoreUnavailable
from equipoise.store.migrate import SchemaTooNewError

_CANNOT_START: Final = (
    DataDirectoryError,
    IdentityFileError,
    ListenError,
    MetricsTokenError,
    SchemaTooNewError,
    StoreUnavailable,
    VaultError,
    OSError,
)


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The folder for all that the service stores; made at the first start.",
)
@click.option("--listen", default="127.0.0.1:8080", show_default=True, help="HOST:PORT of the API; port 0 takes any.")
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="A TOML file with settings.")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="One setting; may be repeated.")
def up(data_dir: Path, listen: str, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Run API, controller and data plane in the foreground.

    SIGTERM and SIGINT stop all of it. SIGUSR2 stops the service and leaves the traffic as it is: Envoy goes on, and the
    next start, of another version perhaps, takes it over.
    """
    give_back_what_is_freed()
    address = _address(listen)
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
    try:
        uvloop.run(_serve(data_dir, address, settings))
    except _CANNOT_START as error:
        raise click.ClickException(str(error)) from error


async def _serve(data_dir: Path, listen: tuple[str, int], settings: Settings) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    service = Equipoise(data_dir, listen, settings)

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
        click.echo(f"ready {service.url}")
        failed = asyncio.ensure_future(service.failed())
        await asyncio.wait((failed, stopped), return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        stopped.cancel()
        if failed.done():
            # A defect: better a restart, which finds everything in the database, than half a service.
            failed.result()
        failed.cancel()


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter("must be HOST:PORT, for example 127.0.0.1:8080", param_hint="--listen")
    return host.strip("[]") or "0.0.0.0", int(port)
