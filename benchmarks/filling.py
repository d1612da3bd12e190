"""Thousands of load balancers for a service that is not running: by the rules and use cases that its API calls.

Through the API they would take minutes, and nothing that is measured afterwards would be different.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

from equipoise.api.classic.handlers.listeners import create_listener
from equipoise.api.classic.rules import load_balancer as load_balancer_rules
from equipoise.api.classic.rules import member as member_rules
from equipoise.core.model import EXTERNAL
from equipoise.core.quotas import LARGEST, Quotas
from equipoise.data_directory import DataDirectory
from equipoise.store.database import Database, Transaction, sqlite_url
from equipoise.usecases import load_balancers, members
from equipoise.usecases.context import Caller, Policy

PORT: Final = 8080
"""Of every listener."""

_MEMBER_PORT: Final = 9000
_A_TRANSACTION: Final = 250
_A_DAY: Final = 86_400.0


def fill(data_dir: Path, project_id: str, pool: IPv4Network, number: int, protocol: str, member_number: int) -> None:
    """Create so many load balancers with a listener and its members; their jobs wait for the next start.

    Args:
        data_dir: of a service that was started once and stopped.
    """
    quotas = Quotas(load_balancers=LARGEST, listeners=LARGEST, members=LARGEST)
    policy = Policy(pools={EXTERNAL: pool}, quotas=quotas, job_time_limit=_A_DAY)
    caller = Caller(project_id, request_id="", may_freeze=False)

    def some(tx: Transaction, numbers: range) -> None:
        for each in numbers:
            _create(tx, caller, policy, each, protocol, member_number)

    async def all_of_them() -> None:
        database = Database(sqlite_url(DataDirectory(data_dir).database))
        database.start()
        for first in range(0, number, _A_TRANSACTION):
            numbers = range(first, min(first + _A_TRANSACTION, number))
            await database.write(partial(some, numbers=numbers))
        await database.stop()

    asyncio.run(all_of_them())


def _create(tx: Transaction, caller: Caller, policy: Policy, number: int, protocol: str, member_number: int) -> None:
    command = load_balancer_rules.create_load_balancer(
        {"name": f"bench-{number}", "vpc_id": "bench", "type": EXTERNAL, "bandwidth": 300, "admin_state_up": 1},
        project_id=caller.project_id,
        may_freeze=False,
    )
    load_balancer_id = load_balancers.create_load_balancer(tx, caller, policy, command).resource_id
    body = listener_body(load_balancer_id, protocol, name=f"listener-{number}", port=PORT, backend_port=_MEMBER_PORT)
    listener_id = create_listener(tx, caller, policy, body).resource_id
    if member_number:
        wanted = [{"server_id": f"server-{nth}", "address": f"127.0.0.{nth + 1}"} for nth in range(member_number)]
        members.add_members(tx, caller, policy, listener_id, member_rules.add_members(wanted))


def listener_body(load_balancer_id: str, protocol: str, **fields: Any) -> Mapping[str, Any]:
    """What a listener of this protocol is asked for with."""
    backend_protocol = "HTTP" if protocol == "HTTPS" else protocol
    common = {"loadbalancer_id": load_balancer_id, "protocol": protocol, "backend_protocol": backend_protocol}
    return common | {"lb_algorithm": "roundrobin"} | fields
