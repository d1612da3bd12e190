"""A running service: a real process with addresses of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from equipoise.data_directory import DataDirectory
from stand.addresses import unused_network
from stand.waiting import PATIENCE, eventually

COMMAND = Path(sys.executable).with_name("equipoise")


class Service:
    """`equipoise up` as a process; `through` is a command that runs it, with other rights for example."""

    program: Sequence[str | Path] = (COMMAND,)
    host = "127.0.0.1"

    def __init__(self, data_dir: Path, *settings: str, through: Sequence[str] = ()) -> None:
        self.data_dir = data_dir
        self.program = (*through, *self.program)
        self.external, self.internal = unused_network(), unused_network()
        # A machine that stands still for a moment does not make a listener one that is not in force yet.
        wait = f"api.sync_wait={PATIENCE / 2:g}"
        self.settings = [f"addresses.external={self.external}", f"addresses.internal={self.internal}", wait, *settings]
        self.port = 0
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> "Service":
        """Start and wait until it serves. The port stays the same from the second start on."""
        self.begin()
        line = self._out.readline()
        if not line.startswith("ready "):
            raise AssertionError(f"no ready line but {line!r}; the log says:\n{self.log()}")
        self.note_ready(*line.split()[1:])
        return self

    def begin(self) -> None:
        """Start, and do not wait."""
        options = [option for setting in self.settings for option in ("--set", setting)]
        log = (self.data_dir.parent / f"{self.data_dir.name}.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*self.program, *self.arguments(), "--data-dir", self.data_dir, *options],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def arguments(self) -> Sequence[str]:
        """What it is told beside its data directory and its settings."""
        return ["up", "--listen", f"{self.host}:{self.port}"]

    def note_ready(self, url: str) -> None:
        """Note what it says when it is ready."""
        self.url = url
        self.port = int(self.url.rpartition(":")[2])

    def inside(self) -> AbstractContextManager[None]:
        """Where the addresses of its load balancers are: here, unless it has a network of its own."""
        return nullcontext()

    @property
    def _out(self) -> Any:
        assert self._process is not None
        return self._process.stdout

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        assert self._process is not None
        return self._process.poll() is None

    @property
    def envoy_pid(self) -> int:
        # Written in two steps: for a moment the file is empty.
        return int(eventually((self.data_dir / "run" / "envoy.pid").read_text))

    @property
    def standby_pid(self) -> int:
        return int(eventually((self.data_dir / "run" / "standby.pid").read_text))

    def log(self) -> str:
        return (self.data_dir.parent / f"{self.data_dir.name}.log").read_text()

    def log_events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in whole_lines(self.log()) if line.startswith("{")]

    def credentials(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.data_dir / "credentials.json").read_text())
        return found

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end; returns the exit status, negative for a signal."""
        assert self._process is not None
        status = self._process.wait(PATIENCE)
        self._out.close()
        return status

    def kill(self) -> None:
        """kill -9: the service alone, not what it started."""
        self.signal(signal.SIGKILL)
        self.wait()

    def kill_all(self) -> None:
        """kill -9 of the service, its standby and its Envoy: nobody is left who would start Envoy again."""
        self.kill()
        self._kill_what_is_left()

    def stop(self) -> None:
        """End it whatever state it is in, its standby and its Envoy."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
            self.wait()
        else:
            self._out.close()
        self._kill_what_is_left()
        self._remove_tables()

    def _kill_what_is_left(self) -> None:
        # The standby first, which would start Envoy again.
        for name in ("standby.pid", "envoy.pid"):
            file = self.data_dir / "run" / name
            if file.exists() and process_is_there(pid := int(file.read_text())):
                # It may come to its end by itself at this moment.
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _remove_tables(self) -> None:
        """Take away what a killed service left in the kernel: here nobody starts it again."""
        command = shutil.which("nft", path=f"{os.defpath}:/usr/sbin:/sbin")
        if command is not None and self.data_dir.exists():
            limits = f"equipoise_{DataDirectory(self.data_dir).instance}"
            for table in (limits, f"{limits}_packets"):
                with self.inside():
                    subprocess.run([command, "delete", "table", "ip", table], stderr=subprocess.DEVNULL)


@contextmanager
def running_service(data_dir: Path, *settings: str, through: Sequence[str] = ()) -> Iterator[Service]:
    service = Service(data_dir, *settings, through=through)
    try:
        yield service.start()
    finally:
        service.stop()


def whole_lines(text: str) -> list[str]:
    """The lines of what somebody is just writing: the last one may have no end yet."""
    return text[: text.rfind("\n") + 1].splitlines()


def process_is_there(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        # The second is said of one that goes after its file was opened.
        return False
