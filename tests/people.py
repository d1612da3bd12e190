"""More projects and users for a service under test, by way of its own directory file; it reads them at a login."""

import itertools
from typing import Literal

from argon2 import PasswordHasher

from equipoise.identity.directory import Directory
from stand import Api, Service

_NUMBERS = itertools.count(1)
# The cheapest hash that there is: logging in must not be what a test spends its time on.
_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_PASSWORD = "a password for tests only"


def add_project(service: Service) -> dict[str, str]:
    """Add a project; the answer names it as credentials.json does."""
    project = _directory(service).add_project(f"project-{next(_NUMBERS)}")
    return {"project_name": project.name, "project_id": project.id}


def add_user(
    service: Service, project: dict[str, str], role: Literal["reader", "member", "admin"] = "member"
) -> dict[str, str]:
    """Add a user with a role on a project; the answer logs in with `Api`."""
    directory = _directory(service)
    user = directory.add_user(f"user-{next(_NUMBERS)}", _HASHER.hash(_PASSWORD))
    directory.assign(user.id, project["project_id"], role)
    return {"username": user.name, "password": _PASSWORD, "user_domain_name": "Default", **project}


def member_of_new_project(service: Service) -> Api:
    """A client in a project of its own, whose lists nobody else changes."""
    return Api(service, add_user(service, add_project(service)))


def _directory(service: Service) -> Directory:
    return Directory.load(service.data_dir / "identity.json")
