"""Pages of the documentation as tests follow them: their commands, in their order, on other addresses."""

import re
from collections.abc import Mapping


def commands(text: str) -> str:
    """What a reader pastes, one block after the other."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def elsewhere(text: str, places: Mapping[str, str]) -> str:
    """The same with other addresses, each of which must be there; nothing else is replaced."""
    for written, here in places.items():
        assert written in text, written
        text = text.replace(written, here)
    return text
