"""Where the files of one data directory's Envoys lie.

Each Envoy works in a directory of its own, its home, and all paths that it is given are relative to that: a socket
address holds 107 bytes, and a data directory may have a longer name. The first one's is `run`. One that takes the place
of another gets `run-2` or the next number that is free, since for a while both are there.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from equipoise.backends.envoy.build.health_checks import EVENT_FILE

XDS_SOCKET = "xds.sock"
ADMIN_SOCKET = "admin.sock"
PRESSURE = "overload/pressure"
"""In a directory of its own: Envoy is woken by whatever changes beside it."""

FIRST: Final = 1


@dataclass(frozen=True, slots=True)
class DataPlaneFiles:
    """`number`, from 1 up, says whose home is meant. What is not in `home` is common to all."""

    data_directory: Path
    number: int = FIRST

    @property
    def run(self) -> Path:
        """What service, standby and every Envoy have in common, and the home of the first Envoy."""
        return self.data_directory / "run"

    @property
    def home(self) -> Path:
        """The working directory of this Envoy."""
        return self.run if self.number == FIRST else self.data_directory / f"run-{self.number}"

    @property
    def xds_socket(self) -> Path:
        return self.home / XDS_SOCKET

    @property
    def admin_socket(self) -> Path:
        return self.home / ADMIN_SOCKET

    @property
    def pressure(self) -> Path:
        """What tells Envoy that few file descriptors are left (`equipoise.node.guard`)."""
        return self.home / PRESSURE

    @property
    def health_events(self) -> Path:
        return self.home / EVENT_FILE

    @property
    def lock(self) -> Path:
        """Held by the Envoy that works here for as long as it lives."""
        return self.home / "envoy.lock"

    @property
    def draining(self) -> Path:
        """There while this Envoy drains: its process id, and until when (`equipoise.node.retirement`)."""
        return self.home / "draining"

    @property
    def current(self) -> Path:
        """The number of the Envoy that takes in new connections; without it, the first one."""
        return self.run / "current"

    @property
    def pid(self) -> Path:
        """The process id of the Envoy that takes in new connections."""
        return self.run / "envoy.pid"

    @property
    def last_good(self) -> Path:
        """What Envoy has in force, for a new Envoy while there is no service."""
        return self.run / "last-good.db"

    @property
    def standby_pid(self) -> Path:
        return self.run / "standby.pid"

    @property
    def standby_lock(self) -> Path:
        return self.run / "standby.lock"

    @property
    def standby_log(self) -> Path:
        return self.data_directory / "log" / "standby.log"

    @property
    def log(self) -> Path:
        return self.data_directory / "log" / "envoy.log"

    def of(self, number: int) -> Self:
        """The same for another Envoy of this data directory."""
        return replace(self, number=number)

    def homes(self) -> Iterator[Self]:
        """Those whose home is there."""
        if self.run.is_dir():
            yield self.of(FIRST)
        for home in self.data_directory.glob("run-*"):
            number = home.name.removeprefix("run-")
            if number.isdecimal():
                yield self.of(int(number))

    def remove_home(self) -> None:
        """Take away the home of an Envoy that is gone; the first one's is needed for more than that. Raises OSError."""
        if self.number != FIRST:
            shutil.rmtree(self.home)

    def create(self) -> None:
        """Make the directories. Homes are for the owner alone: whoever reaches their sockets rules the data plane."""
        for directory in (self.run, self.home):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
        self.log.parent.mkdir(exist_ok=True)
