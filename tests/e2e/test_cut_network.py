"""A network between a service and its PostgreSQL that swallows everything, as a switch that fails does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from stand import PATIENCE, Api, Service, eventually
from stand.namespaces import ALL_NETWORKS, Machines, NamespacesMissing, machines
from stand.postgres import Postgres, running_postgres


@pytest.fixture
def around() -> Iterator[tuple[Machines, Postgres]]:
    """A network for the service, and a database on the other side of it, where the test is as well."""
    with ExitStack() as made:
        try:
            there = made.enter_context(machines(1))
        except NamespacesMissing as error:
            pytest.skip(f"not tested here: a cut network between a service and its database; {error}")
        made.enter_context(there.hub.inside())
        yield there, made.enter_context(running_postgres(there.hub.address, ALL_NETWORKS))


def test_requests_under_way_when_the_network_is_cut_are_answered_before_it_is_healed(
    tmp_path: Path, around: tuple[Machines, Postgres]
) -> None:
    networks, postgres = around
    [network] = networks.each
    service = Service(
        tmp_path / "data", f"database.url={postgres.new_database()}", "api.sync_wait=0", through=network.through
    )
    service.host = network.address
    try:
        with Api(service.start()) as api, ThreadPoolExecutor(2) as threads:
            # More than the service waits for its connections, so that the answer is its own.
            client = httpx.Client(
                base_url=service.url, headers={"x-auth-token": api.token}, timeout=2 * PATIENCE, verify=False
            )
            path = f"/v1.0/{api.project_id}/elbaas/loadbalancers"
            body = {"name": "one", "type": "External", "bandwidth": 1, "vpc_id": "any", "admin_state_up": 1}
            with client:
                with network.cut_off_from(postgres.host, postgres.port):
                    read = threads.submit(client.get, path)
                    write = threads.submit(client.post, path, json=body)
                    assert read.result().status_code == 503
                    # Nobody knows what became of a commit whose answer never came.
                    assert write.result().status_code in {503, 504}
                eventually(lambda: client.get(path).is_success)
                eventually(lambda: client.post(path, json=body).is_success)
    finally:
        service.stop()
