"""How a node joins a service: it gives a join token, and is given a certificate."""

import asyncio
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle
from typing import Final

import grpc.aio
import msgspec
import structlog

from equipoise.node.credential import CredentialFiles, NodeCredential
from equipoise.node.pauses import Pauses
from equipoise.wire.authority import request
from equipoise.wire.join_token import JoinToken
from equipoise.wire.rpc import (
    JOIN,
    JoinReply,
    JoinRequest,
    call,
    channel,
    is_rejection,
    is_stranger,
    reason_of,
)

_log = structlog.get_logger("equipoise.node")

_LONGEST_PAUSE: Final = 5.0


class JoinError(Exception):
    """The node cannot join; the text says why, and what to do."""


async def joined(
    files: CredentialFiles, controllers: Sequence[str], token: JoinToken | None, name: str | None
) -> NodeCredential:
    """What the node proves itself with: what it was given before, unless it has another token now.

    Waits for as long as no controller can be reached.

    Args:
        name: what the node is to be called; None: as before, or else like the machine.

    Raises:
        JoinError, NodeCredentialError, OSError.
    """
    known = files.read()
    if known is not None and (token is None or token.fingerprint == known.joined_with):
        if name not in {None, known.name}:
            raise JoinError(
                f"This node is called {known.name!r} since it joined: leave --name out. To give it another name, "
                f"remove it with `equipoise node remove {known.name}` and start it with a new --join-token."
            )
        return known
    name = name or (known.name if known is not None else socket.gethostname())
    if token is None:
        raise JoinError(
            "This node has not joined a service yet: make a token with `equipoise node token` where the controller "
            "is, and give it with --join-token."
        )
    if token.has_expired(datetime.now(UTC)):
        raise JoinError("The join token has expired: make another one with `equipoise node token`.")
    pauses = Pauses(_LONGEST_PAUSE)
    key = files.key()
    for controller in cycle(controllers):
        try:
            reply = await _ask(controller, token, JoinRequest(request(key), name))
        except grpc.aio.AioRpcError as error:
            if is_rejection(error) or is_stranger(error):
                raise JoinError(f"{controller} does not let this node join: {reason_of(error)}.") from error
            pause = pauses.next()
            _log.warning("not_joined", controller=controller, reason=reason_of(error), retry_in=round(pause, 1))
            await asyncio.sleep(pause)
        else:
            credential = NodeCredential(
                reply.node_id, name, token.authority.decode(), reply.certificate.decode(), token.fingerprint
            )
            files.write(credential)
            _log.info("joined", node_id=credential.node_id, node_name=name, controller=controller)
            return credential
    raise JoinError("There is no controller to ask: give one with --controller.")


async def _ask(controller: str, token: JoinToken, asked: JoinRequest) -> JoinReply:
    async with channel(controller, token.authority, token.pair) as way:
        reply = await call(way, JOIN, msgspec.msgpack.encode(asked))
    return msgspec.msgpack.decode(reply, type=JoinReply)
