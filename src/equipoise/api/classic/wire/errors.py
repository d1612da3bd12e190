"""The body of every error (return-values.md, Error body); `equipoise.api.classic.errors` makes it."""

from typing import TypedDict


class ErrorText(TypedDict):
    """What most clients read."""

    message: str
    code: str


class Error(TypedDict):
    """An error; message and code stand in both places and are equal. `detail` is a sentence for people."""

    error: ErrorText
    message: str
    code: str
    request_id: str
    detail: str
