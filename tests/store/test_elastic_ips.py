"""What failing jobs do with elastic IPs: they return as they were."""

from equipoise.api.classic.handlers import load_balancers as classic_load_balancers
from equipoise.core.commands import CreateElasticIpCommand
from equipoise.core.jobs import JobStatus
from equipoise.core.model import Address
from equipoise.usecases import elastic_ips, load_balancers
from tests.store.controller_stand import CALLER, Stand, open_stand

LIMIT = 300.0


def listed(stand: Stand) -> list[Address]:
    return list(stand.read(lambda c: elastic_ips.list_elastic_ips(c, CALLER, {}, None, None)))


async def test_a_failed_creation_leaves_the_elastic_ip_free_again(database_url: str) -> None:
    now = 1_000_000.0
    async with open_stand(database_url, time_limit=LIMIT, connected=False, clock=lambda: now) as stand:
        command = CreateElasticIpCommand("5_bgp", None, 40, "traffic")
        held = await stand.write(lambda tx: elastic_ips.create_elastic_ip(tx, CALLER, stand.policy, command))
        created = await stand.create_load_balancer(vip_address=held.address, bandwidth=None)
        shown = stand.read(lambda c: load_balancers.show_load_balancer(c, CALLER, created.resource_id))
        assert (shown.bandwidth, shown.charge_mode, shown.eip_type) == (40, "traffic", "5_bgp")
        assert listed(stand)[0].load_balancer_id == created.resource_id
        now += LIMIT
        assert (await stand.ended(created)).status == JobStatus.FAIL
        assert listed(stand) == [held]


async def test_a_failed_update_returns_the_bandwidth_of_the_elastic_ip(database_url: str) -> None:
    now = 1_000_000.0
    async with open_stand(database_url, time_limit=LIMIT, clock=lambda: now) as stand:
        created = await stand.create_load_balancer()
        await stand.ended(created)
        before = listed(stand)
        stand.node.confirms_at_once = False
        body = {"bandwidth": 99}
        update = await stand.write(
            lambda tx: classic_load_balancers.update_load_balancer(tx, CALLER, stand.policy, created.resource_id, body)
        )
        assert listed(stand)[0].bandwidth == 99
        now += LIMIT
        assert (await stand.ended(update)).status == JobStatus.FAIL
        assert listed(stand) == before
