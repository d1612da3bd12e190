"""The document of quotas (classic-api.md, Operations)."""

from typing import TypedDict


class Quota(TypedDict):
    """How much of one kind is used and allowed; between min and max the operator can set it."""

    type: str
    used: int
    quota: int
    max: int
    min: int


class QuotaResources(TypedDict):
    """The quotas of a project."""

    resources: list[Quota]


class QuotaDocument(TypedDict):
    """The quotas of a project."""

    quotas: QuotaResources
