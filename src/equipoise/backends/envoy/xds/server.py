"""The edge towards Envoy: incremental aggregated discovery over gRPC on a unix socket.

Wire format and connections live here; what is sent to whom is decided in `node_state`. Everything runs on the one
event loop on which `start` was awaited.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import grpc.aio
import structlog
from envoy.service.discovery.v3.ads_pb2_grpc import (
    AggregatedDiscoveryServiceServicer,
    add_AggregatedDiscoveryServiceServicer_to_server,
)
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse

from equipoise.backends.envoy.build.type_urls import RUNTIME
from equipoise.backends.envoy.xds.desired import DesiredResources, DesiredStates
from equipoise.backends.envoy.xds.exchange import NodeRequest, Push
from equipoise.backends.envoy.xds.listening import is_taken_for_datagrams
from equipoise.backends.envoy.xds.node_state import NodeState
from equipoise.backends.envoy.xds.observer import NOBODY, NOBODY_ASKS, StreamWatcher
from equipoise.backends.envoy.xds.opening import Opening, vacated
from equipoise.backends.envoy.xds.shares import LAYER, UDP_SESSIONS, Shares
from equipoise.proxy.backend import ProxyObserver
from equipoise.proxy.model import ListenAddress, Transport
from equipoise.unix_path import short_path

log = structlog.get_logger("equipoise.xds")

_GRACE_SECONDS = 0.2

_MESSAGE_BYTES = 256 * 1024 * 1024
"""At a reconnect Envoy lists all that it has in one message; gRPC's limit of 4 MiB would end at some 20,000 names."""


Keep = Callable[[str, Collection[DesiredResources], Collection[str]], None]


class _Context(Protocol):
    async def write(self, message: DeltaDiscoveryResponse) -> None: ...


FEW_SESSIONS: Final = 1_000
"""Sessions of UDP that a node has room for that does not tell."""


@dataclass(eq=False, slots=True)
class Session:
    """One stream. None in the queue ends it; `vacating` are the listen addresses that are given up, by nonce.

    `udp_sessions` is what the node has room for; `limits_revision` that of the shares it was sent last. What it has
    accepted is reported through `opening`.
    """

    node_id: str
    state: NodeState
    opening: Opening
    queue: asyncio.Queue[Push | None]
    vacating: dict[str, tuple[ListenAddress, ...]] = field(default_factory=dict)
    udp_sessions: int = FEW_SESSIONS
    wants_limits: bool = False
    limits_revision: int = -1

    def end(self) -> None:
        """Let the stream end; Envoy begins another."""
        self.queue.put_nowait(None)


class AdsServer:
    """Keeps every connected node at the newest published state.

    Nothing is sent before `ready`. The observer is called in turns of the event loop of its own. `socket_path` may be
    longer than the 107 bytes that a socket address holds. `envoy_pids` tells the processes of the node on this machine
    that carry traffic. `keep` is told what a node has in force before the observer is: its id, the load balancers of
    which it has all, and the ids of those that are gone.
    The watcher counts what passes.
    """

    def __init__(
        self,
        socket_path: Path,
        envoy_pids: Callable[[], Collection[int]] = tuple,
        keep: Keep = lambda _node_id, _in_force, _gone: None,
        watcher: StreamWatcher = NOBODY,
    ) -> None:
        self._socket_path = socket_path
        self._observer: ProxyObserver = NOBODY_ASKS
        self._watcher = watcher
        self._envoy_pids = envoy_pids
        self._keep = keep
        self._desired = DesiredStates()
        self._shares = Shares()
        self._sessions: dict[str, Session] = {}
        self._server: grpc.aio.Server | None = None
        self._is_scheduled = False
        self._resources = ExitStack()

    @property
    def nodes(self) -> frozenset[str]:
        """The ids of the nodes that are connected now."""
        return frozenset(self._sessions)

    async def start(self, observer: ProxyObserver = NOBODY_ASKS) -> None:
        """Listen on the socket, in place of whatever lies there, and tell the observer how far each node has come.

        Raises OSError if the directory does not exist, RuntimeError if the socket cannot be bound.
        """
        self._observer = observer
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", _MESSAGE_BYTES)])
        add_AggregatedDiscoveryServiceServicer_to_server(_Servicer(self), server)
        path = self._resources.enter_context(short_path(self._socket_path))
        server.add_insecure_port(f"unix:{path}")
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """End all streams. Envoy goes on serving what it has."""
        server, self._server = self._server, None
        if server is None:
            return
        for session in list(self._sessions.values()):
            session.end()
        await server.stop(_GRACE_SECONDS)
        # gRPC takes its socket away by the name it was given, so that name had to live until here.
        self._resources.close()

    def publish(self, desired: Iterable[DesiredResources]) -> None:
        """Make these the newest desired states; one that is older than what is known already is ignored.

        It is confirmed, in a later turn of the event loop, even if it changes nothing.
        """
        moved = []
        for each in desired:
            if self._desired.put(each):
                self._shares.put(each.load_balancer_id, each.resources)
                moved.append(each.load_balancer_id)
        self._watcher.published(moved)
        self._moved(moved)

    def forget(self, load_balancer_id: str) -> None:
        """Drop a load balancer after its deletion was confirmed; whatever a node may still bring along is removed."""
        self._desired.drop(load_balancer_id)
        self._moved([load_balancer_id])

    def acknowledge_rejection(self, load_balancer_id: str, generation: int) -> None:
        """Say that what was rejected of this generation is known: it is then confirmed apart from that.

        Says nothing about later generations; a rejection in one of those holds it up again.
        """
        self._desired.acknowledge_rejection(load_balancer_id, generation)
        self._moved([load_balancer_id])

    def ready(self) -> None:
        """Say that everything that is to be in force has been published once.

        Only from now on is anything sent, so that a half-loaded state never removes a listener that is in use.
        """
        self._desired.ready = True
        self._moved([])

    def _moved(self, load_balancer_ids: list[str]) -> None:
        for session in self._sessions.values():
            session.state.moved(load_balancer_ids)
        if self._sessions and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._advance_all)

    def _advance_all(self) -> None:
        self._is_scheduled = False
        for session in list(self._sessions.values()):
            self._advance(session)

    def _advance(self, session: Session) -> None:
        self._share(session)
        outcome = session.state.advance()
        for push in outcome.pushes:
            session.queue.put_nowait(push)
            number = len(push.resources) + len(push.removed)
            self._watcher.pushed(session.node_id, push.type_url, push.nonce, number)
            if push.vacates:
                session.vacating[push.nonce] = push.vacates
        if outcome.in_force:
            self._keep_in_force(session.node_id, outcome.in_force)
        if outcome.rejected:
            self._observer.rejected(session.node_id, tuple(outcome.rejected))
        if outcome.confirmed:
            session.opening.confirmed(outcome.confirmed)

    def _report(self, node_id: str, confirmed: Mapping[str, int]) -> None:
        self._watcher.confirmed(node_id, confirmed)
        self._observer.confirmed(node_id, confirmed)

    def _share(self, session: Session) -> None:
        """Send the limits, before the listeners that they are for."""
        if session.wants_limits and self._desired.ready and session.limits_revision != self._shares.revision:
            session.limits_revision = self._shares.revision
            layer = self._shares.layer(session.udp_sessions)
            nonce = f"limits-{session.limits_revision}"
            session.queue.put_nowait(Push(RUNTIME, nonce, (layer,), ()))
            self._watcher.pushed(session.node_id, RUNTIME, nonce, 1)

    def _keep_in_force(self, node_id: str, load_balancer_ids: Iterable[str]) -> None:
        wanted = {id: self._desired.get(id) for id in load_balancer_ids}
        in_force = [each for each in wanted.values() if each is not None and each.resources]
        self._keep(node_id, in_force, wanted.keys() - {each.load_balancer_id for each in in_force})

    def _may_occupy(self, listen_address: ListenAddress) -> bool:
        """Whether a listener would have the address alone; Envoy finds out by itself where ports cannot be shared."""
        if listen_address.transport is Transport.TCP:
            return True
        return not is_taken_for_datagrams(listen_address.address, listen_address.port, self._envoy_pids())

    # For the streams

    def connect(self, node_id: str, udp_sessions: int = FEW_SESSIONS) -> Session:
        older = self._sessions.get(node_id)
        if older is not None:
            self.disconnect(older)
        session = self._session(node_id, udp_sessions)
        self._sessions[node_id] = session
        log.info("node_connected", node=node_id)
        self._watcher.connected(node_id, self._desired)
        self._observer.node_connected(node_id)
        return session

    def _session(self, node_id: str, udp_sessions: int) -> Session:
        queue: asyncio.Queue[Push | None] = asyncio.Queue()

        # It must not hold the session, which would then outlive its stream, with all that is known of the node.
        def failed(error: BaseException) -> None:
            log.error("confirmation_not_reported", node=node_id, exc_info=error)
            queue.put_nowait(None)

        state = NodeState(self._desired, self._may_occupy)
        opening = Opening(
            report=lambda generations: self._report(node_id, generations),
            listen_addresses=state.listen_addresses,
            is_here=lambda: bool(self._envoy_pids()),
            failed=failed,
        )
        return Session(node_id, state, opening, queue, udp_sessions=udp_sessions)

    def disconnect(self, session: Session) -> None:
        session.end()
        session.opening.cancel()
        if self._sessions.get(session.node_id) is session:
            del self._sessions[session.node_id]
            log.info("node_disconnected", node=session.node_id)
            self._watcher.disconnected(session.node_id)
            self._observer.node_disconnected(session.node_id)

    def receive(self, session: Session, request: NodeRequest) -> None:
        # A stream that was replaced by a newer one of the same node has nothing to say any more.
        if self._sessions.get(session.node_id) is session:
            self._watcher.answered(session.node_id, request.type_url, request.nonce, accepted=request.error is None)
            asks_for_limits = request.type_url == RUNTIME and LAYER in request.subscribe
            session.wants_limits |= asks_for_limits
            if session.state.receive(request) or asks_for_limits:
                self._advance(session)


# The generated class has no types.
class _Servicer(AggregatedDiscoveryServiceServicer):  # type: ignore[misc]
    """The discovery service as gRPC knows it. Envoy is told to use the incremental variant only."""

    def __init__(self, server: AdsServer) -> None:
        self._server = server

    async def DeltaAggregatedResources(  # noqa: N802
        self, requests: AsyncIterator[DeltaDiscoveryRequest], context: _Context
    ) -> None:
        first = await anext(requests, None)
        if first is None:
            return
        told = first.node.metadata.fields
        sessions = int(told[UDP_SESSIONS].number_value) if UDP_SESSIONS in told else FEW_SESSIONS
        session = self._server.connect(first.node.id, sessions)
        reading = asyncio.create_task(self._read(session, first, requests))
        try:
            while (push := await session.queue.get()) is not None:
                await context.write(_to_wire(push))
        finally:
            self._server.disconnect(session)
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    async def _read(
        self, session: Session, first: DeltaDiscoveryRequest, others: AsyncIterator[DeltaDiscoveryRequest]
    ) -> None:
        try:
            self._server.receive(session, _from_wire(first))
            async for message in others:
                await vacated(session.vacating.pop(message.response_nonce, ()))
                self._server.receive(session, _from_wire(message))
        finally:
            session.end()


def _from_wire(message: DeltaDiscoveryRequest) -> NodeRequest:
    return NodeRequest(
        type_url=message.type_url,
        subscribe=tuple(message.resource_names_subscribe),
        unsubscribe=tuple(message.resource_names_unsubscribe),
        initial_versions=dict(message.initial_resource_versions),
        nonce=message.response_nonce,
        error=message.error_detail.message if message.HasField("error_detail") else None,
    )


def _to_wire(push: Push) -> DeltaDiscoveryResponse:
    response = DeltaDiscoveryResponse(type_url=push.type_url, nonce=push.nonce, removed_resources=push.removed)
    # Made in place: messages of their own, thousands in a push, would each take pages of memory until it is sent.
    for resource in push.resources:
        wire = response.resources.add(name=resource.name, version=resource.version)
        wire.resource.type_url = resource.type_url
        wire.resource.value = resource.body
    return response
