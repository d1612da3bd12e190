"""Tells the operator of services that share a database which settings differ between them.

Such services answer for each other: with other quotas, addresses or time limits the same request would have another
outcome at each of them.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Final

import structlog

from equipoise.store import services
from equipoise.store.database import Database, StoreUnavailable

_log = structlog.get_logger("equipoise.settings")

PERIOD_SECONDS: Final = 30.0
_LEASE: Final = 100_000
"""Milliseconds: three periods and some."""


class SettingsCheck:
    """Runs beside a controller whose database others may use.

    Args:
        service_id: of this service among them.
        settings: those that should be the same everywhere, by name, without secrets.
    """

    def __init__(self, database: Database, service_id: str, settings: Mapping[str, str]) -> None:
        self._database = database
        self._service_id = service_id
        self._settings = settings
        self._told: dict[str, Mapping[str, str]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop."""
        if self._database.is_shared:
            self._task = asyncio.create_task(self._compare_forever(), name="settings-check")

    async def stop(self) -> None:
        """Stop; the others need not compare with this service any more."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._database.write(partial(services.remove, id=self._service_id))
        except StoreUnavailable as error:
            _log.debug("service_not_removed", reason=str(error), effect="it is forgotten later")

    async def compare(self) -> None:
        """Warn of each setting that differs, once for each value of another service. Raises StoreUnavailable."""
        put = partial(services.put, id=self._service_id, settings=self._settings, lease=_LEASE)
        await self._database.write(put, is_news=False)
        now = self._database.now()
        found = await self._database.read(lambda connection: services.others(connection, self._service_id, now))
        for id, theirs in found.items():
            if self._told.get(id) == theirs:
                continue
            self._told[id] = theirs
            # What only one of them knows is of another version.
            for name in sorted(self._settings.keys() & theirs.keys()):
                if self._settings[name] != theirs[name]:
                    _log.warning(
                        "settings_differ",
                        setting=name,
                        here=self._settings[name],
                        there=theirs[name],
                        service_id=id,
                        effect="requests have another outcome at each service; give all the same settings",
                    )

    async def _compare_forever(self) -> None:
        while True:
            try:
                await self.compare()
            except StoreUnavailable as error:
                _log.warning("settings_not_compared", reason=str(error), retry_in=PERIOD_SECONDS)
            await asyncio.sleep(PERIOD_SECONDS)
