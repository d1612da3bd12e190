"""The node of this machine: Envoy with all that runs beside it, under a controller here or elsewhere. It knows no
database."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final, Self

import structlog

from equipoise.app.parts import MayFail, Part, begin
from equipoise.backends.envoy.backend import EnvoyBackend
from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.backends.envoy.xds.server import AdsServer
from equipoise.certificates.vault import Vault
from equipoise.data_directory import DataDirectory
from equipoise.metrics.page import MetricsPage
from equipoise.node import limits as limits_of_machine
from equipoise.node.admin import EnvoyAdmin
from equipoise.node.agent import Agent, Connect
from equipoise.node.bandwidth import BandwidthEnforcer
from equipoise.node.cutting import EnvoyCutter
from equipoise.node.draining import Draining
from equipoise.node.files import DataPlaneFiles
from equipoise.node.last_good import LastGood
from equipoise.node.packets import PacketCounter
from equipoise.node.probes.udp_health import UdpHealthChecker
from equipoise.node.standby import Standby
from equipoise.node.supervisor import EnvoyOptions, EnvoySupervisor
from equipoise.node.telemetry.health import HealthObserver
from equipoise.node.telemetry.served import Served
from equipoise.node.telemetry.traffic import OnLook, TrafficObserver
from equipoise.settings.table import Settings

_log = structlog.get_logger("equipoise.node")

NODE_ID: Final = "local"
"""What Envoy is called on its own stream, and the node of a service that is alone with its database."""


class Node:
    """Envoy on this machine, and what runs beside it. It serves from `running` on.

    Args:
        vault: what seals the private keys that are kept for the standby.
        standby: what serves in place of this process once it has ended.
        envoy: watches the Envoy that is to serve, already chosen.
        files: where the files of that Envoy lie.
    """

    def __init__(
        self,
        directory: DataDirectory,
        settings: Settings,
        vault: Vault,
        standby: Standby,
        envoy: EnvoySupervisor,
        files: DataPlaneFiles,
    ) -> None:
        self._vault = vault
        self._envoy = envoy
        self._standby = standby
        self._files = files
        self._leaves_traffic = False
        self._last_good = LastGood(files.last_good)
        self._interval = settings.monitor.interval
        self._limits = BandwidthEnforcer(directory.instance, enabled=settings.bandwidth.enforcement == "auto")
        self._packets = PacketCounter(directory.instance, enabled=settings.monitor.packets == "auto")
        self._cutter = EnvoyCutter(lambda: envoy.pids)
        self._may_fail: tuple[MayFail, ...] = ()
        self.page = MetricsPage(NODE_ID, lambda: envoy.pid, lambda: envoy.shortages)
        self._backend = EnvoyBackend(AdsServer(files.xds_socket, lambda: envoy.pids, self._keep, self.page.stream))

    @classmethod
    async def open(cls, directory: DataDirectory, settings: Settings, vault: Vault, key_file: Path) -> Self:
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
        return cls(directory, settings, vault, Standby(chosen, key_file), envoy, files)

    def leave_traffic(self) -> None:
        """Let Envoy go on when `running` ends, with the standby beside it; the next service takes both over."""
        self._leaves_traffic = True

    async def failed(self) -> None:
        """Return only by raising: a defect in a part that is running."""
        async with asyncio.TaskGroup() as together:
            for part in self._may_fail:
                together.create_task(part.failed())

    @asynccontextmanager
    async def running(self, connect: Connect, on_look: OnLook) -> AsyncIterator[None]:
        """Run it, under a controller.

        Args:
            on_look: told of each look at the traffic.

        Raises:
            OSError, EnvoyNotRunningError: Envoy cannot be started.
        """
        async with AsyncExitStack() as parts:
            parts.callback(self._last_good.close)
            # As late as may be: until here a standby that a killed service left looks after Envoy.
            await self._standby.start()
            try:
                await begin(parts, self._limits)
                agent, observed = self._agent(connect, on_look)
                await begin(parts, agent)
                await self._backend.start(agent)
                parts.push_async_callback(self._backend.stop)
                for each in limits_of_machine.low(limits_of_machine.limits()):
                    _log.warning("low_limit", **asdict(each))
                await self._envoy.start()
                parts.push_async_callback(self._let_go_of_envoy)
                self._tell_whether_connections_can_be_cut()
                async with AsyncExitStack() as observers:
                    observers.push_async_callback(self._let_go_of_packets)
                    await self._packets.start()
                    await begin(observers, *observed)
                    yield
            finally:
                # Before the end of Envoy, which it would not let happen.
                await (self._standby.release() if self._leaves_traffic else self._standby.stop())

    def _agent(self, connect: Connect, on_look: OnLook) -> tuple[Agent, tuple[Part, ...]]:
        """The agent, and what runs beside Envoy once that runs."""
        served = Served()
        draining = Draining(self._cutter)
        agent = Agent(
            connect,
            self._backend,
            self._limits,
            draining,
            UdpHealthChecker,
            served,
            keep_only=self._last_good.keep_only,
        )
        admin = EnvoyAdmin(self._files.admin_socket)
        health = HealthObserver(self._files.health_events, admin, agent.members_seen)
        traffic = TrafficObserver(admin, self._packets, served, self._interval, agent.traffic_seen, on_look)
        for seen in (health, traffic):
            agent.when_attached(seen.tell_again)
        self._may_fail = (agent, draining, agent.checks, health, traffic)
        return agent, (draining, agent.checks, health, traffic)

    async def _let_go_of_envoy(self) -> None:
        if self._leaves_traffic:
            await self._envoy.release()
            return
        await self._envoy.stop()
        # After the end of Envoy: no traffic is without its limits.
        await self._limits.remove()

    async def _let_go_of_packets(self) -> None:
        # What is counted while there is no service is read by the next one.
        if not self._leaves_traffic:
            await self._packets.stop()

    def _tell_whether_connections_can_be_cut(self) -> None:
        reason = self._cutter.unavailable_reason()
        if reason is not None:
            _log.warning("connections_not_cut", effect="those of removed members stay", reason=reason)

    def _keep(self, proxy_id: str, in_force: Collection[DesiredResources], gone: Collection[str]) -> None:
        if proxy_id == NODE_ID:
            self._last_good.keep(in_force, gone, self._vault.seal)
