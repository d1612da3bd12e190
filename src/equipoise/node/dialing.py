"""The way of a node to its controllers: it speaks to one at a time, and goes on with the next when that is lost.

Nothing here touches the proxy: without a controller the node goes on with what it has. What is said while there is none
is dropped, since the next one is told everything.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import cycle
from typing import Final

import grpc.aio
import msgspec
import structlog

from equipoise.node.credential import CredentialFiles, NodeCredential
from equipoise.node.pauses import Pauses
from equipoise.proxy.link import Greeting, SendToController, SendToNode, ToController
from equipoise.wire.authority import KeyPair
from equipoise.wire.codec import MalformedMessageError, decode_to_node, encode
from equipoise.wire.conversation import StreamEndedError, converse
from equipoise.wire.outbox import Outbox, OutboxClosedError
from equipoise.wire.rpc import RENEW, call, channel, is_rejection, reason_of, speak

_log = structlog.get_logger("equipoise.node")

_LONGEST_PAUSE: Final = 2.0
_LONGEST_PAUSE_REJECTED: Final = 30.0
_LONGEST_RENEWAL_PAUSE: Final = 60.0


class _RejectedError(Exception):
    """The node may not speak. The text says why, and what to do."""


class Dialer:
    """Speaks to one controller at a time.

    Args:
        controllers: HOST:PORT of each, at least one.
        now: the time by which certificates expire.

    Raises:
        OSError, NodeCredentialError: its key cannot be used.
    """

    def __init__(
        self,
        controllers: Sequence[str],
        files: CredentialFiles,
        credential: NodeCredential,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._controllers = controllers
        self._files = files
        self._credential = credential
        self._now = now
        # Read once: what becomes of the disk later must not keep the node from a controller.
        self._key = files.key()
        self._receive: SendToNode | None = None
        self._outbox: Outbox | None = None
        self._was_greeted = False
        self._dialing: asyncio.Task[None] | None = None

    def connect(self, receive: SendToNode) -> SendToController:
        """Let messages to the node be taken by `receive`. Returns where to put its own."""
        self._receive = receive
        return self._send

    def start(self) -> None:
        """Begin to dial; `connect` was called."""
        self._dialing = asyncio.create_task(self._dial_forever(), name="dial")

    async def failed(self) -> None:
        """Return only by raising: what ended its task. Nothing does but a defect."""
        if self._dialing is not None:
            await asyncio.shield(self._dialing)

    async def stop(self) -> None:
        """End the stream; the controller gives the node up at once."""
        if self._dialing is not None:
            self._dialing.cancel()
            await asyncio.gather(self._dialing, return_exceptions=True)

    def _send(self, message: ToController) -> None:
        if self._outbox is not None:
            self._outbox.put(encode(message))

    async def _dial_forever(self) -> None:
        pauses, pauses_rejected = Pauses(_LONGEST_PAUSE), Pauses(_LONGEST_PAUSE_REJECTED)
        for controller in cycle(self._controllers):
            self._was_greeted = False
            try:
                reason = await self._speak(controller)
            except _RejectedError as rejected:
                pause = pauses_rejected.next()
                _log.error(
                    "node_rejected",
                    controller=controller,
                    reason=str(rejected),
                    effect="traffic goes on as it was configured last",
                    retry_in=round(pause, 1),
                )
            else:
                if self._was_greeted:
                    pauses.reset()
                    pauses_rejected.reset()
                pause = pauses.next()
                event = "controller_lost" if self._was_greeted else "controller_not_reached"
                _log.warning(event, controller=controller, reason=reason, retry_in=round(pause, 1))
            await asyncio.sleep(pause)

    async def _speak(self, controller: str) -> str:
        """Speak to a controller until that ends. Returns why it did. Raises _RejectedError."""
        if self._now() >= self._credential.validity.end:
            raise _RejectedError(
                f"the certificate of this node expired at {self._credential.validity.end.isoformat()}: start it with a "
                "new --join-token"
            )
        pair = KeyPair(self._credential.certificate.encode(), self._key)
        async with channel(controller, self._credential.authority.encode(), pair) as way:
            stream = speak(way)
            renewing = asyncio.create_task(self._renew_forever(way), name="renew-certificate")
            outbox = self._outbox = Outbox()
            try:
                await converse(aiter(stream), stream.write, outbox, lambda frame: self._take(controller, frame))
            except grpc.aio.AioRpcError as error:
                if is_rejection(error):
                    raise _RejectedError(reason_of(error)) from error
                return reason_of(error)
            except (OutboxClosedError, StreamEndedError, MalformedMessageError, asyncio.InvalidStateError) as error:
                return str(error)
            finally:
                self._outbox = None
                stream.cancel()
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)

    def _take(self, controller: str, frame: bytes) -> None:
        message = decode_to_node(frame)
        if message is None or self._receive is None:
            return
        if isinstance(message, Greeting):
            self._was_greeted = True
            _log.info("controller_reached", controller=controller, node_id=self._credential.node_id)
        self._receive(message)

    async def _renew_forever(self, way: grpc.aio.Channel) -> None:
        """Ask for another certificate whenever half of the life of the newest one is over."""
        pauses = Pauses(_LONGEST_RENEWAL_PAUSE)
        while True:
            await asyncio.sleep(max(0.0, (self._credential.validity.half - self._now()).total_seconds()))
            try:
                certificate = await call(way, RENEW, b"")
                self._credential = msgspec.structs.replace(self._credential, certificate=certificate.decode())
                self._files.write(self._credential)
            except (grpc.aio.AioRpcError, OSError) as error:
                reason = reason_of(error) if isinstance(error, grpc.aio.AioRpcError) else str(error)
                pause = pauses.next()
                _log.warning("certificate_not_renewed", reason=reason, retry_in=round(pause, 1))
                await asyncio.sleep(pause)
            else:
                pauses.reset()
                _log.info("certificate_renewed", until=self._credential.validity.end.isoformat())
