"""The rules of a load balancer: each rule, its boundaries, and which rule wins when two are broken."""

from typing import Any

import pytest

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.rules import create_load_balancer, update_load_balancer
from equipoise.core.commands import Column, CreateLoadBalancerCommand

PROJECT = "cbc08e2f8c354c7aa7abb88d0a7d11dc"
EXTERNAL = {
    "name": "web",
    "vpc_id": "21838be1-c1ce-4c09-9184-228cdb43038d",
    "type": "External",
    "bandwidth": 10,
    "admin_state_up": 1,
}
INTERNAL = {
    "name": "web",
    "vpc_id": "21838be1-c1ce-4c09-9184-228cdb43038d",
    "type": "Internal",
    "admin_state_up": True,
    "vip_subnet_id": "ef2b7b7a-3a5c-4a5a-9f43-02d12c8a1f0e",
    "security_group_id": "default-1",
}
CURRENT_EXTERNAL: dict[str, Any] = EXTERNAL | {
    "id": "248425d7b97dc26920eb23720115e068",
    "description": "",
    "status": "ACTIVE",
    "vip_subnet_id": None,
    "vip_address": "10.154.53.4",
    "security_group_id": None,
    "az": None,
    "tenantId": PROJECT,
    "charge_mode": "bandwidth",
    "eip_type": "5_bgp",
}
CURRENT_INTERNAL: dict[str, Any] = (
    CURRENT_EXTERNAL | INTERNAL | {"bandwidth": None, "az": "eu-de-01", "charge_mode": None, "eip_type": None}
)


def create(body: object, *, may_freeze: bool = False) -> CreateLoadBalancerCommand:
    return create_load_balancer(body, project_id=PROJECT, may_freeze=may_freeze)


def broken_rule(body: object) -> Rule:
    with pytest.raises(RuleBroken) as caught:
        create(body)
    return caught.value.rule


def changes(body: object, current: dict[str, Any] = CURRENT_EXTERNAL, *, may_freeze: bool = False) -> dict[str, Column]:
    return dict(update_load_balancer(body, current=current, may_freeze=may_freeze).changes)


def broken_on_update(body: object, current: dict[str, Any] = CURRENT_EXTERNAL) -> Rule:
    with pytest.raises(RuleBroken) as caught:
        changes(body, current)
    return caught.value.rule


def test_an_external_one_gets_its_defaults() -> None:
    assert create(EXTERNAL) == CreateLoadBalancerCommand(
        name="web",
        description="",
        vpc_id=EXTERNAL["vpc_id"],  # type: ignore[arg-type]
        type="External",
        bandwidth=10,
        admin_state_up=1,
        vip_subnet_id=None,
        security_group_id=None,
        vip_address=None,
        az=None,
        charge_mode="bandwidth",
        eip_type="5_bgp",
    )


def test_an_internal_one_has_nothing_of_an_elastic_ip() -> None:
    command = create(INTERNAL | {"bandwidth": "nonsense", "charge_mode": 5, "eip_type": "none"})
    assert (command.bandwidth, command.charge_mode, command.eip_type) == (None, None, None)
    assert (command.vip_subnet_id, command.security_group_id) == (
        INTERNAL["vip_subnet_id"],
        INTERNAL["security_group_id"],
    )


def test_what_has_no_meaning_for_an_external_one_is_ignored() -> None:
    command = create(EXTERNAL | {"vip_subnet_id": "<>", "security_group_id": "", "az": "az-9"})
    assert (command.vip_subnet_id, command.security_group_id) == (None, None)


def test_a_given_elastic_ip_brings_its_own_bandwidth() -> None:
    command = create(EXTERNAL | {"vip_address": "10.154.53.4", "bandwidth": 99999, "eip_type": "none"})
    assert (command.vip_address, command.bandwidth, command.charge_mode, command.eip_type) == (
        "10.154.53.4",
        None,
        None,
        None,
    )


@pytest.mark.parametrize("name", ["a", "x" * 64, "web_1-A", "负载均衡", "\u3400", "\U00020000", "\U00030000"])
def test_names_that_are_allowed(name: str) -> None:
    assert create(EXTERNAL | {"name": name}).name == name


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (None, Rule.BODY_MISSING),
        ([], Rule.BODY_MALFORMED),
        ("text", Rule.BODY_MALFORMED),
        ({}, Rule.LB_FIELD_MISSING),
    ],
)
def test_a_body_that_is_no_object(body: object, rule: Rule) -> None:
    assert broken_rule(body) is rule


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("name", None, Rule.LB_FIELD_MISSING),
        ("name", "", Rule.LB_FIELD_MISSING),
        ("name", 5, Rule.LB_FIELD_INVALID),
        ("name", "x" * 65, Rule.LB_FIELD_INVALID),
        ("name", "a b", Rule.LB_NAME_INVALID),
        ("name", "a\n", Rule.LB_NAME_INVALID),
        ("name", "a\x00", Rule.LB_NAME_INVALID),
        ("name", "\ud800", Rule.LB_NAME_INVALID),
        ("name", "é", Rule.LB_NAME_INVALID),
        ("name", "日本語かな", Rule.LB_NAME_INVALID),
        ("description", "x" * 129, Rule.LB_DESCRIPTION_INVALID),
        ("description", "a<b", Rule.LB_DESCRIPTION_INVALID),
        ("description", "a>b", Rule.LB_DESCRIPTION_INVALID),
        ("description", "\x00", Rule.LB_DESCRIPTION_INVALID),
        ("description", "\udfff", Rule.LB_DESCRIPTION_INVALID),
        ("description", 5, Rule.LB_FIELD_INVALID),
        ("vpc_id", None, Rule.LB_VPC_MISSING),
        ("vpc_id", "", Rule.LB_VPC_MISSING),
        ("vpc_id", "a/b", Rule.LB_FIELD_INVALID),
        ("vpc_id", [], Rule.LB_FIELD_INVALID),
        ("type", None, Rule.LB_FIELD_MISSING),
        ("type", "", Rule.LB_FIELD_MISSING),
        ("type", "external", Rule.LB_TYPE_INVALID),
        ("type", True, Rule.LB_FIELD_INVALID),
        ("bandwidth", None, Rule.LB_BANDWIDTH_INVALID),
        ("bandwidth", "", Rule.LB_BANDWIDTH_INVALID),
        ("bandwidth", 0, Rule.LB_BANDWIDTH_INVALID),
        ("bandwidth", 2001, Rule.LB_BANDWIDTH_INVALID),
        ("bandwidth", "2001", Rule.LB_BANDWIDTH_INVALID),
        ("bandwidth", "ten", Rule.LB_BANDWIDTH_INVALID),
        ("bandwidth", "-1", Rule.LB_BANDWIDTH_INVALID),
        ("bandwidth", "٣", Rule.LB_BANDWIDTH_INVALID),
        ("bandwidth", True, Rule.LB_FIELD_INVALID),
        ("bandwidth", 5.0, Rule.LB_FIELD_INVALID),
        ("admin_state_up", None, Rule.LB_FIELD_MISSING),
        ("admin_state_up", "", Rule.LB_FIELD_MISSING),
        ("admin_state_up", "on", Rule.LB_FIELD_INVALID),
        ("admin_state_up", "3", Rule.LB_FIELD_INVALID),
        ("admin_state_up", "2", Rule.ROLE_TOO_WEAK),
        ("admin_state_up", 3, Rule.LB_FIELD_INVALID),
        ("admin_state_up", 1.0, Rule.LB_FIELD_INVALID),
        ("admin_state_up", 2, Rule.ROLE_TOO_WEAK),
        ("vip_address", "10.0.0.256", Rule.LB_VIP_INVALID),
        ("vip_address", "::1", Rule.LB_VIP_INVALID),
        ("vip_address", "010.0.0.1", Rule.LB_VIP_INVALID),
        ("vip_address", 5, Rule.LB_FIELD_INVALID),
        ("tenantId", "another", Rule.LB_FIELD_INVALID),
        ("charge_mode", "prePaid", Rule.UNSUPPORTED),
        ("charge_mode", 5, Rule.LB_FIELD_INVALID),
        ("eip_type", "5_none", Rule.LB_FIELD_INVALID),
    ],
)
def test_a_field_of_an_external_one_that_breaks_its_rule(field: str, value: object, rule: Rule) -> None:
    assert broken_rule(EXTERNAL | {field: value}) is rule


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"vip_subnet_id": None}, Rule.LB_SUBNET_AND_VIP_MISSING),
        ({"vip_subnet_id": ""}, Rule.LB_SUBNET_AND_VIP_MISSING),
        ({"vip_subnet_id": "a b"}, Rule.LB_FIELD_INVALID),
        ({"security_group_id": None}, Rule.LB_FIELD_INVALID),
        ({"security_group_id": "x" * 201}, Rule.LB_FIELD_INVALID),
        ({"security_group_id": "a_b"}, Rule.LB_FIELD_INVALID),
        ({"az": "a b"}, Rule.LB_FIELD_INVALID),
        ({"az": "x" * 65}, Rule.LB_FIELD_INVALID),
        ({"az": 1}, Rule.LB_FIELD_INVALID),
    ],
)
def test_a_field_of_an_internal_one_that_breaks_its_rule(changes: dict[str, Any], rule: Rule) -> None:
    assert broken_rule(INTERNAL | changes) is rule


def test_an_internal_one_needs_no_subnet_when_it_names_its_address() -> None:
    command = create(INTERNAL | {"vip_subnet_id": None, "vip_address": "192.168.0.9"})
    assert (command.vip_subnet_id, command.vip_address) == (None, "192.168.0.9")


@pytest.mark.parametrize(("given", "bandwidth"), [(1, 1), (2000, 2000), ("1", 1), ("2000", 2000)])
def test_bandwidth_is_an_integer_or_digits(given: object, bandwidth: int) -> None:
    assert create(EXTERNAL | {"bandwidth": given}).bandwidth == bandwidth


@pytest.mark.parametrize(
    ("given", "state"),
    [
        *((0, 0), (False, 0), (1, 1), (True, 1), (2, 2)),
        *(("0", 0), ("1", 1), ("2", 2), ("true", 1), ("True", 1), ("FALSE", 0), ("false", 0)),
    ],
)
def test_admin_state_up_is_an_integer_or_a_boolean_and_either_in_a_string(given: object, state: int) -> None:
    assert type(create(EXTERNAL | {"admin_state_up": given}, may_freeze=True).admin_state_up) is int
    assert create(EXTERNAL | {"admin_state_up": given}, may_freeze=True).admin_state_up == state


@pytest.mark.parametrize(("given", "mode"), [("traffic", "traffic"), ("bandwidth", "bandwidth"), ("x", "bandwidth")])
def test_an_unknown_charge_mode_counts_as_bandwidth(given: str, mode: str) -> None:
    assert create(EXTERNAL | {"charge_mode": given}).charge_mode == mode


def test_the_longest_description_is_allowed_and_null_is_an_empty_one() -> None:
    assert create(EXTERNAL | {"description": "x" * 128}).description == "x" * 128
    assert create(EXTERNAL | {"description": None}).description == ""


def test_the_own_project_as_tenant_is_allowed() -> None:
    assert create(EXTERNAL | {"tenantId": PROJECT})


def test_the_first_field_of_the_table_wins() -> None:
    """Each body repairs the field that was complained about before; the complaints come in the table's order."""
    repairs: list[tuple[str, object, Rule]] = [
        ("name", "web", Rule.LB_FIELD_MISSING),
        ("description", "", Rule.LB_DESCRIPTION_INVALID),
        ("vpc_id", "vpc", Rule.LB_VPC_MISSING),
        ("type", "Internal", Rule.LB_TYPE_INVALID),
        ("admin_state_up", 1, Rule.LB_FIELD_MISSING),
        ("vip_subnet_id", "subnet", Rule.LB_FIELD_INVALID),
        ("security_group_id", "sg", Rule.LB_FIELD_INVALID),
        ("vip_address", "10.0.0.1", Rule.LB_VIP_INVALID),
        ("tenantId", PROJECT, Rule.LB_FIELD_INVALID),
        ("az", None, Rule.LB_FIELD_INVALID),
    ]
    body: dict[str, object] = {
        "description": "<",
        "type": "Other",
        "vip_subnet_id": "/",
        "vip_address": "x",
        "tenantId": "y",
        "az": "a z",
    }
    for field, repaired, rule in repairs:
        assert broken_rule(body) is rule, field
        body[field] = repaired
    assert create(body)


def test_the_sentence_names_the_field_and_what_was_given() -> None:
    with pytest.raises(RuleBroken, match="bandwidth must be an integer from 1 to 2000, but it is 9000"):
        create(EXTERNAL | {"bandwidth": 9000})


def test_update_takes_what_is_given_and_only_that() -> None:
    body = {"name": "new", "bandwidth": "20", "admin_state_up": "False", "colour": "red"}
    assert changes(body) == {"name": "new", "bandwidth": 20, "admin_state_up": 0}


def test_an_update_of_nothing_is_no_error() -> None:
    assert changes({}) == {}
    assert changes({"name": None, "vpc_id": None}) == {}


def test_update_can_empty_the_description() -> None:
    assert changes({"description": ""}) == {"description": ""}


def test_an_object_sent_back_as_it_was_read_changes_nothing_that_it_does_not_name() -> None:
    for current in (CURRENT_EXTERNAL, CURRENT_INTERNAL):
        stale = current | {"status": "PENDING_CREATE", "update_time": "2015-09-14 02:34:32"}
        changed = changes(stale, current)
        assert changed.keys() <= {"name", "description", "bandwidth", "admin_state_up"}
        assert {name: current[name] for name in changed} == changed


def test_a_charge_mode_that_counts_as_bandwidth_is_the_same() -> None:
    assert changes({"charge_mode": "by-the-hour"}) == {}
    assert broken_on_update({"charge_mode": "traffic"}) is Rule.LB_UPDATE_FORBIDDEN
    assert broken_on_update({"charge_mode": 5}) is Rule.LB_UPDATE_FIELD_INVALID


def test_only_an_administrator_freezes_on_update() -> None:
    assert changes({"admin_state_up": 2}, may_freeze=True) == {"admin_state_up": 2}
    assert broken_on_update({"admin_state_up": 2}) is Rule.ROLE_TOO_WEAK


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"name": ""}, Rule.LB_UPDATE_NAME_INVALID),
        ({"name": "x" * 65}, Rule.LB_UPDATE_NAME_TOO_LONG),
        ({"name": "a b"}, Rule.LB_UPDATE_NAME_INVALID),
        ({"name": 5}, Rule.LB_UPDATE_FIELD_INVALID),
        ({"description": "x" * 129}, Rule.LB_UPDATE_DESCRIPTION_INVALID),
        ({"description": []}, Rule.LB_UPDATE_FIELD_INVALID),
        ({"bandwidth": 0}, Rule.LB_UPDATE_FIELD_INVALID),
        ({"bandwidth": "many"}, Rule.LB_UPDATE_FIELD_INVALID),
        ({"admin_state_up": 3}, Rule.LB_UPDATE_FIELD_INVALID),
        ({"vpc_id": "x"}, Rule.LB_UPDATE_FORBIDDEN),
        ({"type": "Internal"}, Rule.LB_UPDATE_FORBIDDEN),
        ({"vip_address": "10.0.0.1"}, Rule.LB_UPDATE_FORBIDDEN),
        ({"id": "x"}, Rule.LB_UPDATE_FORBIDDEN),
        ({"eip_type": "5_union"}, Rule.LB_UPDATE_FORBIDDEN),
        ({"tenantId": "another"}, Rule.LB_UPDATE_FORBIDDEN),
        ({"bandwidth": 0, "type": "Internal"}, Rule.LB_UPDATE_FORBIDDEN),
        ({"vpc_id": "x", "name": ""}, Rule.LB_UPDATE_NAME_INVALID),
        (None, Rule.BODY_MISSING),
        ([], Rule.BODY_MALFORMED),
    ],
)
def test_an_update_that_breaks_a_rule(body: object, rule: Rule) -> None:
    assert broken_on_update(body) is rule


@pytest.mark.parametrize("field", ["vpc_id", "vip_subnet_id", "security_group_id", "az", "vip_address", "tenantId"])
def test_what_an_internal_one_was_created_with_cannot_be_changed(field: str) -> None:
    assert broken_on_update({field: "another"}, CURRENT_INTERNAL) is Rule.LB_UPDATE_FORBIDDEN
