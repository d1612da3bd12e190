"""A node that reaches its controller over the network, as one in the same process does without."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from equipoise.controller import gate as gate_module
from equipoise.controller.admission import Admission
from equipoise.controller.gate import Gate, NodesListenError
from equipoise.core.jobs import JobStatus
from equipoise.node.agent import Agent
from equipoise.node.credential import CredentialFiles, NodeCredentialError
from equipoise.node.dialing import Dialer
from equipoise.node.draining import Draining
from equipoise.node.joining import JoinError, joined
from equipoise.node.telemetry.served import Served
from equipoise.proxy.link import AllAssigned, Assign, Greeting, Hello, ToNode
from equipoise.store import admission as store
from equipoise.wire import conversation
from equipoise.wire.authority import KeyPair, Validity
from equipoise.wire.codec import decode_to_node
from equipoise.wire.join_token import JoinToken
from equipoise.wire.rpc import channel, speak
from stand import free_port
from tests.fake_checks import FakeChecks
from tests.store.controller_stand import FakeLimits, FakeNode, RecordingCutter, Stand, open_stand

DAY = 86_400.0
HERE = "127.0.0.1"


class Elsewhere:
    """A node with a data directory of its own."""

    def __init__(self, folder: Path, *controllers: str, token: JoinToken | None = None, name: str = "one") -> None:
        self.files = CredentialFiles(folder)
        self.controllers = controllers
        self.token = token
        self.name = name
        self.now = lambda: datetime.now(UTC)
        # Each start is told once which load balancers there are.
        self.kept: list[set[str]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeNode]:
        credential = await joined(self.files, self.controllers, self.token, self.name)
        dialer = Dialer(self.controllers, self.files, credential, self.now)
        node = FakeNode(credential.node_id)
        agent = Agent(
            dialer.connect,
            node,
            FakeLimits(None),
            Draining(RecordingCutter()),
            FakeChecks,
            Served(),
            keep_only=lambda ids: self.kept.append(set(ids)),
        )
        node.observer = agent
        agent.start()
        dialer.start()
        node.connect()
        try:
            yield node
        finally:
            await dialer.stop()
            await agent.stop()


@asynccontextmanager
async def listening(stand: Stand, lifetime: float = DAY, port: int = 0) -> AsyncIterator[tuple[str, Admission]]:
    """A controller that nodes elsewhere can reach, and where."""
    admission = await Admission.open(stand.database, stand.vault, lifetime)
    listen = f"{HERE}:{port or free_port(HERE)}"
    gate = Gate(listen, stand.controller, admission)
    await gate.start()
    try:
        yield listen, admission
    finally:
        await gate.stop()


async def test_a_job_ends_when_a_node_elsewhere_has_confirmed_it(database_url: str, tmp_path: Path) -> None:
    async with open_stand(database_url) as stand, listening(stand) as (address, admission):
        token = await admission.new_token()
        async with Elsewhere(tmp_path, address, token=token).running() as node:
            await stand.until(lambda: node.node_id in stand.controller.fleet.sessions)
            node.confirms_at_once = False
            accepted = await stand.create_load_balancer()
            await stand.until(lambda: accepted.resource_id in node.desired)
            await stand.until(lambda: stand.job(accepted).status is JobStatus.RUNNING)
            node.confirm_all()
            assert (await stand.ended(accepted)).status is JobStatus.SUCCESS
            node.confirms_at_once = True
            second = await stand.create_listener(accepted.resource_id)
            assert (await stand.ended(second)).status is JobStatus.SUCCESS
        # It has gone, and holds up nobody from that moment on.
        await stand.until(lambda: node.node_id not in stand.controller.fleet.sessions)
        third = await stand.create_listener(accepted.resource_id, 8081)
        assert (await stand.ended(third)).status is JobStatus.SUCCESS
        # It comes back without a token, is told what it missed, and what has gone is not there any more.
        elsewhere = Elsewhere(tmp_path, address)
        async with elsewhere.running() as again:
            assert again.node_id == node.node_id
            await stand.until(lambda: again.is_ready)
            assert elsewhere.kept == [{accepted.resource_id}]
            assert again.desired[accepted.resource_id].generation == 3


async def test_a_node_finds_the_controller_that_is_there(database_url: str, tmp_path: Path) -> None:
    async with open_stand(database_url) as stand, listening(stand) as (address, admission):
        nobody = f"{HERE}:{free_port(HERE)}"
        elsewhere = Elsewhere(tmp_path, nobody, address, token=await admission.new_token())
        async with elsewhere.running() as node:
            await stand.until(lambda: node.is_ready)


async def test_a_controller_that_ends_is_come_back_to(database_url: str, tmp_path: Path) -> None:
    port = free_port(HERE)
    async with open_stand(database_url) as stand:
        async with listening(stand, port=port) as (address, admission):
            token = await admission.new_token()
            elsewhere = Elsewhere(tmp_path, address, token=token)
            running = elsewhere.running()
            node = await running.__aenter__()
            await stand.until(lambda: node.node_id in stand.controller.fleet.sessions)
            first = stand.controller.fleet.sessions[node.node_id]
        try:
            await stand.until(lambda: node.node_id not in stand.controller.fleet.sessions)
            accepted = await stand.create_load_balancer()
            assert (await stand.ended(accepted)).status is JobStatus.SUCCESS
            assert accepted.resource_id not in node.desired
            async with listening(stand, port=port):
                await stand.until(lambda: accepted.resource_id in node.desired)
                assert stand.controller.fleet.sessions[node.node_id] > first
        finally:
            await running.__aexit__(None, None, None)


async def test_who_may_not_join_is_told_why(database_url: str, tmp_path: Path) -> None:
    async with open_stand(database_url) as stand, listening(stand) as (address, admission):
        token = await admission.new_token()
        async with Elsewhere(tmp_path / "one", address, token=token).running():
            pass
        with pytest.raises(JoinError, match="was used already, by another node: make another one"):
            await joined(CredentialFiles(tmp_path / "two"), [address], token, "two")
        with pytest.raises(JoinError, match="there is a node 'one' already"):
            await joined(CredentialFiles(tmp_path / "two"), [address], await admission.new_token(), "one")
        with pytest.raises(JoinError, match="name: must be 1 to 63"):
            await joined(CredentialFiles(tmp_path / "two"), [address], await admission.new_token(), "a b")
        with pytest.raises(JoinError, match="has not joined a service yet"):
            await joined(CredentialFiles(tmp_path / "two"), [address], None, "two")


async def test_a_token_of_another_service_leads_nowhere(database_url: str, other_url: str, tmp_path: Path) -> None:
    async with (
        open_stand(database_url) as here,
        open_stand(other_url) as there,
        listening(here) as (address, _),
        listening(there) as (_, admission),
    ):
        with pytest.raises(JoinError, match="is not a controller of the service that this node belongs to"):
            await joined(CredentialFiles(tmp_path), [address], await admission.new_token(), "one")


async def test_a_removed_node_loses_its_stream_and_gets_no_other(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_module, "_LOOK_SECONDS", 0.05)
    async with open_stand(database_url) as stand, listening(stand) as (address, admission):
        elsewhere = Elsewhere(tmp_path, address, token=await admission.new_token())
        with structlog.testing.capture_logs() as logs:
            async with elsewhere.running() as node:
                await stand.until(lambda: node.node_id in stand.controller.fleet.sessions)
                await stand.write(lambda tx: store.remove(tx.connection, "one"))
                await stand.until(lambda: any(said(logs, "node_rejected", "was removed from the service")))
                await stand.until(lambda: node.node_id not in stand.controller.fleet.sessions)
                # With a new token it is let in again, as another node.
        elsewhere.token = await admission.new_token()
        async with elsewhere.running() as again:
            assert again.node_id != node.node_id
            await stand.until(lambda: again.is_ready)


async def test_a_certificate_is_renewed_at_half_its_life(database_url: str, tmp_path: Path) -> None:
    async with open_stand(database_url) as stand, listening(stand, lifetime=4) as (address, admission):
        elsewhere = Elsewhere(tmp_path, address, token=await admission.new_token())
        async with elsewhere.running() as node:
            first = elsewhere.files.read()
            await stand.until(lambda: elsewhere.files.read() != first)
            # The stream is the one of before.
            await stand.until(lambda: node.node_id in stand.controller.fleet.sessions)
        second = elsewhere.files.read()
        assert first is not None
        assert second is not None
        assert second.validity.end - first.validity.end >= timedelta(seconds=2)


async def test_an_expired_certificate_is_told_by_the_node_and_refused_by_the_controller(
    database_url: str, tmp_path: Path
) -> None:
    async with open_stand(database_url) as stand, listening(stand, lifetime=-1) as (address, admission):
        elsewhere = Elsewhere(tmp_path, address, token=await admission.new_token())
        with structlog.testing.capture_logs() as logs:
            async with elsewhere.running():
                await stand.until(lambda: any(said(logs, "node_rejected", "the certificate of this node expired at")))
            # Even if its clock says otherwise.
            end = Validity.of(elsewhere.files.read().certificate.encode()).end  # type: ignore[union-attr]
            elsewhere.now = lambda: end - timedelta(days=1)
            async with elsewhere.running():
                await stand.until(lambda: any(said(logs, "controller_not_reached", "")))
        assert not said(logs, "node_connected", "")


async def test_a_port_that_is_taken_is_told(database_url: str) -> None:
    async with open_stand(database_url) as stand, listening(stand) as (address, admission):
        with pytest.raises(NodesListenError, match="give another address with nodes"):
            await Gate(address, stand.controller, admission).start()


def said(logs: list[Any], event: str, reason: str) -> list[Any]:
    return [each for each in logs if each["event"] == event and reason in each.get("reason", "")]


@pytest.fixture
def other_url(tmp_path: Path, sqlite_pattern: Path) -> str:
    """Another database."""
    file = tmp_path / "other.db"
    file.write_bytes(sqlite_pattern.read_bytes())
    return f"sqlite:///{file}"


async def test_a_node_without_room_is_told_the_rest_when_it_has_some(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        accepted = await stand.create_load_balancer()
        await stand.ended(accepted)
        told: list[ToNode] = []
        has_room = False
        link = stand.controller.open("slow", told.append, lambda: has_room)
        link.receive(Hello(1))
        await stand.until(lambda: "slow" in stand.controller.fleet.sessions)
        # What moves it is told all the same: its stream ends when that becomes too much.
        moved = await stand.create_listener(accepted.resource_id)
        await stand.until(lambda: any(isinstance(each, Assign) for each in told))
        assert not any(isinstance(each, AllAssigned) for each in told)
        has_room = True
        stand.controller.go_on()
        await stand.until(lambda: any(isinstance(each, AllAssigned) for each in told))
        link.close()
        # It held the job up only as long as it was there.
        assert (await stand.ended(moved)).status is JobStatus.SUCCESS
        assert "slow" not in stand.controller.fleet.sessions


async def test_of_two_streams_of_a_node_the_newer_one_counts(database_url: str, tmp_path: Path) -> None:
    async with open_stand(database_url) as stand, listening(stand) as (address, admission):
        elsewhere = Elsewhere(tmp_path, address, token=await admission.new_token())
        with structlog.testing.capture_logs() as logs:
            async with elsewhere.running() as node:
                await stand.until(lambda: node.node_id in stand.controller.fleet.sessions)
                credential = elsewhere.files.read()
                assert credential is not None
                pair = KeyPair(credential.certificate.encode(), elsewhere.files.key())
                async with channel(address, admission.certificate, pair) as way:
                    stream = speak(way)
                    assert decode_to_node(await anext(aiter(stream))) == Greeting()
                    lost = "the node has come with another connection"
                    await stand.until(lambda: any(said(logs, "controller_lost", lost)))
                # It comes back, and is taken over anew.
                await stand.until(lambda: node.node_id in stand.controller.fleet.sessions)


async def test_a_node_keeps_the_name_with_which_it_joined(database_url: str, tmp_path: Path) -> None:
    async with open_stand(database_url) as stand, listening(stand) as (address, admission):
        files, token = CredentialFiles(tmp_path), await admission.new_token()
        first = await joined(files, [address], token, None)
        assert first.name == socket.gethostname()
        assert await joined(files, [address], token, first.name) == first
        with pytest.raises(JoinError, match=r"leave --name out"):
            await joined(files, [address], token, "other")
        again = await joined(files, [address], await admission.new_token(), None)
        assert (again.node_id, again.name) == (first.node_id, first.name)


def test_a_key_that_is_none_is_told_and_not_quoted(tmp_path: Path) -> None:
    files = CredentialFiles(tmp_path)
    files.key()
    (tmp_path / "keys" / "node.key").write_text("hunter2")
    with pytest.raises(NodeCredentialError, match=r"node\.key is not the key") as told:
        files.key()
    assert "hunter2" not in str(told.value)
    assert told.value.__cause__ is None
    (tmp_path / "keys" / "node.json").write_text("{}")
    with pytest.raises(NodeCredentialError, match=r"node\.json cannot be read"):
        files.read()


async def test_a_controller_that_says_nothing_is_given_up(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_stand(database_url) as stand, listening(stand) as (address, admission):
        token = await admission.new_token()
        await joined(CredentialFiles(tmp_path), [address], token, "one")
        monkeypatch.setattr(conversation, "SILENCE_SECONDS", 1.0)
        monkeypatch.setattr(conversation, "BEAT_SECONDS", 0.1)
        ended = asyncio.Event()

        async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await ended.wait()
            writer.close()

        async with await asyncio.start_server(say_nothing, HERE, 0) as frozen:
            host, port = frozen.sockets[0].getsockname()
            with structlog.testing.capture_logs() as logs:
                async with Elsewhere(tmp_path, f"{host}:{port}", address).running() as node:
                    await stand.until(lambda: node.is_ready)
            assert said(logs, "controller_not_reached", "nothing was heard for 1 s")
            ended.set()
