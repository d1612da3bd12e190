"""The case in which headers are sent: the documented one.

Names of headers have no case (RFC 9110, section 5.1), but shell scripts look for `X-Subject-Token` letter for letter.
"""

from functools import cache
from typing import Final

_IRREGULAR: Final = {b"etag": b"ETag", b"www-authenticate": b"WWW-Authenticate"}


@cache
def documented(name: bytes) -> bytes:
    """`x-subject-token` as `X-Subject-Token`, whatever its case was. Only for names that this service gives itself."""
    lower = name.lower()
    return _IRREGULAR.get(lower) or b"-".join(part.capitalize() for part in lower.split(b"-"))
