"""A stand for the southbound tests: a real Envoy under a real control stream, members on real sockets."""

import asyncio
import itertools
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from equipoise.backends.envoy.build.builders import build
from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.backends.envoy.xds.server import AdsServer
from equipoise.node.files import DataPlaneFiles
from equipoise.node.supervisor import EnvoyOptions, EnvoySupervisor
from equipoise.proxy.model import BalancingPolicy, ProxyHealthCheck, ServedProtocol
from equipoise.proxy.rejections import RejectedResource
from tests.proxies import Served, serving

NODE = "node-1"
DEADLINE_SECONDS = 20.0

_numbers = itertools.count(1)


def own_address() -> str:
    """Return a loopback address that no other test, in this process or another, uses."""
    number = next(_numbers)
    return f"127.{90 + number // 250}.{os.getpid() % 250 + 1}.{number % 250 + 1}"


def free_port(address: str) -> int:
    [port] = free_ports(address, 1)
    return port


def free_ports(address: str, count: int) -> list[int]:
    """So many ports, and none of them twice."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((address, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


async def until(condition: Callable[[], object], seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until `condition` holds, looking again every few milliseconds; fail after a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)


async def until_async(condition: Callable[[], Awaitable[object]], seconds: float = DEADLINE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)


class Recorder:
    """Remembers what the controller would be told, and wakes whoever waits for it."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.confirmations: list[tuple[str, str, int]] = []
        self.rejections: list[RejectedResource] = []
        self._waiting: list[asyncio.Future[None]] = []

    def node_connected(self, node_id: str) -> None:
        self.events.append(("connected", node_id))
        self._wake()

    def node_disconnected(self, node_id: str) -> None:
        self.events.append(("disconnected", node_id))
        self._wake()

    def confirmed(self, node_id: str, generations: Mapping[str, int]) -> None:
        self.confirmations.extend((node_id, load_balancer_id, each) for load_balancer_id, each in generations.items())
        self._wake()

    def rejected(self, _node_id: str, rejections: Sequence[RejectedResource]) -> None:
        self.rejections.extend(rejections)
        self._wake()

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def wait(self, condition: Callable[[], object]) -> None:
        """Wait for a condition on what is remembered, without delay; fail after a deadline."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():
                future = asyncio.get_running_loop().create_future()
                self._waiting.append(future)
                await future


class Member:
    """A backend that answers every connection with its name at once (TCP) or every request with 200 (HTTP)."""

    def __init__(self, address: str, name: bytes, *, is_http: bool = False) -> None:
        self.address = address
        self.name = name
        self.is_http = is_http
        self.status = 200
        self.requests: list[bytes] = []
        self.connections = 0
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, self.address, port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            if self.is_http:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                length = str(len(self.name)).encode()
                head = b"HTTP/1.1 %d X\r\nContent-Length: %s\r\nConnection: close\r\n\r\n" % (self.status, length)
                writer.write(head + self.name)
            else:
                writer.write(self.name)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def talk(address: str, port: int, request: bytes = b"", client: str | None = None) -> bytes:
    """Open a connection (from the address `client`), say something, and return all that comes back.

    Raises OSError if it is rejected or cut.
    """
    async with asyncio.timeout(DEADLINE_SECONDS):
        reader, writer = await asyncio.open_connection(address, port, local_addr=client and (client, 0))
        try:
            if request:
                writer.write(request)
            return await reader.read()
        finally:
            writer.close()


async def get(address: str, port: int, path: str = "/", headers: str = "", client: str | None = None) -> bytes:
    request = f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n"
    return await talk(address, port, request.encode(), client)


async def is_refused(address: str, port: int) -> bool:
    try:
        await talk(address, port)
    except ConnectionRefusedError:
        return True
    except ConnectionError:
        return False
    return False


def a_listener(
    listener_id: str,
    port: int,
    backend_port: int,
    members: Iterable[str] = (),
    *,
    protocol: ServedProtocol = ServedProtocol.TCP,
    algorithm: BalancingPolicy = BalancingPolicy.ROUND_ROBIN,
    health_check: ProxyHealthCheck | None = None,
    idle_timeout: int | None = None,
) -> Served:
    return Served(
        listener_id, protocol, port, backend_port, algorithm, tuple(sorted(members)), health_check, idle_timeout
    )


def desired(load_balancer_id: str, generation: int, address: str, *listeners: Served) -> DesiredResources:
    resources = build(serving(load_balancer_id, address, listeners))
    return DesiredResources(load_balancer_id, generation, resources)


class Stand:
    """One data directory with its Envoy and the control stream that it follows."""

    def __init__(self, directory: Path, concurrency: int = 2) -> None:
        self.files = DataPlaneFiles(directory)
        self.recorder = Recorder()
        self.envoy = EnvoySupervisor(EnvoyOptions(directory, NODE, concurrency))
        self.ads = AdsServer(self.files.xds_socket, lambda: self.envoy.pids)

    async def start(self) -> None:
        self.files.create()
        await self.ads.start(self.recorder)
        await self.envoy.start()

    async def connected(self) -> None:
        await self.recorder.wait(lambda: NODE in self.ads.nodes)

    async def confirmed(self, load_balancer_id: str, generation: int) -> None:
        wanted = (NODE, load_balancer_id, generation)
        await self.recorder.wait(lambda: wanted in self.recorder.confirmations)

    async def rejected(self, resource: str) -> RejectedResource:
        await self.recorder.wait(lambda: any(each.resource == resource for each in self.recorder.rejections))
        return next(each for each in self.recorder.rejections if each.resource == resource)

    async def publish(self, wanted: DesiredResources) -> None:
        """Publish one load balancer and wait until the node has it."""
        self.ads.publish([wanted])
        await self.confirmed(wanted.load_balancer_id, wanted.generation)

    async def restart_control(self) -> None:
        """What a restart of the service is to Envoy: the stream ends, and one opens that knows nothing of before."""
        await self.ads.stop()
        self.recorder = Recorder()
        self.ads = AdsServer(self.files.xds_socket, lambda: self.envoy.pids)
        await self.ads.start(self.recorder)

    async def stop(self) -> None:
        await self.ads.stop()
        await self.envoy.stop()


@asynccontextmanager
async def a_stand(directory: Path) -> AsyncIterator[Stand]:
    """A stand whose control stream is ready and whose Envoy is connected."""
    stand = Stand(directory)
    try:
        await stand.start()
        stand.ads.ready()
        await stand.connected()
        yield stand
    finally:
        await stand.stop()
