"""When Envoy accepts a changed cluster: once it uses it, which beside a silent member takes a check's time-out."""

import socket
from dataclasses import replace
from pathlib import Path

from equipoise.proxy.model import BalancingPolicy, ProxyHealthCheck, ServedProtocol
from tests.integration.southbound import (
    NODE,
    Member,
    Stand,
    a_listener,
    a_stand,
    desired,
    free_port,
    get,
    own_address,
)

PATIENT = ProxyHealthCheck(
    ServedProtocol.HTTP, "/up", None, interval=50, timeout=50, healthy_threshold=1, unhealthy_threshold=1
)
ROUNDS = 20
"""Changes of members, each sent when the last is confirmed: a change that is not held up takes three round trips."""


def is_confirmed(stand: Stand, load_balancer_id: str, generation: int) -> bool:
    return (NODE, load_balancer_id, generation) in stand.recorder.confirmations


async def test_a_cluster_is_accepted_when_envoy_uses_it_and_until_then_no_other_cluster_is(tmp_path: Path) -> None:
    """What documentation and statuses rely on. If this fails, Envoy has become better or worse: look at statuses.md."""
    members = [Member(own_address(), name, is_http=True) for name in (b"one", b"two")]
    await members[0].start()
    await members[1].start(members[0].port)
    silent = own_address()
    checked_at, beside_at, other_at = own_address(), own_address(), own_address()
    port = free_port(checked_at)
    listener = a_listener(
        "checked",
        port,
        members[0].port,
        [*(member.address for member in members), silent],
        protocol=ServedProtocol.HTTP,
        health_check=PATIENT,
    )
    async with a_stand(tmp_path) as stand:
        unchecked = replace(listener, members=listener.members[:0], health_check=None)
        await stand.publish(desired("checked", 1, checked_at, unchecked))
        beside = a_listener("beside", port, members[0].port)
        await stand.publish(desired("beside", 1, beside_at, beside))
        with socket.create_server((silent, members[0].port), backlog=64):
            source = replace(listener, algorithm=BalancingPolicy.SOURCE)
            stand.ads.publish([desired("checked", 2, checked_at, source)])
            stand.ads.publish([desired("other", 1, other_at, a_listener("other", port, members[0].port))])
            for round in range(ROUNDS):
                moved = replace(beside, members=(members[round % 2].address,))
                await stand.publish(desired("beside", 2 + round, beside_at, moved))
            assert not is_confirmed(stand, "checked", 2)
            assert not is_confirmed(stand, "other", 1)
        # Its connections are reset, which is an answer.
        await stand.confirmed("checked", 2)
        assert len({(await get(checked_at, port)).rpartition(b"\r\n")[2] for _ in range(12)}) == 1
        await stand.confirmed("other", 1)
    for member in members:
        await member.stop()
