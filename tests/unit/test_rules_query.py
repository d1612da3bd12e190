"""The rules of ids in a path and of list queries."""

from collections.abc import Callable, Mapping

import pytest

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.rules import (
    ListQuery,
    health_check_id,
    job,
    listener_filters,
    listener_id,
    load_balancer_filters,
    load_balancer_id,
    member_filters,
    member_listener_id,
    query,
)

ID = "0123456789abcdef0123456789abcdef"


def test_a_well_formed_id_is_returned() -> None:
    assert load_balancer_id(ID) == listener_id(ID) == member_listener_id(ID) == ID
    assert health_check_id(ID, Rule.HEALTH_CHECK_ID_MALFORMED) == ID


@pytest.mark.parametrize(
    ("check", "text", "rule"),
    [
        (load_balancer_id, ID[1:], Rule.LB_ID_MALFORMED),
        (load_balancer_id, ID.upper(), Rule.LB_ID_MALFORMED),
        (listener_id, ID + "0", Rule.LISTENER_ID_LENGTH),
        (listener_id, "", Rule.LISTENER_ID_LENGTH),
        (listener_id, "g" * 32, Rule.LISTENER_ID_CONTENT),
        (listener_id, "٣" * 32, Rule.LISTENER_ID_CONTENT),
        (listener_id, ID[1:] + "\n", Rule.LISTENER_ID_CONTENT),
        (member_listener_id, "x", Rule.MEMBER_LISTENER_ID_LENGTH),
        (member_listener_id, "g" * 32, Rule.MEMBER_LISTENER_ID_CONTENT),
    ],
)
def test_a_malformed_id(check: Callable[[str], str], text: str, rule: Rule) -> None:
    with pytest.raises(RuleBroken) as caught:
        check(text)
    assert caught.value.rule is rule


@pytest.mark.parametrize("rule", [Rule.HEALTH_CHECK_ID_MALFORMED, Rule.HEALTH_CHECK_ID_MALFORMED_ON_DELETE])
def test_a_malformed_id_of_a_health_check_breaks_the_rule_of_the_operation(rule: Rule) -> None:
    with pytest.raises(RuleBroken) as caught:
        health_check_id("x", rule)
    assert caught.value.rule is rule


def test_no_query_is_no_filter() -> None:
    assert load_balancer_filters({}) == ListQuery({}, None, None)


@pytest.mark.parametrize(
    ("read", "known"),
    [
        (load_balancer_filters, query._LOAD_BALANCER),
        (listener_filters, query._LISTENER),
        (member_filters, query._MEMBER),
        (query.certificate_filters, query._CERTIFICATE),
        (query.elastic_ip_filters, query._ELASTIC_IP),
    ],
)
def test_a_filter_without_a_value_is_not_given(
    read: Callable[[Mapping[str, str]], ListQuery], known: Mapping[str, object]
) -> None:
    for name in (*known, "limit", "marker"):
        assert read({name: ""}) == ListQuery({}, None, None), name


def test_queries_about_jobs_without_a_value_are_not_given() -> None:
    assert job.job_filters(dict.fromkeys((*job._FILTERS, "limit", "marker"), "")) == job.job_filters({})
    assert job.seconds_to_wait({"wait": ""}) == 0
    assert job.wants_history({"history": ""}) is False
    assert job.wants_history({"history": "True"}) is True


@pytest.mark.parametrize("given", ["1000000000", "99999999999", "9" * 5000])
def test_a_limit_above_all_is_no_error(given: str) -> None:
    assert load_balancer_filters({"limit": given}).limit == 10**9
    assert member_filters({"limit": given.rjust(5001, "0")}).limit == 10**9


def test_filters_are_typed() -> None:
    found = load_balancer_filters(
        {"bandwidth": "10", "admin_state_up": "true", "type": "External", "az": "eu-de-01", "limit": "0", "marker": ID}
    )
    assert found == ListQuery({"bandwidth": 10, "admin_state_up": 1, "type": "External", "az": "eu-de-01"}, 0, ID)
    assert listener_filters({"port": "80", "tcp_draining": "False", "ssl_protocols": "TLSv1.2"}).filters == {
        "port": 80,
        "tcp_draining": False,
        "ssl_protocols": "TLSv1.2",
    }
    assert member_filters({"id": "gone", "address": "10.0.0.1", "health_status": "NORMAL"}).filters == {
        "id": "gone",
        "address": "10.0.0.1",
        "health_status": "NORMAL",
    }


@pytest.mark.parametrize(
    ("read", "given", "rule"),
    [
        (load_balancer_filters, {"colour": "red"}, Rule.LB_QUERY_INVALID),
        (load_balancer_filters, {"limit": "-1"}, Rule.LB_QUERY_INVALID),
        (load_balancer_filters, {"marker": "x"}, Rule.LB_QUERY_INVALID),
        (load_balancer_filters, {"id": "x"}, Rule.LB_QUERY_INVALID),
        (load_balancer_filters, {"type": "Both"}, Rule.LB_QUERY_INVALID),
        (load_balancer_filters, {"bandwidth": "ten"}, Rule.LB_QUERY_INVALID),
        (load_balancer_filters, {"admin_state_up": "3"}, Rule.LB_QUERY_INVALID),
        (load_balancer_filters, {"vip_address": "x"}, Rule.LB_QUERY_INVALID),
        (load_balancer_filters, {"name": "a\x00"}, Rule.LB_QUERY_INVALID),
        (load_balancer_filters, {"create_time": "2015-09-14 02:34:32"}, Rule.LB_QUERY_INVALID),
        (listener_filters, {"session_sticky": "true"}, Rule.LISTENER_QUERY_INVALID),
        (listener_filters, {"admin_state_up": "true"}, Rule.LISTENER_QUERY_INVALID),
        (listener_filters, {"loadbalancer_id": "x"}, Rule.LISTENER_QUERY_INVALID),
        (listener_filters, {"protocol": "SSL"}, Rule.LISTENER_QUERY_INVALID),
        (listener_filters, {"tcp_draining": "1"}, Rule.LISTENER_QUERY_INVALID),
        (member_filters, {"name": "x"}, Rule.MEMBER_QUERY_INVALID),
        (member_filters, {"limit": "x"}, Rule.MEMBER_QUERY_INVALID),
        (member_filters, {"health_status": "GOOD"}, Rule.MEMBER_QUERY_INVALID),
    ],
)
def test_queries_that_break_a_rule(
    read: Callable[[dict[str, str]], ListQuery], given: dict[str, str], rule: Rule
) -> None:
    with pytest.raises(RuleBroken) as caught:
        read(given)
    assert caught.value.rule is rule
