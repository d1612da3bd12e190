"""The wire shapes of Keystone v3."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.core.errors import MalformedDocument, ServiceError, Unsupported
from equipoise.core.identity import Domain, Project, User
from equipoise.identity.directory import Reference
from equipoise.identity.keystone import (
    AuthRequest,
    PasswordCredential,
    Scope,
    TokenCredential,
    catalogue,
    endpoint_entries,
    listing,
    parse_auth_request,
    project_entry,
    service_entries,
    time_text,
    token_document,
    version_document,
)
from equipoise.identity.tokens import Claims

PROJECT_ID = "b" * 32
DEFAULT = {"name": "Default"}
REFUSALS = {None, MalformedDocument, Unsupported}


def a_body(**changes: Any) -> dict[str, Any]:
    user = {"name": "admin", "domain": DEFAULT, "password": "hunter2"}
    return {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "region-1_demo", "domain": DEFAULT}},
        }
        | changes
    }


def identity(user: object, methods: object = None) -> dict[str, Any]:
    return {"methods": ["password"] if methods is None else methods, "password": {"user": user}}


def password_of(request: AuthRequest) -> PasswordCredential:
    assert isinstance(request.credential, PasswordCredential)
    return request.credential


def test_a_user_and_a_project_by_name_are_read() -> None:
    request = parse_auth_request(a_body())
    assert password_of(request).user == Reference(name="admin", domain_name="Default")
    assert password_of(request).password == "hunter2"
    assert request.project == Reference(name="region-1_demo", domain_name="Default")


def test_ids_are_read_and_win_over_names() -> None:
    user = {"id": "a" * 32, "name": "ignored", "password": ""}
    scope = {"project": {"id": PROJECT_ID}}
    request = parse_auth_request(a_body(identity=identity(user), scope=scope))
    assert password_of(request).user == Reference(id="a" * 32)
    assert request.project == Reference(id=PROJECT_ID)


def test_a_project_may_be_named_without_a_domain_and_null_is_not_given() -> None:
    def project_of(scope: dict[str, Any]) -> Reference | None:
        return parse_auth_request(a_body(scope=scope)).project

    alone: list[dict[str, Any]] = [{"name": "p"}, {"name": "p", "domain": None}, {"id": None, "name": "p"}]
    for project in alone:
        assert project_of({"project": project}) == Reference(name="p")
        assert project_of({"project": project, "domain": None}) == Reference(name="p")
    by_name = {"id": None, "name": "Default"}
    assert project_of({"project": {"id": "p", "name": None, "domain": by_name}}) == Reference(id="p")
    assert project_of({"project": {"name": "p", "domain": by_name}}) == Reference(name="p", domain_name="Default")


def test_a_domain_is_named_by_id_too() -> None:
    scope = {"project": {"name": "p", "domain": {"id": "default"}}}
    assert parse_auth_request(a_body(scope=scope)).project == Reference(name="p", domain_id="default")


@pytest.mark.parametrize("scope", [None, "unscoped", {"unscoped": {}}])
def test_no_scope_is_read_as_such(scope: object) -> None:
    request = parse_auth_request(a_body(scope=scope))
    assert request.project is request.domain is None


def test_the_scope_of_a_domain_is_read_by_id_and_by_name() -> None:
    assert parse_auth_request(a_body(scope={"domain": {"id": "default"}})).domain == Reference(id="default")
    assert parse_auth_request(a_body(scope={"domain": DEFAULT})).domain == Reference(name="Default")


def test_a_token_is_read_in_place_of_a_password_and_is_not_shown() -> None:
    request = parse_auth_request(a_body(identity={"methods": ["token"], "token": {"id": "hunter2"}}))
    assert request.credential == TokenCredential("hunter2")
    assert "hunter2" not in repr(request)


def test_what_is_not_known_is_ignored() -> None:
    body = a_body() | {"nocatalog": True}
    body["auth"]["identity"]["password"]["user"]["extra"] = 1
    assert password_of(parse_auth_request(body)).password == "hunter2"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ([], "The body"),
        ({}, "auth"),
        ({"auth": []}, "auth"),
        (a_body(identity=None), "auth.identity"),
        (a_body(identity={}), "auth.identity.methods"),
        (a_body(identity=identity({}, [])), "auth.identity.methods"),
        (a_body(identity=identity({}, [1])), "auth.identity.methods"),
        (a_body(identity=identity({}, "password")), "auth.identity.methods"),
        (a_body(identity={"methods": ["password"]}), "auth.identity.password"),
        (a_body(identity=identity(1)), "auth.identity.password.user"),
        (a_body(identity=identity({})), "auth.identity.password.user"),
        (a_body(identity=identity({"id": 1})), "auth.identity.password.user.id"),
        (a_body(identity=identity({"id": ""})), "auth.identity.password.user.id"),
        (a_body(identity=identity({"id": "a"})), "auth.identity.password.user.password"),
        (a_body(identity=identity({"id": "a", "password": 5})), "auth.identity.password.user.password"),
        (a_body(identity=identity({"name": "admin"})), "auth.identity.password.user.domain"),
        (a_body(identity=identity({"name": "admin", "domain": {}})), "auth.identity.password.user.domain.name"),
        (a_body(scope=[]), "auth.scope"),
        (a_body(scope={}), "auth.scope"),
        (a_body(scope={"project": {"id": "a"}, "domain": {"id": "b"}}), "auth.scope"),
        (a_body(scope={"project": {}}), "auth.scope.project"),
        (a_body(scope={"project": {"name": "p", "domain": "d"}}), "auth.scope.project.domain"),
        (a_body(scope={"project": {"name": "p", "domain": {}}}), "auth.scope.project.domain.name"),
        (a_body(scope={"project": None}), "auth.scope"),
        (a_body(identity=identity({"name": "admin", "domain": None})), "auth.identity.password.user.domain"),
        (a_body(scope={"domain": {}}), "auth.scope.domain.name"),
        (a_body(scope={"domain": 1}), "auth.scope.domain"),
        (a_body(identity={"methods": ["token"]}), "auth.identity.token"),
        (a_body(identity={"methods": ["token"], "token": {"id": ""}}), "auth.identity.token.id"),
    ],
)
def test_a_wrong_shape_is_told_with_its_place(body: object, place: str) -> None:
    with pytest.raises(ServiceError) as broken:
        parse_auth_request(body)
    assert type(broken.value) is MalformedDocument
    assert broken.value.message.startswith(f"{place} must be ")


@pytest.mark.parametrize(
    "body",
    [
        a_body(scope={"system": {"all": True}}),
        a_body(identity={"methods": ["password", "token"], "token": {"id": "x"}}),
        a_body(identity={"methods": ["mapped"]}),
        a_body(identity=identity({}, ["password", "totp"])),
    ],
)
def test_what_keystone_has_and_this_service_has_not_is_told(body: object) -> None:
    with pytest.raises(ServiceError) as broken:
        parse_auth_request(body)
    assert type(broken.value) is Unsupported


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "name", "domain", "password", "user", "project", "methods"]), inner)
    ),
    max_leaves=12,
)
SHAPES = st.builds(
    lambda user, methods, scope: {"auth": {"identity": identity(user, methods), "scope": scope}},
    JSON,
    JSON | st.just(["password"]),
    JSON | st.fixed_dictionaries({"project": JSON}) | st.fixed_dictionaries({"domain": JSON}),
)


def error_of(body: object) -> type[ServiceError] | None:
    try:
        parse_auth_request(body)
    except ServiceError as broken:
        return type(broken)
    return None


@settings(deadline=None)
@given(JSON | SHAPES)
def test_any_body_is_read_or_refused_by_name(body: object) -> None:
    assert error_of(body) in REFUSALS


def test_the_password_of_a_request_is_not_shown() -> None:
    assert "hunter2" not in repr(parse_auth_request(a_body()))


def test_a_token_is_described_as_keystone_does() -> None:
    domain = Domain("default", "Default")
    claims = Claims("a" * 32, PROJECT_ID, ("admin",), ("password",), 1_767_225_600, 1_767_229_200, "x" * 22)
    document = token_document(
        claims,
        user=User("a" * 32, "admin", "default", "hash"),
        user_domain=domain,
        scope=Scope(project=Project(PROJECT_ID, "region-1_demo", "default")),
        scope_domain=domain,
        catalogue=[],
    )["token"]
    (role,) = document.pop("roles")
    assert role["name"] == "admin"
    assert len(role["id"]) == 32
    assert document == {
        "methods": ["password"],
        "user": {
            "id": "a" * 32,
            "name": "admin",
            "domain": {"id": "default", "name": "Default"},
            "password_expires_at": None,
        },
        "project": {
            "id": PROJECT_ID,
            "name": "region-1_demo",
            "domain": {"id": "default", "name": "Default"},
        },
        "is_domain": False,
        "audit_ids": ["x" * 22],
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "expires_at": "2026-01-01T01:00:00.000000Z",
        "catalog": [],
    }


@pytest.mark.parametrize(
    ("scope", "fields"),
    [(Scope(), set()), (Scope(domain=Domain("default", "Default")), {"domain", "roles", "catalog"})],
)
def test_a_token_without_a_project_says_so(scope: Scope, fields: set[str]) -> None:
    domain = Domain("default", "Default")
    claims = Claims("a" * 32, "", ("admin",), ("password",), 1_767_225_600, 1_767_229_200, "x" * 22)
    user = User("a" * 32, "admin", "default", "hash")
    token = token_document(claims, user=user, user_domain=domain, scope=scope, scope_domain=domain, catalogue=[])
    common = {"methods", "user", "audit_ids", "issued_at", "expires_at"}
    assert token["token"].keys() == common | fields


def test_the_catalogue_without_a_project_names_only_what_needs_none() -> None:
    types = {service["type"] for service in catalogue("http://h:1", "region-1", None)}
    assert types == {"network", "identity", "load-balancer"}


def test_services_and_endpoints_belong_together_as_the_catalogue_says() -> None:
    services = {service["id"]: service for service in service_entries("http://h:1")}
    listed = {
        services[endpoint["service_id"]]["type"]: endpoint["url"].replace("$(tenant_id)s", PROJECT_ID)
        for endpoint in endpoint_entries("http://h:1", "region-1")
    }
    in_catalogue = catalogue("http://h:1", "region-1", PROJECT_ID)
    assert listed == {service["type"]: service["endpoints"][0]["url"] for service in in_catalogue}
    assert services.keys() == {service["id"] for service in in_catalogue}
    assert all(service["enabled"] for service in services.values())


def test_a_project_is_listed_as_keystone_does() -> None:
    entry = project_entry(Project(PROJECT_ID, "region-1_demo", "default"), "http://h:1")
    document = listing("projects", [entry], "http://h:1/v3/projects")
    assert document["links"] == {"self": "http://h:1/v3/projects", "previous": None, "next": None}
    assert document["projects"] == [
        {
            "id": PROJECT_ID,
            "name": "region-1_demo",
            "domain_id": "default",
            "parent_id": "default",
            "description": "",
            "enabled": True,
            "is_domain": False,
            "links": {"self": f"http://h:1/v3/projects/{PROJECT_ID}"},
        }
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["a", "b"]),
        ({"name": "a"}, ["a"]),
        ({"name": "a", "enabled": "True"}, ["a"]),
        ({"name": "A"}, []),
        ({"name": "", "domain_id": ""}, ["a", "b"]),
        ({"enabled": "true"}, ["a", "b"]),
        ({"enabled": "1"}, ["a", "b"]),
        ({"enabled": "false"}, []),
        ({"enabled": "0"}, []),
        ({"is_domain": "true"}, []),
        ({"domain_id": "elsewhere"}, []),
        ({"limit": "1", "colour": "red"}, ["a", "b"]),
    ],
)
def test_a_list_holds_what_its_query_asks_for(query: dict[str, str], found: list[str]) -> None:
    entries = [project_entry(Project(PROJECT_ID, name, "default"), "http://h:1") for name in ("a", "b")]
    assert [entry["name"] for entry in listing("projects", entries, "u", query)["projects"]] == found


def test_the_catalogue_says_where_clients_find_each_service() -> None:
    services = catalogue("http://h:1", "region-1", PROJECT_ID)
    assert {service["type"]: service["endpoints"][0]["url"] for service in services} == {
        "network": "http://h:1",
        "elbv1": f"http://h:1/v1.0/{PROJECT_ID}",
        "compute": f"http://h:1/v2/{PROJECT_ID}",
        "vpc": f"http://h:1/v1/{PROJECT_ID}",
        "identity": "http://h:1/v3",
        "load-balancer": "http://h:1",
    }
    for service in services:
        (endpoint,) = service["endpoints"]
        assert (endpoint["interface"], endpoint["region"], endpoint["region_id"]) == ("public", "region-1", "region-1")
    assert services == catalogue("http://h:1", "region-1", PROJECT_ID)
    ids = [service["id"] for service in services] + [service["endpoints"][0]["id"] for service in services]
    assert len(set(ids)) == 12


def test_the_version_document_names_v3() -> None:
    version = version_document("http://h:1")["version"]
    assert version["id"].startswith("v3")
    assert version["links"] == [{"rel": "self", "href": "http://h:1/v3/"}]


def test_times_have_microseconds_and_z() -> None:
    assert time_text(0) == "1970-01-01T00:00:00.000000Z"
