"""HTTPS listeners with real clients: versions, suites, chains, renewals without a lost connection, restarts."""

import os
import re
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from stand import Api, Backends, Service, eventually, running_backends, running_service
from stand.certificates import Pair, chain, ec_pair, rsa_pair
from tests.tls_client import V, agreed, ask_on, client_context, connect, served, suites

TLS_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "tls.md"
SETS = ("Default", "Extended", "Strict")
OLD = "TLSv1.2 TLSv1.1 TLSv1"


def documented(cipher_set: str) -> set[str]:
    """The suites of a set, from the table of the reference page."""
    rows = re.findall(r"^\| `([A-Z0-9-]+)` \| (\w*) *\| (\w*) *\| (\w*) *\|$", TLS_PAGE.read_text(), re.MULTILINE)
    assert rows
    return {row[0] for row in rows if row[1 + SETS.index(cipher_set)] == "yes"}


def der(pair: Pair) -> bytes:
    return pair.record.public_bytes(Encoding.DER)


@dataclass
class Shop:
    """A load balancer with members, and shorthands for what is put on it."""

    api: Api
    address: str
    id: str
    backends: Backends
    port: int = 9000

    def certificate(self, pair: Pair) -> str:
        return str(self.api.ok("POST", "/elbaas/certificate", json=pair.body)["id"])

    def listener(self, certificate_id: str, **fields: Any) -> tuple[str, tuple[str, int]]:
        """A new HTTPS listener: its id and its place."""
        self.port += 1
        body = {"protocol": "HTTPS", "port": self.port, "certificate_id": certificate_id, **fields}
        made = self.api.create_listener(self.id, backend_port=self.backends.port, **body)
        self.api.add_members(made["id"], *self.backends.addresses)
        return made["id"], (self.address, self.port)

    def renew(self, certificate_id: str, pair: Pair) -> None:
        self.api.ok("PUT", f"/elbaas/certificate/{certificate_id}", json=pair.body)


@pytest.fixture(scope="module")
def shop(shared_service: Service) -> Iterator[Shop]:
    with Api(shared_service) as api, running_backends(1) as backends:
        made = api.create_load_balancer(type="Internal", vip_subnet_id="s", security_group_id="g")
        shop = Shop(api, made["vip_address"], made["id"], backends)
        yield shop
        api.succeed("DELETE", f"/elbaas/loadbalancers/{shop.id}")


@pytest.mark.parametrize("pair", [rsa_pair(), ec_pair()], ids=["RSA", "ECDSA"])
@pytest.mark.parametrize("cipher_set", SETS)
def test_a_set_offers_the_suites_that_its_table_names_and_no_others(shop: Shop, cipher_set: str, pair: Pair) -> None:
    _, place = shop.listener(shop.certificate(pair), ssl_ciphers=cipher_set)
    contexts = {suite: client_context(None, version=V.TLSv1_2, suite=suite) for suite in suites()}
    accepted = {suite for suite, context in contexts.items() if agreed(place, context) == ("TLSv1.2", suite)}
    of_the_other_key = "-ECDSA-" if "rsa" in str(pair.record.subject) else "RSA"
    expected = {suite for suite in documented(cipher_set) if of_the_other_key not in suite}
    if of_the_other_key == "RSA":
        # Without an exchange of its own in the name, the key of the certificate transports the secret: RSA only.
        expected = {suite for suite in expected if suite.startswith("ECDHE")}
    assert accepted == expected
    assert expected


@pytest.mark.parametrize("pair", [rsa_pair(), ec_pair()], ids=["RSA", "ECDSA"])
def test_only_the_versions_that_were_asked_for_are_spoken(shop: Shop, pair: Pair) -> None:
    certificate_id = shop.certificate(pair)
    contexts = [client_context(None, version=version) for version in (V.TLSv1, V.TLSv1_1, V.TLSv1_2, V.TLSv1_3)]
    spoken = {}
    for protocols in ("TLSv1.2", OLD):
        _, place = shop.listener(certificate_id, ssl_protocols=protocols)
        found = [agreed(place, context) for context in contexts]
        spoken[protocols] = [each and each[0] for each in found]
    assert spoken == {"TLSv1.2": [None, None, "TLSv1.2", None], OLD: ["TLSv1", "TLSv1.1", "TLSv1.2", None]}


def test_the_best_that_a_modern_client_can_do_is_agreed_on(shop: Shop) -> None:
    _, place = shop.listener(shop.certificate(rsa_pair()))
    assert agreed(place, client_context(None, alpn=["h2", "http/1.1"])) == ("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384")
    with connect(place, client_context(None, alpn=["h2", "http/1.1"])) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


def test_the_chain_is_sent_completely(shop: Shop) -> None:
    """A client that knows the root alone must be given the certificate in between."""
    made = chain()
    pair = Pair(made.pem, made.own.private_key, made.own.record, made.own.key)
    _, place = shop.listener(shop.certificate(pair))
    with connect(place, client_context(made.root.certificate), "chain.test") as connection:
        assert ask_on(connection).decode() == shop.backends.addresses[0]
    alone = shop.certificate(made.own)
    _, place = shop.listener(alone)
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(place, client_context(made.root.certificate), "chain.test")


def test_a_renewal_is_seen_by_the_next_connection_and_cuts_none(shop: Shop) -> None:
    first, second = rsa_pair("first.test"), ec_pair("second.test")
    certificate_id = shop.certificate(first)
    _, place = shop.listener(certificate_id)
    with connect(place, client_context(first.certificate), "first.test") as old:
        ask_on(old)
        for pair in (second, first) * 10:
            shop.renew(certificate_id, pair)
            assert served(place) == der(pair)
            ask_on(old)
        assert old.getpeercert(binary_form=True) == der(first)


def test_no_request_fails_while_a_certificate_is_renewed_again_and_again(shop: Shop) -> None:
    pairs = [rsa_pair("one.test"), rsa_pair("two.test", number=1)]
    certificate_id = shop.certificate(pairs[0])
    _, place = shop.listener(certificate_id)
    done = threading.Event()
    answered = [0]
    faults: list[BaseException] = []

    def ask_until_done() -> None:
        try:
            while not done.is_set():
                with connect(place, client_context(None)) as connection:
                    ask_on(connection)
                    ask_on(connection)
                answered[0] += 1
        except (OSError, AssertionError) as fault:
            faults.append(fault)

    asking = threading.Thread(target=ask_until_done)
    asking.start()
    try:
        for number in range(20):
            shop.renew(certificate_id, pairs[number % 2 - 1])
            eventually(partial(lambda seen: answered[0] > seen or faults, answered[0]))
    finally:
        done.set()
        asking.join()
    assert not faults
    assert answered[0] >= 20


def test_a_renewal_reaches_the_listeners_of_every_load_balancer_before_it_is_answered(shop: Shop) -> None:
    certificate_id = shop.certificate(rsa_pair())
    places = [shop.listener(certificate_id)[1] for _ in range(2)]
    other = shop.api.create_load_balancer(type="Internal", vip_subnet_id="s", security_group_id="g")
    elsewhere = Shop(shop.api, other["vip_address"], other["id"], shop.backends)
    places += [elsewhere.listener(certificate_id)[1] for _ in range(2)]
    shop.renew(certificate_id, ec_pair())
    assert [served(place) for place in places] == [der(ec_pair())] * 4
    shop.api.succeed("DELETE", f"/elbaas/loadbalancers/{other['id']}")


def test_a_listener_gets_another_certificate_without_a_lost_connection(shop: Shop) -> None:
    one, two = rsa_pair("one.test"), rsa_pair("two.test", number=1)
    listener_id, place = shop.listener(shop.certificate(one))
    with connect(place, client_context(one.certificate), "one.test") as old:
        ask_on(old)
        shop.api.ok("PUT", f"/elbaas/listeners/{listener_id}", json={"certificate_id": shop.certificate(two)})
        assert served(place) == der(two)
        ask_on(old)


def test_another_set_of_suites_holds_for_the_next_connection(shop: Shop) -> None:
    listener_id, place = shop.listener(shop.certificate(rsa_pair()), ssl_ciphers="Extended")
    weak = client_context(None, version=V.TLSv1_2, suite="AES128-SHA")
    assert agreed(place, weak) == ("TLSv1.2", "AES128-SHA")
    shop.api.ok("PUT", f"/elbaas/listeners/{listener_id}", json={"ssl_ciphers": "Strict"})
    eventually(lambda: agreed(place, weak) is None)


def test_a_refused_renewal_leaves_every_listener_with_what_it_had(shop: Shop) -> None:
    certificate_id = shop.certificate(rsa_pair())
    _, place = shop.listener(certificate_id)
    refused = shop.api.call(
        "PUT", f"/elbaas/certificate/{certificate_id}", json={"private_key": rsa_pair(number=1).private_key}
    )
    assert refused.status_code == 400
    assert served(place) == der(rsa_pair())


def test_plain_http_on_an_https_port_gets_no_answer(shop: Shop) -> None:
    _, place = shop.listener(shop.certificate(rsa_pair()))
    with socket.create_connection(place, timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"HTTP" not in connection.recv(100)


def test_a_restarted_service_and_a_killed_envoy_serve_the_same_certificate_again(
    own_service: Service, backends: Backends
) -> None:
    with Api(own_service) as api:
        made = api.create_load_balancer()
        shop = Shop(api, made["vip_address"], made["id"], backends)
        certificate_id = shop.certificate(rsa_pair())
        _, place = shop.listener(certificate_id)
    with connect(place, client_context(rsa_pair().certificate), "rsa.test") as old:
        ask_on(old)
        envoy = own_service.envoy_pid
        own_service.kill()
        ask_on(old)
        assert served(place) == der(rsa_pair())
        own_service.start()
        assert own_service.envoy_pid == envoy
        ask_on(old)
    with Api(own_service) as api:
        shop.api = api
        shop.renew(certificate_id, ec_pair())
        assert served(place) == der(ec_pair())
        os.kill(envoy, signal.SIGKILL)
        eventually(lambda: own_service.envoy_pid != envoy and agreed(place, client_context(None)))
        assert served(place) == der(ec_pair())


def test_a_service_without_the_key_of_its_certificates_does_not_start_and_says_why(tmp_path: Path) -> None:
    with running_service(tmp_path / "data") as service:
        with Api(service) as api:
            api.ok("POST", "/elbaas/certificate", json=ec_pair().body)
        service.signal(signal.SIGTERM)
        service.wait()
        key = service.data_dir / "keys" / "certificate.key"
        elsewhere = tmp_path / "kept.key"
        key.rename(elsewhere)
        with pytest.raises(AssertionError, match="no ready line"):
            service.start()
        assert service.wait() != 0
        assert "certificate.key is missing" in service.log()
        assert not key.exists()
        service.settings.append(f"certificates.key_file={elsewhere}")
        service.start()
        with Api(service) as api:
            assert len(api.ok("GET", "/elbaas/certificate")["certificates"]) == 1
