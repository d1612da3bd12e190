"""The rules for the kernel, as text. That the kernel obeys them is measured in tests/e2e/test_bandwidth.py."""

from dataclasses import replace

from equipoise.node import nftables
from equipoise.node.nftables import Limit
from equipoise.proxy.model import BalancingPolicy, ProxyLoadBalancer, ServedProtocol
from tests.proxies import Served, serving

WEB = Limit("127.77.0.1", 10, frozenset({("tcp", 80)}))


def load_balancer(bandwidth: int | None, *ports: int) -> ProxyLoadBalancer:
    listeners = [
        Served(f"listener-{port}", ServedProtocol.TCP, port, 9000, BalancingPolicy.ROUND_ROBIN, (), None, None)
        for port in ports
    ]
    return serving("lb", "127.77.0.1", tuple(listeners), bandwidth)


def test_the_limit_is_that_of_the_load_balancer_and_not_of_a_listener() -> None:
    assert nftables.limit_of(load_balancer(10, 80, 443)) == Limit(
        "127.77.0.1", 10, frozenset({("tcp", 80), ("tcp", 443)})
    )


def test_a_udp_listener_is_a_place_of_its_own_beside_a_tcp_listener_of_the_same_port() -> None:
    tcp = load_balancer(10, 53)
    udp = replace(tcp.listeners[0], listener_id="udp", protocol=ServedProtocol.UDP)
    limit = nftables.limit_of(replace(tcp, listeners=(*tcp.listeners, udp)))
    assert limit == Limit("127.77.0.1", 10, frozenset({("tcp", 53), ("udp", 53)}))


def test_without_a_bandwidth_or_without_a_listener_there_is_no_limit() -> None:
    assert nftables.limit_of(load_balancer(None, 80)) is None
    assert nftables.limit_of(load_balancer(10)) is None


def test_a_new_limit_is_one_element_for_each_direction_and_one_for_each_listener() -> None:
    both = Limit("127.77.0.1", 10, frozenset({("tcp", 53), ("udp", 53)}))
    assert nftables.difference("t", [(None, both)]) == (
        "add element ip t services { 127.77.0.1 . tcp . 53, 127.77.0.1 . udp . 53 }\n"
        "add element ip t answers { 127.77.0.1 limit rate over 1250000 bytes/second burst 131072 bytes }\n"
        "add element ip t requests { 127.77.0.1 limit rate over 1250000 bytes/second burst 131072 bytes }\n"
    )


def test_another_bandwidth_replaces_the_limits_and_leaves_the_listeners() -> None:
    assert nftables.difference("t", [(WEB, Limit(WEB.address, 2000, WEB.ports))]) == (
        "delete element ip t answers { 127.77.0.1 }\n"
        "delete element ip t requests { 127.77.0.1 }\n"
        "add element ip t answers { 127.77.0.1 limit rate over 250000000 bytes/second burst 131072 bytes }\n"
        "add element ip t requests { 127.77.0.1 limit rate over 250000000 bytes/second burst 131072 bytes }\n"
    )


def test_at_a_low_rate_less_is_stored() -> None:
    (_, slow), (_, fast) = [
        line.split("burst ")
        for bandwidth in (1, 8)
        for line in nftables.difference("t", [(None, Limit("127.77.0.1", bandwidth, WEB.ports))]).splitlines()
        if " answers " in line
    ]
    assert (slow, fast) == ("16384 bytes }", "131072 bytes }")


def test_another_listener_leaves_the_limits_and_their_buckets() -> None:
    moved = Limit(WEB.address, WEB.bandwidth, frozenset({("tcp", 81)}))
    assert nftables.difference("t", [(WEB, moved)]) == (
        "delete element ip t services { 127.77.0.1 . tcp . 80 }\nadd element ip t services { 127.77.0.1 . tcp . 81 }\n"
    )


def test_nothing_is_said_when_nothing_changes() -> None:
    assert nftables.difference("t", [(WEB, WEB), (None, None)]) == ""


def test_an_address_may_go_from_one_load_balancer_to_another_in_one_step() -> None:
    text = nftables.difference("t", [(None, Limit(WEB.address, 20, WEB.ports)), (WEB, None)])
    assert [line.split()[0] for line in text.splitlines()] == ["delete"] * 3 + ["add"] * 3


def test_the_whole_table_replaces_what_was_there_in_the_same_transaction() -> None:
    lines = nftables.whole("t", [WEB]).splitlines()
    assert lines[:3] == ["add table ip t", "delete table ip t", "table ip t {"]
    assert lines[-3:] == nftables.difference("t", [(None, WEB)]).splitlines()
