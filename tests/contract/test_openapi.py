"""The OpenAPI document: it describes every operation, and what the service answers is what it says."""

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any, get_type_hints

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from equipoise.api.classic.rules import query
from equipoise.api.classic.wire import requests
from stand import Api, Service, running_service
from stand.certificates import ec_pair
from tests.contract.catalogue_cases import World, stopped
from tests.contract.conformance import Conformance

FEW = 5
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", FEW))
"""Requests of each kind to each operation; `make fuzz` asks for more."""

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def described(api: Api) -> dict[str, Any]:
    answer = api.http.get("/openapi.json", headers={"x-auth-token": ""})
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = answer.json()
    return document


def test_the_document_is_there_without_a_token_and_names_its_version(described: dict[str, Any]) -> None:
    assert described["openapi"] == "3.1.0"
    assert described["info"]["title"] == "Equipoise"


def test_every_schema_is_a_json_schema_and_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    for name, schema in described["components"]["schemas"].items():
        whole = schema | {"components": described["components"]}
        jsonschema_rs.meta.validate(whole)
        # Making a validator resolves the references.
        assert jsonschema_rs.validator_for(whole), name


def test_operations_without_a_token_are_described_so(described: dict[str, Any]) -> None:
    open_to_all = {
        operation["operationId"]
        for methods in described["paths"].values()
        for operation in methods.values()
        if not operation["security"]
    }
    assert open_to_all == {
        "showHealth",
        "listVersions",
        "showVersion",
        "showVersionBySlash",
        "createToken",
        "showIdentityVersion",
        "showIdentityVersionBySlash",
        "showOpenApi",
        "showMetrics",
    }


def test_what_is_said_to_need_a_token_refuses_without_one(api: Api, described: dict[str, Any]) -> None:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            answer = api.http.request(method, path.replace("{", "").replace("}", ""), headers={"x-auth-token": ""})
            assert (answer.status_code == 401) == bool(operation["security"]), operation["operationId"]


@pytest.mark.parametrize(
    ("described_filters", "real"),
    [
        (requests.LoadBalancerQuery, query._LOAD_BALANCER),
        (requests.ListenerQuery, query._LISTENER),
        (requests.MemberQuery, query._MEMBER),
        (requests.CertificateQuery, query._CERTIFICATE),
        (requests.ElasticIpQuery, query._ELASTIC_IP),
        (requests.VpcQuery, query._VPC),
        (requests.SubnetQuery, query._SUBNET),
    ],
)
def test_the_filters_described_are_those_that_there_are(described_filters: type, real: dict[str, Any]) -> None:
    assert get_type_hints(described_filters).keys() == real.keys() | {"limit", "marker"}


def test_no_query_parameter_needs_a_value(described: dict[str, Any], world: World) -> None:
    """Clients send all that they know: a parameter without a value is answered as if it were not there."""
    ids = {"project_id": world.api.project_id, "listener_id": world.listener["id"]}
    asked = 0
    for path, methods in described["paths"].items():
        for parameter in methods.get("get", {}).get("parameters", ()):
            if parameter["in"] == "query":
                url = re.sub(r"{(\w+)}", lambda place: ids.get(place[1], "0" * 32), path)
                without, empty = (world.api.http.get(url, params=given) for given in ({}, {parameter["name"]: ""}))
                assert (without.status_code, empty.status_code) in {(200, 200), (404, 404)}, (path, parameter["name"])
                asked += 1
    assert asked > 60


def test_every_pattern_can_be_read_in_other_languages_too(api: Api) -> None:
    document = api.http.get("/openapi.json").text
    patterns = {json.loads(each) for each in re.findall(r'"pattern":\s*("(?:[^"\\]|\\.)*")', document)}
    assert len(patterns) > 5
    # ECMAScript takes a backslash before anything else for a mistake.
    escape = r"\\(?:[\^$\\.*+?()\[\]{}|/\-dDsSwW]|x[0-9a-f]{2})"
    assert [each for each in patterns if not re.fullmatch(rf"(?:[^\\]|{escape})*", each)] == []


def test_every_operation_answers_as_it_is_described(fuzzed: Service, world: World) -> None:
    with Api(fuzzed) as api:
        watch = Conformance(api)
        _walk(api, fuzzed)
    networks = Conformance(world.strict)
    _networks(world.strict)
    assert watch.seen | networks.seen == watch.operations, "add what is missing here"


def _walk(api: Api, service: Service) -> None:
    api.http.get("/openapi.json").raise_for_status()
    api.http.get("/healthz").raise_for_status()
    api.http.get("/metrics").raise_for_status()
    _identity(api)
    _load_balancers(api)
    _listeners(api)
    _certificates(api)
    _elastic_ips(api)
    _webhook(api)
    _jobs(api, service)


def _identity(api: Api) -> None:
    for path in (
        "/",
        "/v1.0",
        "/v1.0/",
        "/v3",
        "/v3/",
        "/v3/auth/projects",
        "/v3/auth/domains",
        "/v3/auth/system",
        "/v3/auth/catalog",
        "/v3/projects",
        "/v3/domains",
        "/v3/domains/default",
        "/v3/users",
        f"/v3/users/{api.login.json()['token']['user']['id']}",
        f"/v3/users/{api.login.json()['token']['user']['id']}/projects",
        "/v3/regions",
        "/v3/regions/region-1",
        "/v3/services",
        "/v3/endpoints",
    ):
        api.http.get(path).raise_for_status()
    for kind in ("services", "endpoints"):
        [first, *_] = api.http.get(f"/v3/{kind}").json()[kind]
        api.http.get(f"/v3/{kind}/{first['id']}").raise_for_status()
    api.http.get(f"/v3/projects/{api.project_id}").raise_for_status()
    for scope in ({"project": {"id": api.project_id}}, {"domain": {"id": "default"}}, "unscoped"):
        body = {"auth": {"identity": {"methods": ["token"], "token": {"id": api.token}}, "scope": scope}}
        token = api.http.post("/v3/auth/tokens", json=body).raise_for_status().headers["x-subject-token"]
        subject = {"x-subject-token": token}
        api.http.get("/v3/auth/tokens", headers=subject).raise_for_status()
        api.http.delete("/v3/auth/tokens", headers=subject).raise_for_status()
        assert api.http.get("/v3/auth/tokens", headers=subject).json()["code"] == "ELB.1104"


def _load_balancers(api: Api) -> None:
    kept = api.create_load_balancer()
    api.ok("GET", "/elbaas/loadbalancers")
    job = api.succeed("PUT", f"/elbaas/loadbalancers/{kept['id']}", json={"name": "other"})
    api.http.get(f"/v1/{api.project_id}/jobs/{job['job_id']}").raise_for_status()
    api.succeed("DELETE", f"/elbaas/loadbalancers/{kept['id']}/keep-eip")
    assert api.call("GET", f"/elbaas/loadbalancers/{kept['id']}").status_code == 404
    subnet = {"vip_subnet_id": "subnet", "security_group_id": "group"}
    internal = api.create_load_balancer(type="Internal", **subnet)
    below = api.create_listener(internal["id"])
    api.ok("POST", "/elbaas/healthcheck", json={"listener_id": below["id"]})
    api.add_members(below["id"], "127.9.9.1")
    # With something below it, the job has sub-jobs.
    assert api.succeed("DELETE", f"/elbaas/loadbalancers/{internal['id']}")["sub_jobs"]


def _certificates(api: Api) -> None:
    path = f"/elbaas/certificate/{api.ok('POST', '/elbaas/certificate', json=ec_pair().body)['id']}"
    api.ok("GET", "/elbaas/certificate")
    api.ok("GET", path)
    api.ok("PUT", path, json={"name": "other"})
    api.ok("DELETE", path)


def _elastic_ips(api: Api) -> None:
    path = f"/v1/{api.project_id}/publicips"
    wanted = {"publicip": {"type": "5_bgp"}, "bandwidth": {"name": "own", "size": 5, "share_type": "PER"}}
    taken = api.http.post(path, json=wanted).raise_for_status().json()["publicip"]
    api.http.get(path).raise_for_status()
    api.http.get(f"{path}/{taken['id']}").raise_for_status()
    api.http.delete(f"{path}/{taken['id']}").raise_for_status()
    api.ok("GET", "/elbaas/quotas")
    api.ok("GET", "/elbaas/monitor")


def _networks(api: Api) -> None:
    """Where the operator lists networks."""
    for path in ("vpcs", "vpcs/vpc", "subnets", "subnets/subnet"):
        api.http.get(f"/v1/{api.project_id}/{path}").raise_for_status()


def _webhook(api: Api) -> None:
    for url in ("http://127.0.0.1:9/ended", "https://a_host.test:44300?job=ended&by=%20;~", "HTTP://[2001:db8::1]"):
        api.ok("PUT", "/webhook", json={"url": url})
    api.ok("GET", "/webhook")
    api.ok("DELETE", "/webhook")


def _jobs(api: Api, service: Service) -> None:
    followed = api.ok("GET", "/jobs")["jobs"][0]
    assert api.http.get(f"{api.root}/jobs/{followed['job_id']}/events").text.startswith("id: 1\n")
    listener = api.create_listener(api.create_load_balancer()["id"])
    # Neither told nor answering: the job is sure not to have begun.
    with (
        stopped(service),
        closing(sqlite3.connect(service.data_dir / "equipoise.db", isolation_level=None)) as database,
    ):
        database.execute("UPDATE nodes SET live = 0")
        wanted = [{"server_id": "s", "address": "127.9.9.9"}]
        waiting = api.ok("POST", f"/elbaas/listeners/{listener['id']}/members", json=wanted)["job_id"]
        assert api.ok("DELETE", f"/jobs/{waiting}")["status"] == "FAIL"
        database.execute("UPDATE nodes SET live = 1")


def _listeners(api: Api) -> None:
    load_balancer = api.create_load_balancer()
    listener = api.create_listener(load_balancer["id"])
    path = f"/elbaas/listeners/{listener['id']}"
    api.ok("GET", path)
    api.ok("GET", "/elbaas/listeners")
    api.ok("PUT", path, json={"description": "a change"})
    check = api.ok("POST", "/elbaas/healthcheck", json={"listener_id": listener["id"]})
    api.ok("GET", f"/elbaas/healthcheck/{check['id']}")
    api.ok("PUT", f"/elbaas/healthcheck/{check['id']}", json={"healthcheck_interval": 7})
    api.ok("DELETE", f"/elbaas/healthcheck/{check['id']}")
    check = api.ok("POST", "/elbaas/healthcheck", json={"listener_id": listener["id"]})
    api.http.delete(f"/v1.0/elbaas/healthcheck/{check['id']}").raise_for_status()
    ids = api.add_members(listener["id"], "127.9.9.1", "127.9.9.2")
    api.ok("GET", f"{path}/members")
    api.remove_members(listener["id"], *ids)
    api.ok("DELETE", path)
    api.succeed("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own: nobody else's things are among what a fuzzer makes and deletes."""
    with running_service(tmp_path_factory.mktemp("fuzzed") / "data", "api.sync_wait=2") as service:
        yield service


@pytest.fixture(scope="module")
def known(fuzzed: Service) -> Iterator[dict[str, str]]:
    """Ids of things that there are, by the name of the path parameter that names them, and a token."""
    with Api(fuzzed) as api:
        load_balancer = api.create_load_balancer()
        listener = api.create_listener(load_balancer["id"])
        check = api.ok("POST", "/elbaas/healthcheck", json={"listener_id": listener["id"]})
        job = api.ok(
            "POST", f"/elbaas/listeners/{listener['id']}/members", json=[{"server_id": "s", "address": "127.1.1.1"}]
        )
        yield {
            "token": api.token,
            "project_id": api.project_id,
            "user_id": api.login.json()["token"]["user"]["id"],
            "domain_id": "default",
            "loadbalancer_id": load_balancer["id"],
            "listener_id": listener["id"],
            "healthcheck_id": check["id"],
            "certificate_id": api.ok("POST", "/elbaas/certificate", json=ec_pair().body)["id"],
            "job_id": job["job_id"],
        }


@pytest.mark.timeout(240 if EXAMPLES == FEW else 7200)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_whatever_is_sent_the_answer_is_described_and_no_defect(
    fuzzed: Service, known: dict[str, str], mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json")
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        if mode is GenerationMode.NEGATIVE and not (operation.path_parameters or operation.query or operation.body):
            continue

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=EXAMPLES == FEW,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def keeps_to_the_document(case: schemathesis.Case[Any]) -> None:
            if case.path_parameters and case.path_parameters.keys() <= known.keys():
                case.path_parameters |= {name: known[name] for name in case.path_parameters}
            answer = case.call(base_url=fuzzed.url, headers={"X-Auth-Token": known["token"]})
            assert answer.status_code not in {500, 502, 503, 504}, answer.text
            case.validate_response(answer, checks=CHECKS)

        keeps_to_the_document()
    assert "defect" not in fuzzed.log()
