"""The data directory of an older version, as `tests.upgrade.make` has kept it, made ready for a service."""

import json
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from equipoise.store.database import open_engine, sqlite_url
from stand.postgres import Postgres

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Kept:
    """`told` is what the API of the older version said, by path; `unfinished` are jobs that had not ended."""

    version: str
    unfinished: dict[str, str]
    told: dict[str, Any]
    settings: tuple[str, ...]


def unpack(version: str, data_dir: Path, server: Postgres | None = None) -> Kept:
    """Make the data directory, and a database on this server if there is one."""
    with tarfile.open(FOLDER / f"{version}-{'sqlite' if server is None else 'postgresql'}.tar.xz") as archive:
        archive.extractall(data_dir.parent, filter="data")
    (data_dir.parent / "data").rename(data_dir)
    data_dir.chmod(0o700)
    url = sqlite_url(data_dir / "equipoise.db")
    settings: tuple[str, ...] = ()
    if server is not None:
        url = server.new_database()
        settings = (f"database.url={url}",)
        with psycopg.connect(url) as connection:
            connection.execute((data_dir.parent / "database.sql").read_bytes())
    _give_time(url)
    expected = json.loads((data_dir.parent / "expected.json").read_text())
    return Kept(expected["version"], expected["unfinished"], expected["told"], settings)


def _give_time(url: str) -> None:
    """Let the time limit of jobs begin now: it is years since they were accepted."""
    engine = open_engine(url)
    with engine.begin() as connection:
        limit = {"deadline": int(time.time() * 1000) + 600_000}
        connection.execute(text("UPDATE jobs SET deadline = :deadline WHERE status IN ('INIT', 'RUNNING')"), limit)
    engine.dispose()
