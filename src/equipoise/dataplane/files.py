"""Where the files of one data directory's Envoy lie.

Envoy's working directory is `run`, and all paths that it is given are relative to that: a socket address holds
107 bytes, and a data directory may have a longer name.
"""

from dataclasses import dataclass
from pathlib import Path

from equipoise.xds.health_checks import EVENT_FILE

XDS_SOCKET = "xds.sock"
ADMIN_SOCKET = "admin.sock"
PRESSURE = "overload/pressure"
"""In a directory of its own: Envoy is woken by whatever changes beside it."""


@dataclass(frozen=True, slots=True)
class DataPlaneFiles:
    data_directory: Path

    @property
    def run(self) -> Path:
        return self.data_directory / "run"

    @property
    def xds_socket(self) -> Path:
        return self.run / XDS_SOCKET

    @property
    def admin_socket(self) -> Path:
        return self.run / ADMIN_SOCKET

    @property
    def pressure(self) -> Path:
        """What tells Envoy that few file descriptors are left (`equipoise.dataplane.guard`)."""
        return self.run / PRESSURE

    @property
    def health_events(self) -> Path:
        return self.run / EVENT_FILE

    @property
    def pid(self) -> Path:
        return self.run / "envoy.pid"

    @property
    def lock(self) -> Path:
        return self.run / "envoy.lock"

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

    def create(self) -> None:
        """Make the directories. `run` is for the owner alone: whoever reaches its sockets rules the data plane."""
        self.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.run.chmod(0o700)
        self.log.parent.mkdir(exist_ok=True)
