"""Every rule has a translation, and every condition of the contract's catalogue has a rule."""

import json
from http import HTTPStatus
from pathlib import Path

import pytest

from equipoise.domain.errors import Rule, RuleBroken
from equipoise.http import catalogue
from equipoise.http.catalogue import ENTRIES, SOURCES, Elb, code_of, entry_of, render_error


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_has_a_translation(rule: Rule) -> None:
    assert rule in SOURCES, f"{rule.name} has no translation: add it to equipoise.http.catalogue.SOURCES"


def test_every_condition_of_the_catalogue_has_a_rule() -> None:
    used = {entry_of(source) for source in SOURCES.values() if isinstance(source, Elb)}
    conditions = {entry for entry in ENTRIES if entry.when is not None and entry.status is not None}
    assert not conditions - used


@pytest.mark.parametrize("rule", [rule for rule, source in SOURCES.items() if isinstance(source, Elb)])
def test_code_status_and_message_are_those_of_the_entry(rule: Rule) -> None:
    source = SOURCES[rule]
    assert isinstance(source, Elb)
    entry = entry_of(source)
    status, body, _ = render_error(RuleBroken(rule, "A sentence.", nilKey="name"), "id")
    error = json.loads(body)["error"]
    assert error["code"] == entry.code == code_of(rule)
    assert status == (source.status or entry.status)
    if source.quoted:
        assert f'"{error["message"]}"' in (entry.when or "")
    else:
        assert error["message"] == entry.message.replace("..nilKey..", "name")


def test_a_status_of_ones_own_is_only_for_what_the_contract_gives_none() -> None:
    own = [source for source in SOURCES.values() if isinstance(source, Elb) and source.status is not None]
    assert own
    assert all(entry_of(source).status is None for source in own)


def test_the_body_is_the_one_of_the_contract() -> None:
    status, body, headers = render_error(RuleBroken(Rule.LISTENER_PORT_REPEATED, "Port 80 is taken."), "4f1c")
    assert status == HTTPStatus.BAD_REQUEST
    assert json.loads(body) == {
        "error": {"message": "Listener port is repeated.", "code": "ELB.6101"},
        "message": "Listener port is repeated.",
        "code": "ELB.6101",
        "request_id": "4f1c",
        "detail": "Port 80 is taken.",
    }
    assert dict(headers) == {b"content-type": b"application/json", b"content-length": str(len(body)).encode()}


def test_a_rule_without_a_code_has_the_phrase_of_its_status_and_the_sentence_as_message() -> None:
    _, body, _ = render_error(RuleBroken(Rule.LB_BEING_DELETED, "It is being deleted."), "4f1c")
    assert json.loads(body)["error"] == {"message": "It is being deleted.", "code": "Conflict"}


def test_codes_that_stand_twice_are_told_apart() -> None:
    def said(rule: Rule) -> tuple[int, str, str]:
        status, body, _ = render_error(RuleBroken(rule, "A sentence."), "id")
        error = json.loads(body)["error"]
        return status, error["code"], error["message"]

    assert said(Rule.LISTENER_ID_CONTENT) == (400, "ELB.6010", "Listener ID content is not correct.")
    assert said(Rule.LISTENER_UNKNOWN) == (404, "ELB.6010", "Listener ID content is not correct.")
    assert said(Rule.HEALTH_CHECK_INVALID) == (400, "ELB.7001", "Healthcheck_interval is illegal.")
    assert said(Rule.HEALTH_CHECK_UPDATE_INVALID) == (400, "ELB.7001", "Healthcheck update condition is not valid.")
    assert said(Rule.LB_FIELD_INVALID) == (400, "ELB.1001", "Request parameter is not valid.")
    assert said(Rule.CERTIFICATE_FIELD_MISSING) == (
        400,
        "ELB.1001",
        "Request parameters error, private_key or certificate is nil or empty.",
    )


def test_a_missing_field_is_named_in_the_message() -> None:
    _, body, _ = render_error(RuleBroken(Rule.LISTENER_FIELD_MISSING, "A sentence.", nilKey="port"), "id")
    assert json.loads(body)["message"] == 'Request parameters error, "port" is nil.'


@pytest.mark.parametrize(
    ("broken", "name", "value"),
    [
        (RuleBroken(Rule.TOKEN_MISSING, "x"), b"www-authenticate", b'Keystone uri="/v3"'),
        (
            RuleBroken(Rule.TOKEN_EXPIRED, "x", identity_uri="http://lb.example:8080/v3"),
            b"www-authenticate",
            b'Keystone uri="http://lb.example:8080/v3"',
        ),
        (RuleBroken(Rule.METHOD_NOT_ALLOWED, "x", allow="GET, HEAD"), b"allow", b"GET, HEAD"),
        (RuleBroken(Rule.UNAVAILABLE, "x"), b"retry-after", b"5"),
        (RuleBroken(Rule.OVERLOADED, "x", retry_after="30"), b"retry-after", b"30"),
        (RuleBroken(Rule.GATEWAY_REQUIRED, "x"), b"proxy-authenticate", b'Basic realm="gateway"'),
    ],
)
def test_statuses_that_need_a_header_have_it(broken: RuleBroken, name: bytes, value: bytes) -> None:
    _, _, headers = render_error(broken, "id")
    assert dict(headers)[name] == value


def test_pointing_at_one_of_several_entries_needs_the_operation() -> None:
    with pytest.raises(LookupError, match="name the operation"):
        entry_of(Elb("ELB.6010"))


def test_the_messages_stand_in_the_file_only() -> None:
    source = Path(catalogue.__file__).read_text()
    assert not [entry.message for entry in ENTRIES if entry.message in source]
