"""The documents of API versions (classic-api.md, Operations)."""

from typing import TypedDict


class VersionLink(TypedDict):
    """Where a version is."""

    href: str
    rel: str


class Version(TypedDict):
    """One version of an API."""

    id: str
    links: list[VersionLink]
    status: str
    updated: str
    version: str
    min_version: str


class VersionList(TypedDict):
    """The versions that there are."""

    versions: list[Version]


class VersionDocument(TypedDict):
    """One version."""

    version: Version
