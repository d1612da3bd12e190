"""The data plane of this machine: Envoy with all that runs beside it."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final, Self

import structlog

from equipoise.app.parts import begin
from equipoise.backends.envoy.backend import EnvoyBackend
from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.backends.envoy.xds.server import AdsServer
from equipoise.certificates.vault import Vault
from equipoise.data_directory import DataDirectory
from equipoise.metrics.page import MetricsPage
from equipoise.node import limits as limits_of_machine
from equipoise.node.admin import EnvoyAdmin
from equipoise.node.bandwidth import BandwidthEnforcer
from equipoise.node.cutting import EnvoyCutter
from equipoise.node.files import DataPlaneFiles
from equipoise.node.last_good import LastGood
from equipoise.node.packets import PacketCounter
from equipoise.node.standby import Standby
from equipoise.node.supervisor import EnvoyOptions, EnvoySupervisor
from equipoise.observe.health import HealthObserver
from equipoise.observe.recorder import HealthRecorder
from equipoise.observe.traffic import TrafficObserver
from equipoise.observe.udp_health import UdpHealthChecker
from equipoise.proxy.backend import NodeObserver
from equipoise.settings.table import Settings
from equipoise.store import members, udp_checks
from equipoise.store.database import Database

_log = structlog.get_logger("equipoise")

NODE_ID: Final = "local"
"""What Envoy is called on its own stream, and the node of a service that is alone with its database."""


class LocalNode:
    """Envoy on this machine, and what runs beside it. It serves from `running` on.

    Args:
        standby: what serves in place of this process once it has ended.
        envoy: watches the Envoy that is to serve, already chosen.
        files: where the files of that Envoy lie.
    """

    def __init__(
        self,
        directory: DataDirectory,
        settings: Settings,
        database: Database,
        vault: Vault,
        standby: Standby,
        envoy: EnvoySupervisor,
        files: DataPlaneFiles,
    ) -> None:
        self._settings = settings
        self._database = database
        self._vault = vault
        self._instance = directory.instance
        self._envoy = envoy
        self._standby = standby
        self._files = files
        self._leaves_traffic = False
        self._last_good = LastGood(files.last_good)
        self._udp_health: UdpHealthChecker | None = None
        self.limits = BandwidthEnforcer(self._instance, enabled=settings.bandwidth.enforcement == "auto")
        self.cutter = EnvoyCutter(lambda: envoy.pids)
        self.page = MetricsPage(NODE_ID, lambda: envoy.pid, lambda: envoy.shortages)
        self._stream = AdsServer(files.xds_socket, lambda: envoy.pids, self._keep, self.page.stream)
        # Services that share a database tell their nodes apart.
        self.node_id = self._instance if database.is_shared else NODE_ID
        self.backend = EnvoyBackend(self._stream, self.node_id)

    @classmethod
    async def open(
        cls, directory: DataDirectory, settings: Settings, database: Database, vault: Vault, key_file: Path
    ) -> Self:
        """Find out which Envoy is to serve: the one that runs, or another one in its place.

        Args:
            key_file: what opens the private keys that are stored, for the standby.
        """
        chosen = EnvoyOptions(
            directory.path,
            NODE_ID,
            settings.envoy.concurrency or None,
            tcp_keepalive=settings.envoy.tcp_keepalive,
            drain_time=settings.envoy.drain_time,
        )
        envoy = EnvoySupervisor(chosen)
        files = await envoy.choose()
        return cls(directory, settings, database, vault, Standby(chosen, key_file), envoy, files)

    def leave_traffic(self) -> None:
        """Let Envoy go on when `running` ends, with the standby beside it; the next service takes both over."""
        self._leaves_traffic = True

    async def failed(self) -> None:
        """Return only by raising: a defect in a part that is running."""
        if self._udp_health is not None:
            await self._udp_health.failed()

    @asynccontextmanager
    async def running(self, observer: NodeObserver, load_balancer_ids: Sequence[str]) -> AsyncIterator[None]:
        """Run it, and tell the observer how far it has come.

        Args:
            load_balancer_ids: all that exist; of others nothing is kept for the standby.

        Raises:
            OSError, EnvoyNotRunningError: Envoy cannot be started.
        """
        async with AsyncExitStack() as parts:
            parts.callback(self._last_good.close)
            self._last_good.keep_only(set(load_balancer_ids))
            # As late as may be: until here a standby that a killed service left looks after Envoy.
            await self._standby.start()
            try:
                await self._stream.start(self.backend.told_to(observer))
                parts.push_async_callback(self._stream.stop)
                for each in limits_of_machine.low(limits_of_machine.limits()):
                    _log.warning("low_limit", **asdict(each))
                await self._envoy.start()
                parts.push_async_callback(self._let_go_of_envoy)
                self._tell_whether_connections_can_be_cut()
                async with AsyncExitStack() as observers:
                    await self._observe(observers)
                    yield
            finally:
                # Before the end of Envoy, which it would not let happen.
                await (self._standby.release() if self._leaves_traffic else self._standby.stop())

    async def _let_go_of_envoy(self) -> None:
        if self._leaves_traffic:
            await self._envoy.release()
            return
        await self._envoy.stop()
        # After the end of Envoy: no traffic is without its limits.
        await self.limits.remove()

    async def _observe(self, parts: AsyncExitStack) -> None:
        admin = EnvoyAdmin(self._files.admin_socket)
        recorder = HealthRecorder(self._database, members.observe_health)
        health = HealthObserver(self._files.health_events, admin, recorder.record)
        udp_recorder = HealthRecorder(self._database, udp_checks.observe)
        self._udp_health = UdpHealthChecker(self._database, udp_recorder.record)
        packets = PacketCounter(self._instance, enabled=self._settings.monitor.packets == "auto")
        traffic = TrafficObserver(
            self._database, admin, packets, self.node_id, self._settings.monitor.interval, self.page.traffic.take
        )
        await begin(parts, recorder, health, udp_recorder, self._udp_health)
        parts.push_async_callback(self._let_go_of, packets)
        await packets.start()
        await begin(parts, traffic)

    async def _let_go_of(self, packets: PacketCounter) -> None:
        # What is counted while there is no service is read by the next one.
        if not self._leaves_traffic:
            await packets.stop()

    def _tell_whether_connections_can_be_cut(self) -> None:
        reason = self.cutter.unavailable_reason()
        if reason is not None:
            _log.warning("connections_not_cut", effect="those of removed members stay", reason=reason)

    def _keep(self, node_id: str, in_force: Collection[DesiredResources], gone: Collection[str]) -> None:
        if node_id == NODE_ID:
            self._last_good.keep(in_force, gone, self._vault.seal)
