"""The operations on certificates: answers, types, errors, masking, and that nothing is stored on an error."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.certificates import (
    Pair,
    chain,
    ec_pair,
    issue,
    keep_as_earlier_versions_did,
    private_pem,
    rsa_key,
    rsa_pair,
)
from tests.people import member_of_new_project
from tests.stand import Api, Service, running_service

PATH = "/elbaas/certificate"
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def create(api: Api, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = api.ok("POST", PATH, json={**ec_pair().body, **fields})
    return made


def ids(api: Api) -> set[str]:
    return {one["id"] for one in api.ok("GET", PATH)["certificates"]}


def https_listener(api: Api, certificate_id: str, port: int = 8443) -> dict[str, Any]:
    load_balancer = api.create_load_balancer()
    return api.create_listener(load_balancer["id"], protocol="HTTPS", port=port, certificate_id=certificate_id)


def delete_with_load_balancer(api: Api, listener: dict[str, Any]) -> None:
    api.succeed("DELETE", f"/elbaas/loadbalancers/{listener['loadbalancer_id']}")


@pytest.fixture
def certificate(api: Api) -> Iterator[dict[str, Any]]:
    made = create(api, name="mine", description="of a test", domain="www.example.com")
    yield made
    answer = api.call("DELETE", f"{PATH}/{made['id']}")
    assert answer.status_code in {204, 404}, answer.text


def test_a_certificate_is_answered_with_every_field_and_a_masked_key(api: Api, certificate: dict[str, Any]) -> None:
    assert certificate == {
        "id": certificate["id"],
        "tenant_id": api.project_id,
        "name": "mine",
        "description": "of a test",
        "domain": "www.example.com",
        "certificate": certificate["certificate"],
        "private_key": "******",
        "create_time": certificate["create_time"],
        "update_time": certificate["update_time"],
    }
    assert re.fullmatch("[0-9a-f]{32}", certificate["id"])
    assert TIME.fullmatch(certificate["create_time"])
    assert TIME.fullmatch(certificate["update_time"])
    assert api.ok("GET", f"{PATH}/{certificate['id']}") == certificate


def test_pem_is_answered_as_it_was_sent(api: Api) -> None:
    """A client compares what it reads with what it sent; what is served has a form of its own."""
    pem = "\ufeffAussteller: Prüfstelle 证书\n" + chain().pem.replace("\n", "\r\n  ")
    made = create(api, certificate=pem, private_key=chain().own.private_key)
    path = f"{PATH}/{made['id']}"
    assert made["certificate"] == pem
    assert (made["name"], made["description"], made["domain"]) == ("", "", "")
    assert api.ok("GET", path) == made
    renewed = api.ok("PUT", path, json={"certificate": chain().pem.replace("\n", " ")})
    assert renewed["certificate"] == chain().pem.replace("\n", " ")
    assert api.call("DELETE", path).status_code == 204


def test_a_list_has_the_certificates_and_their_number_as_a_string(api: Api, certificate: dict[str, Any]) -> None:
    listed = api.ok("GET", PATH)
    assert listed["instance_num"] == str(len(listed["certificates"]))
    assert certificate in listed["certificates"]
    assert api.ok("GET", f"{PATH}?id={certificate['id']}") == {"certificates": [certificate], "instance_num": "1"}
    assert api.ok("GET", f"{PATH}?name=nobody") == {"certificates": [], "instance_num": "0"}


def test_a_list_is_read_in_pages(api: Api, certificate: dict[str, Any]) -> None:
    other = create(api)
    first = api.ok("GET", f"{PATH}?limit=1")["certificates"][0]["id"]
    rest = {one["id"] for one in api.ok("GET", f"{PATH}?marker={first}")["certificates"]}
    assert rest == ids(api) - {first}
    assert api.call("DELETE", f"{PATH}/{other['id']}").status_code == 204


def test_an_update_changes_what_is_given_alone(api: Api, certificate: dict[str, Any]) -> None:
    path = f"{PATH}/{certificate['id']}"
    changed = api.ok("PUT", path, json={"name": "other", "domain": ""})
    assert changed == certificate | {"name": "other", "domain": "", "update_time": changed["update_time"]}
    pair = rsa_pair()
    renewed = api.ok("PUT", path, json=pair.body)
    assert renewed == changed | {"certificate": pair.certificate, "update_time": renewed["update_time"]}
    assert api.ok("GET", path) == renewed


def test_a_whole_object_sent_back_changes_nothing(api: Api, certificate: dict[str, Any]) -> None:
    sent_back = api.ok("PUT", f"{PATH}/{certificate['id']}", json=certificate)
    assert sent_back == certificate | {"update_time": sent_back["update_time"]}


def test_a_certificate_alone_is_renewed_when_it_fits_the_key_that_is_there(api: Api) -> None:
    made = create(api, **rsa_pair().body)
    path = f"{PATH}/{made['id']}"
    prolonged = rsa_pair("prolonged.test").certificate
    assert api.ok("PUT", path, json={"certificate": prolonged})["certificate"] == prolonged
    refused = api.call("PUT", path, json={"certificate": ec_pair().certificate})
    assert refused.status_code == 400
    assert "does not match" in refused.json()["detail"]
    assert api.ok("GET", path)["certificate"] == prolonged
    assert api.call("DELETE", path).status_code == 204


def test_a_deleted_certificate_is_gone(api: Api) -> None:
    made = create(api)
    path = f"{PATH}/{made['id']}"
    answer = api.call("DELETE", path)
    assert (answer.status_code, answer.content) == (204, b"")
    for method in ("GET", "PUT", "DELETE"):
        gone = api.call(method, path, json={})
        assert (gone.status_code, gone.json()["code"]) == (404, "Not Found")


@pytest.mark.parametrize("field", ["certificate", "private_key"])
@pytest.mark.parametrize("value", [None, ""])
def test_without_certificate_or_key_the_published_text_is_answered(api: Api, field: str, value: object) -> None:
    before = ids(api)
    answer = api.call("POST", PATH, json={**ec_pair().body, field: value})
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "code": "ELB.1001",
        "message": "Request parameters error, private_key or certificate is nil or empty.",
    }
    assert ids(api) == before


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "n" * 65}, "name has 65 characters"),
        ({"name": 1}, "name must be"),
        ({"description": "d" * 129}, "description has 129"),
        ({"domain": "a b"}, "domain may hold"),
        ({"certificate": 1}, "certificate must be"),
        ({"certificate": "garbage"}, "certificate is not in PEM"),
        ({"certificate": "-----BEGIN CERTIFICATE-----\0"}, "certificate holds NUL characters"),
        ({"private_key": "garbage"}, "private_key is not in PEM"),
        ({"private_key": "******"}, "private_key is not in PEM"),
        ({"private_key": private_pem(rsa_key(1))}, "private_key does not match the certificate"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_stored(api: Api, fields: dict[str, Any], told: str) -> None:
    before = ids(api)
    answer = api.call("POST", PATH, json={**ec_pair().body, **fields})
    assert answer.status_code == 400
    assert told in answer.json()["detail"]
    assert ids(api) == before


def test_a_refused_update_changes_nothing(api: Api, certificate: dict[str, Any]) -> None:
    path = f"{PATH}/{certificate['id']}"
    for body in ({"name": "new", "certificate": "garbage"}, {"name": "new", "private_key": ""}):
        assert api.call("PUT", path, json=body).status_code == 400
    assert api.ok("GET", path) == certificate


def test_a_certificate_of_another_project_does_not_exist(
    api: Api, shared_service: Service, certificate: dict[str, Any]
) -> None:
    with member_of_new_project(shared_service) as stranger:
        path = f"{PATH}/{certificate['id']}"
        for method in ("GET", "PUT", "DELETE"):
            assert stranger.call(method, path, json={"name": "mine"}).status_code == 404
        assert stranger.ok("GET", PATH) == {"certificates": [], "instance_num": "0"}
        load_balancer = stranger.create_load_balancer()
        body = stranger.listener_body(load_balancer["id"], protocol="HTTPS", certificate_id=certificate["id"])
        refused = stranger.call("POST", "/elbaas/listeners", json=body)
        assert refused.status_code == 400
        assert "there is no certificate" in refused.json()["detail"]
        stranger.succeed("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")
    assert api.ok("GET", path) == certificate


def test_a_certificate_in_use_cannot_be_deleted(api: Api, certificate: dict[str, Any]) -> None:
    listener = https_listener(api, certificate["id"])
    refused = api.call("DELETE", f"{PATH}/{certificate['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "Conflict")
    assert listener["id"] in refused.json()["detail"]
    delete_with_load_balancer(api, listener)
    assert api.call("DELETE", f"{PATH}/{certificate['id']}").status_code == 204


def test_a_listener_that_got_another_certificate_lets_the_first_go(api: Api, certificate: dict[str, Any]) -> None:
    listener = https_listener(api, certificate["id"])
    other = create(api)
    changed = api.ok("PUT", f"/elbaas/listeners/{listener['id']}", json={"certificate_id": other["id"]})
    assert changed["certificate_id"] == other["id"]
    assert api.call("DELETE", f"{PATH}/{certificate['id']}").status_code == 204
    assert api.call("DELETE", f"{PATH}/{other['id']}").status_code == 409
    delete_with_load_balancer(api, listener)
    assert api.call("DELETE", f"{PATH}/{other['id']}").status_code == 204


def test_an_https_listener_is_answered_with_how_it_speaks_tls(api: Api, certificate: dict[str, Any]) -> None:
    load_balancer = api.create_load_balancer()
    of_tls = ("certificate_id", "ssl_protocols", "ssl_ciphers")
    made = api.create_listener(load_balancer["id"], protocol="HTTPS", port=8443, certificate_id=certificate["id"])
    assert [made[name] for name in of_tls] == [certificate["id"], "TLSv1.2", "Default"]
    assert (made["protocol"], made["backend_protocol"], made["status"]) == ("HTTPS", "HTTP", "ACTIVE")
    old = api.create_listener(
        load_balancer["id"],
        protocol="HTTPS",
        port=8444,
        certificate_id=certificate["id"],
        ssl_protocols="TLSv1.2 TLSv1.1 TLSv1",
    )
    assert [old[name] for name in of_tls] == [certificate["id"], "TLSv1.2 TLSv1.1 TLSv1", "Extended"]
    plain = api.create_listener(load_balancer["id"], protocol="HTTP", port=8445, certificate_id=certificate["id"])
    assert [plain[name] for name in of_tls] == [None, None, None]
    delete_with_load_balancer(api, made)


def test_a_listener_needs_a_certificate_of_its_project(api: Api, certificate: dict[str, Any]) -> None:
    load_balancer = api.create_load_balancer()
    for body, told in (({}, "certificate_id is mandatory"), ({"certificate_id": "f" * 32}, "there is no certificate")):
        answer = api.call(
            "POST", "/elbaas/listeners", json=api.listener_body(load_balancer["id"], protocol="HTTPS", **body)
        )
        assert answer.status_code == 400
        assert told in answer.json()["detail"]
    listener = api.create_listener(load_balancer["id"], protocol="HTTPS", certificate_id=certificate["id"])
    refused = api.call("PUT", f"/elbaas/listeners/{listener['id']}", json={"certificate_id": "f" * 32})
    assert refused.status_code == 400
    assert api.ok("GET", f"/elbaas/listeners/{listener['id']}")["certificate_id"] == certificate["id"]
    delete_with_load_balancer(api, listener)


def must_staple() -> Pair:
    return issue("staple.test", rsa_key(), extensions=[x509.TLSFeature([x509.TLSFeatureType.status_request])])


@pytest.fixture
def unservable(api: Api, shared_service: Service) -> Iterator[str]:
    """The id of a certificate that an earlier version took, and the data plane refuses."""
    made = create(api)
    keep_as_earlier_versions_did(shared_service.data_dir, made["id"], must_staple())
    yield made["id"]
    assert api.call("DELETE", f"{PATH}/{made['id']}").status_code == 204


def test_what_only_the_data_plane_knew_is_told_at_once(api: Api, certificate: dict[str, Any]) -> None:
    """A certificate that demands a stapled OCSP answer: Envoy refuses it for each listener that is to serve it."""
    listener = https_listener(api, certificate["id"])
    path = f"{PATH}/{certificate['id']}"
    for answer in (
        api.call("POST", PATH, json=must_staple().body),
        api.call("PUT", path, json={"name": "new", **must_staple().body}),
    ):
        assert answer.status_code == 400
        assert "certificate: it demands a stapled OCSP answer" in answer.json()["detail"]
    assert api.ok("GET", path) == certificate
    delete_with_load_balancer(api, listener)


def test_what_the_data_plane_refuses_is_answered_with_its_reason_and_taken_back(
    api: Api, certificate: dict[str, Any], unservable: str
) -> None:
    listener = https_listener(api, certificate["id"])
    path = f"/elbaas/listeners/{listener['id']}"
    refused = api.call("PUT", path, json={"name": "new", "certificate_id": unservable})
    assert (refused.status_code, refused.json()["code"]) == (409, "ELB.9007")
    assert "OCSP response is required" in refused.json()["detail"]
    after = api.ok("GET", path)
    assert after == listener | {"update_time": after["update_time"]}
    delete_with_load_balancer(api, listener)


def test_a_listener_whose_certificate_the_data_plane_refuses_leaves_nothing_behind(api: Api, unservable: str) -> None:
    load_balancer = api.create_load_balancer()
    body = api.listener_body(load_balancer["id"], protocol="HTTPS", certificate_id=unservable)
    refused = api.call("POST", "/elbaas/listeners", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "ELB.9007")
    assert api.ok("GET", f"/elbaas/listeners?loadbalancer_id={load_balancer['id']}") == []
    api.succeed("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")


def test_a_private_key_is_in_no_file_and_no_log(api: Api, shared_service: Service) -> None:
    pair = rsa_pair("hidden.test", number=2)
    made = create(api, **pair.body)
    listener = https_listener(api, made["id"])
    api.ok("PUT", f"{PATH}/{made['id']}", json=rsa_pair("hidden.test", number=3).body)
    api.call("PUT", f"{PATH}/{made['id']}", json={"private_key": "garbage\n" + pair.private_key})
    keys = [pair.private_key, rsa_pair("hidden.test", number=3).private_key]
    lines = [line.encode() for key in keys for line in key.splitlines()[1:-1]]
    files = [path for path in shared_service.data_dir.rglob("*") if path.is_file()]
    assert {"equipoise.db", "certificate.key", "envoy.log"} <= {path.name for path in files}
    for path in [*files, shared_service.data_dir.parent / f"{shared_service.data_dir.name}.log"]:
        content = path.read_bytes()
        assert not [line for line in lines if line in content], path
    assert not re.search(rb"BEGIN (RSA |EC )?PRIVATE KEY", content)
    delete_with_load_balancer(api, listener)
    assert api.call("DELETE", f"{PATH}/{made['id']}").status_code == 204


def test_the_published_behaviour_answers_with_the_key_where_the_operator_wants_it(tmp_path: Path) -> None:
    with running_service(tmp_path / "data", "certificates.show_private_key=true") as service, Api(service) as api:
        pair = ec_pair()
        sent = pair.private_key.replace("\n", "\\n")
        made = api.ok("POST", PATH, json={**pair.body, "private_key": sent})
        assert made["private_key"] == sent
        assert api.ok("GET", PATH)["certificates"] == [made]
