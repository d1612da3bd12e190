"""More projects and users for a service under test, by way of its database; it reads them at a login."""

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeVar

from argon2 import PasswordHasher

from equipoise.data_directory import DataDirectory
from equipoise.identity import changes
from equipoise.store.database import Database, Transaction, sqlite_url
from stand import Api, Service

T = TypeVar("T")

_NUMBERS = itertools.count(1)
# The cheapest hash that there is: logging in must not be what a test spends its time on.
_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_PASSWORD = "a password for tests only"


def add_project(service: Service) -> dict[str, str]:
    """Add a project; the answer names it as credentials.json does."""
    project = _change(service, lambda tx: changes.add_project(tx, f"project-{next(_NUMBERS)}"))
    return {"project_name": project.name, "project_id": project.id}


def add_user(
    service: Service, project: dict[str, str], role: Literal["reader", "member", "admin"] = "member"
) -> dict[str, str]:
    """Add a user with a role on a project; the answer logs in with `Api`."""

    def add(tx: Transaction) -> str:
        user = changes.add_user(tx, f"user-{next(_NUMBERS)}", _HASHER.hash(_PASSWORD))
        changes.assign(tx, user.id, project["project_id"], role)
        return user.name

    name = _change(service, add)
    return {"username": name, "password": _PASSWORD, "user_domain_name": "Default", **project}


def set_password(service: Service, user_id: str, password: str) -> None:
    """Give a user another password."""
    _change(service, lambda tx: changes.set_password(tx, user_id, _HASHER.hash(password)))


def member_of_new_project(service: Service) -> Api:
    """A client in a project of its own, whose lists nobody else changes."""
    return Api(service, add_user(service, add_project(service)))


def _change(service: Service, work: Callable[[Transaction], T]) -> T:
    """Make a change from outside of the service, as another one on the same database would."""
    named = [setting.removeprefix("database.url=") for setting in service.settings if "database.url=" in setting]
    url = named[0] if named else sqlite_url(DataDirectory(service.data_dir).database)
    # In a thread: the test may have an event loop of its own.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(_changed(url, work))).result()


async def _changed(url: str, work: Callable[[Transaction], T]) -> T:
    database = Database(url)
    database.start()
    try:
        return await database.write(work)
    finally:
        await database.stop()
