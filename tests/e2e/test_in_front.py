"""A load balancer in front of several services, by the commands of docs/howto/load-balancer-in-front.md."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from stand import COMMAND, Service, eventually, free_port, unused_network
from stand.postgres import Postgres
from tests.page import commands, elsewhere
from tests.traffic import halted

PAGE = Path(__file__).parents[2] / "docs/howto/load-balancer-in-front.md"
LONGER_THAN_KEPT = 6
"""Seconds: a connection to a member is kept for 4 s without a request."""


@dataclass
class InFront:
    """The services, and what the commands of the page printed."""

    services: list[Service]
    url: str
    token: str
    project: str
    printed: str

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"x-auth-token": self.token, **more.pop("headers", {})}
        return httpx.request(
            method, f"{self.url}/v1.0/{self.project}{path}", headers=headers, timeout=60, verify=False, **more
        )

    def create(self, **headers: str) -> str:
        body = {"name": "one", "type": "External", "bandwidth": 100, "vpc_id": "any", "admin_state_up": 1}
        return str(self.ask("POST", "/elbaas/loadbalancers", json=body, headers=headers).json()["job_id"])


@contextmanager
def services(folder: Path, url: str, network: str) -> Iterator[list[Service]]:
    """Two on one database, at the addresses 11 and 12 of a network."""
    both: list[Service] = []
    for number in (11, 12):
        one = Service(
            folder / f"service-{number}",
            f"database.url={url}",
            "api.sync_wait=0",
            f"certificates.key_file={folder}/key",
        )
        one.host, one.port = f"{network}{number}", both[0].port if both else 0
        # Both have the addresses of the first.
        one.settings = [*(both[0].settings if both else one.settings)]
        both.append(one)
        one.start()
    try:
        yield both
    finally:
        for one in both:
            one.stop()


@contextmanager
def started_as_written(text: str, folder: Path) -> Iterator[None]:
    """The instance in front, by its command on the page, until the end of the block."""
    [command] = re.findall(r"^    (\.venv/bin/equipoise up .*)$", text, re.MULTILINE)
    words = command.replace(".venv/bin/equipoise", str(COMMAND), 1).split()
    with (folder / "front.log").open("wb") as log:
        front = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
    assert front.stdout is not None
    try:
        assert front.stdout.readline().startswith("ready "), (folder / "front.log").read_text()
        yield
    finally:
        front.terminate()
        front.wait()
        front.stdout.close()


@pytest.fixture(scope="module")
def in_front(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[InFront]:
    folder = tmp_path_factory.mktemp("in-front")
    network = unused_network().removesuffix("0/24")
    with services(folder, postgres.new_database(), network) as both:
        places = {
            "10.0.0.11": both[0].host,
            "10.0.0.12": both[1].host,
            "10.0.0.96/29": unused_network().replace("/24", "/29"),
            "127.0.0.1:8079": f"127.0.0.1:{free_port('127.0.0.1')}",
            "8080": str(both[0].port),
        }
        text = elsewhere(PAGE.read_text(), places)
        shutil.copytree(both[0].data_dir, folder / "service", ignore=shutil.ignore_patterns("run*", "*.lock"))
        with started_as_written(text, folder):
            script = commands(text) + '\necho "end $API $TOKEN $PROJECT"\n'
            ran = subprocess.run(["bash", "-eu", "-c", script], cwd=folder, capture_output=True, text=True, timeout=90)
            assert ran.returncode == 0, ran.stdout + ran.stderr
            _, url, token, project = ran.stdout.splitlines()[-1].split()
            yield InFront(both, url, token, project, ran.stdout)


def test_the_page_works_as_written_and_says_what_answers_say(in_front: InFront) -> None:
    jobs = re.findall(r'{"status":"([A-Z]+)".*?"job_type":"(\w+)"', in_front.printed)
    # The members of the front, then the first load balancer of the services; its events tell the end once more.
    assert jobs[0] == ("SUCCESS", "createMember")
    assert ("SUCCESS", "createELB") in jobs
    assert in_front.printed.count("event:") >= 1, in_front.printed

    versions = httpx.get(f"{in_front.url}/", verify=False).json()["versions"]
    assert {link["href"].rpartition("/")[0] for one in versions for link in one["links"]} == {in_front.url}
    tokens = httpx.get(
        f"{in_front.url}/v3/auth/tokens",
        headers={"x-auth-token": in_front.token, "x-subject-token": in_front.token, "x-forwarded-proto": "https"},
        verify=False,
    ).json()["token"]
    urls = {place["url"] for each in tokens["catalog"] for place in each["endpoints"]}
    assert urls
    assert all(url.startswith(in_front.url) for url in urls), urls
    for service in in_front.services:
        assert json.loads((service.data_dir / "credentials.json").read_text())["auth_url"] == f"{service.url}/v3"
    assert httpx.get(f"{in_front.url}/metrics", verify=False).status_code == 401


def test_requests_may_wait_through_it_and_streams_be_silent(in_front: InFront) -> None:
    made = in_front.ask("GET", f"/jobs/{in_front.create()}?wait=30").json()["entities"]["elb"]
    with halted(in_front.services[0].envoy_pid):
        body = {"name": "web", "loadbalancer_id": made["id"], "protocol": "TCP", "port": 8080, "lb_algorithm": "source"}
        in_front.ask("POST", "/elbaas/listeners", json=body | {"backend_protocol": "TCP", "backend_port": 9000})
        [found] = in_front.ask("GET", "/jobs?job_type=createListener").json()["jobs"]
        job = found["job_id"]
        lines: list[str] = []

        def follow() -> None:
            url = f"{in_front.url}/v1.0/{in_front.project}/jobs/{job}/events"
            with httpx.stream("GET", url, headers={"x-auth-token": in_front.token}, timeout=60, verify=False) as stream:
                lines.extend(stream.iter_lines())

        following = threading.Thread(target=follow)
        following.start()
        answer = in_front.ask("GET", f"/jobs/{job}?wait={LONGER_THAN_KEPT}")
        assert answer.status_code == 200
        assert answer.json()["status"] == "RUNNING"
        assert answer.elapsed.total_seconds() >= LONGER_THAN_KEPT
    # Whatever comes of it: both Envoys are on one machine here, and have one port to listen on.
    ended = in_front.ask("GET", f"/jobs/{job}?wait=30").json()["status"]
    assert ended in ("SUCCESS", "FAIL")
    following.join()
    assert any(f'"{ended}"' in line for line in lines), lines


def test_a_service_that_dies_is_left_out_and_a_key_leads_to_the_same_at_the_other(in_front: InFront) -> None:
    job = in_front.create(**{"Idempotency-Key": "k-1"})
    in_front.services[0].kill()
    # The first attempts may meet the dead one; none is answered twice.
    eventually(lambda: in_front.ask("GET", "/elbaas/quotas").status_code == 200)
    assert in_front.create(**{"Idempotency-Key": "k-1"}) == job
    assert in_front.ask("GET", f"/jobs/{job}?wait=30").json()["status"] == "SUCCESS"
    in_front.services[0].start()
