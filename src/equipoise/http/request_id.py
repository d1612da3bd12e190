"""The id of a request: on its answer, in its error body and in each of its log lines."""

import os
import re
from collections.abc import Iterable

HEADER = b"x-request-id"
_WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{1,64}")


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's own id where it sends one of 1-64 letters, digits, `.`, `_`, `-`; else 32 new hexadecimal ones."""
    for name, value in headers:
        if name == HEADER and _WELL_FORMED.fullmatch(value):
            return value.decode("ascii")
    return os.urandom(16).hex()
