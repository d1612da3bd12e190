"""Streams of several nodes, and of one node twice, spoken to by a client that is no Envoy."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from envoy.config.core.v3.base_pb2 import Node
from envoy.service.discovery.v3.ads_pb2_grpc import AggregatedDiscoveryServiceStub
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from equipoise.backends.envoy.build.type_urls import CLUSTER, LISTENER
from equipoise.backends.envoy.xds.server import AdsServer
from equipoise.unix_path import short_path
from tests.integration.southbound import Recorder, desired, until


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def ads(tmp_path: Path, recorder: Recorder) -> AsyncIterator[AdsServer]:
    ads = AdsServer(tmp_path / "xds.sock")
    await ads.start(recorder)
    ads.ready()
    yield ads
    await ads.stop()


@pytest.fixture
async def stub(tmp_path: Path, ads: AdsServer) -> AsyncIterator[Any]:
    with short_path(tmp_path / "xds.sock") as path:
        async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
            yield AggregatedDiscoveryServiceStub(channel)


async def a_stream(stub: Any, node_id: str) -> Any:
    """Open a stream and accept the first answer to each wildcard kind."""
    stream = stub.DeltaAggregatedResources()
    for type_url in (CLUSTER, LISTENER):
        await stream.write(DeltaDiscoveryRequest(node=Node(id=node_id), type_url=type_url))
        answer = await stream.read()
        await stream.write(DeltaDiscoveryRequest(type_url=type_url, response_nonce=answer.nonce))
    return stream


async def test_a_generation_is_confirmed_by_each_node(ads: AdsServer, recorder: Recorder, stub: Any) -> None:
    streams = [await a_stream(stub, name) for name in ("a", "b")]
    assert ads.nodes == {"a", "b"}
    ads.publish([desired("lb", 4, "127.0.0.1")])
    assert not recorder.confirmations, "never from within the call"
    await recorder.wait(lambda: set(recorder.confirmations) == {("a", "lb", 4), ("b", "lb", 4)})
    streams[0].cancel()
    await until(lambda: ads.nodes == {"b"})


async def test_the_newest_stream_of_a_node_counts(ads: AdsServer, recorder: Recorder, stub: Any) -> None:
    older = await a_stream(stub, "a")
    newer = await a_stream(stub, "a")
    assert not await older.read(), "it should be at its end"
    assert recorder.events == [("connected", "a"), ("disconnected", "a"), ("connected", "a")]
    ads.publish([desired("lb", 1, "127.0.0.1")])
    await recorder.wait(lambda: recorder.confirmations == [("a", "lb", 1)])
    newer.cancel()
    await until(lambda: not ads.nodes)
