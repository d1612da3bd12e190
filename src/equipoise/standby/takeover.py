"""What the standby does while there is no service: Envoy and a control stream in its place. When, is in `standby`."""

import asyncio
import os
import signal
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from equipoise.backends.envoy.xds.server import AdsServer
from equipoise.logs import configure_logs
from equipoise.node.files import DataPlaneFiles
from equipoise.node.last_good import LastGood
from equipoise.node.standby import StandbySettings
from equipoise.node.supervisor import EnvoyNotRunningError, EnvoySupervisor

if TYPE_CHECKING:
    from equipoise.certificates.vault import Vault

log = structlog.get_logger("equipoise.standby")

_LOOK_SECONDS: Final = 2.0


def take_over(given: str) -> None:
    """Stand in for a service that is gone, until asked to end. `given` are `StandbySettings` as JSON."""
    configure_logs("json", "info")
    asyncio.run(_until_asked(StandbySettings.from_json(given)))


async def _until_asked(settings: StandbySettings) -> None:
    asked_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_end.set)
    await Takeover(settings).run(asked_to_end)


class Takeover:
    """Envoy and a control stream in place of the service."""

    def __init__(self, settings: StandbySettings) -> None:
        self._settings = settings
        self._files = DataPlaneFiles(settings.envoy.data_directory)
        # One that lives is as it was wanted, whatever this code, which an upgrade may have replaced, would start.
        self._envoy = EnvoySupervisor(settings.envoy, self._tell, replaces=False)
        self._vault: Vault | None = None
        self._has_told = False

    async def run(self, asked_to_end: asyncio.Event) -> None:
        """Stand in until the event is set; then let go of Envoy. Ends with Envoy if the data directory is removed."""
        log.info("standby_took_over", service=self._settings.service)
        folder = self._files.run.stat()
        files = await self._envoy.choose()
        self._ads = AdsServer(files.xds_socket, lambda: self._envoy.pids)
        await self._ads.start()
        is_held = False
        while not asked_to_end.is_set():
            is_held = is_held or await self._hold()
            with suppress(TimeoutError):
                await asyncio.wait_for(asked_to_end.wait(), _LOOK_SECONDS)
            if not self._is_there(folder):
                log.warning("data_directory_gone", effect="Envoy is ended")
                await self._envoy.stop()
                break
        await self._ads.stop()
        await self._envoy.release()
        log.info("standby_let_go")

    async def _hold(self) -> bool:
        """Take Envoy over or start one; False if that could not be done now."""
        try:
            await self._envoy.start()
        except (OSError, EnvoyNotRunningError) as error:
            log.error("envoy_not_started", reason=str(error), retry_in=_LOOK_SECONDS)
            return False
        return True

    def _tell(self) -> None:
        """An Envoy was started, which knows nothing: from now on the stream says what was last in force."""
        if self._has_told:
            return
        self._has_told = True
        try:
            stored = LastGood(self._files.last_good)
            desired = list(stored.load(self._unseal))
            stored.close()
        except (OSError, sqlite3.Error) as error:
            log.error("last_good_configuration_unreadable", reason=str(error), effect="Envoy serves nothing")
            return
        self._ads.publish(desired)
        self._ads.ready()
        log.info("last_good_configuration_published", load_balancers=len(desired))

    def _unseal(self, sealed: str) -> str | None:
        # Not before: most have no private keys, and each module makes the time longer until Envoy is looked after.
        from cryptography.fernet import InvalidToken

        from equipoise.certificates.vault import Vault

        try:
            self._vault = self._vault or Vault(self._settings.key_file.read_bytes().strip())
            return self._vault.unseal(sealed)
        except (OSError, ValueError, InvalidToken) as error:
            log.error("private_key_not_opened", reason=type(error).__name__, effect="its listener does not serve")
            return None

    def _is_there(self, folder: os.stat_result) -> bool:
        try:
            return os.path.samestat(self._files.run.stat(), folder)
        except OSError:
            return False
