"""Files that only the service's own user may read, written so that a crash leaves the old or the new content."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` as one step, with mode 0600; missing folders are made with mode 0700.

    The content is on the disk before the name points to it, and the name is on the disk before this returns.

    Raises:
        OSError: the file could not be written; what was there before still is.
    """
    with _written(path, content) as temporary:
        temporary.replace(path)


def make_private(path: Path, content: bytes) -> None:
    """The same, unless there is such a file: then that one stays, whoever made it meanwhile. Raises OSError."""
    with _written(path, content) as temporary, suppress(FileExistsError):
        path.hardlink_to(temporary)


@contextmanager
def _written(path: Path, content: bytes) -> Iterator[Path]:
    """A file beside `path` with that content, for the time of the block; then the names in the folder are durable."""
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
