"""The case in which headers are sent: the documented one.

Names of headers have no case (RFC 9110, section 5.1), but shell scripts look for `X-Subject-Token` letter for letter.
"""

import re
from functools import cache
from typing import Final

_IRREGULAR: Final = {b"etag": b"ETag", b"www-authenticate": b"WWW-Authenticate"}
_NAME: Final = re.compile(rb"[a-z0-9-]+")


@cache
def documented(name: bytes) -> bytes:
    """`x-subject-token` as `X-Subject-Token`, whatever its case was. Only for names that this service gives itself.

    Raises ValueError for what is no name of a header.
    """
    lower = name.lower()
    if _NAME.fullmatch(lower) is None:
        raise ValueError(f"{name!r} is no name of a header.")
    return _IRREGULAR.get(lower) or b"-".join(part.capitalize() for part in lower.split(b"-"))
