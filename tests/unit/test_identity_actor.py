"""Who may do what."""

import pytest

from equipoise.core.errors import ProjectForbidden, RoleTooWeak, ServiceError
from equipoise.identity.actor import Actor

PROJECT, OTHER = "a" * 32, "b" * 32


def an_actor(*roles: str) -> Actor:
    return Actor("c" * 32, PROJECT, frozenset(roles))


@pytest.mark.parametrize(
    ("roles", "writes", "freezes"),
    [((), False, False), (("reader",), False, False), (("member",), True, False), (("admin",), True, True)],
)
def test_a_role_says_who_may_write_and_freeze(roles: tuple[str, ...], writes: bool, freezes: bool) -> None:
    actor = an_actor(*roles)
    assert (actor.may_write, actor.may_freeze) == (writes, freezes)


def test_a_reader_is_told_that_the_role_is_too_weak() -> None:
    with pytest.raises(ServiceError) as broken:
        an_actor("reader").check_may_write()
    assert type(broken.value) is RoleTooWeak


def test_a_member_may_write_but_not_freeze() -> None:
    an_actor("member").check_may_write()
    with pytest.raises(ServiceError) as broken:
        an_actor("member").check_may_freeze()
    assert type(broken.value) is RoleTooWeak


def test_the_project_in_the_path_must_be_the_one_of_the_token() -> None:
    assert an_actor("member").in_project(PROJECT) == an_actor("member")
    with pytest.raises(ServiceError) as broken:
        an_actor("member").in_project(OTHER)
    assert type(broken.value) is ProjectForbidden


def test_an_administrator_acts_in_every_project() -> None:
    administrator = an_actor("admin").in_project(OTHER)
    assert administrator.project_id == OTHER
    assert administrator.is_admin
