"""An external Keystone: clients log in unchanged, tokens are checked by asking it, and seldom.

The Keystone is another service of ours: its identity is built in, speaks the same API, and its log tells what it was
asked. What a Keystone that misbehaves does is in test_statuses.py.
"""

from collections.abc import Iterator

import httpx
import pytest

from tests.contract.wire import NO_SUCH_ID, refusal
from tests.people import add_project, add_user
from tests.stand import Api, Service, running_service

LB = "/elbaas/loadbalancers"


@pytest.fixture(scope="module")
def away(shared_service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose identity is that of the shared one. It asks about a token once."""
    settings = (f"identity.keystone_url={shared_service.url}/v3", "identity.keystone_cache=3600")
    with running_service(tmp_path_factory.mktemp("away") / "data", *settings) as service:
        yield service


@pytest.fixture(scope="module")
def watchful(shared_service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same, but it asks every time."""
    settings = (f"identity.keystone_url={shared_service.url}", "identity.keystone_cache=0")
    with running_service(tmp_path_factory.mktemp("watchful") / "data", *settings) as service:
        yield service


def validations(keystone: Service) -> int:
    """How often the identity service was asked about a token."""
    wanted = {"event": "request", "method": "GET", "path": "/v3/auth/tokens"}
    return len([event for event in keystone.log_events() if wanted.items() <= event.items()])


def test_clients_log_in_unchanged_and_get_the_catalogue_of_keystone(away: Service, shared_service: Service) -> None:
    known = shared_service.credentials()
    with Api(away, known) as client:
        catalogue = {service["type"]: service for service in client.login.json()["token"]["catalog"]}
        assert catalogue["elbv1"]["endpoints"][0]["url"].startswith(shared_service.url)
        load_balancer = client.create_load_balancer()
        assert client.ok("GET", f"{LB}/{load_balancer['id']}") == load_balancer
        client.succeed("DELETE", f"{LB}/{load_balancer['id']}")
        projects = client.http.get("/v3/auth/projects").json()["projects"]
        assert known["project_id"] in [project["id"] for project in projects]
        assert client.http.get("/v3").json()["version"]["id"].startswith("v3")
        assert client.http.get("/v3/services").json()["services"]
        user = client.login.json()["token"]["user"]["id"]
        for path in (
            "/v3/auth/domains?name=Default",
            "/v3/auth/catalog",
            "/v3/domains?name=Elsewhere",
            f"/v3/projects?name={known['project_name']}",
            f"/v3/users/{user}",
            f"/v3/users/{user}/projects",
            f"/v3/users/{NO_SUCH_ID}",
            "/v3/regions/region-1",
            "/v3/endpoints?interface=internal",
        ):
            passed_on = client.http.get(path)
            asked_there = httpx.get(shared_service.url + path, headers={"x-auth-token": client.token})
            assert passed_on.status_code == asked_there.status_code, path
            if passed_on.is_success:
                assert passed_on.json() == asked_there.json(), path


def test_a_wrong_password_is_refused_in_the_words_of_keystone(away: Service) -> None:
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "x", "password": "y"}}}}}
    answer = httpx.post(f"{away.url}/v3/auth/tokens", json=body)
    assert refusal(answer)[0] == 401
    assert "x-subject-token" not in answer.headers


def test_the_hot_path_asks_nobody(away: Service, shared_service: Service) -> None:
    with Api(away, shared_service.credentials()) as client:
        before = validations(shared_service)
        for _ in range(20):
            client.ok("GET", LB)
        assert validations(shared_service) == before + 1


def test_roles_count_by_their_names(away: Service, shared_service: Service) -> None:
    place = add_project(shared_service)
    with Api(away, add_user(shared_service, place, "reader")) as reader:
        assert reader.ok("GET", LB) == {"loadbalancers": [], "instance_num": "0"}
        assert refusal(reader.call("POST", LB, json={}))[0] == 403
        assert refusal(reader.http.get(f"/v1.0/{shared_service.credentials()['project_id']}{LB}"))[0] == 403
    with Api(away, add_user(shared_service, place)) as member:
        assert refusal(member.call("POST", LB, json={"name": "x"})) == (400, "ELB.1081")


def test_a_token_without_a_project_is_403_and_one_that_is_none_401(away: Service, shared_service: Service) -> None:
    known = shared_service.credentials()
    user = {"name": "admin", "domain": {"id": "default"}, "password": known["password"]}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": "unscoped"}}
    token = httpx.post(f"{away.url}/v3/auth/tokens", json=body).headers["x-subject-token"]
    path = f"{away.url}/v1.0/{known['project_id']}{LB}"
    assert refusal(httpx.get(path, headers={"x-auth-token": token}))[0] == 403
    assert refusal(httpx.get(path, headers={"x-auth-token": "none"})) == (401, "ELB.1102")
    assert refusal(httpx.get(path, headers=[(b"x-auth-token", b"\xe4\xb8\xad")])) == (401, "ELB.1102")
    assert refusal(httpx.get(path, headers={"x-auth-token": "x" * 5000})) == (401, "ELB.1102")


def test_a_token_that_is_revoked_here_counts_no_longer_at_once(away: Service, shared_service: Service) -> None:
    with Api(away, shared_service.credentials()) as client:
        client.ok("GET", LB)
        assert client.http.delete("/v3/auth/tokens", headers={"x-subject-token": client.token}).status_code == 204
        assert refusal(client.call("GET", LB)) == (401, "ELB.1104")


def test_a_token_that_is_revoked_elsewhere_counts_no_longer_once_it_is_asked_about_again(
    watchful: Service, away: Service, shared_service: Service
) -> None:
    with Api(shared_service) as owner:
        path = f"/v1.0/{owner.project_id}{LB}"
        own = {"x-auth-token": owner.token}
        for service in (watchful, away):
            assert httpx.get(service.url + path, headers=own).status_code == 200
        assert owner.http.delete("/v3/auth/tokens", headers={"x-subject-token": owner.token}).status_code == 204
        assert refusal(httpx.get(watchful.url + path, headers=own)) == (401, "ELB.1104")
        # The price of asking seldom: within `identity.keystone_cache` the old answer stands.
        assert httpx.get(away.url + path, headers=own).status_code == 200


def test_an_administrator_acts_in_the_projects_that_keystone_has(away: Service, shared_service: Service) -> None:
    place = add_project(shared_service)
    with Api(away, shared_service.credentials()) as admin:
        assert admin.http.get(f"/v1.0/{place['project_id']}{LB}").status_code == 200
        assert refusal(admin.http.get(f"/v1.0/{NO_SUCH_ID}{LB}"))[0] == 404
        assert refusal(admin.http.get(f"/v1.0/..%2fusers{LB}"))[0] == 404
