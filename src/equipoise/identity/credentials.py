"""The file that hands the first password to the person who runs the service, the same one in each data directory."""

import ipaddress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from equipoise.identity.former_files import SUFFIX
from equipoise.private_files import write_private

_log = structlog.get_logger(__name__)

FILE_NAME: Final = "credentials.json"
MARK_FILE: Final = "identity.id"
"""Says which identity the credentials are of. Without it the service gives the folder its credentials again."""


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client needs to log in as the administrator. `auth_url` ends with `/v3`."""

    auth_url: str
    username: str
    password: str
    user_domain_name: str
    project_name: str
    project_id: str
    region: str

    def __repr__(self) -> str:
        return f"Credentials(auth_url={self.auth_url!r}, username={self.username!r}, project_id={self.project_id!r})"


def auth_url(host: str, port: int) -> str:
    """Where a client on this machine reaches the identity API.

    Args:
        host: listen address or name; empty, or an address that stands for all, becomes the loopback one.
        port: 1-65535, the real one and not 0.
    """
    try:
        address = ipaddress.ip_address(host or "0.0.0.0")
    except ValueError:
        return f"http://{host}:{port}/v3"
    if address.version == 4:
        return f"http://{'127.0.0.1' if address.is_unspecified else address}:{port}/v3"
    return f"http://[{'::1' if address.is_unspecified else address}]:{port}/v3"


def read(folder: Path) -> Credentials | None:
    """What the file says; None when it is missing, or not what the service writes."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Credentials)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def write(folder: Path, credentials: Credentials) -> None:
    """Write the file, mode 0600; one that is there and says something else is kept under another name."""
    path = folder / FILE_NAME
    if path.exists():
        path.replace(path.with_name(FILE_NAME + SUFFIX))
    _write(folder, credentials)


def follow_address(folder: Path, url: str) -> None:
    """At a later start: keep the file, with the address of today. One that is lost is reported and never made anew."""
    old = read(folder)
    if old is None:
        report_unusable(folder, f"remove {MARK_FILE} as well: the next start writes the file again")
    elif old.auth_url != url:
        _write(folder, msgspec.structs.replace(old, auth_url=url))


def report_unusable(folder: Path, remedy: str) -> None:
    """Say in the log that nobody can log in with the file, and what helps."""
    path = folder / FILE_NAME
    _log.warning(
        "credentials_file_unusable",
        path=str(path),
        reason="it is not what the service wrote, or not in force" if path.exists() else "it is missing",
        effect="the service runs; passwords are as they were",
        remedy=f"put the file back from a copy, for example of another service on the same database; or {remedy}",
    )


def is_for(folder: Path, identity_id: str) -> bool:
    """Whether this folder has been given the credentials of that identity before."""
    path = folder / MARK_FILE
    return path.exists() and path.read_bytes().strip() == identity_id.encode()


def mark(folder: Path, identity_id: str) -> None:
    """Write down that this folder has the credentials of that identity: whoever removes them finds them gone."""
    write_private(folder / MARK_FILE, f"{identity_id}\n".encode())


def _write(folder: Path, credentials: Credentials) -> None:
    write_private(folder / FILE_NAME, msgspec.json.format(msgspec.json.encode(credentials), indent=2) + b"\n")
