"""`equipoise identity`: more projects and users of the built-in identity, while the services run or not."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import click

from equipoise.cli.beside import in_database, settings_and_url, show
from equipoise.core.identity import User
from equipoise.identity import changes
from equipoise.identity.actor import ROLES
from equipoise.identity.directory import DEFAULT_DOMAIN_ID, Directory, DirectoryError, Reference, new_password
from equipoise.identity.passwords import Passwords
from equipoise.store import identity as store
from equipoise.store.database import Transaction

T = TypeVar("T")

FindUrl = Callable[[], str]

_password = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input; otherwise one is made and shown."
)


@click.group()
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data directory of the service.  [required]",
)
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="The TOML file of the service.")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="One setting; may be repeated.")
@click.pass_context
def identity(context: click.Context, data_dir: Path | None, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Add projects and users of the built-in identity, or change a password.

    Give it the settings of the service, so that it finds the same database. Running services learn of the change at
    once.
    """
    # Asked for when a command needs it: the help of a command needs none.
    context.obj = partial(_url, data_dir, config, overrides)


def _url(data_dir: Path | None, config: Path | None, overrides: tuple[str, ...]) -> str:
    """The database of the service."""
    return settings_and_url(data_dir, config, overrides)[1]


@identity.command()
@click.argument("name")
@click.pass_obj
def add_project(url: FindUrl, name: str) -> None:
    """Add a project."""
    project = _change(url, lambda tx: changes.add_project(tx, name))
    show(project_id=project.id, project_name=project.name)


@identity.command()
@click.argument("name")
@click.option("--project", required=True, help="Name or id of a project.")
@click.option("--role", type=click.Choice(ROLES), default="member", show_default=True, help="The role there.")
@_password
@click.pass_obj
def add_user(
    url: FindUrl, name: str, project: str, role: Literal["reader", "member", "admin"], password_stdin: bool
) -> None:
    """Add a user with a role on a project. An admin may do everything in every project."""
    password, encoded = _new_password(password_stdin)

    def add(tx: Transaction) -> tuple[str, str]:
        directory = Directory(store.content(tx.connection))
        found = directory.find_project(Reference(id=project)) or directory.find_project(
            Reference(name=project, domain_id=DEFAULT_DOMAIN_ID)
        )
        if found is None:
            raise DirectoryError(f"There is no project {project!r}.")
        user = changes.add_user(tx, name, encoded)
        changes.assign(tx, user.id, found.id, role)
        return user.id, found.id

    user_id, project_id = _change(url, add)
    show(user_id=user_id, username=name, project_id=project_id, **password)


@identity.command()
@click.argument("name")
@_password
@click.pass_obj
def set_password(url: FindUrl, name: str, password_stdin: bool) -> None:
    """Give a user another password. Tokens of before stay valid until they expire or are revoked."""
    password, encoded = _new_password(password_stdin)

    def change(tx: Transaction) -> User:
        user = Directory(store.content(tx.connection)).find_user(Reference(name=name, domain_id=DEFAULT_DOMAIN_ID))
        if user is None:
            raise DirectoryError(f"There is no user {name!r}.")
        changes.set_password(tx, user.id, encoded)
        return user

    show(user_id=_change(url, change).id, username=name, **password)


def _new_password(from_stdin: bool) -> tuple[dict[str, str], str]:
    """What is to be shown of a new password, and its hash."""
    password = sys.stdin.readline().rstrip("\n") if from_stdin else new_password()
    if not password:
        raise click.ClickException("Standard input has no password in its first line.")
    return ({} if from_stdin else {"password": password}), Passwords().hash(password)


def _change(find_url: FindUrl, work: Callable[[Transaction], T]) -> T:
    def checked(tx: Transaction) -> T:
        if store.state(tx.connection) is None:
            raise DirectoryError("The database has no users: start a service with the built-in identity first.")
        return work(tx)

    return in_database(find_url(), lambda database: database.write(checked), DirectoryError)
