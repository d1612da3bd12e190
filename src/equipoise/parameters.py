"""The parameters of a query, before anybody asks what they mean."""

from collections.abc import Mapping


def given_in(query: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a query that have a value."""
    return {name: value for name, value in query.items() if value}
