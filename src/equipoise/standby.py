"""The stand-in: `python -m equipoise.standby SETTINGS`. Looks after Envoy while there is no service, and only then.

The service starts it beside Envoy (`equipoise.dataplane.standby`). It sleeps until the process of the service is gone
without having ended it, then keeps Envoy running as the service did. To an Envoy that it had to start it hands what was
last in force (`equipoise.dataplane.last_good`), over the control stream that the service would have opened. One that
lives is told nothing: it may know more than was stored. The next service ends the stand-in, which then leaves Envoy
and the traffic as they are.

While it sleeps nothing but the standard library is loaded, which keeps it at a few MiB.
"""

import asyncio
import os
import select
import signal
import sqlite3
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from equipoise.certificates.vault import Vault
    from equipoise.dataplane.standby import StandbySettings

_LOOK_SECONDS = 2.0


def main() -> int:
    """Sleep until the service is gone, then stand in for it until asked to end."""
    # Until the service is gone there is nothing that has to be put in order at the end.
    import json

    given = sys.argv[1]
    _await_end(json.loads(given)["service"])
    from equipoise.logs import configure_logs

    configure_logs("json", "info")
    asyncio.run(_stand_in(given))
    return 0


def _await_end(pid: int) -> None:
    """Return when the process that started us is gone; at once if it is gone already."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # If it is gone, the number may be another's by now.
        if os.getppid() == pid:
            select.select([process], [], [])
    finally:
        os.close(process)


async def _stand_in(given: str) -> None:
    from equipoise.dataplane.standby import StandbySettings

    asked_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_end.set)
    await StandIn(StandbySettings.from_json(given)).run(asked_to_end)


class StandIn:
    """Envoy and a control stream in place of the service."""

    def __init__(self, settings: "StandbySettings") -> None:
        import structlog

        from equipoise.dataplane.envoy import EnvoySupervisor
        from equipoise.dataplane.files import DataPlaneFiles
        from equipoise.xds.server import AdsServer

        self._log = structlog.get_logger("equipoise.standby")
        self._settings = settings
        self._files = DataPlaneFiles(settings.envoy.data_directory)
        self._envoy = EnvoySupervisor(settings.envoy, self._tell)
        self._ads = AdsServer(self._files.xds_socket, _Silent(), lambda: self._envoy.pid)
        self._vault: Vault | None = None
        self._has_told = False

    async def run(self, asked_to_end: asyncio.Event) -> None:
        """Stand in until the event is set; then let go of Envoy. Ends with Envoy if the data directory is removed."""
        self._log.info("standing in", service=self._settings.service)
        place = self._files.run.stat()
        await self._ads.start()
        is_held = False
        while not asked_to_end.is_set():
            is_held = is_held or await self._hold()
            with suppress(TimeoutError):
                await asyncio.wait_for(asked_to_end.wait(), _LOOK_SECONDS)
            if not self._is_there(place):
                self._log.warning("the data directory is gone", effect="Envoy is ended")
                await self._envoy.stop()
                break
        await self._ads.stop()
        await self._envoy.release()
        self._log.info("stood in no longer")

    async def _hold(self) -> bool:
        """Take Envoy over or start one; False if that could not be done now."""
        from equipoise.dataplane.envoy import EnvoyNotRunningError

        try:
            await self._envoy.start()
        except (OSError, EnvoyNotRunningError) as error:
            self._log.error("envoy_not_started", reason=str(error), retry_in=_LOOK_SECONDS)
            return False
        return True

    def _tell(self) -> None:
        """An Envoy was started, which knows nothing: from now on the stream says what was last in force."""
        if self._has_told:
            return
        self._has_told = True
        from equipoise.dataplane.last_good import LastGood

        try:
            stored = LastGood(self._files.last_good)
            desired = list(stored.load(self._unseal))
            stored.close()
        except (OSError, sqlite3.Error) as error:
            self._log.error("what was last in force cannot be read", reason=str(error), effect="Envoy serves nothing")
            return
        self._ads.publish(desired)
        self._ads.ready()
        self._log.info("told what was last in force", load_balancers=len(desired))

    def _unseal(self, sealed: str) -> str | None:
        from cryptography.fernet import InvalidToken

        from equipoise.certificates.vault import Vault

        try:
            self._vault = self._vault or Vault(self._settings.key_file.read_bytes().strip())
            return self._vault.unseal(sealed)
        except (OSError, ValueError, InvalidToken) as error:
            self._log.error("private key not opened", reason=type(error).__name__, effect="its listener does not serve")
            return None

    def _is_there(self, place: os.stat_result) -> bool:
        try:
            return os.path.samestat(self._files.run.stat(), place)
        except OSError:
            return False


class _Silent:
    """Whoever would hear of the node is not there (`equipoise.xds.observer.NodeObserver`)."""

    def node_connected(self, node_id: str) -> None: ...

    def node_disconnected(self, node_id: str) -> None: ...

    def confirmed(self, node_id: str, generations: object) -> None: ...

    def refused(self, node_id: str, refusals: object) -> None: ...


if __name__ == "__main__":
    sys.exit(main())
