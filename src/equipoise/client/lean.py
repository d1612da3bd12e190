"""A transport that costs as little as possible: one kept connection and nothing beside the standard library."""

from http.client import HTTPConnection, HTTPException
from typing import Final
from urllib.parse import urlsplit

from equipoise.client.errors import NoAnswer
from equipoise.client.transport import ApiRequest, ApiResponse

_TIMEOUT_SECONDS: Final = 60.0


class LeanTransport:
    """HTTP/1.1 over one connection, which is opened with the first request and again after one that had no answer.

    Not for several threads at once.

    Args:
        url: `http://HOST:PORT`; TLS is not spoken.
        timeout: seconds that one answer may take, 30 or more.

    Raises:
        ValueError: the URL has another scheme, or no host.
    """

    def __init__(self, url: str, timeout: float = _TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"The lean transport needs http://HOST:PORT, but the URL is {url}; use httpx for others.")
        self._connection = HTTPConnection(parts.hostname, parts.port, timeout=timeout)

    def send(self, request: ApiRequest) -> ApiResponse:
        try:
            self._connection.request(request.method, request.path, request.content, dict(request.headers))
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            # What is left of the old answer must not be taken for the next one.
            self._connection.close()
            raise NoAnswer(request.method, request.path, str(error) or type(error).__name__) from error
        return ApiResponse(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)

    def close(self) -> None:
        self._connection.close()
