"""How a sentence for people quotes a value that somebody sent."""

import json
import re
from typing import Final

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SHOWN_CHARACTERS: Final = 40
_SHOWN_NUMBERS: Final = 10**15


def shown(value: object) -> str:
    """How a sentence quotes a value: short whatever its size and depth, and always fit to be encoded and read."""
    match value:
        case bool() | None:
            return json.dumps(value)
        case str():
            start = value[:_SHOWN_CHARACTERS]
            return json.dumps(start, ensure_ascii=not is_plain(start)) + ("..." if start != value else "")
        case int() | float():
            return str(value) if -_SHOWN_NUMBERS < value < _SHOWN_NUMBERS else "a number far out of range"
        case list():
            return "an array"
        case _:
            return "an object"


def is_plain(text: str) -> bool:
    """Whether text is free of control characters and lone surrogates."""
    return _UNPRINTABLE.search(text) is None
