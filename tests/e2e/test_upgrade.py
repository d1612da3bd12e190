"""A service of another version, or of another folder, goes on where the one before it was, with data and traffic."""

import asyncio
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop
from cryptography.fernet import Fernet

from stand import Api, Backend, Service, ask, eventually, process_is_there
from stand.postgres import Postgres
from tests.hitless.clients import Load
from tests.hitless.member import Members
from tests.hitless.run import scene
from tests.tls_client import served
from tests.upgrade.archive import Kept, unpack
from tests.upgrade.elsewhere import installed_in
from tests.upgrade.make import EXTERNAL, INTERNAL, MEMBER_PORT, MEMBERS

VERSIONS = ("0.1.0",)
CLIENTS = 2


@pytest.fixture
def members() -> Iterator[None]:
    """Who was behind the listeners of the older version."""
    with ExitStack() as running:
        for address in MEMBERS:
            running.callback(Backend(address, MEMBER_PORT).close)
        yield


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> Postgres | None:
    """Where the database is; None: in the data directory."""
    found: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    return found


def service_in(data_dir: Path, *settings: str) -> Service:
    service = Service(data_dir, *settings)
    service.settings[:2] = [f"addresses.external={EXTERNAL}", f"addresses.internal={INTERNAL}"]
    return service


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_of_an_older_version_is_there_and_what_it_had_begun_is_finished(
    tmp_path: Path, server: Postgres | None, members: None, version: str
) -> None:
    kept = unpack(version, tmp_path / "kept", server)
    token, revoked = old_tokens(tmp_path / "kept")
    service = service_in(tmp_path / "kept", "jobs.retention=36500", *kept.settings)
    service.program = installed_in(tmp_path / "elsewhere")
    try:
        service.start()
        with Api(service) as api:
            for job in kept.unfinished.values():
                assert api.ended(job)["status"] == "SUCCESS"
            now = {path: api.http.get(path) for path in kept.told}
            assert status_with(api, token) == 200
            assert status_with(api, revoked) == 401
            assert_all_is_there(kept, {path: answer.json() for path, answer in now.items() if answer.is_success})
            [load_balancer] = api.ok("GET", "/elbaas/loadbalancers")["loadbalancers"]
            address = load_balancer["vip_address"]
            assert set(ask(address, 8001, 12)) == set(MEMBERS[:2])
            assert set(ask(address, 8002, 12)) == set(MEMBERS)
            assert served((address, 8004))
            # It goes on with what it has.
            api.create_listener(load_balancer["id"], port=8010, backend_port=MEMBER_PORT)
            listed = [each["port"] for each in api.ok("GET", "/elbaas/listeners")]
            assert sorted(listed) == [8001, 8002, 8003, 8004, 8010]
    finally:
        service.stop()


def old_tokens(data_dir: Path) -> tuple[str, str]:
    """Two tokens as 0.1.0 issued them, of its administrator: one that counts, and one that it has revoked."""
    content = json.loads((data_dir / "identity.json").read_bytes())
    [given] = content["assignments"]
    now = int(time.time())
    encrypt = Fernet((data_dir / "keys" / "token.key").read_bytes()).encrypt

    def token(audit_id: str) -> str:
        said = (given["user_id"], given["project_id"], (given["role"],), ("password",), now, now + 3600, audit_id)
        return encrypt(msgspec.msgpack.encode(said)).decode()

    with (data_dir / "keys" / "revoked").open("a") as file:
        file.write(f"{now + 3600} {'r' * 22}\n")
    return token("t" * 22), token("r" * 22)


def status_with(api: Api, token: str) -> int:
    return api.call("GET", "/elbaas/loadbalancers", headers={"X-Auth-Token": token}).status_code


def assert_all_is_there(kept: Kept, now: dict[str, Any]) -> None:
    """What the API says is what it said, but for what the jobs that had not ended were about."""
    for path, told in kept.told.items():
        name = path.rpartition("/")[2]
        if name == "jobs":
            before = {each["job_id"]: each for each in told["jobs"]}
            after = {each["job_id"]: each for each in now[path]["jobs"]}
            assert before.keys() == after.keys()
            ended = before.keys() - set(kept.unfinished.values())
            assert {id: after[id] for id in ended} == {id: before[id] for id in ended}
        elif name == "loadbalancers":
            left = [each for each in told["loadbalancers"] if each["name"] != "second"]
            # Zones came later.
            assert now[path]["loadbalancers"] == [each | {"az": None} for each in left]
        elif name == "listeners":
            assert sorted(each["port"] for each in now[path]) == [8001, 8002, 8003, 8004]
            assert [each for each in now[path] if each not in told] == []
        elif name == "members":
            if path in now:
                assert {each["id"] for each in told} == {each["id"] for each in now[path]}
        else:
            assert now[path] == told


@pytest.mark.timeout(240)
def test_a_service_of_another_folder_takes_the_traffic_over_and_so_it_does_with_another_envoy(
    own_service: Service, tmp_path: Path
) -> None:
    uvloop.run(_another_folder_and_another_envoy(own_service, tmp_path / "elsewhere"))


async def _another_folder_and_another_envoy(service: Service, elsewhere: Path) -> None:
    async with Members(3) as members, scene(service, members) as (_, places):
        load = Load({**places, "TCP new": places["TCP"]}, CLIENTS)
        try:
            await load.more(5)
            first = service.envoy_pid
            service.program = await asyncio.to_thread(installed_in, elsewhere)
            service.signal(signal.SIGUSR2)
            assert await asyncio.to_thread(service.wait) == 0
            await load.more(5)
            await asyncio.to_thread(service.start)
            assert service.envoy_pid == first
            assert str(elsewhere) in await asyncio.to_thread(command_line, service.standby_pid)
            service.settings.append(f"envoy.concurrency={(os.cpu_count() or 1) + 1}")
            await asyncio.to_thread(service.kill)
            await asyncio.to_thread(service.start)
            assert service.envoy_pid != first
            await load.more(20)
            await load.settled()
        finally:
            await load.stop()
        lost = {kind: [each.what for each in fates.failures] for kind, fates in load.fates.items() if fates.failures}
        # Answers in datagrams that were on their way at the moment in which the old Envoy stopped.
        assert len(lost.pop("UDP", [])) <= CLIENTS
        assert lost == {}
        assert process_is_there(first), "it was to keep its connections"


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_a_stop_after_an_upgrade_ends_all_envoys(own_service: Service) -> None:
    first = own_service.envoy_pid
    own_service.signal(signal.SIGUSR2)
    own_service.wait()
    assert process_is_there(first)
    own_service.settings.append(f"envoy.concurrency={(os.cpu_count() or 1) + 1}")
    own_service.start()
    second = own_service.envoy_pid
    own_service.signal(signal.SIGTERM)
    assert own_service.wait() == 0
    assert not process_is_there(first)
    assert not process_is_there(second)


def refusal(service: Service) -> str:
    """What a service says that does not start."""
    with pytest.raises(AssertionError, match="no ready line"):
        service.start()
    assert service.wait() == 1
    return eventually(service.log).strip().splitlines()[-1]


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    unpack("0.1.0", tmp_path / "kept")
    file = tmp_path / "kept" / "equipoise.db"
    with sqlite3.connect(file) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    service = service_in(tmp_path / "kept")
    told = refusal(service)
    assert "The database has the schema 9999" in told
    assert "Nothing was changed." in told
    assert "newer version" in told
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
        assert database.execute("SELECT count(*) FROM jobs WHERE end_time IS NULL").fetchone()[0] >= 2
    database.close()
    assert not (tmp_path / "kept" / "format").exists()


def test_a_data_directory_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    unpack("0.1.0", tmp_path / "kept")
    (tmp_path / "kept" / "format").write_text("3\n")
    before = {each: each.read_bytes() for each in (tmp_path / "kept").rglob("*") if each.is_file()}
    told = refusal(service_in(tmp_path / "kept"))
    assert "has the format '3'" in told
    assert "Nothing was changed." in told
    after = {each: each.read_bytes() for each in (tmp_path / "kept").rglob("*") if each.is_file()}
    assert {each: content for each, content in after.items() if each.name != "service.lock"} == before
