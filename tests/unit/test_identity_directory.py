"""Users and projects as they are found in memory, and the rules that what is stored must keep."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from argon2 import PasswordHasher

from equipoise.core.identity import DirectoryContent, Project, RoleAssignment, User
from equipoise.identity.directory import Directory, DirectoryError, Reference, check, first_content

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HASH = CHEAP.hash("correct horse")
HEX = re.compile("[0-9a-f]{32}")
CONTENT = first_content("region-1", CHEAP.hash).content
SHOP = Project("c" * 32, "shop", "default")
READER = User("d" * 32, "小明", "default", HASH)
WITH_READER = replace(
    CONTENT,
    projects=(*CONTENT.projects, SHOP),
    users=(*CONTENT.users, READER),
    assignments=(*CONTENT.assignments, RoleAssignment(READER.id, SHOP.id, "reader")),
)


@pytest.fixture
def directory() -> Directory:
    return Directory(WITH_READER)


def test_a_first_start_makes_an_administrator_and_a_project_named_after_the_region(directory: Directory) -> None:
    user = directory.find_user(Reference(name="admin", domain_name="Default"))
    project = directory.find_project(Reference(name="region-1_demo", domain_id="default"))
    assert user is not None
    assert project is not None
    assert HEX.fullmatch(user.id)
    assert HEX.fullmatch(project.id)
    assert directory.roles(user.id, project.id) == ("admin",)


def test_each_first_start_has_its_own_password_and_keeps_only_the_hash() -> None:
    first, second = first_content("r", CHEAP.hash), first_content("r", CHEAP.hash)
    assert len(first.password) >= 32
    assert first.password != second.password
    assert CHEAP.verify(first.administrator.password_hash, first.password)


def test_a_user_and_a_project_are_found_by_id_and_by_name_in_their_domain(directory: Directory) -> None:
    assert directory.find_user(Reference(id=READER.id)) == READER
    assert directory.find_user(Reference(name="小明", domain_id="default")) == READER
    assert directory.find_project(Reference(id=SHOP.id)) == SHOP
    assert directory.find_project(Reference(name="shop", domain_name="Default")) == SHOP


@pytest.mark.parametrize(
    "reference",
    [
        Reference(),
        Reference(id="f" * 32),
        Reference(name="admin"),
        Reference(name="admin", domain_name="default"),
        Reference(name="admin", domain_id="Default"),
        Reference(name="nobody", domain_id="default"),
    ],
)
def test_who_is_not_named_exactly_is_not_found(directory: Directory, reference: Reference) -> None:
    assert directory.find_user(reference) is None


def test_an_administrator_of_one_project_is_one_of_every_project(directory: Directory) -> None:
    assert directory.roles(CONTENT.users[0].id, SHOP.id) == ("admin",)


def test_a_stranger_has_no_role(directory: Directory) -> None:
    assert directory.roles(READER.id, SHOP.id) == ("reader",)
    assert directory.roles(READER.id, CONTENT.projects[0].id) == ()


def with_user(**changes: str) -> DirectoryContent:
    return replace(WITH_READER, users=(*CONTENT.users, replace(READER, **changes)))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda: with_user(name=""), "$.users[1].name"),
        (lambda: with_user(name="x" * 256), "$.users[1].name"),
        (lambda: with_user(name="a\0b"), "$.users[1].name"),
        (lambda: with_user(name="admin"), "$.users[1] has the same name in a domain as $.users[0]"),
        (lambda: with_user(id=CONTENT.users[0].id), "$.users[1] has the same id as $.users[0]"),
        (lambda: with_user(domain_id="e" * 32), "$.users[1].domain_id"),
        (lambda: with_user(password_hash="hunter2"), "$.users[1].password_hash"),
        (lambda: replace(WITH_READER, projects=CONTENT.projects), "$.assignments[1].project_id"),
        (lambda: replace(WITH_READER, users=CONTENT.users), "$.assignments[1].user_id"),
    ],
)
def test_what_breaks_a_rule_is_told_with_the_place_and_without_secrets(
    content: Callable[[], DirectoryContent], told: str
) -> None:
    check(WITH_READER)
    with pytest.raises(DirectoryError) as error:
        check(content())
    assert told in str(error.value)
    assert "hunter2" not in str(error.value)


def test_nothing_shows_a_password_or_its_hash() -> None:
    created = first_content("r", CHEAP.hash)
    assert created.password not in repr(created)
    assert created.administrator.password_hash not in repr(created.content)
