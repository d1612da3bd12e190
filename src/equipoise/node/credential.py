"""Who a node is, in its data directory: its key, which never leaves it, and the certificate that was given for that."""

from pathlib import Path
from typing import Final

import msgspec

from equipoise.private_files import make_private, write_private
from equipoise.wire.authority import Validity, new_key, request

_KEY_FILE: Final = Path("keys") / "node.key"
_CREDENTIAL_FILE: Final = Path("keys") / "node.json"


class NodeCredentialError(Exception):
    """A file with what a node proves itself with cannot be used. The text names it, and says what to do."""


class NodeCredential(msgspec.Struct, frozen=True):
    """What a node was given.

    Attributes:
        authority: the certificate of the authority of its service, PEM.
        certificate: its own, PEM.
        joined_with: the fingerprint of the join token that it was given for.
    """

    node_id: str
    name: str
    authority: str
    certificate: str
    joined_with: str

    @property
    def validity(self) -> Validity:
        return Validity.of(self.certificate.encode())


class CredentialFiles:
    """The files of a data directory."""

    def __init__(self, data_directory: Path) -> None:
        self._key = data_directory / _KEY_FILE
        self._credential = data_directory / _CREDENTIAL_FILE

    def key(self) -> bytes:
        """The private key, PEM, which is made at the first time. Raises OSError, NodeCredentialError."""
        if not self._key.exists():
            make_private(self._key, new_key())
        key = self._key.read_bytes()
        try:
            request(key)
        except (ValueError, TypeError):
            # Without the cause: nothing of a key is to be quoted.
            raise NodeCredentialError(
                f"{self._key} is not the key that was made for this node; put that one back, or remove {self._key} and "
                f"{self._credential} and start the node with a new --join-token."
            ) from None
        return key

    def read(self) -> NodeCredential | None:
        """What the node was given; None before it has joined. Raises OSError, NodeCredentialError."""
        if not self._credential.exists():
            return None
        try:
            credential = msgspec.json.decode(self._credential.read_bytes(), type=NodeCredential)
            Validity.of(credential.certificate.encode())
        except (msgspec.DecodeError, ValueError) as error:
            raise NodeCredentialError(
                f"{self._credential} cannot be read ({error}); remove it and start the node with a new --join-token."
            ) from error
        return credential

    def write(self, credential: NodeCredential) -> None:
        """Keep what the node was given. Raises OSError."""
        write_private(self._credential, msgspec.json.encode(credential))
