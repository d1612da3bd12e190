"""Who logs in, and for which project."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Login:
    """User name and password, and the project that the token is for."""

    username: str
    password: str = field(repr=False)
    user_domain_name: str
    project_name: str
    project_id: str

    @classmethod
    def of(cls, known: Mapping[str, str]) -> Self:
        """From fields named as in credentials.json; others are left alone. Raises KeyError."""
        return cls(
            known["username"],
            known["password"],
            known["user_domain_name"],
            known["project_name"],
            known["project_id"],
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """From the file credentials.json that the first start of a service writes.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not JSON.
            KeyError: it lacks a field.
        """
        return cls.of(json.loads(path.read_text()))

    @property
    def body(self) -> dict[str, Any]:
        """The body that asks for a token of the project. The project is in the user's domain."""
        domain = {"name": self.user_domain_name}
        user = {"name": self.username, "password": self.password, "domain": domain}
        return {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": self.project_name, "domain": domain}},
            }
        }
