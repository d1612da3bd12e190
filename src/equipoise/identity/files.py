"""Files that only the service's own user may read, written so that a crash leaves the old or the new content."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700


class IdentityFileError(Exception):
    """A file of the identity cannot be used. The text names the file, the place in it and what must be there."""


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` as one step, with mode 0600; missing folders are made with mode 0700.

    The content is on the disk before the name points to it, and the name is on the disk before this returns.

    Raises:
        OSError: the file could not be written; what was there before still is.
    """
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def append_private(path: Path, content: bytes) -> None:
    """Add to the end of an existing `path`; on the disk when this returns. A crash may leave a part of `content`."""
    with path.open("ab") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that guards read-change-write of `path` between threads and processes; waits for it."""
    # The file itself is replaced at every write, so the lock needs a neighbour that stays.
    lock = path.with_name(f"{path.name}.lock")
    with os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT, PRIVATE_FILE), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
