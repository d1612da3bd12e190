"""The vendor's own Python SDK, unmodified, against a running service: what it asks for it gets, and it understands it.

It has an environment of its own, made from vendor-sdk.lock: it pins libraries of 2018 that this project has no use for.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stand import Api, Backends, Service, ask, assert_even
from stand.certificates import rsa_pair

LOCK = Path(__file__).with_name("vendor-sdk.lock")
SESSION = Path(__file__).with_name("vendor_sdk_session.py")


@pytest.fixture(scope="module")
def interpreter(pytestconfig: pytest.Config) -> Path:
    """Python with the SDK; kept between runs for as long as the lock stays the same."""
    assert pytestconfig.cache is not None
    home = pytestconfig.cache.mkdir(f"vendor-sdk-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}")
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(LOCK)], check=True)
        (home / "ready").touch()
    return python


@pytest.mark.timeout(300)
def test_the_sdk_of_the_vendor_does_its_whole_job(
    interpreter: Path, shared_service: Service, api: Api, backends: Backends
) -> None:
    given = {
        "credentials": shared_service.credentials(),
        "port": 8081,
        "backend_port": backends.port,
        "backends": backends.addresses,
        "certificate": rsa_pair().body,
    }
    with subprocess.Popen(
        [interpreter, "-W", "ignore", SESSION], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as session:
        assert session.stdin is not None
        assert session.stdout is not None

        def send(value: object) -> dict[str, Any]:
            print(json.dumps(value), file=session.stdin, flush=True)
            answer: dict[str, Any] = json.loads(session.stdout.readline())  # type: ignore[union-attr]
            return answer

        address = send(given)["serving"]
        answers = ask(address, 8081, 20)
        told = send(None)["told"]
    assert session.returncode == 0
    assert told["load_balancer"] == {"name": "from-the-sdk", "status": "ACTIVE", "vip_address": address}
    assert told["listed"] == ["from-the-sdk"]
    assert told["changed"] == ["changed", 2, True]
    assert told["listener"] == ["ACTIVE", 8081, False]
    assert told["listeners"] == [True]
    assert told["health_check"] == ["/health", 1]
    assert told["checked_faster"] == 2
    assert sorted(told["added"]) == told["members"] == sorted(backends.addresses)
    assert told["left"] == 2
    assert_even(answers, [one for one in backends.addresses if one != told["removed"]])
    assert told["certificates"] == ["site"]
    assert told["certificate_changed"] == "changed"
    assert told["certificates_left"] == []
    assert told["quotas"].keys() == {"elb", "listener"}
    assert "Lb not exist" in told["gone"]
    assert not [one for one in api.ok("GET", "/elbaas/loadbalancers")["loadbalancers"] if one["name"] == "from-the-sdk"]
