"""The folder below which a service keeps everything. It belongs to one running service at a time."""

import fcntl
import os
from hashlib import blake2b
from pathlib import Path
from typing import Final
from uuid import uuid4

LOCK_FILE: Final = "service.lock"
DATABASE_FILE: Final = "equipoise.db"
INSTANCE_FILE: Final = "instance"


class DataDirectoryError(Exception):
    """The folder cannot be used; the message says why, and what to do."""


class DataDirectory:
    """Opens the folder for one service.

    The lock is held by the process and ends with it, however it ends; the file itself says nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / DATABASE_FILE

    @property
    def instance(self) -> str:
        """16 hexadecimal characters: what this service calls things that it makes outside the folder.

        It stays the same from start to start, so that what a killed service left is found again; it differs for a
        copy of the folder and for a folder of the same path in another container. Must be asked for while open.
        """
        file = self.path / INSTANCE_FILE
        if not file.exists():
            draft = file.with_suffix(".new")
            draft.write_text(f"{uuid4().hex}\n")
            draft.replace(file)
        return blake2b(f"{file.read_text()}{self.path}".encode(), digest_size=8).hexdigest()

    def open(self) -> None:
        """Make the folder where it is missing, for its owner alone, and take its lock.

        Raises:
            DataDirectoryError: it cannot be made or written, or another service uses it.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirectoryError(f"The data directory {self.path} cannot be used: {error.strerror}.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise DataDirectoryError(
                f"Another service uses the data directory {self.path}; stop that one, or choose another --data-dir."
            ) from None

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
