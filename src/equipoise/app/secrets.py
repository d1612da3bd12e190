"""The key with which what is secret is stored in a database, and whether it is the right one."""

import asyncio
from pathlib import Path

from sqlalchemy import Connection

from equipoise.certificates.vault import KEY_FILE, Vault
from equipoise.settings.table import Settings
from equipoise.store import admission, certificates, tokens, webhooks
from equipoise.store.database import Database


def key_file(settings: Settings, data_directory: Path) -> Path:
    """Where the key is."""
    return Path(settings.certificates.key_file or data_directory / KEY_FILE)


async def open_vault(file: Path, database: Database) -> Vault:
    """With the key in a file, which is made if nothing is encrypted yet. Raises VaultError, StoreUnavailable."""
    return await asyncio.to_thread(Vault.open, file, await database.read(_any_sealed))


def _any_sealed(connection: Connection) -> str | None:
    """Anything in the database that is encrypted."""
    for found in (certificates.any_sealed, webhooks.any_sealed, tokens.any_sealed, admission.any_sealed):
        if (sealed := found(connection)) is not None:
            return sealed
    return None
