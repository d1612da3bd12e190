"""What can be wrong with a request before any API has looked at it, and how errors become answers.

The body of an error is the API's: whoever builds the server injects a `Renderer`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

DEFAULT_RETRY_AFTER_SECONDS: Final = "5"


class RequestError(Exception):
    """The base of all. `message` is a full sentence for people."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UrlTooLong(RequestError):
    """The request target is longer than is taken."""


class RequestTooSlow(RequestError):
    """The request was not complete in time."""


class BodyMissing(RequestError):
    """There is no body where one is needed."""


class Malformed(RequestError):
    """The request is not valid HTTP/1.1, says what it may not say, or its body is not JSON in UTF-8."""


class BodyTooLarge(RequestError):
    """The body is larger than is taken."""


class NotOffered(RequestError):
    """It is part of HTTP, but not offered here."""


class PathUnknown(RequestError):
    """No operation has this path."""

    def __init__(self, path: str) -> None:
        super().__init__("There is no such path here; check it for a misspelling, a slash too many or an empty id.")
        self.path = path


class MethodNotAllowed(RequestError):
    """The path takes other methods; `allow` lists them for the header of that name."""

    def __init__(self, method: str, allow: str) -> None:
        super().__init__(f"This path takes {allow}, not {method}.")
        self.allow = allow


class NotAcceptable(RequestError):
    """The Accept header admits nothing that the operation produces."""


class GatewayRequired(RequestError):
    """The request did not come through the gateway."""


class NotServing(RequestError):
    """The service is starting or stopping; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: str = DEFAULT_RETRY_AFTER_SECONDS) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Defect(RequestError):
    """The service has failed; the log has the cause."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What an answer to a failed request may tell of it. `root` is the root of all URLs, as the client reaches it.

    `operation` is the name of the operation, "" where none was found.
    """

    request_id: str
    root: str = ""
    operation: str = ""


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """Status, body and headers, without the X-Request-Id header."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


Renderer = Callable[[Exception, Circumstances], ErrorAnswer | None]
"""Makes the answer to an error; None for one that it does not know, which is a defect then."""
