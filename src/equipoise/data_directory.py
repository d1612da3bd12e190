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
FORMAT_FILE: Final = "format"

FORMAT: Final = 2
"""Raised when an older version could not use the folder any more. 1, without a file: Envoy always works in `run`."""


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
            DataDirectoryError: it cannot be made or written, another service uses it, or a newer version has.
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
        try:
            self._check_format()
        except DataDirectoryError:
            self.close()
            raise

    def mark(self) -> None:
        """Write down that this version has used the folder. Raises OSError."""
        if self._format() != str(FORMAT):
            draft = self.path / f"{FORMAT_FILE}.new"
            draft.write_text(f"{FORMAT}\n")
            draft.replace(self.path / FORMAT_FILE)

    def _check_format(self) -> None:
        found = self._format()
        if found is not None and not (found.isdecimal() and int(found) <= FORMAT):
            raise DataDirectoryError(
                f"The data directory {self.path} has the format {found!r}, and this version knows none after {FORMAT}: "
                "a newer version has used it. Nothing was changed. Start the newer version again, or restore the "
                "backup from before the upgrade into an empty folder."
            )

    def _format(self) -> str | None:
        try:
            return (self.path / FORMAT_FILE).read_text().strip()
        except FileNotFoundError:
            return None

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
