"""Messages between controllers and nodes survive the wire, and two releases that follow one another understand each
other.
"""

from dataclasses import replace
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.core.references import ResourceKind
from equipoise.core.traffic import Traffic
from equipoise.proxy.link import (
    Assign,
    Confirmed,
    Gone,
    Hello,
    Published,
    PublishedVersion,
    Removal,
    Renew,
    Shortfall,
    ShortfallKind,
    ToController,
    ToNode,
)
from equipoise.proxy.model import (
    BalancingPolicy,
    CipherSet,
    Persistence,
    ProxyListener,
    ProxyLoadBalancer,
    ProxyMember,
    ProxyTls,
    ServedProtocol,
)
from equipoise.proxy.rejections import RejectionKind
from equipoise.wire.codec import KINDS, MalformedMessageError, decode_to_controller, decode_to_node, encode

st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))
st.register_type_strategy(float, st.floats(allow_nan=False))


@settings(max_examples=50, deadline=None)
@given(st.one_of(*map(st.from_type, get_args(ToNode))))
def test_a_message_to_a_node_survives_the_wire(message: ToNode) -> None:
    assert decode_to_node(encode(message)) == message


@settings(max_examples=50, deadline=None)
@given(st.one_of(*map(st.from_type, get_args(ToController))))
def test_a_message_to_a_controller_survives_the_wire(message: ToController) -> None:
    # What is empty by default is a tuple, and a list when it arrives.
    sent = replace(message, shortfalls=list(message.shortfalls)) if isinstance(message, Confirmed) else message
    assert decode_to_controller(encode(sent)) == sent


def test_every_message_has_a_kind() -> None:
    assert set(KINDS.values()) == {*get_args(ToNode), *get_args(ToController)}


def frame(kind: str, fields: Any) -> bytes:
    return msgspec.msgpack.encode((kind, fields))


def test_what_a_newer_release_adds_is_skipped() -> None:
    assert decode_to_node(frame("drain", {"seconds": 60})) is None
    assert decode_to_controller(frame("drained", {"session": 1})) is None
    assert decode_to_controller(frame("renew", {"session": 1, "number": 2, "load": 0.5})) == Renew(1, 2)
    assert decode_to_controller(frame("hello", {"number": 3, "digests": {"a": 1}})) == Hello(3)


def test_what_an_older_release_does_not_send_has_its_default() -> None:
    state = {"load_balancer_id": "a", "version": [1, 2], "model": {"load_balancer_id": "a", "address": "b"}}
    state["model"] |= {"listeners": []}  # type: ignore[operator]
    model = ProxyLoadBalancer("a", "b", ())
    assert decode_to_node(frame("assign", {"states": [state]})) == Assign(
        [Published("a", PublishedVersion(1, 2), model)]
    )


@pytest.mark.parametrize(
    "wrong",
    [b"", b"\xc1", frame("gone", {}), frame("gone", {"load_balancer_ids": "one"}), frame("gone", 1), b"\x92\xa4gone"],
)
def test_what_is_no_message_is_told_by_its_kind(wrong: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        decode_to_node(wrong)


def test_a_message_of_the_other_direction_is_none_here() -> None:
    assert decode_to_controller(encode(Gone(["a"]))) is None
    assert decode_to_node(encode(Hello(1))) is None


def test_no_private_key_is_quoted() -> None:
    tls = ProxyTls("certificate", "PRIVATE", True, CipherSet.DEFAULT)
    listener = ProxyListener("l", ServedProtocol.HTTPS, 443, "p", tls=tls)
    message = Assign([Published("a", PublishedVersion(1, 2), ProxyLoadBalancer("a", "b", (listener,)))])
    assert "PRIVATE" not in repr(message)
    broken = encode(message).replace(b"\xa7Default", b"\xa7PRIVATE")
    with pytest.raises(MalformedMessageError) as told:
        decode_to_node(broken)
    assert "PRIVATE" not in str(told.value)
    assert told.value.__cause__ is None


def test_what_is_told_by_place_or_number_stays_as_it_is() -> None:
    """A longer one must be understood by one release before the next one sends it."""
    tuples = (PublishedVersion, Removal, Shortfall, ProxyMember, Traffic)
    assert {each.__name__: " ".join(get_type_hints(each)) for each in tuples} == {
        "PublishedVersion": "generation revision",
        "Removal": "pool_id address generation ends_in",
        "Shortfall": "kind reason load_balancer_ids",
        "ProxyMember": "address port weight backup monitor_address monitor_port healthy",
        "Traffic": "load_balancer_id time act_conn inact_conn ncps in_packets out_packets in_bytes out_bytes",
    }
    enumerations = (ShortfallKind, RejectionKind, BalancingPolicy, CipherSet, Persistence, ServedProtocol, ResourceKind)
    assert {each.__name__: [member.value for member in each] for each in enumerations} == {
        "ShortfallKind": [1, 2],
        "RejectionKind": [1, 2, 3, 4, 5],
        "BalancingPolicy": ["roundrobin", "leastconn", "source"],
        "CipherSet": ["Default", "Extended", "Strict"],
        "Persistence": ["SOURCE_IP", "HTTP_COOKIE"],
        "ServedProtocol": ["TCP", "HTTP", "UDP", "HTTPS"],
        "ResourceKind": [
            *("load_balancer", "listener", "pool", "member", "health_monitor", "certificate", "elastic_ip", "vpc"),
            *("subnet", "project", "identity", "job", "webhook"),
        ],
    }
    assert [each.name for each in (*ShortfallKind, *RejectionKind)] == [
        *("BANDWIDTH", "CONNECTIONS"),
        *("ADDRESS_IN_USE", "ADDRESS_UNKNOWN", "PERMISSION", "CANNOT_LISTEN", "STRUCTURE"),
    ]
