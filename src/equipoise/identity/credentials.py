"""The file that hands the first password to the person who runs the service. Nothing in the service reads it back."""

import ipaddress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from equipoise.identity.directory import CreatedDirectory
from equipoise.identity.files import write_private

_log = structlog.get_logger(__name__)

FILE_NAME: Final = "credentials.json"


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


def write_first(folder: Path, created: CreatedDirectory, region: str, url: str) -> None:
    """Write the file of a first start, mode 0600; one that is there belongs to an identity that is gone."""
    _write(
        folder,
        Credentials(
            auth_url=url,
            username=created.administrator.name,
            password=created.password,
            user_domain_name=created.content.domains[0].name,
            project_name=created.project.name,
            project_id=created.project.id,
            region=region,
        ),
    )


def follow_address(folder: Path, url: str) -> None:
    """At a later start: keep the file, with the address of today. One that is lost is reported and never made anew."""
    path = folder / FILE_NAME
    try:
        old = msgspec.json.decode(path.read_bytes(), type=Credentials)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError) as error:
        _log.warning(
            "credentials_file_unusable",
            path=str(path),
            reason="it is missing" if isinstance(error, FileNotFoundError) else "it is not what the service wrote",
            effect="the service runs; passwords are as they were",
            remedy="put the file back from a copy; without one, move identity.json away as well: the next start "
            "makes a new administrator and a new project, which does not hold the load balancers of the old one",
        )
        return
    if old.auth_url != url:
        _write(folder, msgspec.structs.replace(old, auth_url=url))


def _write(folder: Path, credentials: Credentials) -> None:
    write_private(folder / FILE_NAME, msgspec.json.format(msgspec.json.encode(credentials), indent=2) + b"\n")
