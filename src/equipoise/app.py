"""The composition root: builds every part of the service from its settings, starts them in order, ends them in reverse.

Nothing is decided here; whoever wants to know what the parts are reads this module.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final, Self

import msgspec
import structlog
from starlette.types import ASGIApp

from equipoise.api.classic.errors import render
from equipoise.api.classic.handlers.certificates import Certificates
from equipoise.api.classic.handlers.elastic_ips import ElasticIps
from equipoise.api.classic.handlers.health_checks import HealthChecks
from equipoise.api.classic.handlers.jobs import Jobs
from equipoise.api.classic.handlers.listeners import Listeners
from equipoise.api.classic.handlers.load_balancers import LoadBalancers
from equipoise.api.classic.handlers.members import Members
from equipoise.api.classic.handlers.monitor import Monitor
from equipoise.api.classic.handlers.networks import Networks
from equipoise.api.classic.handlers.quotas import Quotas as QuotaHandlers
from equipoise.api.classic.handlers.webhooks import Webhooks
from equipoise.api.classic.wire import jobs as job_wire
from equipoise.api.common.about import About
from equipoise.api.common.description import Description
from equipoise.api.common.metrics import Access, Metrics
from equipoise.api.context import ApiContext
from equipoise.api.keystone.built_in import BuiltInIdentity
from equipoise.api.keystone.external import ExternalIdentity
from equipoise.api.service import BacklogLimits, Service
from equipoise.certificates.vault import KEY_FILE, Vault
from equipoise.controller.compile import ProxySettings
from equipoise.controller.controller import Controller
from equipoise.controller.draining import Draining
from equipoise.controller.retention import Retention
from equipoise.controller.slow_start import SlowStart
from equipoise.data_directory import DataDirectory
from equipoise.dataplane import limits as limits_of_machine
from equipoise.dataplane.admin import EnvoyAdmin
from equipoise.dataplane.bandwidth import BandwidthEnforcer
from equipoise.dataplane.cutting import EnvoyCutter
from equipoise.dataplane.envoy import EnvoySettings, EnvoySupervisor
from equipoise.dataplane.files import DataPlaneFiles
from equipoise.dataplane.last_good import LastGood
from equipoise.dataplane.packets import PacketCounter
from equipoise.dataplane.standby import Standby
from equipoise.domain.jobs import Job
from equipoise.domain.model import EXTERNAL, INTERNAL
from equipoise.domain.quotas import Quotas
from equipoise.http.gateway import GatewayOnly
from equipoise.http.middleware import RequestBoundary
from equipoise.http.protocol import Limits
from equipoise.http.readiness import Readiness
from equipoise.http.routing import router
from equipoise.http.server import HttpServer
from equipoise.identity import credentials
from equipoise.identity.external import ExternalKeystone
from equipoise.identity.service import Identity
from equipoise.journal import write_transitions
from equipoise.metrics.page import Page
from equipoise.metrics.token import TOKEN_FILE, read_or_make
from equipoise.observe.health import HealthObserver
from equipoise.observe.recorder import HealthRecorder
from equipoise.observe.traffic import TrafficObserver
from equipoise.observe.udp_health import UdpHealthChecker
from equipoise.settings import Quotas as QuotaSettings
from equipoise.settings import Settings
from equipoise.store import certificates, members, migrate, udp_checks, webhooks
from equipoise.store import desired as desired_store
from equipoise.store.backlog import Backlog
from equipoise.store.database import Database, sqlite_url
from equipoise.store.waiting import JobWaiters
from equipoise.usecases.context import Policy
from equipoise.webhooks.delivery import Deliveries
from equipoise.webhooks.targets import Targets
from equipoise.xds.backend import EnvoyBackend
from equipoise.xds.desired import Desired
from equipoise.xds.server import AdsServer

_log = structlog.get_logger("equipoise")

NODE_ID: Final = "local"
"""The one node that this process brings along."""

NODE_PATIENCE: Final = 10.0
"""Seconds to wait until everything is in force again before serving all the same: jobs then wait, and say what for."""

STOP_GRACE: Final = 5.0
"""Seconds in which requests under way may end."""


class Equipoise:
    """The service: API, controller and data plane of one machine.

    Args:
        listen: host and port of the API; port 0 takes any free one.
    """

    def __init__(self, data_directory: Path, listen: tuple[str, int], settings: Settings) -> None:
        self._directory = DataDirectory(data_directory)
        self._listen = listen
        self._settings = settings
        self._leaves_traffic = False

    def leave_traffic(self) -> None:
        """Let the end of the service be none of the traffic: Envoy goes on, with the stand-in beside it, and the next
        service takes both over."""
        self._leaves_traffic = True

    async def __aenter__(self) -> Self:
        """Start everything.

        What a killed predecessor left is taken over: its Envoy with the traffic on it, and every unfinished job.

        Raises:
            DataDirectoryError, IdentityFileError, ListenError, MetricsTokenError, SchemaTooNewError, StoreUnavailable,
                VaultError, OSError: why it cannot start.
        """
        async with AsyncExitStack() as parts:
            await self._start(parts)
            self._parts = parts.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started."""
        await self._parts.aclose()
        _log.info("stopped")

    @property
    def url(self) -> str:
        """Where the API is, without a slash at the end."""
        return self._http.url

    async def failed(self) -> None:
        """Return only by raising: what made a part of the service fail for good."""
        await asyncio.gather(
            self._database.failed(),
            self._controller.failed(),
            self._udp_health.failed(),
            self._deliveries.failed(),
        )

    async def _start(self, parts: AsyncExitStack) -> None:
        settings = self._settings
        self._directory.open()
        parts.callback(self._directory.close)
        readiness = Readiness()
        self._http = HttpServer(
            RequestBoundary(readiness, render),
            *self._listen,
            render=render,
            limits=Limits(request_seconds=settings.http.request_time_limit),
        )
        await self._http.start()
        parts.push_async_callback(self._http.stop, STOP_GRACE)
        DataPlaneFiles(self._directory.path).create()

        url = settings.database.url or sqlite_url(self._directory.database)
        # In a thread: it may wait for a server, and the service has 503 to answer and a signal to hear meanwhile.
        await asyncio.to_thread(migrate.upgrade, url)
        self._directory.mark()
        self._database = database = Database(url)
        database.start()
        parts.push_async_callback(database.stop)
        database.on_commit(write_transitions)

        identity = self._identity(parts)
        key_file = Path(settings.certificates.key_file or self._directory.path / KEY_FILE)
        vault = Vault.open(
            key_file,
            await database.read(certificates.any_sealed) or await database.read(webhooks.any_sealed),
        )
        limits = BandwidthEnforcer(self._directory.instance, enabled=settings.bandwidth.enforcement == "auto")
        await limits.start()
        parts.push_async_callback(limits.stop)
        envoy_settings = EnvoySettings(
            self._directory.path,
            NODE_ID,
            settings.envoy.concurrency or None,
            tcp_keepalive=settings.envoy.tcp_keepalive,
            drain_time=settings.envoy.drain_time,
        )
        envoy = EnvoySupervisor(envoy_settings)
        files = await envoy.choose()
        files.create()
        cutter = EnvoyCutter(lambda: envoy.pids)
        draining = Draining(database, cutter)
        self._controller = Controller(
            database,
            settings.jobs.time_limit,
            vault.unseal,
            draining,
            limits,
            SlowStart(settings.members.slow_start),
            ProxySettings(settings.envoy.tcp_keepalive, settings.access_log.listeners.names),
        )
        page = Page(NODE_ID, lambda: envoy.pid, lambda: envoy.shortages)
        database.on_commit(page.jobs.follow)
        last_good = LastGood(files.last_good)
        parts.callback(last_good.close)

        def keep(node_id: str, in_force: Collection[Desired], gone: Collection[str]) -> None:
            if node_id == NODE_ID:
                last_good.keep(in_force, gone, vault.seal)

        ads = AdsServer(files.xds_socket, self._controller, lambda: envoy.pids, keep, page.stream)
        await self._controller.start(EnvoyBackend(ads))
        parts.push_async_callback(self._controller.stop)
        last_good.keep_only(set(await database.read(desired_store.all_ids)))
        # As late as may be: until here a stand-in that a killed service left looks after Envoy.
        standby = Standby(envoy_settings, key_file)
        await standby.start()
        parts.push_async_callback(standby.release)
        self._at_the_end_of_traffic(parts, standby.stop)
        await ads.start()
        parts.push_async_callback(ads.stop)

        retention = Retention(database, settings.jobs.retention)
        retention.start()
        parts.push_async_callback(retention.stop)

        targets = Targets(settings.webhooks.forbidden)
        self._deliveries = Deliveries(
            database, vault.unseal, _render(settings.jobs.empty_sub_jobs), targets, settings.webhooks.timeout
        )
        self._deliveries.start()
        parts.push_async_callback(self._deliveries.stop)

        for each in limits_of_machine.low(limits_of_machine.limits()):
            _log.warning("low limit", **asdict(each))
        await envoy.start()
        parts.push_async_callback(envoy.release)
        # Before Envoy's own end in this list, so that it comes after it: no traffic without limit.
        self._at_the_end_of_traffic(parts, limits.remove)
        self._at_the_end_of_traffic(parts, envoy.stop)
        # Again, so that it comes before the end of Envoy, which it would not let happen.
        self._at_the_end_of_traffic(parts, standby.stop)
        obstacle = cutter.obstacle()
        if obstacle is not None:
            _log.warning("connections of removed members cannot be cut", effect="they stay", reason=obstacle)

        recorder = HealthRecorder(database, members.observe_health)
        recorder.start()
        parts.push_async_callback(recorder.stop)
        health = HealthObserver(files.health_events, EnvoyAdmin(files.admin_socket), recorder.record)
        await health.start()
        parts.push_async_callback(health.stop)

        udp_recorder = HealthRecorder(database, udp_checks.observe)
        udp_recorder.start()
        parts.push_async_callback(udp_recorder.stop)
        self._udp_health = UdpHealthChecker(database, udp_recorder.record)
        await self._udp_health.start()
        parts.push_async_callback(self._udp_health.stop)

        packets = PacketCounter(self._directory.instance, enabled=settings.monitor.packets == "auto")
        self._at_the_end_of_traffic(parts, packets.stop)
        await packets.start()
        traffic = TrafficObserver(
            database,
            EnvoyAdmin(files.admin_socket),
            packets,
            NODE_ID,
            settings.monitor.interval,
            page.traffic.take,
        )
        traffic.start()
        parts.push_async_callback(traffic.stop)

        if not await self._controller.wait_until_in_force(NODE_PATIENCE):
            _log.warning("data plane behind", effect="jobs wait for it", waited=NODE_PATIENCE)
        token = read_or_make(Path(settings.metrics.token_file or self._directory.path / TOKEN_FILE))
        metrics = Metrics(database, page, _access(settings), token)
        readiness.serve(await _application(database, identity, vault, targets, metrics, settings))
        # First in, so that starting has an answer, and first out, while all that answers need is there.
        parts.push_async_callback(self._http.stop, STOP_GRACE)
        _log.info("started", url=self._http.url, data_directory=str(self._directory.path), **settings.shown())

    def _at_the_end_of_traffic(self, parts: AsyncExitStack, end: Callable[[], Awaitable[None]]) -> None:
        """Have this done when the service is stopped, unless the traffic goes on without it."""

        async def unless_left() -> None:
            if not self._leaves_traffic:
                await end()

        parts.push_async_callback(unless_left)

    def _identity(self, parts: AsyncExitStack) -> Identity | ExternalKeystone:
        chosen = self._settings.identity
        if chosen.keystone_url:
            keystone = ExternalKeystone(
                chosen.keystone_url, timeout=chosen.keystone_timeout, keep=chosen.keystone_cache
            )
            parts.push_async_callback(keystone.stop)
            return keystone
        return Identity.open(
            self._directory.path,
            region=chosen.region,
            token_lifetime=chosen.token_lifetime,
            auth_url=credentials.auth_url(self._listen[0], self._http.port),
        )


async def _application(
    database: Database,
    identity: Identity | ExternalKeystone,
    vault: Vault,
    targets: Targets,
    metrics: Metrics,
    settings: Settings,
) -> ASGIApp:
    service = Service(
        database=database,
        identity=identity,
        policy=_policy(settings),
        waiters=JobWaiters(database),
        backlog=await Backlog.open(database),
        limits=BacklogLimits(settings.jobs.busy_mark, settings.jobs.hard_mark),
        sync_wait=settings.api.sync_wait,
    )
    api = ApiContext(service, settings.http.max_body)
    groups = (
        About(),
        Jobs(api, empty_sub_jobs=settings.jobs.empty_sub_jobs),
        LoadBalancers(api),
        Listeners(api),
        Members(api),
        HealthChecks(api),
        Certificates(api, vault, show_private_key=settings.certificates.show_private_key),
        Webhooks(api, vault, targets),
        ElasticIps(api),
        Networks(api),
        QuotaHandlers(api),
        Monitor(api, interval=settings.monitor.interval),
        metrics,
        BuiltInIdentity(api, identity) if isinstance(identity, Identity) else ExternalIdentity(api, identity),
    )
    operations = [operation for group in groups for operation in group.operations()]
    app = router([*operations, *Description(operations).operations()])
    return GatewayOnly(app, settings.http.gateway_secret) if settings.http.gateway_secret else app


def _access(settings: Settings) -> Access:
    access = Access(settings.metrics.access)
    # A gateway on this machine asks from this machine, for whoever is before it.
    return Access.TOKEN if access is Access.LOCAL and settings.http.gateway_secret else access


def _render(empty_sub_jobs: bool) -> Callable[[Job], bytes]:
    """The document of a job, as it is delivered to webhooks."""
    return lambda job: msgspec.json.encode(job_wire.job(job, empty_sub_jobs=empty_sub_jobs))


def _policy(settings: Settings) -> Policy:
    return Policy(
        pools={EXTERNAL: settings.addresses.external, INTERNAL: settings.addresses.internal},
        quotas=_quotas(settings.quotas),
        project_quotas={own.project_id: _quotas(own.above(settings.quotas)) for own in settings.quotas.projects},
        job_time_limit=settings.jobs.time_limit,
        networks=replace(settings.networks.vpcs, zones=settings.networks.zones),
    )


def _quotas(quotas: QuotaSettings) -> Quotas:
    return Quotas(load_balancers=quotas.elb, listeners=quotas.listener, members=quotas.member)
