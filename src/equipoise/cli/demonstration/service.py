"""The demo's service: `equipoise up` as a child process, and the certain end of it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from equipoise.app.node import NODE_ID
from equipoise.cli.demonstration.addresses import Addresses
from equipoise.cli.demonstration.failure import DemoFailed
from equipoise.identity.credentials import FILE_NAME
from equipoise.node.files import DataPlaneFiles
from equipoise.node.standby import end_standby
from equipoise.node.supervisor import EnvoyNotRunningError, EnvoyOptions, EnvoySupervisor
from equipoise.settings.load import ENVIRONMENT_PREFIX

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_EVIDENCE_LINES: Final = 12


class ServiceProcess:
    """A running service.

    Attributes:
        url: where its API is, without a slash at the end.
        credentials: the file with which one logs in.
        log: the file with its log.
    """

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.url = ""
        self.log = folder / "service.log"
        self._data = folder / "data"
        self._process = process

    @property
    def credentials(self) -> Path:
        return self._data / FILE_NAME

    async def ended(self) -> DemoFailed:
        """Wait for its end, which nobody asked for; returns how it ended."""
        status = await self._process.wait()
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return DemoFailed(
            f"The service ended {how}.",
            "The lines above are the end of its log; run `equipoise up --data-dir FOLDER` to see it start by itself.",
            _end_of(self.log),
        )

    async def _until_ready(self) -> None:
        try:
            async with asyncio.timeout(_START_SECONDS):
                line = await self._first_line()
        except TimeoutError:
            raise DemoFailed(
                f"The service was not ready within {_START_SECONDS:g} s.",
                "The lines above are the end of its log; try again when the machine is less busy.",
                _end_of(self.log),
            ) from None
        if not line.startswith("ready "):
            raise await self.ended()
        self.url = line.split()[1]

    async def _first_line(self) -> str:
        out = self._process.stdout
        return "" if out is None else (await out.readline()).decode()

    async def _stop(self) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._process.returncode != 0:
            await self._end_envoy()

    async def _end_envoy(self) -> None:
        """End the Envoy of a service that was killed, and who looks after it: it goes on serving, as it should
        everywhere but here."""
        if not DataPlaneFiles(self._data).lock.exists():
            return
        await end_standby(self._data)
        supervisor = EnvoySupervisor(EnvoyOptions(self._data, NODE_ID), replaces=False)
        with suppress(EnvoyNotRunningError, OSError):
            await supervisor.start()
        await supervisor.stop()


@asynccontextmanager
async def running_service(folder: Path, addresses: Addresses) -> AsyncIterator[ServiceProcess]:
    """Run a service with all its files in `folder` until the block ends.

    Raises:
        DemoFailed: it does not start.
    """
    with (folder / "service.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from equipoise.cli.main import main; main(prog_name='equipoise')"),
            *("up", "--data-dir", str(folder / "data"), "--listen", "127.0.0.1:0"),
            *("--set", f"addresses.external={addresses.external}"),
            *("--set", f"addresses.internal={addresses.internal}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            # Settings of another service must not reach this one: its database above all.
            env={name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)},
            # Ctrl-C is for the demo, which then ends the service in order.
            start_new_session=True,
        )
    service = ServiceProcess(process, folder)
    try:
        await service._until_ready()
        yield service
    finally:
        await service._stop()


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_EVIDENCE_LINES:])
