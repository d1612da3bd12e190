"""The services under test: each has a clock that can be moved, and where there are several a network of its own."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from stand import Service
from stand.namespaces import Namespace
from tests.chaos import clocked
from tests.chaos.clocked import write_offset


class ClockedService(Service):
    """`equipoise up` as a process that reads its clock by way of `tests.chaos.clocked`.

    Args:
        clock: the file that moves its clock.
        network: where it runs; by default here.
    """

    def __init__(self, clock: Path, data_dir: Path, *settings: str, network: Namespace | None = None) -> None:
        super().__init__(data_dir, *settings)
        self.name = data_dir.name
        self.clock = clock
        self.network = network
        through = () if network is None else network.through
        self.program = (*through, sys.executable, clocked.__file__, str(clock))
        if network is not None:
            self.host = network.address
        write_offset(clock, 0.0)

    def inside(self) -> AbstractContextManager[None]:
        return nullcontext() if self.network is None else self.network.inside()
