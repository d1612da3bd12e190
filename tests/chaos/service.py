"""The service under test, with a clock that can be moved."""

import sys
from pathlib import Path

from stand import Service
from tests.chaos import clocked


class ClockedService(Service):
    """`equipoise up` as a process that reads its clock by way of `tests.chaos.clocked`."""

    def __init__(self, clock: Path, data_dir: Path, *settings: str) -> None:
        super().__init__(data_dir, *settings)
        self.program = (sys.executable, clocked.__file__, str(clock))
