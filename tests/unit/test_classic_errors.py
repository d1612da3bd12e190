"""Every rule has a translation, and every condition of the contract's catalogue has a rule."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from equipoise.api.classic import errors as catalogue
from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.errors import (
    BY_KIND,
    ENTRIES,
    OF_JOBS,
    SOURCES,
    TRANSLATIONS,
    Elb,
    code_of,
    entry_of,
    render,
    render_error,
    translated,
)
from equipoise.api.classic.handlers.certificates import CertificateHandlers
from equipoise.api.classic.handlers.elastic_ips import ElasticIpHandlers
from equipoise.api.classic.handlers.health_checks import HealthCheckHandlers
from equipoise.api.classic.handlers.listeners import ListenerHandlers
from equipoise.api.classic.handlers.load_balancers import LoadBalancerHandlers
from equipoise.api.classic.handlers.members import MemberHandlers
from equipoise.api.classic.handlers.networks import NetworkHandlers
from equipoise.core.errors import (
    AlreadyExists,
    InvalidField,
    NotFound,
    QuotaExceeded,
    ServiceError,
    TokenExpired,
    TokenMissing,
)
from equipoise.core.jobs import FailureReason, WarningReason
from equipoise.core.references import ResourceKind, ResourceRef
from equipoise.http.errors import Circumstances, MethodNotAllowed, NotServing, PathUnknown, RequestError


def kinds_of(base: type[Exception]) -> Iterator[type[Exception]]:
    """What is raised: whatever is no base of others, and of the others those that are raised themselves."""
    for kind in base.__subclasses__():
        below = list(kinds_of(kind))
        yield from below
        if not below or kind.__doc__ is None or "One of the kinds below is raised." not in kind.__doc__:
            yield kind


@pytest.mark.parametrize("kind", [*kinds_of(ServiceError), *kinds_of(RequestError)])
def test_every_error_of_the_service_has_a_translation(kind: type[Exception]) -> None:
    assert (kind in TRANSLATIONS) != (kind in BY_KIND), f"{kind.__name__}: add it to the table of api.classic.errors"


@pytest.mark.parametrize("kind", ResourceKind)
def test_whatever_is_not_found_has_a_translation(kind: ResourceKind) -> None:
    assert translated(NotFound(kind, "1"), "anyOperation") is not None


def test_operations_that_the_table_names_are_there() -> None:
    api: Any = SimpleNamespace(service=SimpleNamespace(policy=SimpleNamespace(networks=None)))
    vault: Any = None
    groups = (
        LoadBalancerHandlers(api),
        ListenerHandlers(api),
        MemberHandlers(api),
        HealthCheckHandlers(api),
        CertificateHandlers(api, vault, show_private_key=False),
        ElasticIpHandlers(api),
        NetworkHandlers(api),
    )
    there = {operation.name for group in groups for operation in group.operations()}
    rows = [*TRANSLATIONS.values(), *(row for of_kind in BY_KIND.values() for row in of_kind.values())]
    named = {name for row in rows if not isinstance(row, Rule) for name in row if name}
    assert named <= there


@pytest.mark.parametrize("reason", [*FailureReason, *WarningReason])
def test_whatever_befalls_a_job_has_a_code(reason: FailureReason | WarningReason) -> None:
    assert code_of(reason) == entry_of(OF_JOBS[reason]).code


@pytest.mark.parametrize(
    ("error", "operation", "rule"),
    [
        (NotFound(ResourceKind.LOAD_BALANCER, "1"), "showLoadBalancer", Rule.LB_UNKNOWN),
        (NotFound(ResourceKind.LOAD_BALANCER, "1"), "deleteLoadBalancerKeepEip", Rule.LB_DELETE_UNKNOWN),
        (NotFound(ResourceKind.LOAD_BALANCER, "1"), "createListener", Rule.LISTENER_LB_UNKNOWN),
        (NotFound(ResourceKind.POOL, "1"), "createMembers", Rule.MEMBER_LISTENER_UNKNOWN),
        (NotFound(ResourceKind.POOL, "1"), "removeMembers", Rule.LISTENER_UNKNOWN),
        (NotFound(ResourceKind.POOL, "1"), "createHealthCheck", Rule.HEALTH_CHECK_LISTENER_UNKNOWN),
        (NotFound(ResourceKind.CERTIFICATE, "1"), "updateListener", Rule.LISTENER_FIELD_INVALID),
        (NotFound(ResourceKind.CERTIFICATE, "1"), "showCertificate", Rule.CERTIFICATE_UNKNOWN),
        (PathUnknown("/v1.0//elbaas/listeners"), "", Rule.PROJECT_ID_EMPTY),
        (PathUnknown("/v1.0/p/elbaas/listeners/l/members/x"), "", Rule.MEMBER_PATH_UNKNOWN),
        (PathUnknown("/v1.0/p/elbaas/listenersx"), "", Rule.LISTENER_PATH_UNKNOWN),
        (PathUnknown("/v1.0/p/elbaas/loadbalancers/"), "", Rule.LOAD_BALANCER_PATH_UNKNOWN),
        (PathUnknown("/x"), "", Rule.PATH_UNKNOWN),
    ],
)
def test_a_code_depends_on_the_operation_and_the_area(error: Exception, operation: str, rule: Rule) -> None:
    broken = translated(error, operation)
    assert broken is not None
    assert broken.rule is rule


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NotFound(ResourceKind.POOL, "1"), "There is no listener 1 in this project; list them to see which there are."),
        (NotFound(ResourceKind.HEALTH_MONITOR, "1"), "There is no health check 1 in this project."),
        (
            AlreadyExists(ResourceKind.HEALTH_MONITOR, "1", ResourceRef(ResourceKind.POOL, "2")),
            "Listener 2 has health check 1 already; update that one or delete it first.",
        ),
        (
            QuotaExceeded(ResourceKind.MEMBER, ResourceKind.POOL, 3, "remove some"),
            "A listener may have 3 members; remove some or use another listener.",
        ),
        (
            InvalidField(ResourceKind.ELASTIC_IP, "address", "10.0.0.1 is not an address of the pool 10.1.0.0/24."),
            "publicip.ip_address: 10.0.0.1 is not an address of the pool 10.1.0.0/24.",
        ),
    ],
)
def test_sentences_are_in_the_words_of_this_api(error: Exception, told: str) -> None:
    broken = translated(error, "createElasticIp")
    assert broken is not None
    assert broken.detail == told


def test_what_nobody_knows_is_a_defect() -> None:
    assert render(ValueError("a cause"), Circumstances("id")) is None


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (TokenExpired("x"), b"www-authenticate", b'Keystone uri="http://lb.example:8080/v3"'),
        (TokenMissing("x", 'Bearer realm="metrics"'), b"www-authenticate", b'Bearer realm="metrics"'),
        (MethodNotAllowed("PUT", "GET, HEAD"), b"allow", b"GET, HEAD"),
        (NotServing("x", retry_after="1"), b"retry-after", b"1"),
    ],
)
def test_what_an_error_carries_for_a_header_gets_there(error: Exception, name: bytes, value: bytes) -> None:
    answer = render(error, Circumstances("id", "http://lb.example:8080"))
    assert answer is not None
    assert dict(answer.headers)[name] == value


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_has_a_translation(rule: Rule) -> None:
    assert rule in SOURCES, f"{rule.name} has no translation: add it to SOURCES"


def test_every_condition_of_the_catalogue_has_a_rule() -> None:
    used = {entry_of(source) for source in SOURCES.values() if isinstance(source, Elb)}
    used |= {entry_of(source) for source in OF_JOBS.values()}
    conditions = {entry for entry in ENTRIES if entry.when is not None and entry.status is not None}
    assert not conditions - used


@pytest.mark.parametrize("rule", [rule for rule, source in SOURCES.items() if isinstance(source, Elb)])
def test_code_status_and_message_are_those_of_the_entry(rule: Rule) -> None:
    source = SOURCES[rule]
    assert isinstance(source, Elb)
    entry = entry_of(source)
    status, body, _ = render_error(RuleBroken(rule, "A sentence.", nilKey="name"), "id")
    error = json.loads(body)["error"]
    assert error["code"] == entry.code
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
