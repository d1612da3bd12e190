"""`equipoise up` and `equipoise controller`: the service with and without a data plane on this machine."""

from pathlib import Path
from typing import Final

import click

from equipoise.app.service import Equipoise
from equipoise.certificates.vault import VaultError
from equipoise.cli.foreground import address, data_dir_option, listen_option, run, settings_of, settings_options
from equipoise.controller.gate import NodesListenError
from equipoise.data_directory import DataDirectoryError
from equipoise.http.server import ListenError
from equipoise.identity.former_files import IdentityFileError
from equipoise.metrics.token import MetricsTokenError
from equipoise.store.database import StoreUnavailable
from equipoise.store.migrate import SchemaTooNewError

_CANNOT_START: Final = (
    DataDirectoryError,
    IdentityFileError,
    ListenError,
    MetricsTokenError,
    NodesListenError,
    SchemaTooNewError,
    StoreUnavailable,
    VaultError,
    OSError,
)

_NODES_LISTEN: Final = "0.0.0.0:7443"


@click.command()
@data_dir_option
@listen_option
@settings_options
def up(data_dir: Path, listen: str, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Run API, controller and data plane in the foreground.

    SIGTERM and SIGINT stop all of it. SIGUSR2 stops the service and leaves the traffic as it is: Envoy goes on, and the
    next start, of another version perhaps, takes it over.
    """
    where = address(listen)
    settings = settings_of(config, overrides)
    run(lambda: Equipoise(data_dir, where, settings, nodes_listen=settings.nodes.listen), _CANNOT_START)


@click.command()
@data_dir_option
@listen_option
@settings_options
def controller(data_dir: Path, listen: str, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Run API and controller in the foreground, for nodes on other machines.

    SIGTERM and SIGINT stop it. The nodes carry traffic in any case.
    """
    where = address(listen)
    settings = settings_of(config, overrides)
    nodes_listen = settings.nodes.listen or _NODES_LISTEN
    run(lambda: Equipoise(data_dir, where, settings, nodes_listen=nodes_listen, has_node=False), _CANNOT_START)
