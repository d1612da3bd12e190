"""What is said of the limits of a machine, and how a node's room for sessions is divided."""

from envoy.service.runtime.v3.rtds_pb2 import Runtime
from hypothesis import given
from hypothesis import strategies as st

from equipoise.backends.envoy.build.builders import build
from equipoise.backends.envoy.xds.shares import Shares
from equipoise.node.bootstrap import max_connections, max_sessions
from equipoise.node.limits import MachineLimits, low
from equipoise.proxy.model import BalancingPolicy, ProxyLoadBalancer, ServedProtocol
from tests.proxies import Served, serving


def load_balancer(number: int, *protocols: ServedProtocol) -> ProxyLoadBalancer:
    listeners = tuple(
        Served(
            f"{number:08x}{port:024x}", protocol, port, 9000, BalancingPolicy.ROUND_ROBIN, ("127.0.0.9",), None, None
        )
        for port, protocol in enumerate(protocols, start=1024)
    )
    return serving(f"{number:032x}", "127.77.0.1", listeners)


def shares_of(shares: Shares, sessions: int) -> dict[str, float]:
    message = Runtime.FromString(shares.layer(sessions).body)
    return {name.split(".")[1]: value.number_value for name, value in message.layer.fields.items()}


def test_a_machine_for_real_traffic_is_not_warned_about() -> None:
    assert list(low(MachineLimits(1_048_576, 4_096))) == []
    assert list(low(MachineLimits(65_536, None))) == []


def test_a_low_limit_is_named_with_what_follows_and_what_to_do() -> None:
    descriptors, backlog = low(MachineLimits(20_000, 128))
    assert descriptors.value == 20_000
    assert "6000 connections" in descriptors.effect
    assert "2000 sessions" in descriptors.effect
    assert "LimitNOFILE" in descriptors.remedy
    assert (backlog.limit, backlog.value) == ("net.core.somaxconn", 128)


@given(st.integers(4, 1_048_576))
def test_connections_and_sessions_never_take_all_descriptors(descriptors: int) -> None:
    assert 2 * max_connections(descriptors) + max_sessions(descriptors) <= descriptors * 7 // 10 or descriptors < 20


def test_only_listeners_over_udp_have_a_share_and_all_have_the_same() -> None:
    shares = Shares()
    shares.put("a", build(load_balancer(1, ServedProtocol.UDP, ServedProtocol.TCP)))
    assert shares_of(shares, 300) == {f"{1:08x}{1024:024x}": 300}
    shares.put("b", build(load_balancer(2, ServedProtocol.UDP, ServedProtocol.UDP)))
    assert set(shares_of(shares, 300).values()) == {100}
    assert len(shares_of(shares, 300)) == 3


def test_a_share_grows_when_a_listener_goes_and_is_never_nothing() -> None:
    shares = Shares()
    for number in range(5):
        shares.put(str(number), build(load_balancer(number, ServedProtocol.UDP)))
    assert set(shares_of(shares, 3).values()) == {1}
    for number in range(1, 5):
        shares.put(str(number), ())
    assert set(shares_of(shares, 3).values()) == {3}


def test_a_change_without_meaning_for_sessions_is_not_sent() -> None:
    shares = Shares()
    shares.put("a", build(load_balancer(1, ServedProtocol.UDP)))
    before = shares.revision
    shares.put("a", build(load_balancer(1, ServedProtocol.UDP)))
    shares.put("b", build(load_balancer(2, ServedProtocol.TCP)))
    assert shares.revision == before
