"""The `equipoise` command with a clock that a test can move while it runs.

The first argument names a file that holds an offset in seconds, 8 bytes as `struct` packs a double; it is added at
every look at the clock. The monotonic clock stays as it is, as when an administrator sets the time of a machine.
"""

import mmap
import sys
import time
from pathlib import Path
from struct import Struct

OFFSET = Struct("d")


def write_offset(path: Path, seconds: float) -> None:
    """Move the clock of the process that was started with `path`; of one to come, too."""
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(OFFSET.pack(seconds))


def main() -> None:
    path = Path(sys.argv.pop(1))
    with path.open("rb") as file:
        shared = mmap.mmap(file.fileno(), OFFSET.size, prot=mmap.PROT_READ)
    true_time = time.time
    time.time = lambda: true_time() + OFFSET.unpack_from(shared)[0]
    # After the clock was replaced: modules take the function over when they are imported.
    from equipoise.cli.main import main as equipoise

    equipoise()


if __name__ == "__main__":
    main()
