"""Without the service traffic goes on, and so it does when Envoy dies as well: a standby starts it again."""

import os
import signal
import stat
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from stand import Api, Backends, Service, ask, can_connect, eventually, process_is_there
from stand.certificates import rsa_pair
from tests.tls_client import served
from tests.traffic import asking, await_answers


@pytest.fixture
def place(own_service: Service, backends: Backends) -> tuple[str, str]:
    """Id of an HTTP listener with a member, and the address on which it serves at port 8080."""
    with Api(own_service) as api:
        load_balancer = api.create_load_balancer()
        listener = api.create_listener(load_balancer["id"], backend_port=backends.port)
        api.add_members(listener["id"], backends.addresses[0])
        return listener["id"], load_balancer["vip_address"]


def await_service_by(address: str, members: list[str]) -> None:
    """Wait until the listener serves again, then see that these members are the ones behind it."""
    await_answers(address, 8080)
    assert sorted(ask(address, 8080, 12)) == sorted(members)


def kill_envoy(service: Service) -> int:
    """Returns what it was."""
    killed = service.envoy_pid
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: service.envoy_pid != killed)
    return killed


def test_an_envoy_that_dies_without_a_service_is_started_again_with_all_that_was_confirmed(
    own_service: Service, backends: Backends, place: tuple[str, str]
) -> None:
    service = own_service
    pair = rsa_pair("hitless.test")
    with Api(service) as api:
        certificate = api.ok("POST", "/elbaas/certificate", json=pair.body)["id"]
        body = {"protocol": "HTTPS", "port": 8443, "certificate_id": certificate, "backend_port": backends.port}
        lb = api.ok("GET", f"/elbaas/listeners/{place[0]}")["loadbalancer_id"]
        secure = api.create_listener(lb, **body)
        api.add_members(secure["id"], *backends.addresses)
        gone = api.create_load_balancer()
        api.create_listener(gone["id"])
        api.succeed("DELETE", f"/elbaas/loadbalancers/{gone['id']}")
        # The last change before the end counts, too: its success was told.
        api.add_members(place[0], backends.addresses[1])
    service.kill()
    for _ in range(2):
        kill_envoy(service)
        await_service_by(place[1], backends.addresses[:2])
        assert not can_connect(gone["vip_address"], 8080)
        assert served((place[1], 8443)) == pair.record.public_bytes(Encoding.DER)
    # The next service finds what the standby started, and what it has to tell it is nothing.
    envoy = service.envoy_pid
    with asking(place[1], 8080) as asker:
        service.start()
        assert asker.failures == []
    assert service.envoy_pid == envoy
    with Api(service) as api:
        api.add_members(place[0], backends.addresses[2])
    assert sorted(ask(place[1], 8080, 12)) == sorted(backends.addresses)


def test_without_a_service_a_living_envoy_is_left_alone(
    own_service: Service, backends: Backends, place: tuple[str, str]
) -> None:
    with asking(place[1], 8080) as asker:
        envoy = own_service.envoy_pid
        own_service.kill()
        log = own_service.data_dir / "log" / "standby.log"
        eventually(lambda: log.exists() and '"envoy_taken_over"' in log.read_text())
        eventually(lambda: '"node_connected"' in log.read_text())
        asker.more(20)
        assert own_service.envoy_pid == envoy
        assert "last_good_configuration_published" not in log.read_text()
        own_service.start()
        asker.more(20)
        assert own_service.envoy_pid == envoy
        assert asker.failures == []


def test_a_stand_in_that_sleeps_has_loaded_next_to_nothing(own_service: Service) -> None:
    """Every module of it would be memory that nobody uses for as long as all is well."""
    of_it = Path("/proc", str(own_service.standby_pid))
    # It holds the process for whose end it waits.
    eventually(lambda: "anon_inode:[pidfd]" in held_by(of_it))
    loaded = (of_it / "maps").read_text()
    assert "python" in loaded
    for name in ("_asyncio", "_ssl", "_sqlite3", "site-packages"):
        assert name not in loaded


def held_by(process: Path) -> set[str]:
    """What the descriptors of a process are of."""
    names = set()
    for each in (process / "fd").iterdir():
        # Descriptors come and go while they are looked at.
        with suppress(FileNotFoundError):
            names.add(each.readlink().name)
    return names


def test_a_stand_in_that_is_killed_harms_nothing_and_another_one_takes_its_place(
    own_service: Service, backends: Backends, place: tuple[str, str]
) -> None:
    with asking(place[1], 8080) as asker:
        killed = own_service.standby_pid
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: own_service.standby_pid != killed)
        assert process_is_there(own_service.standby_pid)
        assert asker.failures == []
    own_service.kill()
    kill_envoy(own_service)
    await_service_by(place[1], backends.addresses[:1])


def test_a_stop_ends_the_stand_in_also_after_it_had_to_begin(
    own_service: Service, backends: Backends, place: tuple[str, str]
) -> None:
    first = own_service.standby_pid
    own_service.kill()
    kill_envoy(own_service)
    started_by_it = own_service.envoy_pid
    own_service.start()
    assert not process_is_there(first)
    second = own_service.standby_pid
    own_service.signal(signal.SIGTERM)
    assert own_service.wait() == 0
    assert not any(process_is_there(pid) for pid in (first, second, started_by_it))
    assert not can_connect(place[1], 8080)
    own_service.start()
    await_service_by(place[1], backends.addresses[:1])


def test_what_is_stored_is_for_its_owner_alone_and_holds_no_private_key(
    own_service: Service, place: tuple[str, str]
) -> None:
    pair = rsa_pair("secret.test")
    with Api(own_service) as api:
        certificate = api.ok("POST", "/elbaas/certificate", json=pair.body)["id"]
        lb = api.ok("GET", f"/elbaas/listeners/{place[0]}")["loadbalancer_id"]
        api.create_listener(lb, protocol="HTTPS", port=8443, certificate_id=certificate)
    files = list((own_service.data_dir / "run").glob("last-good.db*"))
    assert files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    content = b"".join(file.read_bytes() for file in files)
    key = "".join(pair.private_key.splitlines()[1:-1])
    assert pair.certificate.encode() not in content
    assert b"PRIVATE KEY" not in content
    assert not any(key[start : start + 24].encode() in content for start in range(0, len(key) - 24, 8))


@pytest.mark.parametrize("damage", ["torn", "nonsense", "gone"])
def test_a_damaged_store_is_made_anew_by_the_next_service(
    own_service: Service, backends: Backends, place: tuple[str, str], damage: str
) -> None:
    own_service.signal(signal.SIGTERM)
    own_service.wait()
    store = own_service.data_dir / "run" / "last-good.db"
    content = {"torn": store.read_bytes()[:5000], "nonsense": b"x" * 20_000, "gone": None}[damage]
    store.unlink()
    if content is not None:
        store.write_bytes(content)
    own_service.start()
    own_service.kill()
    kill_envoy(own_service)
    await_service_by(place[1], backends.addresses[:1])


def test_when_its_folder_is_taken_away_the_stand_in_ends_envoy_and_itself(
    own_service: Service, place: tuple[str, str]
) -> None:
    own_service.kill()
    envoy, standby = own_service.envoy_pid, own_service.standby_pid
    log = own_service.data_dir / "log" / "standby.log"
    eventually(lambda: log.exists() and '"envoy_taken_over"' in log.read_text())
    # In one step: the files in it may still come and go.
    own_service.data_dir.rename(own_service.data_dir.with_name("elsewhere"))
    eventually(lambda: not process_is_there(standby))
    assert not process_is_there(envoy)
