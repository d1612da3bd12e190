"""Secrets at rest, such as private keys: encrypted under a key that is a file of the operator, not in the database."""

from pathlib import Path
from typing import Final, Self

from cryptography.fernet import Fernet, InvalidToken

from equipoise.private_files import make_private

KEY_FILE: Final = Path("keys") / "certificate.key"
"""Where the key is by default, below the data directory."""


class VaultError(Exception):
    """The key that encrypts secrets cannot be used; the message says why, and what to do."""


class Vault:
    """Seals and opens secrets. Equal ones are sealed differently each time.

    Args:
        key: Fernet key, 32 bytes in URL-safe Base64. Raises ValueError otherwise.
    """

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)

    @classmethod
    def open(cls, path: Path, sealed: str | None) -> Self:
        """With the key in `path`, which is made, for its owner alone, when nothing was sealed yet.

        Args:
            sealed: anything that was sealed before; None when there is nothing. A wrong key is found here and not
                when the first listener needs it.

        Raises:
            VaultError: the key is missing, or no key, or not the one.
        """
        if not path.exists():
            if sealed is not None:
                raise VaultError(
                    f"{path} is missing, and the database holds secrets that were encrypted with it; put the file "
                    "back, or name it with certificates.key_file. Services that share a database need the same key."
                )
            make_private(path, Fernet.generate_key())
        try:
            vault = cls(path.read_bytes().strip())
        except ValueError:
            # Without the cause: it quotes the key.
            raise VaultError(f"{path} must hold 32 bytes in URL-safe Base64, as it was made.") from None
        if sealed is not None:
            vault._check(path, sealed)
        return vault

    def seal(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """The inverse of `seal`. Raises InvalidToken for what another key has sealed."""
        return self._fernet.decrypt(sealed).decode()

    def _check(self, path: Path, sealed: str) -> None:
        try:
            self.unseal(sealed)
        except InvalidToken:
            raise VaultError(
                f"{path} is not the key with which the secrets in the database were encrypted; put that one there, or "
                "name it with certificates.key_file. Services that share a database need the same key."
            ) from None
