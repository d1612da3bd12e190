"""What `benchmarks.several` compares: services that share a database, each as if on a machine of its own."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from benchmarks.client import Stand, logged_in
from benchmarks.measure import processor_seconds
from benchmarks.memory import family
from stand import Service
from stand.namespaces import Namespace
from stand.postgres import Postgres

POSTGRES_SETTINGS: Final = ("shared_preload_libraries=pg_stat_statements",)
"""All others are as they come, so each commit is synced to the disk."""

_SETTINGS: Final = (
    "quotas.elb=1000000",
    "quotas.member=1000000",
    "api.sync_wait=30",
    "jobs.busy_mark=0",
    "jobs.hard_mark=1000000",
    # Each service has the loopback range for itself, but those on one database need the same pools.
    "addresses.external=127.244.0.0/14",
    "addresses.internal=127.243.0.0/24",
)

_STATEMENTS: Final = """
    SELECT coalesce(sum(calls) FILTER (WHERE query !~* '^(begin|commit|rollback|savepoint|release)'), 0),
           coalesce(sum(calls), 0)
    FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid WHERE datname = %s
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of processor time: of the services with their Envoys, and of PostgreSQL for all databases."""

    services: float
    postgres: float


class Side:
    """One service or several on a database of their own.

    Attributes:
        stands: the services, with who is logged in to each.
        networks: where each of them is.
    """

    def __init__(self, server: Postgres, database: str, stands: Sequence[Stand], networks: Sequence[Namespace]) -> None:
        self._server = server
        self._database = database
        self.stands = stands
        self.networks = networks

    def spent(self) -> Spent:
        """What they have taken so far."""
        pids = [pid for stand in self.stands for pid in (stand.service.pid, stand.service.envoy_pid)]
        return Spent(sum(map(processor_seconds, pids)), sum(map(processor_seconds, family(self._server.pid))))

    def statements(self) -> tuple[int, int]:
        """How many the database has carried out so far: without and with what begins and ends transactions."""
        with psycopg.connect(self._server.url) as connection:
            found = connection.execute(_STATEMENTS, (self._database,)).fetchone()
        assert found is not None
        return int(found[0]), int(found[1])


def start(running: ExitStack, folder: Path, server: Postgres, networks: Sequence[Namespace]) -> Side:
    """A service in each of the networks, on a new database. They end with `running`."""
    folder.mkdir()
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    url = server.new_database()
    settings = (*_SETTINGS, f"database.url={url}", f"certificates.key_file={folder / 'certificate.key'}")
    stands = []
    for number, network in enumerate(networks, 1):
        service = Service(folder / f"node-{number}", *settings, through=network.through)
        service.host = network.address
        running.callback(service.stop)
        stands.append(Stand(service.start(), running.enter_context(logged_in(service))))
    return Side(server, url.rpartition("/")[2], stands, networks)
