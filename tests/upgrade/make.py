"""Makes the data directory of a version, for later versions to start with: `python -m tests.upgrade.make sqlite FILE`.

To be run with the code of the version that is to be kept: its own service writes everything. What its API said of it
is kept beside it (`expected.json`), and for PostgreSQL the database as `pg_dump` has it (`database.sql`). The service
is killed while Envoy stands still, so that some jobs have not ended. Nothing in it is secret: the keys are for this.
"""

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from stand import Api, Service
from stand.certificates import ec_pair
from stand.postgres import programs, running_postgres

EXTERNAL: Final = "127.240.0.0/24"
INTERNAL: Final = "127.241.0.0/24"
MEMBERS: Final = ("127.242.0.1", "127.242.0.2", "127.242.0.3")
MEMBER_PORT: Final = 9000
WEBHOOK: Final = "http://127.0.0.1:9/ended"
KEPT: Final = ("credentials.json", "equipoise.db", "identity.id", "identity.json", "instance", "keys", "metrics.token")

Json = Any


def main() -> int:
    """Returns the exit status."""
    kind, target = sys.argv[1:]
    with TemporaryDirectory(prefix="equipoise-upgrade-") as folder, ExitStack() as parts:
        settings = ["jobs.time_limit=86400", "webhooks.timeout=60"]
        url = parts.enter_context(running_postgres()).new_database() if kind == "postgresql" else ""
        service = Service(Path(folder) / "data", *settings, *([f"database.url={url}"] if url else []))
        service.external, service.internal = EXTERNAL, INTERNAL
        service.settings[:2] = [f"addresses.external={EXTERNAL}", f"addresses.internal={INTERNAL}"]
        try:
            service.start()
            expected = fill(service)
        finally:
            service.stop()
        files = {"expected.json": json.dumps(expected, indent=1).encode()}
        if url:
            files["database.sql"] = _dump(url)
        else:
            with sqlite3.connect(service.data_dir / "equipoise.db") as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pack(service.data_dir, files, Path(target))
    return 0


def fill(service: Service) -> dict[str, Json]:
    """Make one of everything, kill the service with jobs under way, and return what its API said just before."""
    with Api(service) as api:
        first = api.create_load_balancer(name="first", description="made by an older version")
        second = api.create_load_balancer(name="second", type="Internal", vip_subnet_id="s", security_group_id="g")
        gone = api.create_load_balancer(name="gone")
        api.succeed("DELETE", f"/elbaas/loadbalancers/{gone['id']}")
        certificates = [api.ok("POST", "/elbaas/certificate", json=ec_pair("upgrade.test").body)["id"] for _ in "ab"]
        listeners = {
            "HTTP": api.create_listener(first["id"], port=8001, backend_port=MEMBER_PORT, session_sticky=True),
            "TCP": api.create_listener(first["id"], protocol="TCP", port=8002, backend_port=MEMBER_PORT),
            "UDP": api.create_listener(first["id"], protocol="UDP", port=8003, backend_port=MEMBER_PORT),
            "HTTPS": api.create_listener(
                first["id"], protocol="HTTPS", port=8004, backend_port=MEMBER_PORT, certificate_id=certificates[0]
            ),
            "second": api.create_listener(second["id"], port=8001, backend_port=MEMBER_PORT, lb_algorithm="source"),
        }
        for listener in listeners.values():
            api.add_members(listener["id"], *MEMBERS[:2])
        api.ok(
            "POST", "/elbaas/healthcheck", json={"listener_id": listeners["HTTP"]["id"], "healthcheck_protocol": "TCP"}
        )
        api.ok("PUT", "/webhook", json={"url": WEBHOOK})
        address = {"publicip": {"type": "5_bgp"}, "bandwidth": {"name": "own", "size": 20, "share_type": "PER"}}
        assert api.http.post(f"/v1/{api.project_id}/publicips", json=address).is_success
        os.kill(service.envoy_pid, signal.SIGSTOP)
        unfinished = {
            "member": _job(api, "POST", f"/elbaas/listeners/{listeners['TCP']['id']}/members", [_member(MEMBERS[2])]),
            "deletion": _job(api, "DELETE", f"/elbaas/loadbalancers/{second['id']}"),
        }
        told = {path: api.http.get(path).raise_for_status().json() for path in _paths(api, certificates, listeners)}
        return {"version": "0.1.0", "unfinished": unfinished, "told": told}


def _member(address: str) -> Json:
    return {"server_id": f"server-{address}", "address": address}


def _job(api: Api, method: str, path: str, body: Json = None) -> str:
    return str(api.ok(method, path, json=body)["job_id"])


def _paths(api: Api, certificates: list[str], listeners: dict[str, Json]) -> Iterator[str]:
    """Where the API tells of everything that there is."""
    yield f"/v1/{api.project_id}/publicips"
    checked = api.ok("GET", f"/elbaas/listeners/{listeners['HTTP']['id']}")
    ours = ["/elbaas/loadbalancers", "/elbaas/listeners", "/elbaas/certificate", "/webhook", "/jobs"]
    ours += [f"/elbaas/listeners/{listener['id']}/members" for listener in listeners.values()]
    ours += [f"/elbaas/certificate/{id}" for id in certificates]
    yield from (api.root + path for path in [*ours, f"/elbaas/healthcheck/{checked['healthcheck_id']}"])


def _dump(url: str) -> bytes:
    command: list[str | Path] = [programs() / "pg_dump", "--no-owner", "--no-privileges", "--inserts", url]
    lines = subprocess.run(command, check=True, capture_output=True).stdout.splitlines(keepends=True)
    # What begins with a backslash is for `psql` and not for the server.
    return b"".join(line for line in lines if not line.startswith((b"\\", b"-- ")) and line != b"--\n")


def pack(data_dir: Path, more: dict[str, bytes], target: Path) -> None:
    """Write what a backup holds, and these files beside it, into a compressed archive."""
    with tarfile.open(target, "w:xz") as archive:
        for name in KEPT:
            if (data_dir / name).exists():
                archive.add(data_dir / name, f"data/{name}", filter=_anonymous)
        for name, content in more.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    sys.exit(main())
