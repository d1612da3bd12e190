"""A node as a service of its own: Envoy with all that runs beside it, under controllers on other machines."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Self

import structlog

from equipoise.app.node import Node
from equipoise.app.parts import begin
from equipoise.certificates.vault import KEY_FILE, Vault
from equipoise.data_directory import DataDirectory
from equipoise.node.credential import CredentialFiles
from equipoise.node.dialing import Dialer
from equipoise.node.files import DataPlaneFiles
from equipoise.node.joining import joined
from equipoise.node.telemetry.traffic import nobody_looks
from equipoise.proxy.link import SendToController, SendToNode, ToController, UpToDate
from equipoise.settings.table import Settings
from equipoise.wire.join_token import JoinToken

_log = structlog.get_logger("equipoise")

_PATIENCE: Final = 10.0
"""Seconds to wait until a controller has told everything, before the node counts as started all the same."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Where a node belongs: its controllers as HOST:PORT, and the name and the token with which it joins, if given."""

    controllers: Sequence[str]
    name: str | None
    token: JoinToken | None


class NodeService:
    """A node without an API and without a database."""

    def __init__(self, data_directory: Path, membership: Membership, settings: Settings) -> None:
        self._directory = DataDirectory(data_directory)
        self._membership = membership
        self._settings = settings
        self._node: Node | None = None
        self._leaves_traffic = False
        self._ready = ""
        self._is_up_to_date = asyncio.Event()

    def leave_traffic(self) -> None:
        """Let the end of the node be none of the traffic: Envoy goes on, with the standby beside it, and the next
        start takes both over."""
        self._leaves_traffic = True
        if self._node is not None:
            self._node.leave_traffic()

    async def __aenter__(self) -> Self:
        """Join if need be, start Envoy or take it over, and begin to look for a controller.

        Raises:
            DataDirectoryError, EnvoyNotRunningError, JoinError, NodeCredentialError, VaultError, OSError: why it cannot
                start.
        """
        async with AsyncExitStack() as parts:
            self._directory.open()
            parts.callback(self._directory.close)
            await self._start(parts)
            self._parts = parts.pop_all()
        _log.info("started", node=self._ready, data_directory=str(self._directory.path), **self._settings.shown())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything that was started."""
        await self._parts.aclose()
        _log.info("stopped")

    @property
    def ready(self) -> str:
        """What is said of it once it has started: its name and its id."""
        return self._ready

    async def failed(self) -> None:
        """Return only by raising: what made a part of it fail for good."""
        await asyncio.gather(*(part.failed() for part in self._may_fail))

    async def _start(self, parts: AsyncExitStack) -> None:
        path = self._directory.path
        DataPlaneFiles(path).create()
        self._directory.mark()
        files = CredentialFiles(path)
        member = self._membership
        credential = await joined(files, member.controllers, member.token, member.name)
        self._ready = f"{credential.name} {credential.node_id}"
        # A key of this node alone: what it keeps for its standby is read by nobody else.
        key_file = path / KEY_FILE
        vault = Vault.open(key_file, None)
        node = self._node = await Node.open(self._directory, self._settings, vault, key_file)
        if self._leaves_traffic:
            node.leave_traffic()
        dialer = Dialer(member.controllers, files, credential)
        await parts.enter_async_context(node.running(partial(self._connect, dialer), nobody_looks))
        await begin(parts, dialer)
        self._may_fail = (node, dialer)
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._is_up_to_date.wait()
        except TimeoutError:
            _log.warning("node_behind", effect="it goes on with what it has", waited=_PATIENCE)

    def _connect(self, dialer: Dialer, receive: SendToNode) -> SendToController:
        send = dialer.connect(receive)

        def send_and_note(message: ToController) -> None:
            if isinstance(message, UpToDate):
                self._is_up_to_date.set()
            send(message)

        return send_and_note
