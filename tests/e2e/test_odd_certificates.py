"""One Envoy, many certificates: what is taken is served, whole; what is not is told why; what is served stays.

The certificate of one listener is renewed with each. Envoy refuses most of what it does not serve without a reason: a
newer one that refuses more is found here.
"""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from tests.certificates import Pair, chain, ec_pair, issue, keep_as_earlier_versions_did, rsa_key, rsa_pair
from tests.der import unpem
from tests.odd_certificates import Odd, odd_pairs
from tests.odd_pem import FORMS
from tests.stand import Api, Service, eventually
from tests.tls_client import agreed, client_context, served_chain

PATH = "/elbaas/certificate"
WHOLE = chain().pem + chain().root.certificate
PAIR = replace(chain().own, certificate=WHOLE)


@dataclass
class Counter:
    """An HTTPS listener, and the certificate that it serves."""

    api: Api
    load_balancer_id: str
    certificate_id: str
    place: tuple[str, int]

    def renew(self, certificate: str, private_key: str) -> None:
        body = {"certificate": certificate, "private_key": private_key}
        self.api.ok("PUT", f"{PATH}/{self.certificate_id}", json=body)


def opened(api: Api, port: int) -> Counter:
    """A listener with a certificate of its own on a load balancer of its own."""
    certificate_id = api.ok("POST", PATH, json=rsa_pair().body)["id"]
    made = api.create_load_balancer()
    api.create_listener(made["id"], protocol="HTTPS", port=port, certificate_id=certificate_id)
    return Counter(api, made["id"], certificate_id, (made["vip_address"], port))


@pytest.fixture(scope="module")
def counter(shared_service: Service) -> Iterator[Counter]:
    with Api(shared_service) as api:
        counter = opened(api, 9443)
        yield counter
        api.succeed("DELETE", f"/elbaas/loadbalancers/{counter.load_balancer_id}")


@pytest.mark.parametrize("odd", [odd for odd in odd_pairs() if odd.told is None], ids=lambda odd: odd.name)
def test_what_is_taken_is_served_whole(counter: Counter, odd: Odd) -> None:
    counter.renew(odd.certificate, odd.private_key)
    assert served_chain(counter.place) == odd.chain


def test_what_is_refused_is_told_why_and_changes_nothing(counter: Counter) -> None:
    counter.renew(ec_pair().certificate, ec_pair().private_key)
    refused = [odd for odd in odd_pairs() if odd.told is not None]
    assert refused
    for odd in refused:
        body = {"certificate": odd.certificate, "private_key": odd.private_key}
        for method, path in (("POST", PATH), ("PUT", f"{PATH}/{counter.certificate_id}")):
            answer = counter.api.call(method, path, json=body)
            assert answer.status_code == 400, odd.name
            assert odd.told in answer.json()["detail"], odd.name
    assert served_chain(counter.place) == unpem(ec_pair().certificate)


@pytest.mark.parametrize("form", FORMS)
def test_pem_in_any_form_is_served_whole(counter: Counter, form: str) -> None:
    counter.renew(rsa_pair().certificate, rsa_pair().private_key)
    counter.renew(FORMS[form](WHOLE), FORMS[form](PAIR.private_key))
    assert served_chain(counter.place) == unpem(WHOLE)


def test_what_earlier_versions_stored_is_served_whole_from_the_next_start(own_service: Service) -> None:
    """They checked blocks that they had picked out, and sent the text. One that cannot be understood harms no other."""
    forms = ("text on the line before", "indented but for the first line", "joined blocks", "CR", "tabbed")
    with Api(own_service) as api:
        counters = {form: opened(api, 9443) for form in forms}
        lost = opened(api, 9443)
    own_service.signal(signal.SIGTERM)
    own_service.wait()
    for form, each in counters.items():
        pair = replace(PAIR, certificate=FORMS[form](WHOLE), private_key=FORMS[form](PAIR.private_key))
        keep_as_earlier_versions_did(own_service.data_dir, each.certificate_id, pair)
    keep_as_earlier_versions_did(own_service.data_dir, lost.certificate_id, unreadable())
    own_service.start()
    with Api(own_service) as api:
        for each in counters.values():
            assert served_chain(each.place) == unpem(WHOLE)
        lost.api = api
        lost.renew(PAIR.certificate, PAIR.private_key)
        eventually(lambda: agreed(lost.place, client_context(None)))
        assert served_chain(lost.place) == unpem(WHOLE)


def unreadable() -> Pair:
    return replace(issue("a.test", rsa_key()), certificate="-----BEGIN CERTIFICATE-----\n", private_key="none")
