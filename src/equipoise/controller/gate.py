"""Where nodes on other machines come in: one port, on which every connection has a certificate of the authority."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, NoReturn, Protocol

import grpc
import grpc.aio
import msgspec
import structlog

from equipoise.controller.admission import Admission, JoinRejectedError, NotAdmittedError
from equipoise.controller.controller import Controller
from equipoise.core.admission import NODE_NAME_RULE, is_node_name
from equipoise.proxy.link import Greeting, ToNode
from equipoise.store.database import StoreUnavailable
from equipoise.wire.authority import NoPeerError, Peer, PeerKind, PublicKey, Validity, key_of, peer_of, requested_key
from equipoise.wire.codec import MalformedMessageError, decode_to_controller, encode
from equipoise.wire.conversation import StreamEndedError, converse
from equipoise.wire.outbox import Outbox, OutboxClosedError
from equipoise.wire.rpc import JOIN, MESSAGE_BYTES, RENEW, SERVICE, SPEAK, JoinReply, JoinRequest

_log = structlog.get_logger("equipoise.controller")

_LOOK_SECONDS: Final = 2.0
"""How often it is looked whether nodes were removed."""

_GRACE_SECONDS: Final = 0.2

_NO_DATABASE: Final = "the database of the controller does not answer"


class NodesListenError(Exception):
    """Nodes cannot be listened for; the message says why, and what to do."""


class _Context(Protocol):
    """What gRPC knows of a call."""

    def auth_context(self) -> dict[str, list[bytes]]: ...

    def peer(self) -> str: ...

    async def write(self, message: bytes) -> None: ...

    async def abort(self, code: grpc.StatusCode, details: str) -> NoReturn: ...


class Gate:
    """Listens for nodes.

    Args:
        listen: HOST:PORT; port 0 takes any free one.
    """

    def __init__(self, listen: str, controller: Controller, admission: Admission) -> None:
        self._listen = listen
        self._controller = controller
        self._admission = admission
        self._outboxes: dict[str, Outbox] = {}
        self._server: grpc.aio.Server | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises NodesListenError."""
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES),
                # Else two controllers would share a port without a word.
                ("grpc.so_reuseport", 0),
            ]
        )
        handlers = {
            JOIN: grpc.unary_unary_rpc_method_handler(self._join),
            RENEW: grpc.unary_unary_rpc_method_handler(self._renew),
            SPEAK: grpc.stream_stream_rpc_method_handler(self._speak),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        try:
            port = server.add_secure_port(self._listen, self._credentials())
        except RuntimeError as error:
            raise NodesListenError(
                f"Nodes cannot be listened for on {self._listen}: give another address with nodes.listen, or stop "
                "what listens there."
            ) from error
        await server.start()
        self._server = server
        self._watching = asyncio.create_task(self._watch(), name="gate")
        _log.info("listening_for_nodes", listen=f"{self._listen.rpartition(':')[0]}:{port}")

    async def failed(self) -> None:
        """Return only by raising: what ended its task. Nothing does but a defect."""
        if self._watching is not None:
            await asyncio.shield(self._watching)

    async def stop(self) -> None:
        """End all streams; the nodes go on with what they have, and look for another controller."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for outbox in self._outboxes.values():
            outbox.close("the controller ends")
        if self._server is not None:
            await self._server.stop(_GRACE_SECONDS)

    # The calls

    async def _join(self, encoded: bytes, context: _Context) -> bytes:
        peer, _ = await _peer(context, PeerKind.JOIN)
        try:
            asked = msgspec.msgpack.decode(encoded, type=JoinRequest)
            joined = await self._admission.join(peer.id, _checked(asked.name), requested_key(asked.request))
        except (msgspec.DecodeError, NoPeerError, _NameError) as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except JoinRejectedError as error:
            _log.warning("node_rejected", node_name=asked.name, peer=context.peer(), reason=str(error))
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))
        except StoreUnavailable:
            await context.abort(grpc.StatusCode.UNAVAILABLE, _NO_DATABASE)
        _log.info("node_joined", node_id=joined.node_id, node_name=asked.name, peer=context.peer())
        return msgspec.msgpack.encode(JoinReply(joined.node_id, joined.certificate))

    async def _renew(self, _: bytes, context: _Context) -> bytes:
        peer, key = await _peer(context, PeerKind.NODE)
        try:
            certificate = await self._admission.renew(peer.id, key)
        except NotAdmittedError as error:
            await self._reject(peer.id, context, error)
        except StoreUnavailable:
            await context.abort(grpc.StatusCode.UNAVAILABLE, _NO_DATABASE)
        _log.info("node_certificate_renewed", node_id=peer.id, until=Validity.of(certificate).end.isoformat())
        return certificate

    async def _speak(self, frames: AsyncIterator[bytes], context: _Context) -> None:
        peer, _ = await _peer(context, PeerKind.NODE)
        try:
            node = await self._admission.check(peer.id)
        except NotAdmittedError as error:
            await self._reject(peer.id, context, error)
        except StoreUnavailable:
            await context.abort(grpc.StatusCode.UNAVAILABLE, _NO_DATABASE)
        _log.info("node_connected", node_id=node.id, node_name=node.name, peer=context.peer())
        try:
            await self._converse(node.id, frames, context)
        except (OutboxClosedError, StreamEndedError, MalformedMessageError) as error:
            _log.info("node_disconnected", node_id=node.id, node_name=node.name, reason=str(error))
            await context.abort(grpc.StatusCode.ABORTED, str(error))
        except (asyncio.CancelledError, grpc.aio.InternalError):
            # The second is said of a frame that was being written.
            _log.info("node_disconnected", node_id=node.id, node_name=node.name, reason="its connection has ended")
            raise

    async def _converse(self, node_id: str, frames: AsyncIterator[bytes], context: _Context) -> None:
        outbox = Outbox(self._controller.go_on)
        if (older := self._outboxes.get(node_id)) is not None:
            older.close("the node has come with another connection")
        self._outboxes[node_id] = outbox

        def send(message: ToNode) -> None:
            outbox.put(encode(message))

        link = self._controller.open(node_id, send, lambda: outbox.has_room)

        def take(frame: bytes) -> None:
            if (message := decode_to_controller(frame)) is not None:
                link.receive(message)

        send(Greeting())
        try:
            await converse(frames, context.write, outbox, take)
        finally:
            outbox.close("the connection has ended")
            link.close()
            if self._outboxes.get(node_id) is outbox:
                del self._outboxes[node_id]

    async def _reject(self, node_id: str, context: _Context, error: NotAdmittedError) -> NoReturn:
        _log.warning("node_rejected", node_id=node_id, peer=context.peer(), reason=str(error))
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))

    # What goes on beside them

    async def _watch(self) -> None:
        """End the streams of nodes that were removed, for ever."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if not self._outboxes:
                continue
            try:
                admitted = await self._admission.admitted()
            except StoreUnavailable:
                # Without a database nobody has removed a node; it is looked again soon.
                continue
            for node_id in self._outboxes.keys() - admitted:
                self._outboxes[node_id].close("the node was removed")

    def _credentials(self) -> Any:
        """Those of this controller, made anew when half of the life of its certificate is over."""
        pair = self._admission.for_controller()
        until = Validity.of(pair.certificate).half

        def configuration() -> Any:
            return grpc.ssl_server_certificate_configuration(
                [(pair.key, pair.certificate)], self._admission.certificate
            )

        def newest() -> Any:
            nonlocal pair, until
            if self._admission.now() < until:
                return None
            pair = self._admission.for_controller()
            until = Validity.of(pair.certificate).half
            return configuration()

        return grpc.dynamic_ssl_server_credentials(configuration(), newest, require_client_authentication=True)


class _NameError(Exception):
    """A node cannot have that name."""


def _checked(name: str) -> str:
    if not is_node_name(name):
        raise _NameError(f"name: {NODE_NAME_RULE}")
    return name


async def _peer(context: _Context, kind: PeerKind) -> tuple[Peer, PublicKey]:
    """Who calls; gRPC has seen to it that the authority has signed the certificate."""
    try:
        [certificate] = context.auth_context()["x509_pem_cert"]
        peer, key = peer_of(certificate), key_of(certificate)
    except (KeyError, ValueError, NoPeerError):
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the certificate names no node")
    if peer.kind is not kind:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"the certificate is not that of a {kind.value}")
    return peer, key
