"""The rules of adding and removing members."""

import pytest

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.rules import add_members, remove_members
from equipoise.core.commands import AddMemberCommand

ONE, TWO = "a" * 32, "0123456789abcdef0123456789abcdef"


def test_members_come_in_order_and_as_many_as_were_sent() -> None:
    first = {"server_id": "dbecb618-2259-405f-ab17-9b68c4f541b0", "address": "172.16.0.31", "colour": "red"}
    second = {"server_id": "s2", "address": "172.16.0.32"}
    assert add_members([first, second, dict(first)]) == (
        AddMemberCommand("dbecb618-2259-405f-ab17-9b68c4f541b0", "172.16.0.31"),
        AddMemberCommand("s2", "172.16.0.32"),
        AddMemberCommand("dbecb618-2259-405f-ab17-9b68c4f541b0", "172.16.0.31"),
    )


def test_two_addresses_of_one_server_are_two_members() -> None:
    assert len(add_members([{"server_id": "s", "address": f"10.0.0.{n}"} for n in (1, 2)])) == 2


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (None, Rule.BODY_MISSING),
        ({}, Rule.MEMBER_FIELD_INVALID),
        ([], Rule.MEMBER_FIELD_INVALID),
        ([None], Rule.MEMBER_FIELD_INVALID),
        ([{"address": "10.0.0.1"}], Rule.MEMBER_FIELD_INVALID),
        ([{"server_id": "", "address": "10.0.0.1"}], Rule.MEMBER_FIELD_INVALID),
        ([{"server_id": "x" * 65, "address": "10.0.0.1"}], Rule.MEMBER_FIELD_INVALID),
        ([{"server_id": "a\x00", "address": "10.0.0.1"}], Rule.MEMBER_FIELD_INVALID),
        ([{"server_id": 5, "address": "x"}], Rule.MEMBER_FIELD_INVALID),
        ([{"server_id": "s"}], Rule.MEMBER_ADDRESS_INVALID),
        ([{"server_id": "s", "address": ""}], Rule.MEMBER_ADDRESS_INVALID),
        ([{"server_id": "s", "address": "10.0.0"}], Rule.MEMBER_ADDRESS_INVALID),
        ([{"server_id": "s", "address": "fe80::1"}], Rule.MEMBER_ADDRESS_INVALID),
        ([{"server_id": "s", "address": 167772161}], Rule.MEMBER_ADDRESS_INVALID),
        ([{"server_id": "s", "address": "0.0.0.0"}], Rule.MEMBER_ADDRESS_INVALID),
        ([{"server_id": "s", "address": "224.0.0.1"}], Rule.MEMBER_ADDRESS_INVALID),
        ([{"server_id": "s", "address": "255.255.255.255"}], Rule.MEMBER_ADDRESS_INVALID),
        ([{"server_id": "s", "address": "10.0.0.1"}, 7], Rule.MEMBER_FIELD_INVALID),
    ],
)
def test_additions_that_break_a_rule(body: object, rule: Rule) -> None:
    with pytest.raises(RuleBroken) as caught:
        add_members(body)
    assert caught.value.rule is rule


def test_the_sentence_says_which_member_is_wrong() -> None:
    with pytest.raises(RuleBroken, match="address of member 2 is missing"):
        add_members([{"server_id": "s", "address": "10.0.0.1"}, {"server_id": "s"}])


def test_removals_come_in_order_and_once_and_extra_keys_are_ignored() -> None:
    body = {"removeMember": [{"id": TWO, "address": "10.0.0.1"}, {"id": ONE}, {"id": TWO}]}
    assert remove_members(body) == (TWO, ONE)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"removeMember": None},
        {"removeMember": []},
        {"removeMember": {"id": ONE}},
        {"removeMember": [ONE]},
        {"removeMember": [{}]},
        {"removeMember": [{"id": 5}]},
        {"removeMember": [{"id": "g" * 32}]},
    ],
)
def test_removals_of_another_form(body: object) -> None:
    with pytest.raises(RuleBroken) as caught:
        remove_members(body)
    assert caught.value.rule is Rule.MEMBER_REMOVAL_INVALID


def test_a_removal_without_body() -> None:
    with pytest.raises(RuleBroken) as caught:
        remove_members(None)
    assert caught.value.rule is Rule.BODY_MISSING
