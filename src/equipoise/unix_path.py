"""Unix sockets below directories with long names: a socket address holds 107 bytes, a data directory may not fit."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Yield another name of `path`, valid within the block and short enough to bind or connect to.

    It goes through the open directory, so that the working directory of the process is left alone. Raises OSError
    if the directory does not exist.
    """
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
