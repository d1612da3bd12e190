"""How an identity gets into a database, once, and how a data directory gets the credentials of it.

The first service on a database brings its identity along: what the files of an older version hold, or a new one. The
others join that one, and nobody who could log in at them alone can log in after that (decision 0022).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import structlog
from cryptography.fernet import Fernet
from sqlalchemy import Connection

from equipoise.core.identity import DirectoryContent, IdentityState, Project, TokenKey, User
from equipoise.identity import actor, credentials, former_files
from equipoise.identity.credentials import Credentials
from equipoise.identity.directory import (
    DEFAULT_DOMAIN_ID,
    LONGEST_NAME,
    Directory,
    Reference,
    first_content,
    new_id,
)
from equipoise.identity.former_files import FormerIdentity
from equipoise.identity.passwords import Passwords
from equipoise.store import identity as store
from equipoise.store import tokens
from equipoise.store.database import Database, Transaction

_log = structlog.get_logger(__name__)

_TOLD: Final = 20
"""How many names one line of the log has at most."""


class Sealing(Protocol):
    """Encrypts what is secret before it is stored (`equipoise.certificates.vault`)."""

    def seal(self, secret: str) -> str: ...

    def unseal(self, sealed: str) -> str:
        """Raises cryptography's InvalidToken for what another key has sealed."""


@dataclass(frozen=True, slots=True)
class _Beginning:
    """An identity that is to be stored if there is none."""

    state: IdentityState
    content: DirectoryContent
    token_key: TokenKey
    revoked: Mapping[str, int]


async def establish(database: Database, data_dir: Path, sealing: Sealing, region: str, passwords: Passwords) -> None:
    """See to it that the database has an identity, and that the files of older versions are read no more.

    Afterwards the key of this service may not be that of the database: another one may have been faster.

    Args:
        region: region id, for the name of the first project.

    Raises:
        IdentityFileError: a file of an older version cannot be used; everything is left as it was.
        StoreUnavailable, OSError.
    """
    former = await asyncio.to_thread(former_files.read, data_dir)
    if former is not None or await database.read(_is_incomplete):
        beginning = await _beginning(data_dir, former, sealing, region, passwords)
        tell = await database.write(lambda tx: _store(tx, beginning, former))
        tell()
    former_files.set_aside(data_dir)


async def give_credentials(
    data_dir: Path,
    state: IdentityState,
    directory: Directory,
    passwords: Passwords,
    sealing: Sealing,
    here: Credentials,
) -> None:
    """Give a data directory, once for an identity, a file with which one logs in.

    Args:
        here: address and region of this service; the rest is filled in.

    Raises:
        OSError: it cannot be written.
    """
    if credentials.is_for(data_dir, state.id):
        credentials.follow_address(data_dir, here.auth_url)
        return
    known = credentials.read(data_dir)
    if known is not None and await _works(known, directory, passwords) is not None:
        # Copied by hand, or of a version that wrote no mark.
        credentials.follow_address(data_dir, here.auth_url)
    else:
        first = await _of_administrator(state, directory, passwords, sealing, here)
        if first is None:
            credentials.report_unusable(data_dir, "make a user with `equipoise identity add-user`")
            return
        credentials.write(data_dir, first)
    credentials.mark(data_dir, state.id)


def _is_incomplete(connection: Connection) -> bool:
    return store.state(connection) is None or tokens.any_sealed(connection) is None


async def _beginning(
    data_dir: Path, former: FormerIdentity | None, sealing: Sealing, region: str, passwords: Passwords
) -> _Beginning:
    state = IdentityState(new_id(), 0, 0, None, None, None)
    if former is None:
        created = await asyncio.to_thread(first_content, region, passwords.hash)
        content, revoked, key = created.content, dict[str, int](), None
        state = replace(
            state,
            administrator_id=created.administrator.id,
            project_id=created.project.id,
            password=sealing.seal(created.password),
        )
    else:
        content, revoked, key = former.content, dict(former.revoked), former.token_key
        state = await _with_administrator(state, data_dir, Directory(content), passwords, sealing)
    sealed = sealing.seal((key or Fernet.generate_key()).decode())
    return _Beginning(state, content, TokenKey(new_id(), sealed, 0), revoked)


async def _with_administrator(
    state: IdentityState, data_dir: Path, directory: Directory, passwords: Passwords, sealing: Sealing
) -> IdentityState:
    """With the password of the file that is there, if it works and is an administrator's."""
    known = credentials.read(data_dir)
    if known is None:
        return state
    user = await _works(known, directory, passwords)
    if user is None or actor.ADMIN not in directory.roles(user.id, known.project_id):
        return state
    return replace(state, administrator_id=user.id, project_id=known.project_id, password=sealing.seal(known.password))


async def _works(known: Credentials, directory: Directory, passwords: Passwords) -> User | None:
    """The user that a file logs in; None when it does not, or not to its project."""
    user = directory.find_user(Reference(name=known.username, domain_name=known.user_domain_name))
    if user is None or not directory.roles(user.id, known.project_id):
        return None
    return user if await passwords.verify(user.password_hash, known.password) else None


async def _of_administrator(
    state: IdentityState, directory: Directory, passwords: Passwords, sealing: Sealing, here: Credentials
) -> Credentials | None:
    """The first administrator's credentials; None when its password is not known any more, or it has gone."""
    user = directory.find_user(Reference(id=state.administrator_id or ""))
    project = directory.find_project(Reference(id=state.project_id or ""))
    if user is None or project is None or state.password is None:
        return None
    password = sealing.unseal(state.password)
    if not await passwords.verify(user.password_hash, password):
        return None
    return Credentials(
        auth_url=here.auth_url,
        username=user.name,
        password=password,
        user_domain_name=directory.domain(user.domain_id).name,
        project_name=project.name,
        project_id=project.id,
        region=here.region,
    )


def _store(tx: Transaction, beginning: _Beginning, former: FormerIdentity | None) -> Callable[[], None]:
    """Store what is missing. Returns what tells it to the log, once it is durable."""
    connection = tx.connection
    tell = _nothing
    if store.state(connection) is None:
        new = replace(beginning.state, revision=tx.revision, directory_revision=tx.revision)
        store.create(connection, new, beginning.content)
        tokens.revoke(tx, beginning.revoked)
        tell = partial(_tell_moved, beginning) if former is not None else tell
    elif former is not None:
        tell = _join(tx, former.content)
    if tokens.any_sealed(connection) is None:
        tokens.add_key(connection, replace(beginning.token_key, create_time=tx.now))
    return tell


def _join(tx: Transaction, former: DirectoryContent) -> Callable[[], None]:
    """Of those whom a data directory knew, take nobody; of its projects those that own something in this database.

    Without them the administrators here could not reach what those projects own.
    """
    store.move_directory(tx)
    here = store.content(tx.connection)
    known = {project.id for project in here.projects}
    owners = store.owners(tx.connection, [project.id for project in former.projects if project.id not in known])
    taken = {(project.domain_id, project.name) for project in here.projects}
    domains = {domain.id for domain in here.domains}
    added = []
    for project in (project for project in former.projects if project.id in owners):
        domain_id = project.domain_id if project.domain_id in domains else DEFAULT_DOMAIN_ID
        name = project.name if (domain_id, project.name) not in taken else _distinct(project)
        added.append(Project(project.id, name, domain_id))
        taken.add((domain_id, name))
    if added:
        store.add_projects(tx.connection, added)
    ids = {user.id for user in here.users}
    left_out = [user.name for user in former.users if user.id not in ids]
    # Otherwise it was moved before, and the service was killed before it gave the files another name.
    return partial(_tell_joined, left_out, added) if left_out or added else _nothing


def _distinct(project: Project) -> str:
    """A name for a project whose own one is taken."""
    suffix = f"_{project.id}"
    return project.name[: LONGEST_NAME - len(suffix)] + suffix


def _nothing() -> None:
    """There is nothing to tell."""


def _tell_moved(beginning: _Beginning) -> None:
    _log.info(
        "identity_moved",
        users=len(beginning.content.users),
        projects=len(beginning.content.projects),
        revoked_tokens=len(beginning.revoked),
        effect=f"they are in the database now; the files are not read any more and end with {former_files.SUFFIX}",
    )


def _tell_joined(left_out: list[str], added: list[Project]) -> None:
    _log.warning(
        "identity_not_taken_over",
        users=left_out[:_TOLD],
        more_users=max(0, len(left_out) - _TOLD),
        projects_taken_over=[project.name for project in added[:_TOLD]],
        reason="the database has an identity of another data directory already",
        effect="these users, their roles and their tokens count no more; credentials.json is that of the database",
        remedy="make users with `equipoise identity add-user` for those who need one",
    )
