"""Password hashes: made, and checked off the event loop. Who has which password is kept in `directory`."""

import asyncio
import os
import secrets
from base64 import b64encode
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError

from equipoise.core.errors import CredentialsWrong
from equipoise.core.identity import User
from equipoise.identity.directory import Directory
from equipoise.identity.keystone import PasswordCredential

# The first choice of the OWASP Password Storage Cheat Sheet: about 35 ms and 19 MiB for each check.
MEMORY_KIB: Final = 19_456
PASSES: Final = 2
LANES: Final = 1
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32


class Passwords:
    """Makes and checks argon2id hashes.

    Args:
        parallel: how many are computed at the same time by `verify`, at least 1; default: one a core. It bounds the
            memory that a rush of logins takes.
    """

    def __init__(self, parallel: int | None = None) -> None:
        self._hasher = PasswordHasher(
            time_cost=PASSES,
            memory_cost=MEMORY_KIB,
            parallelism=LANES,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=Type.ID,
        )
        self._slots = asyncio.Semaphore(parallel or os.cpu_count() or 1)
        self._nobody = _unmatched_hash()

    def hash(self, password: str) -> str:
        """The encoded hash under a new salt. Slow on purpose."""
        return self._hasher.hash(password)

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether `password` is the one behind `encoded`. Without a hash: False, after the same time."""
        async with self._slots:
            return await asyncio.to_thread(self._matches, encoded or self._nobody, password)

    def _matches(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except VerifyMismatchError:
            return False


async def authenticate(directory: Directory, passwords: Passwords, credential: PasswordCredential) -> User:
    """The user who the credential proves to be.

    Raises:
        CredentialsWrong, alike in text and in time for an unknown user and for a wrong password.
    """
    user = directory.find_user(credential.user)
    matches = await passwords.verify(user.password_hash if user else None, credential.password)
    if user is None or not matches:
        raise CredentialsWrong("The user, its domain or the password is wrong.")
    return user


def _unmatched_hash() -> str:
    """A hash that costs as much to check as a real one and that no password is behind."""
    salt, digest = (b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (_SALT_BYTES, _HASH_BYTES))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"
