"""The control stream of an Envoy whose place was taken: it is told how to drain, and nothing else.

When it stops listening it would end connections of HTTP that carry something, WebSockets among them, after the time
that it has for changed listeners. With this value of its runtime it leaves them alone.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Protocol

import grpc.aio
from envoy.service.discovery.v3.ads_pb2_grpc import (
    AggregatedDiscoveryServiceServicer,
    add_AggregatedDiscoveryServiceServicer_to_server,
)
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DeltaDiscoveryResponse
from envoy.service.runtime.v3.rtds_pb2 import Runtime

from equipoise.backends.envoy.build.encoding import packed
from equipoise.backends.envoy.build.type_urls import RUNTIME
from equipoise.backends.envoy.xds.shares import LAYER
from equipoise.unix_path import short_path

_LEAVE_CONNECTIONS: Final = "envoy.reloadable_features.non_graceful_drain_notifies_connections"
_NONCE: Final = "parting"
_GRACE_SECONDS: Final = 0.2


class _Context(Protocol):
    async def write(self, message: DeltaDiscoveryResponse) -> None: ...


async def leave_connections_at_draining(socket_path: Path, seconds: float) -> bool:
    """Tell the Envoy that looks for its control stream at `socket_path`; whether it has taken it within `seconds`.

    Raises OSError if the directory does not exist, RuntimeError if the socket cannot be bound.
    """
    servicer = _Servicer()
    server = grpc.aio.server()
    add_AggregatedDiscoveryServiceServicer_to_server(servicer, server)
    # gRPC takes its socket away by the name it was given, so that name has to live until then.
    with short_path(socket_path) as path:
        server.add_insecure_port(f"unix:{path}")
        await server.start()
        try:
            await asyncio.wait_for(servicer.taken.wait(), seconds)
        except TimeoutError:
            return False
        finally:
            await server.stop(_GRACE_SECONDS)
    return True


# The generated class has no types.
class _Servicer(AggregatedDiscoveryServiceServicer):  # type: ignore[misc]
    """Answers who asks for the layer of the runtime, and lets all other questions stand."""

    def __init__(self) -> None:
        self.taken = asyncio.Event()

    async def DeltaAggregatedResources(  # noqa: N802
        self, requests: AsyncIterator[DeltaDiscoveryRequest], context: _Context
    ) -> None:
        async for message in requests:
            if message.response_nonce == _NONCE and not message.HasField("error_detail"):
                self.taken.set()
            elif message.type_url == RUNTIME and LAYER in message.resource_names_subscribe:
                await context.write(_layer())


def _layer() -> DeltaDiscoveryResponse:
    runtime = Runtime(name=LAYER)
    runtime.layer.update({_LEAVE_CONNECTIONS: False})
    response = DeltaDiscoveryResponse(type_url=RUNTIME, nonce=_NONCE)
    response.resources.add(name=LAYER, version=_NONCE, resource=packed(runtime))
    return response
