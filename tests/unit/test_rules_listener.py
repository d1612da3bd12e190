"""The rules of a listener: each rule, its boundaries, and which rule wins when two are broken."""

from typing import Any

import pytest

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.records import ListenerUpdate, NewListener
from equipoise.api.classic.rules import listener as rules
from equipoise.core.commands import Column
from equipoise.core.model import INTERNAL, LoadBalancer
from equipoise.usecases.listeners import ListenerContext
from tests.unit.listener_context import Anywhere, load_balancer

LB_ID = "0b07acf06d243925bc24a0ac7445267a"
CERTIFICATE = "23b8c3e1aeb74a4a8d7f1b2a3c4d5e6f"
TCP = {
    "name": "lis",
    "loadbalancer_id": LB_ID,
    "protocol": "TCP",
    "port": 88,
    "backend_protocol": "TCP",
    "backend_port": 80,
    "lb_algorithm": "roundrobin",
}
HTTP = TCP | {"protocol": "HTTP", "backend_protocol": "HTTP"}
HTTPS = HTTP | {"protocol": "HTTPS", "certificate_id": CERTIFICATE}
UDP = TCP | {"protocol": "UDP", "backend_protocol": "UDP"}

CURRENT_TCP: dict[str, Any] = TCP | {
    "id": "248425d7b97dc26920eb23720115e068",
    "description": "",
    "session_sticky": False,
    "sticky_session_type": None,
    "cookie_timeout": None,
    "tcp_timeout": 1,
    "tcp_draining": False,
    "tcp_draining_timeout": None,
    "udp_timeout": None,
    "certificate_id": None,
    "ssl_protocols": None,
    "ssl_ciphers": None,
    "admin_state_up": True,
    "status": "ACTIVE",
}
CURRENT_HTTP = CURRENT_TCP | {"protocol": "HTTP", "backend_protocol": "HTTP", "tcp_timeout": None, "tcp_draining": None}
CURRENT_STICKY = CURRENT_HTTP | {"session_sticky": True, "sticky_session_type": "insert", "cookie_timeout": 100}
CURRENT_HTTPS = CURRENT_HTTP | {
    "protocol": "HTTPS",
    "certificate_id": CERTIFICATE,
    "ssl_protocols": "TLSv1.2",
    "ssl_ciphers": "Default",
}
CURRENT_UDP = CURRENT_TCP | {"protocol": "UDP", "backend_protocol": "UDP", "tcp_timeout": None, "udp_timeout": 5}


def create_listener(body: object, context: ListenerContext | None = None) -> NewListener:
    return rules.create_listener(body, context or Anywhere())


def update_listener(body: object, *, current: dict[str, Any], context: ListenerContext | None = None) -> ListenerUpdate:
    return rules.update_listener(body, current=current, context=context or Anywhere())


def broken_rule(body: object) -> Rule:
    with pytest.raises(RuleBroken) as caught:
        create_listener(body)
    return caught.value.rule


def changes(body: object, current: dict[str, Any]) -> dict[str, Column]:
    return dict(update_listener(body, current=current).changes)


def broken_on_update(body: object, current: dict[str, Any]) -> Rule:
    with pytest.raises(RuleBroken) as caught:
        update_listener(body, current=current)
    return caught.value.rule


def test_a_tcp_listener_gets_its_defaults() -> None:
    assert create_listener(TCP) == NewListener(
        name="lis",
        description="",
        loadbalancer_id=LB_ID,
        protocol="TCP",
        port=88,
        backend_protocol="TCP",
        backend_port=80,
        lb_algorithm="roundrobin",
        session_sticky=False,
        sticky_session_type=None,
        cookie_timeout=None,
        tcp_timeout=None,
        tcp_draining=False,
        tcp_draining_timeout=None,
        udp_timeout=None,
        certificate_id=None,
        ssl_protocols=None,
        ssl_ciphers=None,
    )


def test_fields_without_meaning_for_the_protocol_are_ignored_whatever_they_hold() -> None:
    nonsense: dict[str, object] = dict.fromkeys(
        ("sticky_session_type", "cookie_timeout", "udp_timeout", "certificate_id", "ssl_protocols", "ssl_ciphers"), ()
    )
    assert create_listener(TCP | nonsense | {"colour": "red"}) == create_listener(TCP)
    nonsense = dict.fromkeys(
        ("cookie_timeout", "tcp_timeout", "tcp_draining", "tcp_draining_timeout", "udp_timeout", "ssl_ciphers"), ()
    )
    command = create_listener(HTTP | nonsense)
    assert (command.tcp_timeout, command.tcp_draining, command.cookie_timeout) == (None, None, None)
    assert create_listener(UDP | {"session_sticky": True, "sticky_session_type": "x"}).session_sticky is False


def test_digits_in_a_string_are_an_integer() -> None:
    command = create_listener(TCP | {"port": "443", "backend_port": "8443", "tcp_timeout": "5"})
    assert (command.port, command.backend_port, command.tcp_timeout) == (443, 8443, 5)


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("false", False), ("FALSE", False)])
def test_a_boolean_may_come_in_a_string(text: str, value: bool) -> None:
    assert create_listener(HTTP | {"session_sticky": text}).session_sticky is value
    assert create_listener(TCP | {"tcp_draining": text}).tcp_draining is value
    current = CURRENT_TCP | {"tcp_draining": not value, "tcp_draining_timeout": 1, "admin_state_up": not value}
    given = {"tcp_draining": text, "admin_state_up": text}
    assert changes(given, current) == {"tcp_draining": value, "admin_state_up": value}
    # What cannot be changed may be sent back in a string, too.
    sticky = CURRENT_STICKY if value else CURRENT_HTTP
    assert changes({"session_sticky": text, "cookie_timeout": "100"}, sticky) == {}


@pytest.mark.parametrize("port", [1, 65535])
def test_the_first_and_the_last_port(port: int) -> None:
    assert create_listener(TCP | {"port": port, "backend_port": port}).port == port


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("name", "", Rule.LISTENER_NAME_INVALID),
        ("name", "a b", Rule.LISTENER_NAME_INVALID),
        ("name", 5, Rule.LISTENER_NAME_INVALID),
        ("name", "x" * 65, Rule.LISTENER_NAME_TOO_LONG),
        ("description", "x" * 129, Rule.LISTENER_DESCRIPTION_INVALID),
        ("description", ">", Rule.LISTENER_DESCRIPTION_INVALID),
        ("description", 5, Rule.LISTENER_DESCRIPTION_INVALID),
        ("loadbalancer_id", "short", Rule.LISTENER_LB_UNKNOWN),
        ("loadbalancer_id", LB_ID.upper(), Rule.LISTENER_LB_UNKNOWN),
        ("loadbalancer_id", 5, Rule.LISTENER_LB_UNKNOWN),
        ("protocol", "tcp", Rule.LISTENER_PROTOCOL_INVALID),
        ("protocol", "SSL", Rule.LISTENER_PROTOCOL_INVALID),
        ("protocol", {}, Rule.LISTENER_PROTOCOL_INVALID),
        ("port", 0, Rule.LISTENER_PORT_INVALID),
        ("port", 65536, Rule.LISTENER_PORT_INVALID),
        ("port", True, Rule.LISTENER_PORT_INVALID),
        ("port", 80.0, Rule.LISTENER_PORT_INVALID),
        ("port", "http", Rule.LISTENER_PORT_INVALID),
        ("backend_protocol", "HTTP", Rule.LISTENER_BACKEND_PROTOCOL_INVALID),
        ("backend_protocol", 5, Rule.LISTENER_BACKEND_PROTOCOL_INVALID),
        ("backend_port", 0, Rule.LISTENER_PORT_INVALID),
        ("backend_port", 65536, Rule.LISTENER_PORT_INVALID),
        ("lb_algorithm", "random", Rule.LISTENER_ALGORITHM_INVALID),
        ("lb_algorithm", [], Rule.LISTENER_ALGORITHM_INVALID),
        ("session_sticky", "yes", Rule.LISTENER_FIELD_INVALID),
        ("session_sticky", 1, Rule.LISTENER_FIELD_INVALID),
        ("tcp_timeout", 0, Rule.LISTENER_FIELD_INVALID),
        ("tcp_timeout", 1441, Rule.LISTENER_FIELD_INVALID),
        ("tcp_draining", 1, Rule.LISTENER_FIELD_INVALID),
        ("tcp_draining_timeout", -1, Rule.LISTENER_FIELD_INVALID),
        ("tcp_draining_timeout", 61, Rule.LISTENER_FIELD_INVALID),
    ],
)
def test_a_field_of_a_tcp_listener_that_breaks_its_rule(field: str, value: object, rule: Rule) -> None:
    assert broken_rule(TCP | {field: value}) is rule


@pytest.mark.parametrize(
    "field",
    ["name", "loadbalancer_id", "protocol", "port", "backend_protocol", "backend_port", "lb_algorithm"],
)
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(RuleBroken) as caught:
        create_listener(TCP | {field: None})
    assert caught.value.rule is Rule.LISTENER_FIELD_MISSING
    assert caught.value.parameters == {"nilKey": field}


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (HTTP | {"session_sticky": True, "lb_algorithm": "leastconn"}, Rule.LISTENER_STICKINESS_INVALID),
        (TCP | {"session_sticky": True, "lb_algorithm": "source"}, Rule.LISTENER_STICKINESS_INVALID),
        (HTTP | {"sticky_session_type": "app_cookie"}, Rule.LISTENER_STICKINESS_INVALID),
        (HTTP | {"session_sticky": True, "cookie_timeout": 0}, Rule.LISTENER_FIELD_INVALID),
        (HTTP | {"session_sticky": True, "cookie_timeout": 1441}, Rule.LISTENER_FIELD_INVALID),
        (HTTPS | {"certificate_id": None}, Rule.LISTENER_FIELD_MISSING),
        (HTTPS | {"certificate_id": ""}, Rule.LISTENER_FIELD_MISSING),
        (HTTPS | {"certificate_id": "x"}, Rule.LISTENER_FIELD_INVALID),
        (HTTPS | {"ssl_protocols": "TLSv1.3"}, Rule.LISTENER_FIELD_INVALID),
        (HTTPS | {"ssl_ciphers": "Weak"}, Rule.LISTENER_FIELD_INVALID),
        (HTTPS | {"ssl_protocols": "TLSv1.2 TLSv1.1 TLSv1", "ssl_ciphers": "Strict"}, Rule.LISTENER_FIELD_INVALID),
        (HTTPS | {"backend_protocol": "HTTPS"}, Rule.LISTENER_BACKEND_PROTOCOL_INVALID),
        (UDP | {"udp_timeout": 0}, Rule.LISTENER_FIELD_INVALID),
        (UDP | {"udp_timeout": 1441}, Rule.LISTENER_FIELD_INVALID),
        (None, Rule.BODY_MISSING),
        ([TCP], Rule.BODY_MALFORMED),
        ({}, Rule.LISTENER_FIELD_MISSING),
    ],
)
def test_a_body_that_breaks_a_rule(body: object, rule: Rule) -> None:
    assert broken_rule(body) is rule


def test_stickiness_by_cookie_is_by_insert() -> None:
    command = create_listener(HTTP | {"session_sticky": True, "cookie_timeout": 1440})
    assert (command.session_sticky, command.sticky_session_type, command.cookie_timeout) == (True, "insert", 1440)


def test_stickiness_of_tcp_is_by_client_address_and_has_no_cookie() -> None:
    command = create_listener(TCP | {"session_sticky": True, "sticky_session_type": "insert", "cookie_timeout": 9})
    assert (command.session_sticky, command.sticky_session_type, command.cookie_timeout) == (True, None, None)


def test_draining_gets_a_time_and_zero_is_one() -> None:
    assert create_listener(TCP | {"tcp_draining": True}).tcp_draining_timeout == 5
    assert create_listener(TCP | {"tcp_draining": True, "tcp_draining_timeout": 0}).tcp_draining_timeout == 0
    assert create_listener(TCP | {"tcp_draining": True, "tcp_draining_timeout": 60}).tcp_draining_timeout == 60


def test_https_gets_its_defaults() -> None:
    command = create_listener(HTTPS | {"ssl_protocols": "", "ssl_ciphers": ""})
    assert (command.certificate_id, command.ssl_protocols, command.ssl_ciphers) == (CERTIFICATE, "TLSv1.2", "Default")


def test_old_tls_versions_come_with_the_extended_ciphers() -> None:
    assert create_listener(HTTPS | {"ssl_protocols": "TLSv1.2 TLSv1.1 TLSv1"}).ssl_ciphers == "Extended"


def test_the_first_field_of_the_table_wins() -> None:
    """Each body repairs the field that was complained about before; the complaints come in the table's order."""
    repairs: list[tuple[str, object, Rule]] = [
        ("name", "lis", Rule.LISTENER_FIELD_MISSING),
        ("description", "", Rule.LISTENER_DESCRIPTION_INVALID),
        ("loadbalancer_id", LB_ID, Rule.LISTENER_LB_UNKNOWN),
        ("protocol", "HTTPS", Rule.LISTENER_PROTOCOL_INVALID),
        ("port", 443, Rule.LISTENER_PORT_INVALID),
        ("backend_protocol", "HTTP", Rule.LISTENER_BACKEND_PROTOCOL_INVALID),
        ("backend_port", 80, Rule.LISTENER_FIELD_MISSING),
        ("lb_algorithm", "source", Rule.LISTENER_ALGORITHM_INVALID),
        ("session_sticky", False, Rule.LISTENER_STICKINESS_INVALID),
        ("sticky_session_type", "insert", Rule.LISTENER_STICKINESS_INVALID),
        ("cookie_timeout", 5, Rule.LISTENER_FIELD_INVALID),
        ("certificate_id", CERTIFICATE, Rule.LISTENER_FIELD_MISSING),
        ("ssl_ciphers", "Strict", Rule.LISTENER_FIELD_INVALID),
    ]
    body: dict[str, object] = {
        "description": "<",
        "loadbalancer_id": "x",
        "protocol": "FTP",
        "port": 0,
        "backend_protocol": "FTP",
        "lb_algorithm": "x",
        "session_sticky": True,
        "sticky_session_type": "x",
        "cookie_timeout": 0,
        "ssl_ciphers": "x",
    }
    for field, repaired, rule in repairs:
        assert broken_rule(body) is rule, field
        body[field] = repaired
    assert create_listener(body)


class Context:
    """An Internal load balancer; everything that is looked up is noted, and what is in `refused` is refused."""

    def __init__(self, *refused: Rule) -> None:
        self.asked: list[object] = []
        self._refused = refused

    def load_balancer(self, id: str) -> LoadBalancer:
        self._note(Rule.LISTENER_LB_UNKNOWN, id)
        return load_balancer(id, INTERNAL)

    def check_port(self, protocol: str, port: int) -> None:
        self._note(Rule.LISTENER_PORT_REPEATED, (protocol, port))

    def check_certificate(self, id: str) -> None:
        self._note(Rule.LISTENER_FIELD_INVALID, id)

    def _note(self, rule: Rule, asked: object) -> None:
        self.asked.append(asked)
        if rule in self._refused:
            raise RuleBroken(rule, "looked up")


def test_udp_is_not_for_internal_load_balancers() -> None:
    with pytest.raises(RuleBroken) as caught:
        create_listener({**UDP, "port": 0}, Context())
    assert caught.value.rule is Rule.LISTENER_PROTOCOL_INVALID
    assert create_listener(UDP).protocol == "UDP"
    assert create_listener(TCP, Context()).protocol == "TCP"


@pytest.mark.parametrize(
    ("refused", "earlier", "later"),
    [
        (Rule.LISTENER_LB_UNKNOWN, {"name": "a b"}, {"protocol": "SCTP"}),
        (Rule.LISTENER_PORT_REPEATED, {"protocol": "SCTP"}, {"backend_protocol": "UDP"}),
        (Rule.LISTENER_FIELD_INVALID, {"lb_algorithm": "x"}, {"ssl_protocols": "SSLv3"}),
    ],
)
def test_what_is_looked_up_has_its_turn_among_the_fields(
    refused: Rule, earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    with pytest.raises(RuleBroken) as caught:
        create_listener({**HTTPS, **later}, Context(refused))
    assert caught.value.detail == "looked up"
    with pytest.raises(RuleBroken) as caught:
        create_listener({**HTTPS, **earlier}, Context(refused))
    assert caught.value.detail != "looked up"


@pytest.mark.parametrize(
    ("refused", "asked", "earlier", "later"),
    [
        (Rule.LISTENER_PORT_REPEATED, {"port": 7}, {"name": "a b"}, {"lb_algorithm": "x"}),
        (Rule.LISTENER_FIELD_INVALID, {"certificate_id": "c" * 32}, {"lb_algorithm": "x"}, {"ssl_protocols": "x"}),
    ],
)
def test_an_update_looks_things_up_in_the_turn_of_their_field(
    refused: Rule, asked: dict[str, Any], earlier: dict[str, Any], later: dict[str, Any]
) -> None:
    with pytest.raises(RuleBroken) as caught:
        update_listener({**asked, **later}, current=CURRENT_HTTPS, context=Context(refused))
    assert caught.value.detail == "looked up"
    with pytest.raises(RuleBroken) as caught:
        update_listener({**asked, **earlier}, current=CURRENT_HTTPS, context=Context(refused))
    assert caught.value.detail != "looked up"


def test_an_update_looks_up_only_what_changes() -> None:
    context = Context()
    update_listener(CURRENT_HTTPS, current=CURRENT_HTTPS, context=context)
    assert context.asked == []


def test_an_object_sent_back_as_it_was_read_changes_nothing() -> None:
    for current in (CURRENT_TCP, CURRENT_HTTP, CURRENT_STICKY, CURRENT_HTTPS, CURRENT_UDP):
        assert changes(current, current) == {}


def test_what_the_service_itself_writes_may_be_out_of_date() -> None:
    stale = {
        "status": "PENDING_CREATE",
        "update_time": "2015-09-14 02:34:32",
        "member_number": 7,
        "healthcheck_id": "x",
    }
    assert changes(CURRENT_TCP | stale | {"name": "new"}, CURRENT_TCP) == {"name": "new"}


def test_update_takes_every_field_that_can_change() -> None:
    wanted: dict[str, Column] = {
        "name": "new",
        "description": "about",
        "port": 90,
        "backend_port": 91,
        "lb_algorithm": "source",
        "tcp_timeout": 2,
        "tcp_draining": True,
        "tcp_draining_timeout": 0,
        "admin_state_up": False,
    }
    assert changes(wanted, CURRENT_TCP) == wanted
    assert changes({"udp_timeout": 9}, CURRENT_UDP) == {"udp_timeout": 9}


def test_draining_switched_on_later_gets_its_time() -> None:
    assert changes({"tcp_draining": True}, CURRENT_TCP) == {"tcp_draining": True, "tcp_draining_timeout": 5}
    assert changes({"tcp_draining": True}, CURRENT_TCP | {"tcp_draining_timeout": 7}) == {"tcp_draining": True}


def test_null_is_not_given() -> None:
    assert changes(dict.fromkeys(CURRENT_TCP), CURRENT_TCP) == {}


@pytest.mark.parametrize(
    ("body", "current", "rule"),
    [
        ({"name": ""}, CURRENT_TCP, Rule.LISTENER_UPDATE_NAME_INVALID),
        ({"name": "a b"}, CURRENT_TCP, Rule.LISTENER_UPDATE_NAME_INVALID),
        ({"name": "x" * 65}, CURRENT_TCP, Rule.LISTENER_UPDATE_NAME_TOO_LONG),
        ({"description": "<"}, CURRENT_TCP, Rule.LISTENER_UPDATE_DESCRIPTION_INVALID),
        ({"id": "x"}, CURRENT_TCP, Rule.LISTENER_UPDATE_FORBIDDEN),
        ({"loadbalancer_id": "x"}, CURRENT_TCP, Rule.LISTENER_UPDATE_FORBIDDEN),
        ({"protocol": "HTTP"}, CURRENT_TCP, Rule.LISTENER_UPDATE_FORBIDDEN),
        ({"backend_protocol": "HTTP"}, CURRENT_TCP, Rule.LISTENER_UPDATE_FORBIDDEN),
        ({"session_sticky": True}, CURRENT_TCP, Rule.LISTENER_UPDATE_FORBIDDEN),
        ({"session_sticky": 0}, CURRENT_TCP, Rule.LISTENER_UPDATE_FORBIDDEN),
        ({"session_sticky": "true"}, CURRENT_TCP, Rule.LISTENER_UPDATE_FORBIDDEN),
        ({"cookie_timeout": 5}, CURRENT_STICKY, Rule.LISTENER_UPDATE_FORBIDDEN),
        ({"cookie_timeout": "5"}, CURRENT_STICKY, Rule.LISTENER_UPDATE_FORBIDDEN),
        ({"sticky_session_type": "x"}, CURRENT_STICKY, Rule.LISTENER_UPDATE_FORBIDDEN),
        ({"port": 0}, CURRENT_TCP, Rule.LISTENER_PORT_INVALID),
        ({"backend_port": ""}, CURRENT_TCP, Rule.LISTENER_PORT_INVALID),
        ({"lb_algorithm": "x"}, CURRENT_TCP, Rule.LISTENER_ALGORITHM_INVALID),
        ({"lb_algorithm": "source"}, CURRENT_STICKY, Rule.LISTENER_STICKINESS_INVALID),
        ({"tcp_timeout": 0}, CURRENT_TCP, Rule.LISTENER_FIELD_INVALID),
        ({"tcp_draining": "yes"}, CURRENT_TCP, Rule.LISTENER_FIELD_INVALID),
        ({"tcp_draining_timeout": 61}, CURRENT_TCP, Rule.LISTENER_FIELD_INVALID),
        ({"certificate_id": "x"}, CURRENT_HTTPS, Rule.LISTENER_FIELD_INVALID),
        ({"ssl_protocols": "TLSv1.2 TLSv1.1 TLSv1"}, CURRENT_HTTPS, Rule.LISTENER_FIELD_INVALID),
        ({"udp_timeout": 1441}, CURRENT_UDP, Rule.LISTENER_FIELD_INVALID),
        ({"admin_state_up": 1}, CURRENT_TCP, Rule.LISTENER_FIELD_INVALID),
        (None, CURRENT_TCP, Rule.BODY_MISSING),
        ("x", CURRENT_TCP, Rule.BODY_MALFORMED),
        ({"protocol": "HTTP", "description": "<"}, CURRENT_TCP, Rule.LISTENER_UPDATE_DESCRIPTION_INVALID),
        ({"protocol": "HTTP", "port": 0}, CURRENT_TCP, Rule.LISTENER_UPDATE_FORBIDDEN),
    ],
)
def test_an_update_that_breaks_a_rule(body: object, current: dict[str, Any], rule: Rule) -> None:
    assert broken_on_update(body, current) is rule


def test_an_update_ignores_what_has_no_meaning_for_the_protocol() -> None:
    body = {
        "sticky_session_type": "insert",
        "cookie_timeout": 100,
        "certificate_id": "x",
        "ssl_protocols": "x",
        "ssl_ciphers": "x",
        "udp_timeout": 0,
    }
    assert changes(body, CURRENT_TCP) == {}
    assert changes({"session_sticky": True}, CURRENT_UDP) == {}


def test_tls_versions_and_ciphers_change_together() -> None:
    wanted: dict[str, Column] = {"ssl_protocols": "TLSv1.2 TLSv1.1 TLSv1", "ssl_ciphers": "Extended"}
    assert changes(wanted, CURRENT_HTTPS) == wanted
    assert changes({"ssl_ciphers": "Strict"}, CURRENT_HTTPS) == {"ssl_ciphers": "Strict"}
    other = "f" * 32
    assert changes({"certificate_id": other}, CURRENT_HTTPS) == {"certificate_id": other}
    assert changes({"certificate_id": ""}, CURRENT_HTTPS) == {}
