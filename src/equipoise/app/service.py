"""The service as a whole: builds its parts from the settings, starts them in order, ends them in reverse."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final, Self

import structlog

from equipoise.api.classic.errors import render
from equipoise.app.api import application, job_document
from equipoise.app.node import NODE_ID, Node
from equipoise.app.parts import MayFail, begin
from equipoise.app.secrets import key_file, open_vault
from equipoise.certificates.vault import Vault
from equipoise.controller.admission import Admission
from equipoise.controller.compile import ProxySettings
from equipoise.controller.controller import Controller
from equipoise.controller.gate import Gate
from equipoise.controller.retention import Retention
from equipoise.controller.settings_check import SettingsCheck
from equipoise.controller.slow_start import SlowStart
from equipoise.data_directory import DataDirectory
from equipoise.http.middleware import RequestBoundary
from equipoise.http.protocol import HeadLimits
from equipoise.http.readiness import Readiness
from equipoise.http.server import HttpServer
from equipoise.identity import credentials
from equipoise.identity.establish import establish
from equipoise.identity.external import ExternalKeystone
from equipoise.identity.passwords import Passwords
from equipoise.identity.service import Identity
from equipoise.journal import write_transitions
from equipoise.metrics.page import MetricsPage
from equipoise.node.files import DataPlaneFiles
from equipoise.node.telemetry.traffic import Look
from equipoise.settings.table import Settings
from equipoise.store import inventory, migrate
from equipoise.store.database import Database, StoreUnavailable, sqlite_url
from equipoise.webhooks.delivery import Deliveries
from equipoise.webhooks.targets import Targets

_log = structlog.get_logger("equipoise")

NODE_PATIENCE: Final = 10.0
"""Seconds to wait until everything is in force again before serving all the same: jobs then wait, and say what for."""

STOP_GRACE: Final = 5.0
"""Seconds in which requests under way may end."""


class Equipoise:
    """The service: API, controller, and the data plane of this machine.

    Args:
        listen: host and port of the API; port 0 takes any free one.
        nodes_listen: HOST:PORT for nodes on other machines; empty: none may come.
        has_node: whether this machine carries traffic, too.
    """

    def __init__(
        self,
        data_directory: Path,
        listen: tuple[str, int],
        settings: Settings,
        *,
        nodes_listen: str = "",
        has_node: bool = True,
    ) -> None:
        self._directory = DataDirectory(data_directory)
        self._listen = listen
        self._settings = settings
        self._nodes_listen = nodes_listen
        self._has_node = has_node
        self._node: Node | None = None
        self._leaves_traffic = False
        self._may_fail: list[MayFail] = []
        self._readiness = Readiness()
        self._http = HttpServer(
            RequestBoundary(self._readiness, render),
            *listen,
            render=render,
            limits=HeadLimits(request_seconds=settings.http.request_time_limit),
        )

    def leave_traffic(self) -> None:
        """Let the end of the service be none of the traffic: Envoy goes on, with the standby beside it, and the next
        service takes both over."""
        self._leaves_traffic = True
        if self._node is not None:
            self._node.leave_traffic()

    async def __aenter__(self) -> Self:
        """Start everything. Requests that come meanwhile are answered with 503.

        What a killed predecessor left is taken over: its Envoy with the traffic on it, and every unfinished job.

        Raises:
            DataDirectoryError, IdentityFileError, ListenError, MetricsTokenError, NodesListenError, SchemaTooNewError,
                StoreUnavailable, VaultError, OSError: why it cannot start.
        """
        async with AsyncExitStack() as parts:
            self._directory.open()
            parts.callback(self._directory.close)
            await self._http.start()
            async with AsyncExitStack() as unless_started:
                unless_started.push_async_callback(self._http.stop, STOP_GRACE)
                await self._start(parts)
                unless_started.pop_all()
            # The last to be started and the first to be stopped, while all that answers need is there.
            parts.push_async_callback(self._http.stop, STOP_GRACE)
            self._parts = parts.pop_all()
        _log.info("started", url=self._http.url, data_directory=str(self._directory.path), **self._settings.shown())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started."""
        await self._parts.aclose()
        _log.info("stopped")

    @property
    def ready(self) -> str:
        """What is said of it once it has started: where the API is, without a slash at the end."""
        return self._http.url

    async def failed(self) -> None:
        """Return only by raising: what made a part of the service fail for good."""
        await asyncio.gather(*(part.failed() for part in self._may_fail))

    async def _start(self, parts: AsyncExitStack) -> None:
        settings = self._settings
        DataPlaneFiles(self._directory.path).create()
        self.database = database = await self._open_database(parts)
        key = key_file(settings, self._directory.path)
        vault = await open_vault(key, database)
        identity = await self._identity(parts, database, vault, key)

        node = await self._open_node(vault, key) if self._has_node else None
        page = MetricsPage() if node is None else node.page
        database.on_commit(page.jobs.follow)
        controller = Controller(
            database,
            settings.jobs.time_limit,
            vault.unseal,
            SlowStart(settings.members.slow_start),
            ProxySettings(settings.envoy.tcp_keepalive, settings.access_log.listeners.names),
        )
        targets = Targets(settings.webhooks.forbidden)
        deliveries = Deliveries(
            database, vault.unseal, job_document(settings.jobs.empty_sub_jobs), targets, settings.webhooks.timeout
        )
        check = SettingsCheck(database, self._directory.instance, settings.shared())
        await begin(parts, controller, Retention(database, settings.jobs.retention), deliveries, check)
        self._may_fail = [database, controller, deliveries, identity]
        if self._nodes_listen:
            admission = await Admission.open(database, vault, settings.nodes.certificate_lifetime)
            gate = Gate(self._nodes_listen, controller, admission)
            await begin(parts, gate)
            self._may_fail.append(gate)
        if node is not None:
            await self._run_node(parts, node, controller, database)
        self._readiness.serve(
            await application(self._directory.path, settings, database, identity, vault, targets, page)
        )

    async def _open_node(self, vault: Vault, key: Path) -> Node:
        node = self._node = await Node.open(self._directory, self._settings, vault, key)
        if self._leaves_traffic:
            node.leave_traffic()
        return node

    async def _run_node(self, parts: AsyncExitStack, node: Node, controller: Controller, database: Database) -> None:
        # Services that share a database tell their nodes apart.
        node_id = self._directory.instance if database.is_shared else NODE_ID
        # Both are in this process, and messages between them are calls.
        connect = partial(controller.connect, node_id)
        await parts.enter_async_context(node.running(connect, partial(_taken, database, node.page)))
        self._may_fail.append(node)
        if not await controller.wait_until_in_force(NODE_PATIENCE):
            _log.warning("data_plane_behind", effect="jobs wait for it", waited=NODE_PATIENCE)

    async def _open_database(self, parts: AsyncExitStack) -> Database:
        url = self._settings.database.url or sqlite_url(self._directory.database)
        # In a thread: it may wait for a server, and the service has 503 to answer and a signal to hear meanwhile.
        await asyncio.to_thread(migrate.upgrade, url)
        self._directory.mark()
        database = Database(url)
        await begin(parts, database)
        database.on_commit(write_transitions)
        return database

    async def _identity(
        self, parts: AsyncExitStack, database: Database, vault: Vault, key: Path
    ) -> Identity | ExternalKeystone:
        chosen = self._settings.identity
        if chosen.keystone_url:
            keystone = ExternalKeystone(
                chosen.keystone_url, timeout=chosen.keystone_timeout, keep=chosen.keystone_cache
            )
            parts.push_async_callback(keystone.stop)
            return keystone
        passwords = Passwords()
        await establish(database, self._directory.path, vault, chosen.region, passwords)
        identity = await Identity.open(
            database,
            # Once more: a service with another key may have been faster to encrypt something.
            await open_vault(key, database),
            self._directory.path,
            region=chosen.region,
            token_lifetime=chosen.token_lifetime,
            auth_url=credentials.auth_url(self._listen[0], self._http.port),
            passwords=passwords,
        )
        await begin(parts, identity)
        return identity


async def _taken(database: Database, page: MetricsPage, look: Look) -> None:
    """Show what a look at the traffic found, of all that exists."""
    try:
        page.traffic.take(look, await database.read(inventory.everything))
    except StoreUnavailable as error:
        _log.warning("traffic_not_shown", reason=str(error))
