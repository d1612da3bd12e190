"""The built-in identity of one service on a database, without the rest of the service."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from argon2 import PasswordHasher

from equipoise.certificates.vault import Vault
from equipoise.identity import changes
from equipoise.identity.establish import establish
from equipoise.identity.passwords import Passwords
from equipoise.identity.service import Identity
from equipoise.store.database import Database, Transaction

ROOT = "http://127.0.0.1:8080"
NOW = 1_800_000_000.0
LIFETIME = 3600
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse"

T = TypeVar("T")


class IdentityStand:
    """An identity and the database that it uses."""

    def __init__(self, identity: Identity, database: Database, folder: Path) -> None:
        self.identity = identity
        self.database = database
        self.folder = folder

    async def change(self, work: Callable[[Transaction], T]) -> T:
        return await self.database.write(work)

    async def add_project(self, name: str) -> str:
        return (await self.change(lambda tx: changes.add_project(tx, name))).id

    async def add_user(self, name: str) -> str:
        """Its password is `PASSWORD`."""
        return (await self.change(lambda tx: changes.add_user(tx, name, CHEAP.hash(PASSWORD)))).id

    def credentials(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "credentials.json").read_text())
        return found

    def login(self, **changed: str) -> dict[str, Any]:
        """The body of a login with credentials.json, but for what is changed."""
        known = self.credentials() | changed
        domain = {"name": known["user_domain_name"]}
        user = {"name": known["username"], "domain": domain, "password": known["password"]}
        return {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": known["project_name"], "domain": domain}},
            }
        }


@asynccontextmanager
async def open_identity(
    url: str,
    folder: Path,
    *,
    key_file: Path | None = None,
    auth_url: str = f"{ROOT}/v3",
    clock: Callable[[], float] | None = lambda: NOW,
) -> AsyncIterator[IdentityStand]:
    """Start as a service does, with its data directory in `folder`.

    Args:
        key_file: what encrypts secrets; None: one beside `folder`, for all services of a test.
    """
    database = Database(url)
    database.start()
    try:
        vault = Vault.open(key_file or folder.parent / "certificate.key", None)
        passwords = Passwords()
        await establish(database, folder, vault, "region-1", passwords)
        identity = await Identity.open(
            database,
            vault,
            folder,
            region="region-1",
            token_lifetime=LIFETIME,
            auth_url=auth_url,
            passwords=passwords,
            clock=clock,
        )
        identity.start()
        try:
            yield IdentityStand(identity, database, folder)
        finally:
            await identity.stop()
    finally:
        await database.stop()
