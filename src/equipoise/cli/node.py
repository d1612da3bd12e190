"""`equipoise node`: a node as a process of its own, and what an operator does about nodes."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from click.core import ParameterSource

from equipoise.app.node_service import Membership, NodeService
from equipoise.app.secrets import key_file, open_vault
from equipoise.certificates.vault import VaultError
from equipoise.cli.beside import in_database, settings_and_url, show
from equipoise.cli.command_line import begin_again_without_option
from equipoise.cli.foreground import run, settings_of, settings_options
from equipoise.controller.admission import Admission
from equipoise.core.admission import NODE_NAME_RULE, is_node_name
from equipoise.data_directory import DataDirectoryError
from equipoise.node.credential import NodeCredentialError
from equipoise.node.joining import JoinError
from equipoise.node.supervisor import EnvoyNotRunningError
from equipoise.store import admission as store
from equipoise.store.admission import ShownNode
from equipoise.store.database import Database
from equipoise.wire.join_token import JoinToken, JoinTokenError

TOKEN_VARIABLE: Final = "EQUIPOISE_JOIN_TOKEN"  # noqa: S105 - a name
_TOKEN_OPTION: Final = "--join-token"  # noqa: S105 - a name

_CANNOT_START: Final = (
    DataDirectoryError,
    EnvoyNotRunningError,
    JoinError,
    NodeCredentialError,
    VaultError,
    OSError,
)

_of_service = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The data directory of a controller.",
)


@click.group(invoke_without_command=True)
@click.option("--controller", "controllers", metavar="HOST:PORT[,...]", help="Where the controllers are.  [required]")
@click.option(
    _TOKEN_OPTION,
    "token",
    envvar=TOKEN_VARIABLE,
    metavar="TOKEN",
    help=f"What `equipoise node token` has shown; needed until the node has joined. Or in {TOKEN_VARIABLE}.",
)
@click.option("--name", help="What the node is called; only when it joins.  [default: the name of the machine]")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for all that the node stores; made at the first start.  [required]",
)
@settings_options
@click.pass_context
def node(
    context: click.Context,
    controllers: str | None,
    token: str | None,
    name: str | None,
    data_dir: Path | None,
    config: Path | None,
    overrides: tuple[str, ...],
) -> None:
    """Run a node in the foreground: Envoy under controllers on other machines.

    SIGTERM and SIGINT stop it and its traffic. SIGUSR2 stops the node and leaves the traffic as it is: Envoy goes on,
    and the next start takes it over. The commands below are for the machine of a controller.
    """
    # It is no setting, and Envoy and the standby need not know it.
    os.environ.pop(TOKEN_VARIABLE, None)
    if context.invoked_subcommand is not None:
        return
    if token is not None and context.get_parameter_source("token") is ParameterSource.COMMANDLINE:
        # Every user of the machine can read a command line.
        begin_again_without_option(_TOKEN_OPTION, TOKEN_VARIABLE, token)
    if data_dir is None:
        raise click.UsageError("Missing option '--data-dir'.")
    membership = Membership(_controllers(controllers), _name(name), _token(token))
    settings = settings_of(config, overrides)
    run(lambda: NodeService(data_dir, membership, settings), _CANNOT_START)


@node.command("token")
@_of_service
@settings_options
def new_token(data_dir: Path, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Show a new token with which one node can join, once, within an hour."""
    settings, url = settings_and_url(data_dir, config, overrides)

    async def make(database: Database) -> str:
        vault = await open_vault(key_file(settings, data_dir), database)
        admission = await Admission.open(database, vault, settings.nodes.certificate_lifetime)
        return (await admission.new_token()).to_text()

    click.echo(in_database(url, make, VaultError, OSError))


@node.command("list")
@_of_service
@settings_options
def list_nodes(data_dir: Path, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Show the nodes that have joined, by name."""
    _, url = settings_and_url(data_dir, config, overrides)
    for each in _all(url):
        _show(each)


@node.command("show")
@click.argument("name")
@_of_service
@settings_options
def show_node(name: str, data_dir: Path, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Show one node."""
    _, url = settings_and_url(data_dir, config, overrides)
    found = [each for each in _all(url) if each.admitted.name == name]
    if not found:
        raise _unknown(name)
    _show(found[0])


@node.command("remove")
@click.argument("name")
@_of_service
@settings_options
def remove_node(name: str, data_dir: Path, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Let a node speak to the controllers no more.

    No job waits for it from then on, and its certificate is void. Its Envoy serves what it has until you stop the node
    on its machine.
    """
    _, url = settings_and_url(data_dir, config, overrides)

    async def remove(database: Database) -> bool:
        return await database.write(lambda tx: store.remove(tx.connection, name))

    if not in_database(url, remove):
        raise _unknown(name)


def _all(url: str) -> Sequence[ShownNode]:
    async def read(database: Database) -> Sequence[ShownNode]:
        return await database.read(store.shown)

    return in_database(url, read)


def _show(node: ShownNode) -> None:
    known = node.admitted
    show(
        name=known.name,
        id=known.id,
        live=node.live,
        create_time=_time(known.create_time),
        certificate_until=_time(known.certificate_until),
    )


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()


def _unknown(name: str) -> click.ClickException:
    return click.ClickException(f"There is no node {name!r}: `equipoise node list` shows all.")


def _controllers(given: str | None) -> Sequence[str]:
    if given is None:
        raise click.UsageError("Missing option '--controller'.")
    controllers = [each.strip() for each in given.split(",")]
    for each in controllers:
        host, _, port = each.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise click.BadParameter(
                "must be HOST:PORT, or several with commas between them, for example 10.0.0.1:7443,10.0.0.2:7443",
                param_hint="--controller",
            )
    return controllers


def _name(given: str | None) -> str | None:
    if given is not None and not is_node_name(given):
        raise click.BadParameter(NODE_NAME_RULE, param_hint="--name")
    return given


def _token(given: str | None) -> JoinToken | None:
    if not given:
        return None
    try:
        return JoinToken.from_text(given)
    except JoinTokenError as error:
        # What was given is not quoted.
        raise click.ClickException(f"{_TOKEN_OPTION}: {error}.") from None
