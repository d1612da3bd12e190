"""Whatever a client sends, the rules give a command or break by name: no other exception ever gets out."""

from collections.abc import Callable, Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.api.classic.codes import RuleBroken
from equipoise.api.classic.rules import (
    add_members,
    create_certificate,
    create_health_check,
    create_listener,
    create_load_balancer,
    listener_filters,
    load_balancer_filters,
    member_filters,
    remove_members,
    update_certificate,
    update_health_check,
    update_listener,
    update_load_balancer,
)
from tests.unit.listener_context import Anywhere
from tests.unit.test_rules_health_check import CURRENT as CURRENT_HEALTH_CHECK
from tests.unit.test_rules_listener import CURRENT_HTTPS, CURRENT_TCP, HTTPS, TCP, UDP
from tests.unit.test_rules_load_balancer import CURRENT_EXTERNAL, CURRENT_INTERNAL, EXTERNAL, INTERNAL

READERS: list[Callable[[object], object]] = [
    lambda body: create_load_balancer(body, project_id="p", may_freeze=False),
    lambda body: update_load_balancer(body, current=CURRENT_EXTERNAL, may_freeze=True),
    lambda body: update_load_balancer(body, current=CURRENT_INTERNAL, may_freeze=True),
    lambda body: create_listener(body, Anywhere()),
    lambda body: update_listener(body, current=CURRENT_TCP, context=Anywhere()),
    lambda body: update_listener(body, current=CURRENT_HTTPS, context=Anywhere()),
    add_members,
    remove_members,
    create_certificate,
    update_certificate,
    lambda body: create_health_check(body, listener_protocol="TCP"),
    lambda body: update_health_check(body, current=CURRENT_HEALTH_CHECK, listener_protocol="TCP", backend_port=1),
]
FIELDS = sorted(
    {*EXTERNAL, *INTERNAL, *CURRENT_HTTPS, *CURRENT_HEALTH_CHECK, "az", "tenantId", "charge_mode", "eip_type"}
    | {"certificate", "private_key", "domain"}
    | {"removeMember", "healthcheck_path", "vip_address", "server_id", "address", "id"}
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-3, max_value=2001)
    | st.sampled_from([10**30, -(10**4000)])
    | st.floats()
    | st.text(st.characters())
    | st.text(st.characters(categories=["Cs", "Cc", "Nd", "Lo"]), max_size=5)
    | st.sampled_from(["HTTP", "TCP", "UDP", "HTTPS", "External", "Internal", "10.0.0.1", "a" * 32, "roundrobin", "1"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(FIELDS), values)
nearly_right = st.builds(
    lambda base, changes: {**base, **changes},
    st.sampled_from([EXTERNAL, INTERNAL, TCP, HTTPS, UDP, CURRENT_HEALTH_CHECK]),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=3),
)


def read(reader: Callable[[object], object], body: object) -> None:
    try:
        outcome = reader(body)
    except RuleBroken as broken:
        outcome = broken.detail
    # Fit to be stored and to be sent, and no longer than the longest list of filters.
    assert len(msgspec.json.encode(outcome)) < 2000


@pytest.mark.parametrize("reader", READERS)
@given(body=values | objects | nearly_right)
def test_any_json_value_gives_a_command_or_breaks_a_rule(reader: Callable[[object], object], body: object) -> None:
    read(reader, body)


@pytest.mark.parametrize("filters", [load_balancer_filters, listener_filters, member_filters])
@given(query=st.dictionaries(st.sampled_from([*FIELDS, "limit", "marker", "status"]) | st.text(), st.text()))
def test_any_query_gives_filters_or_breaks_a_rule(
    filters: Callable[[Mapping[str, str]], object], query: dict[str, str]
) -> None:
    read(lambda _: filters(query), None)
