"""What versions up to 0.2.0 kept in files of the data directory: users in identity.json, the key of tokens and the
revoked tokens below keys/. A start moves it into the database once; after that the files have another name, and nothing
reads them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from cryptography.fernet import Fernet

from equipoise.core.identity import DirectoryContent, Domain, Project, RoleAssignment, User
from equipoise.identity.directory import DirectoryError, check
from equipoise.private_files import sync_folder

DIRECTORY_FILE: Final = Path("identity.json")
KEY_FILE: Final = Path("keys") / "token.key"
REVOKED_FILE: Final = Path("keys") / "revoked"
SUFFIX: Final = ".old"
"""What the name of a file ends with that is not read any more."""

_REVOKED_LINE: Final = re.compile(rb"(?P<expires>[0-9]{1,15}) (?P<audit_id>[A-Za-z0-9_-]{22})")

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
_DomainId = Annotated[str, msgspec.Meta(pattern="^(default|[0-9a-f]{32})$")]


class _Domain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: _DomainId
    name: _Name


class _Project(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: _Id
    name: _Name
    domain_id: _DomainId


class _User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: _Id
    name: _Name
    domain_id: _DomainId
    password_hash: str


class _Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user_id: _Id
    project_id: _Id
    role: Literal["reader", "member", "admin"]


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    domains: tuple[_Domain, ...]
    projects: tuple[_Project, ...]
    users: tuple[_User, ...]
    assignments: tuple[_Assignment, ...]


class IdentityFileError(Exception):
    """A file of the identity cannot be used. The text names the file, the place in it and what must be there."""


@dataclass(frozen=True, slots=True)
class FormerIdentity:
    """What the files of a data directory hold.

    Attributes:
        token_key: Fernet key; None: there is none, so that no token of before counts.
        revoked: audit id -> when the token expires, in seconds since 1970.
    """

    content: DirectoryContent
    token_key: bytes | None = field(repr=False)
    revoked: Mapping[str, int]


def read(data_dir: Path) -> FormerIdentity | None:
    """What the files hold; None when there is no identity.json.

    Raises:
        IdentityFileError: a file cannot be used. All of them are left as they were.
    """
    if not (data_dir / DIRECTORY_FILE).exists():
        return None
    return FormerIdentity(_content(data_dir), _token_key(data_dir), _revoked(data_dir))


def set_aside(data_dir: Path) -> None:
    """Give the files another name, those that are there. Raises OSError."""
    # That one last: while it is there, the next start does this again.
    for name in (REVOKED_FILE, KEY_FILE, DIRECTORY_FILE):
        path = data_dir / name
        if path.exists():
            path.replace(path.with_name(path.name + SUFFIX))
            sync_folder(path.parent)


def _content(data_dir: Path) -> DirectoryContent:
    path = data_dir / DIRECTORY_FILE
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Content)
        content = DirectoryContent(
            domains=tuple(Domain(**_fields(each)) for each in found.domains),
            projects=tuple(Project(**_fields(each)) for each in found.projects),
            users=tuple(User(**_fields(each)) for each in found.users),
            assignments=tuple(RoleAssignment(**_fields(each)) for each in found.assignments),
        )
        check(content)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError, DirectoryError) as error:
        raise IdentityFileError(f"{path.name}: {_reason(error)}") from None
    return content


def _fields(struct: msgspec.Struct) -> dict[str, Any]:
    return msgspec.structs.asdict(struct)


def _reason(error: Exception) -> str:
    """A reason that quotes nothing of the file: a password may stand in the wrong place."""
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    if isinstance(error, OSError):
        return error.strerror or "cannot be read"
    return re.sub(r"Invalid enum value .*? - at", "Unknown value - at", str(error))


def _token_key(data_dir: Path) -> bytes | None:
    path = data_dir / KEY_FILE
    if not path.exists():
        return None
    key = path.read_bytes().strip()
    try:
        Fernet(key)
    except ValueError:
        # Without the cause: it quotes the key.
        raise IdentityFileError(f"{KEY_FILE}: must hold 32 bytes in URL-safe Base64") from None
    return key


def _revoked(data_dir: Path) -> Mapping[str, int]:
    """Raises IdentityFileError for a line other than a cut-off last one that makes no sense. A forgotten revocation
    would let a stolen token in, so nothing is guessed."""
    path = data_dir / REVOKED_FILE
    if not path.exists():
        return {}
    # The part after the last line end is empty, or cut off by a crash before its revocation was answered.
    *lines, _ = path.read_bytes().split(b"\n")
    revoked: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        match = _REVOKED_LINE.fullmatch(line)
        if match is None:
            raise IdentityFileError(f"{REVOKED_FILE}: line {number} must be: seconds, a space, audit id")
        revoked[match["audit_id"].decode()] = int(match["expires"])
    return revoked
