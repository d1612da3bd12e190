"""What Envoy makes of a UDP listener, where it takes a model that users cannot ask for or a time that they cannot."""

import asyncio
import socket
import time
from pathlib import Path

from equipoise.proxy.model import ServedProtocol
from tests.integration.southbound import a_listener, a_stand, desired, own_address
from tests.proxies import Served
from tests.udp import Echo, Flow, ask

PORT = 5353
IDLE = 5
"""Seconds: more than a busy machine stands still."""


def udp(echo: Echo, *more: Echo, idle_timeout: int | None = None) -> Served:
    members = [each.address for each in (echo, *more)]
    return a_listener("udp", PORT, echo.port, members, protocol=ServedProtocol.UDP, idle_timeout=idle_timeout)


async def envoys_port_towards(flow: Flow, member: socket.socket) -> int:
    """The port from which Envoy hands on what this client sends: it is the session's own."""
    flow.send()
    _, (_, port) = await asyncio.to_thread(member.recvfrom, 100)
    return int(port)


async def test_a_session_ends_when_nothing_has_passed_for_its_idle_time_out(tmp_path: Path) -> None:
    async with a_stand(tmp_path / "data") as stand:
        address, vip = own_address(), own_address()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as member:
            member.bind((address, 0))
            member.settimeout(10)
            port = member.getsockname()[1]
            listener = a_listener("udp", PORT, port, [address], protocol=ServedProtocol.UDP, idle_timeout=IDLE)
            await stand.publish(desired("lb", 1, vip, listener))
            flow = Flow((vip, PORT))
            first = await envoys_port_towards(flow, member)
            # Kept up for longer than the time-out, with pauses that are shorter.
            begun = time.monotonic()
            while time.monotonic() - begun < IDLE + 1:
                await asyncio.sleep(0.5)
                assert await envoys_port_towards(flow, member) == first
            await asyncio.sleep(IDLE + 2)
            assert await envoys_port_towards(flow, member) != first
            flow.close()


async def test_a_change_of_health_is_published_within_its_generation_and_leaves_other_sessions(tmp_path: Path) -> None:
    async with a_stand(tmp_path / "data") as stand:
        vip = own_address()
        one = Echo(own_address())
        two = Echo(own_address(), one.port)
        try:
            await stand.publish(desired("lb", 1, vip, udp(one, two)))
            sessions = [Flow((vip, PORT)) for _ in range(8)]
            before = [await asyncio.to_thread(each.ask) for each in sessions]
            assert set(before) == {one.address, two.address}
            confirmed = list(stand.recorder.confirmations)

            stand.ads.publish([desired("lb", 1, vip, udp(one))])
            async with asyncio.timeout(10):
                while await asyncio.to_thread(ask, (vip, PORT), 4) != {one.address: 4}:
                    pass
            after = [await asyncio.to_thread(each.ask) for each in sessions]
            assert after == [one.address] * 8
            assert stand.recorder.confirmations == confirmed

            stand.ads.publish([desired("lb", 1, vip, udp(one, two))])
            async with asyncio.timeout(10):
                while two.address not in await asyncio.to_thread(ask, (vip, PORT), 4):
                    pass
            assert [await asyncio.to_thread(each.ask) for each in sessions] == after
            for each in sessions:
                each.close()
        finally:
            one.close()
            two.close()


async def test_a_place_given_up_a_moment_ago_is_taken_again_without_losing_a_datagram(tmp_path: Path) -> None:
    async with a_stand(tmp_path / "data") as stand:
        vip, echo = own_address(), Echo(own_address())
        try:
            for generation in range(1, 41, 2):
                await stand.publish(desired("lb", generation, vip, udp(echo)))
                assert await asyncio.to_thread(ask, (vip, PORT), 4) == {echo.address: 4}
                received = echo.datagrams
                await stand.publish(desired("lb", generation + 1, vip))
                flow = Flow((vip, PORT))
                flow.send()
                flow.close()
                assert echo.datagrams == received
            assert stand.recorder.rejections == []
        finally:
            echo.close()
