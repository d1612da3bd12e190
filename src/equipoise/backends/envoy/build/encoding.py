"""How a message becomes a resource that can be compared and sent; and the pieces that several builders share."""

from hashlib import blake2b

from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.core.v3.config_source_pb2 import AggregatedConfigSource, ApiVersion, ConfigSource
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from equipoise.backends.envoy.build.resource import Resource
from equipoise.core.references import NOTHING, Scope
from equipoise.proxy.model import ListenAddress, Transport

BUFFER_BYTES = 256 * 1024
"""Envoy's default of 1 MiB a connection and direction would let slow readers take gigabytes; with 32 KiB a large body
costs twice the processor time (docs/explanation/performance.md)."""

HEADER_LINES = 5_000
"""Lines in the head of a request or of an answer; with Envoy's default of 100 it answers 431 and 502 to more. Each
takes 30 bytes beside its text, and 5,000 take 3 ms: how much a head may hold is limited by its bytes."""


def resource(
    type_url: str,
    name: str,
    message: Message,
    owner: str,
    *,
    leads_to: str = "",
    listen_address: ListenAddress | None = None,
    concerns: Scope = NOTHING,
) -> Resource:
    body = message.SerializeToString(deterministic=True)
    version = blake2b(body, digest_size=8).hexdigest()
    return Resource(type_url, name, version, body, owner, leads_to, listen_address, concerns)


def packed(message: Message) -> AnyMessage:
    wrapper = AnyMessage()
    wrapper.Pack(message, deterministic=True)
    return wrapper


def socket_address(address: str, port: int, transport: Transport = Transport.TCP) -> Address:
    message = Address()
    fill_address(message, address, port, transport)
    return message


def fill_address(message: Address, address: str, port: int, transport: Transport) -> None:
    socket = message.socket_address
    socket.protocol = SocketAddress.UDP if transport is Transport.UDP else SocketAddress.TCP
    socket.address = address
    socket.port_value = port


def over_ads() -> ConfigSource:
    """Say that a resource comes over the stream on which the one that refers to it came."""
    return ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3)
