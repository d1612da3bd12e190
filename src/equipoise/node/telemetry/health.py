"""Follows the health of members: changes from the file to which Envoy logs them, the level from its admin socket.

What is made of it is the callback's business. The level is read at the start, after every emptying of the file and
when asked to tell again; between these the file alone tells.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from equipoise.node.admin import AdminUnavailableError, EnvoyAdmin
from equipoise.node.telemetry.health_reading import from_clusters, from_events
from equipoise.proxy.link import Member

log = structlog.get_logger("equipoise.health")

_LOOK_SECONDS = 0.1
_LONGEST_BYTES = 4 * 1024 * 1024

OnHealth = Callable[[Mapping[Member, bool]], None]


class HealthObserver:
    """Calls `on_health` on the event loop with what is known of members, by pool id and address.

    It may repeat what was said before; the last word counts. Members of listeners without a health check are
    reported healthy by the level and never by a change.
    """

    def __init__(self, events: Path, admin: EnvoyAdmin, on_health: OnHealth) -> None:
        self._events = events
        self._admin = admin
        self._on_health = on_health
        self._following: asyncio.Task[None] | None = None
        self._offset = 0
        self._partial = b""
        self._owes_level = False
        self._is_silent = False

    async def start(self) -> None:
        """Begin to follow, from the level on; Envoy need not run yet."""
        # What the file tells of the time before is contained in the level.
        self._offset = self._size()
        await self.resync()
        self._following = asyncio.create_task(self._follow(), name="health")

    async def failed(self) -> None:
        """Return only by raising: what ended the following. Nothing does but a defect."""
        if self._following is not None:
            await asyncio.shield(self._following)

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    def tell_again(self) -> None:
        """Whoever is told knows nothing any more: report the level soon."""
        self._owes_level = True

    async def resync(self) -> None:
        """Report the level, once Envoy tells it: one that is not there, or too busy, is asked again."""
        try:
            health = from_clusters(await self._admin.read("/clusters"))
        except AdminUnavailableError as error:
            if not self._is_silent:
                log.info("health_level_unknown", reason=str(error), effect="Envoy is asked again")
            self._is_silent = self._owes_level = True
            return
        self._is_silent = self._owes_level = False
        if health:
            self._on_health(health)

    async def _follow(self) -> None:
        while True:
            # Envoy writes in the same rhythm; a look is one stat call.
            await asyncio.sleep(_LOOK_SECONDS)
            if self._owes_level:
                await self.resync()
            size = self._size()
            if size < self._offset:
                await self._begin_again()
            elif size > self._offset:
                self._read()
            if self._offset > _LONGEST_BYTES:
                self._empty()
                await self._begin_again()

    def _read(self) -> None:
        with self._events.open("rb") as file:
            file.seek(self._offset)
            added = file.read()
        self._offset += len(added)
        *lines, self._partial = (self._partial + added).split(b"\n")
        health = from_events(line.decode(errors="replace") for line in lines)
        if health:
            self._on_health(health)

    def _empty(self) -> None:
        # Envoy appends, so that it goes on at the new end.
        os.truncate(self._events, 0)

    async def _begin_again(self) -> None:
        """Start over with an emptied file; what was written to it unseen is contained in the level."""
        self._offset = 0
        self._partial = b""
        await self.resync()

    def _size(self) -> int:
        try:
            return self._events.stat().st_size
        except FileNotFoundError:
            return 0
