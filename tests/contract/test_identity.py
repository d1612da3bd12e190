"""Logging in and what tokens let pass (identity.md), as clients see it."""

import copy
import stat
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.contract.wire import NO_SUCH_ID, refusal
from tests.people import add_project, add_user
from tests.stand import Api, Service, eventually

CATALOGUE = {
    "network": "{root}",
    "elbv1": "{root}/v1.0/{project_id}",
    "compute": "{root}/v2/{project_id}",
    "vpc": "{root}/v1/{project_id}",
    "identity": "{root}/v3",
    "load-balancer": "{root}",
}
PASSWORD = ("identity", "password", "user", "password")


def login_body(known: dict[str, str]) -> dict[str, Any]:
    domain = {"name": known["user_domain_name"]}
    user = {"name": known["username"], "password": known["password"], "domain": domain}
    return {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": known["project_name"], "domain": domain}},
        }
    }


def replaced(body: dict[str, Any], place: tuple[str, ...], value: object) -> dict[str, Any]:
    changed = copy.deepcopy(body)
    part = changed["auth"]
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return changed


def test_the_credentials_file_is_private_and_says_how_to_log_in(shared_service: Service) -> None:
    path = shared_service.data_dir / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    known = shared_service.credentials()
    assert known["auth_url"] == f"{shared_service.url}/v3"
    assert known["username"] == "admin"
    assert known["user_domain_name"] == "Default"
    assert known["project_name"] == "region-1_demo"
    assert known["region"] == "region-1"
    assert len(known["project_id"]) == 32
    assert len(known["password"]) >= 20
    assert len(known) == 7


def test_a_login_by_names_gives_a_token_and_says_what_it_is_for(api: Api, shared_service: Service) -> None:
    known = shared_service.credentials()
    assert api.login.status_code == 201
    assert api.login.headers["x-subject-token"]
    token = api.login.json()["token"]
    assert token["methods"] == ["password"]
    assert token["project"]["id"] == known["project_id"]
    assert token["project"]["name"] == known["project_name"]
    assert token["project"]["domain"]["name"] == "Default"
    assert token["user"]["name"] == known["username"]
    assert token["user"]["domain"]["name"] == "Default"
    assert [role["name"] for role in token["roles"]] == ["admin"]
    assert token["issued_at"] < token["expires_at"]
    assert token["issued_at"].endswith("Z")


def test_a_login_by_ids_gives_the_same(api: Api, shared_service: Service) -> None:
    known = shared_service.credentials()
    body = replaced(login_body(known), ("scope", "project"), {"id": known["project_id"]})
    user = {"id": api.login.json()["token"]["user"]["id"], "password": known["password"]}
    body = replaced(body, ("identity", "password", "user"), user)
    answer = api.http.post("/v3/auth/tokens", json=body)
    assert answer.status_code == 201
    assert answer.json()["token"]["project"] == api.login.json()["token"]["project"]


def test_the_catalogue_has_the_types_and_urls_that_clients_look_for(api: Api, shared_service: Service) -> None:
    catalogue = {service["type"]: service["endpoints"] for service in api.login.json()["token"]["catalog"]}
    assert catalogue.keys() == CATALOGUE.keys()
    for service_type, pattern in CATALOGUE.items():
        [endpoint] = catalogue[service_type]
        assert endpoint["url"] == pattern.format(root=shared_service.url, project_id=api.project_id)
        assert endpoint["interface"] == "public"
        assert endpoint["region"] == endpoint["region_id"] == "region-1"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        pytest.param(PASSWORD, "wrong", id="password"),
        pytest.param(("identity", "password", "user", "name"), "nobody", id="user"),
        pytest.param(("identity", "password", "user", "domain"), {"name": "Elsewhere"}, id="domain"),
        pytest.param(("scope", "project"), {"id": NO_SUCH_ID}, id="project"),
    ],
)
def test_wrong_credentials_are_401(shared_service: Service, place: tuple[str, ...], value: object) -> None:
    body = replaced(login_body(shared_service.credentials()), place, value)
    answer = httpx.post(f"{shared_service.url}/v3/auth/tokens", json=body)
    assert refusal(answer) == (401, "ELB.1109")
    assert answer.headers["www-authenticate"].startswith('Keystone uri="')
    assert "x-subject-token" not in answer.headers


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "{}", '{"auth": 1}', '{"auth": {"identity": {"methods": "password"}}}'],
)
def test_a_malformed_login_is_400(shared_service: Service, body: str) -> None:
    answer = httpx.post(f"{shared_service.url}/v3/auth/tokens", content=body)
    assert refusal(answer)[0] == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/elbaas/loadbalancers"),
        ("POST", "/elbaas/loadbalancers"),
        ("GET", "/elbaas/listeners"),
        ("POST", "/elbaas/listeners"),
        ("DELETE", f"/elbaas/listeners/{NO_SUCH_ID}"),
        ("GET", f"/elbaas/listeners/{NO_SUCH_ID}/members"),
        ("POST", f"/elbaas/listeners/{NO_SUCH_ID}/members/action"),
        ("POST", "/elbaas/healthcheck"),
        ("GET", f"/jobs/{NO_SUCH_ID}"),
    ],
)
def test_without_a_token_every_operation_is_401_and_says_where_to_log_in(
    shared_service: Service, method: str, path: str
) -> None:
    root = f"{shared_service.url}/v1.0/{shared_service.credentials()['project_id']}"
    answer = httpx.request(method, root + path)
    assert refusal(answer) == (401, "Unauthorized")
    assert answer.headers["www-authenticate"] == f'Keystone uri="{shared_service.url}/v3"'


@pytest.mark.parametrize("token", ["x", "gAAAAAB", "0" * 5000, "with spaces in it", "%00"])
def test_a_malformed_token_is_401(shared_service: Service, token: str) -> None:
    root = f"{shared_service.url}/v1.0/{shared_service.credentials()['project_id']}"
    answer = httpx.get(f"{root}/elbaas/loadbalancers", headers={"X-Auth-Token": token})
    assert refusal(answer) == (401, "ELB.1102")
    assert answer.headers["www-authenticate"] == f'Keystone uri="{shared_service.url}/v3"'


def test_a_token_with_one_character_changed_is_401(tables: Api) -> None:
    middle = len(tables.token) // 2
    other = "A" if tables.token[middle] != "A" else "B"
    forged = tables.token[:middle] + other + tables.token[middle + 1 :]
    answer = tables.call("GET", "/elbaas/loadbalancers", headers={"X-Auth-Token": forged})
    assert refusal(answer) == (401, "ELB.1102")


@pytest.fixture(scope="module")
def owner(shared_service: Service) -> Iterator[tuple[Api, dict[str, str]]]:
    """A project with one of everything: a client in it, and the paths of what it has."""
    place = add_project(shared_service)
    with Api(shared_service, add_user(shared_service, place)) as client:
        created = client.ok(
            "POST",
            "/elbaas/loadbalancers",
            json={"name": "owned", "vpc_id": "v", "type": "External", "bandwidth": 1, "admin_state_up": 1},
        )
        lb = client.ended(created["job_id"])["entities"]["elb"]["id"]
        listener = client.create_listener(lb)["id"]
        [member] = client.add_members(listener, "127.9.0.1")
        check = client.ok("POST", "/elbaas/healthcheck", json={"listener_id": listener})["id"]
        # What the check finds comes by itself; it must not come between two looks of a test.
        members = f"/elbaas/listeners/{listener}/members"
        eventually(lambda: client.ok("GET", members)[0]["health_status"] == "ABNORMAL")
        yield (
            client,
            {
                "project": client.project_id,
                "job": f"/jobs/{created['job_id']}",
                "lb": f"/elbaas/loadbalancers/{lb}",
                "lb_id": lb,
                "listener": f"/elbaas/listeners/{listener}",
                "listener_id": listener,
                "member_id": member,
                "check": f"/elbaas/healthcheck/{check}",
            },
        )


READS = ["{lb}", "{listener}", "{listener}/members", "{check}", "{job}", "/elbaas/loadbalancers", "/elbaas/listeners"]
WRITES: list[tuple[str, str, object]] = [
    ("POST", "/elbaas/loadbalancers", {}),
    ("PUT", "{lb}", {"name": "taken-over"}),
    ("DELETE", "{lb}", None),
    ("DELETE", "{lb}/keep-eip", None),
    ("POST", "/elbaas/listeners", {}),
    ("PUT", "{listener}", {"name": "taken-over"}),
    ("DELETE", "{listener}", None),
    ("POST", "{listener}/members", [{"server_id": "s", "address": "127.9.0.2"}]),
    ("POST", "{listener}/members/action", {"removeMember": [{"id": "{member_id}"}]}),
    ("POST", "/elbaas/healthcheck", {}),
    ("PUT", "{check}", {"healthcheck_interval": 50}),
    ("DELETE", "{check}", None),
]


@pytest.mark.parametrize("role", ["member", "reader"])
def test_a_token_of_one_project_is_403_in_the_path_of_another(
    shared_service: Service, owner: tuple[Api, dict[str, str]], role: Any
) -> None:
    known = owner[1]
    with Api(shared_service, add_user(shared_service, add_project(shared_service), role)) as stranger:
        stranger.root = f"/v1.0/{known['project']}"
        calls = [("GET", path, None) for path in READS] + WRITES
        for method, path, body in calls:
            answer = stranger.call(method, path.format(**known), json=body)
            assert refusal(answer) == (403, "Forbidden"), (method, path)


def test_a_reader_reads_everything_of_its_project_and_may_write_nothing(
    shared_service: Service, owner: tuple[Api, dict[str, str]]
) -> None:
    client, known = owner
    place = {"project_id": known["project"], "project_name": client.login.json()["token"]["project"]["name"]}
    with Api(shared_service, add_user(shared_service, place, "reader")) as reader:
        assert [role["name"] for role in reader.login.json()["token"]["roles"]] == ["reader"]
        before = [reader.ok("GET", path.format(**known)) for path in READS]
        for method, path, body in WRITES:
            answer = reader.call(method, path.format(**known), json=body)
            assert refusal(answer) == (403, "Forbidden"), (method, path)
        assert [reader.ok("GET", path.format(**known)) for path in READS] == before


UNKNOWN_IN_ANOTHER_PROJECT: list[tuple[str, str, object, tuple[int, str]]] = [
    ("GET", "{lb}", None, (404, "ELB.1003")),
    ("PUT", "{lb}", {"name": "taken-over"}, (404, "ELB.1003")),
    ("DELETE", "{lb}", None, (404, "ELB.1002")),
    ("DELETE", "{lb}/keep-eip", None, (404, "ELB.1002")),
    ("GET", "{listener}", None, (404, "ELB.6010")),
    ("PUT", "{listener}", {"name": "taken-over"}, (404, "ELB.6010")),
    ("DELETE", "{listener}", None, (404, "ELB.6002")),
    ("GET", "{listener}/members", None, (404, "ELB.6010")),
    ("POST", "{listener}/members", [{"server_id": "s", "address": "127.9.0.2"}], (400, "ELB.2011")),
    ("GET", "{check}", None, (404, "ELB.7020")),
    ("PUT", "{check}", {"healthcheck_interval": 50}, (404, "ELB.7020")),
    ("DELETE", "{check}", None, (404, "ELB.7020")),
    ("GET", "{job}", None, (404, "Not Found")),
]


def test_what_another_project_owns_cannot_be_told_from_what_does_not_exist(
    tables: Api, owner: tuple[Api, dict[str, str]]
) -> None:
    client, known = owner
    before = [client.ok("GET", path.format(**known)) for path in READS]
    missing = {name: path.rpartition("/")[0] + "/" + NO_SUCH_ID for name, path in known.items()}
    for method, path, body, expected in UNKNOWN_IN_ANOTHER_PROJECT:
        foreign = tables.call(method, path.format(**known), json=body)
        assert refusal(foreign) == expected, (method, path)
        absent = tables.call(method, path.format(**missing), json=body)
        assert refusal(absent) == expected, (method, path)
        owned = path.format(**known).split("/")[3 if path != "{job}" else 2]
        assert foreign.json()["detail"].replace(owned, NO_SUCH_ID) == absent.json()["detail"]
    by_project = {"name": "l", "loadbalancer_id": known["lb_id"], "protocol": "TCP", "port": 1, "backend_port": 1}
    answer = tables.call(
        "POST", "/elbaas/listeners", json=by_project | {"backend_protocol": "TCP", "lb_algorithm": "source"}
    )
    assert refusal(answer) == (400, "ELB.6040")
    answer = tables.call("POST", "/elbaas/healthcheck", json={"listener_id": known["listener_id"]})
    assert refusal(answer) == (400, "ELB.7010")
    assert [client.ok("GET", path.format(**known)) for path in READS] == before


def test_lists_show_nothing_of_another_project(tables: Api, owner: tuple[Api, dict[str, str]]) -> None:
    known = owner[1]
    assert tables.ok("GET", "/elbaas/loadbalancers") == {"loadbalancers": [], "instance_num": "0"}
    assert tables.ok("GET", f"/elbaas/loadbalancers?id={known['lb_id']}")["loadbalancers"] == []
    assert tables.ok("GET", "/elbaas/listeners") == []
    assert tables.ok("GET", f"/elbaas/listeners?loadbalancer_id={known['lb_id']}") == []
    assert tables.ok("GET", f"/elbaas/listeners?id={known['listener_id']}") == []


def test_an_administrator_acts_in_another_project(api: Api, shared_service: Service) -> None:
    place = add_project(shared_service)
    with Api(shared_service) as admin, Api(shared_service, add_user(shared_service, place)) as owner:
        admin.project_id = place["project_id"]
        admin.root = f"/v1.0/{place['project_id']}"
        load_balancer = admin.create_load_balancer(name="for-them")
        listed = owner.ok("GET", "/elbaas/loadbalancers")["loadbalancers"]
        assert listed == [load_balancer]
        assert api.call("GET", f"/elbaas/loadbalancers/{load_balancer['id']}").status_code == 404
        deleted = owner.ok("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")
        assert deleted["uri"].startswith(f"/v1/{place['project_id']}/jobs/")
        assert admin.ended(deleted["job_id"])["status"] == "SUCCESS"


def test_only_an_administrator_freezes_and_a_frozen_one_takes_no_changes(project: Api, shared_service: Service) -> None:
    load_balancer = project.create_load_balancer()
    path = f"/elbaas/loadbalancers/{load_balancer['id']}"
    assert refusal(project.call("PUT", path, json={"admin_state_up": 2}))[0] == 403
    with Api(shared_service) as admin:
        admin.root = project.root
        job = admin.succeed("PUT", path, json={"admin_state_up": 2})
        assert job["entities"]["elb"]["admin_state_up"] is False
        assert project.ok("GET", path)["admin_state_up"] == 2
        assert refusal(project.call("PUT", path, json={"name": "n"})) == (400, "ELB.1015")
        assert refusal(project.call("PUT", path, json={"admin_state_up": 1})) == (400, "ELB.1015")
        body = project.listener_body(load_balancer["id"])
        assert refusal(project.call("POST", "/elbaas/listeners", json=body)) == (400, "ELB.1015")
        admin.succeed("PUT", path, json={"admin_state_up": 1})
    project.succeed("PUT", path, json={"name": "n"})


def test_a_project_that_does_not_exist_is_404_even_for_an_administrator(api: Api) -> None:
    answer = api.http.get(f"/v1.0/{NO_SUCH_ID}/elbaas/loadbalancers")
    assert refusal(answer)[0] == 404


@pytest.mark.parametrize("domain", [None, "left out"])
def test_a_project_named_without_a_domain_is_one_of_the_domain_of_the_user(
    api: Api, shared_service: Service, domain: object
) -> None:
    known = shared_service.credentials()
    project = {"name": known["project_name"]} | ({} if domain else {"domain": None})
    body = replaced(login_body(known), ("scope", "project"), project)
    answer = api.http.post("/v3/auth/tokens", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.json()["token"]["project"] == api.login.json()["token"]["project"]
    renewed = {
        "identity": {"methods": ["token"], "token": {"id": answer.headers["x-subject-token"]}},
        "scope": {"project": project},
    }
    assert api.http.post("/v3/auth/tokens", json={"auth": renewed}).status_code == 201
    unknown = replaced(body, ("scope", "project"), {"name": "no-such-project"})
    assert refusal(api.http.post("/v3/auth/tokens", json=unknown)) == (401, "ELB.1109")


def _ids(client: Api, path: str) -> list[str]:
    body = client.http.get(path).raise_for_status().json()
    [name] = body.keys() - {"links"}
    assert body["links"] == {"self": str(client.login.url.copy_with(path=path.partition("?")[0])), **NO_PAGES}
    return [one["id"] for one in body[name]]


NO_PAGES = {"previous": None, "next": None}


def test_a_plain_user_finds_what_is_its_own_by_name_and_id(tables: Api) -> None:
    token = tables.login.json()["token"]
    user, project = token["user"]["id"], token["project"]
    for path in ("/v3/auth/domains", "/v3/domains"):
        assert _ids(tables, path) == _ids(tables, f"{path}?name=Default") == ["default"]
        assert _ids(tables, f"{path}?name=Elsewhere") == []
    for path in ("/v3/auth/projects", "/v3/projects", f"/v3/users/{user}/projects"):
        assert _ids(tables, path) == _ids(tables, f"{path}?name={project['name']}&domain_id=") == [tables.project_id]
        assert _ids(tables, f"{path}?name=region-1_demo") == []
        assert _ids(tables, f"{path}?is_domain=true") == []
    assert _ids(tables, "/v3/users") == _ids(tables, f"/v3/users?name={token['user']['name']}") == [user]
    assert _ids(tables, "/v3/regions") == ["region-1"]
    for one, field in (
        (f"/v3/users/{user}", "user"),
        ("/v3/domains/default", "domain"),
        (f"/v3/projects/{tables.project_id}", "project"),
        ("/v3/regions/region-1", "region"),
    ):
        shown = tables.http.get(one).raise_for_status().json()[field]
        assert shown["id"] == one.rpartition("/")[2]
        assert shown["links"]["self"] == str(tables.login.url.copy_with(path=one))


def test_the_catalogue_is_found_by_itself_by_service_and_by_endpoint(tables: Api) -> None:
    catalogue = tables.login.json()["token"]["catalog"]
    assert tables.http.get("/v3/auth/catalog").json()["catalog"] == catalogue
    for service in catalogue:
        assert _ids(tables, f"/v3/services?type={service['type']}") == [service["id"]]
        assert tables.http.get(f"/v3/services/{service['id']}").json()["service"]["name"] == service["name"]
        [endpoint] = service["endpoints"]
        found = _ids(tables, f"/v3/endpoints?service_id={service['id']}&interface=public&region_id=region-1")
        assert found == [endpoint["id"]]
        assert tables.http.get(f"/v3/endpoints/{endpoint['id']}").json()["endpoint"]["service_id"] == service["id"]
    assert _ids(tables, "/v3/endpoints?interface=internal") == []
    assert tables.http.get("/v3/auth/system").json()["system"] == []


def test_a_token_without_a_scope_has_no_catalogue_but_finds_where_to_log_in(tables: Api) -> None:
    auth = {"identity": {"methods": ["token"], "token": {"id": tables.token}}, "scope": "unscoped"}
    token = tables.http.post("/v3/auth/tokens", json={"auth": auth}).headers["x-subject-token"]
    own = {"x-auth-token": token}
    assert refusal(tables.http.get("/v3/auth/catalog", headers=own))[0] == 403
    for path, name in (("/v3/auth/projects", "projects"), ("/v3/auth/domains", "domains")):
        assert len(tables.http.get(path, headers=own).json()[name]) == 1


def test_what_is_not_the_users_own_stays_hidden_from_it_and_not_from_an_administrator(
    api: Api, tables: Api, shared_service: Service
) -> None:
    place = add_project(shared_service)
    with Api(shared_service, add_user(shared_service, place)) as other:
        user = other.login.json()["token"]["user"]["id"]
        paths = (f"/v3/users/{user}", f"/v3/users/{user}/projects", f"/v3/projects/{place['project_id']}")
        for path in paths:
            refused = tables.http.get(path)
            missing = tables.http.get(path.replace(user, NO_SUCH_ID).replace(place["project_id"], NO_SUCH_ID))
            assert refusal(refused) == refusal(missing) == (404, "Not Found"), path
            assert refused.json()["detail"] == missing.json()["detail"]
            assert api.http.get(path).status_code == 200
        assert user not in _ids(tables, "/v3/users")
        assert user in _ids(api, "/v3/users")
        assert _ids(api, f"/v3/users/{user}/projects") == [place["project_id"]]
    for path in ("/v3/domains/elsewhere", "/v3/regions/elsewhere", f"/v3/services/{NO_SUCH_ID}"):
        assert refusal(tables.http.get(path)) == (404, "Not Found")
        assert refusal(tables.http.get(path, headers={"x-auth-token": ""}))[0] == 401
