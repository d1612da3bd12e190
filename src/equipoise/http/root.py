"""The root of all URLs in answers."""

from starlette.requests import HTTPConnection


def root_url(connection: HTTPConnection) -> str:
    """The service as this client reaches it, without a slash at the end."""
    return str(connection.base_url).rstrip("/")
