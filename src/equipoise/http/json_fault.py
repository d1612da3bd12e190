r"""What is wrong with a text that is no JSON (RFC 8259), in words for people: where it is, what it is, what helps.

The decoder of bodies is fast and says `invalid character (byte 45)`. A body that it has refused is read a second time
here, by the parser of the standard library, which knows lines and what it had expected.
"""

import json
import re
from json import JSONDecodeError
from typing import Final, NoReturn

# Each of these is tried once, at the start of a text that is JSON as far as what it looks for; nothing is read twice.
_TEXT: Final = r'"(?:[^"\\]++|\\.)*+"'
_CONSTANT: Final = re.compile(rf'(?:[^"NI]++|{_TEXT})*+(NaN|Infinity)', re.DOTALL)
_LARGE: Final = r"[0-9]{309}|[0-9]++(?:\.[0-9]++)?[eE]\+?0*(?:30[89]|3[1-9][0-9]|[4-9][0-9][0-9]|[1-9][0-9]{3})"
_NUMBER: Final = r"[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_OUT_OF_RANGE: Final = re.compile(rf'(?:[^"0-9]++|{_TEXT}|(?!{_LARGE}){_NUMBER})*+(-?(?:{_LARGE}))', re.DOTALL)
_PAIR: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF: Final = r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_HALF_A_PAIR: Final = re.compile(rf"(?:[^\\]++|{_PAIR}|(?!{_HALF})\\.)*+({_HALF})", re.DOTALL)

_NUMBER_BEFORE: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_WORD: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_ESCAPES: Final = {"\n": ("a line break", r"\n"), "\r": ("a line break", r"\r"), "\t": ("a tab", r"\t")}
_OTHER_WORDS: Final = {
    "true": "true",
    "false": "false",
    "yes": "true",
    "no": "false",
    "on": "true",
    "off": "false",
    "none": "null",
    "null": "null",
    "nil": "null",
    "undefined": "null",
    "nan": "null",
}
_QUOTES: Final = "'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\uff02\uff07"
_BYTE_ORDER_MARK: Final = "\ufeff"

READ_AGAIN_BYTES: Final = 64 * 1024
"""The longest text that is read again: it takes up to a hundred times as long as to refuse it did."""


class _NoNumber(Exception):
    """NaN or Infinity, which the parser of the standard library would take."""


def fault_of(raw: bytes, reason: str) -> str:
    """What is wrong with `raw`, as the end of a sentence without its full stop.

    Args:
        raw: what the decoder has refused.
        reason: the decoder's own word, for what is found by nobody else, and for what is longer than READ_AGAIN_BYTES.
    """
    if len(raw) > READ_AGAIN_BYTES:
        return reason
    encoding = _other_encoding(raw)
    if encoding is not None:
        return f"it is in {encoding}; send UTF-8"
    try:
        text = raw.decode()
    except UnicodeDecodeError as fault:
        before = raw[: fault.start].decode()
        place = _place(before, len(before))
        return f"{place}: the byte 0x{raw[fault.start]:02X} is no UTF-8; send the text in UTF-8"
    try:
        # Numbers are not made of their digits: a long one would take long, or be refused for its length alone.
        json.loads(text, parse_constant=_refuse_constant, parse_int=str, parse_float=str)
    except JSONDecodeError as fault:
        return f"{_place(text, fault.pos)}: {_told(text, fault.pos, fault.msg)}"
    except RecursionError:
        return "its arrays and objects are nested too deeply; send plain JSON"
    except _NoNumber:
        return _told_by(_CONSTANT, text, "{found} is no number of JSON; leave the field out or send null") or reason
    return (
        _told_by(_HALF_A_PAIR, text, "{found} is half of a surrogate pair without its other half; send the character")
        or _told_by(_OUT_OF_RANGE, text, "the number is out of range; send a smaller one")
        or reason
    )


def _told_by(pattern: re.Pattern[str], text: str, sentence: str) -> str | None:
    found = pattern.match(text)
    return None if found is None else f"{_place(text, found.start(1))}: {sentence.format(found=found[1])}"


def _refuse_constant(_name: str) -> NoReturn:
    raise _NoNumber


def _place(text: str, at: int) -> str:
    """Line and column, both counted from 1 and in characters, as editors show them."""
    line = text.count("\n", 0, at) + 1
    return f"line {line}, column {at - text.rfind(chr(10), 0, at)}"


def _other_encoding(raw: bytes) -> str | None:
    """The encoding of a JSON text that is not UTF-8, by its first bytes: they are ASCII (RFC 4627, section 3)."""
    if raw.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "UTF-32"
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    match [byte == 0 for byte in raw[:4]]:
        case [False, True, True, True] | [True, True, True, False]:
            return "UTF-32"
        case [False, True, *_] | [True, False, *_]:
            return "UTF-16"
        case _:
            return None


def _told(text: str, at: int, message: str) -> str:
    """What stands at `at`, where the parser gave up with `message`."""
    if message.startswith("Unterminated string"):
        return 'the text that begins here has no closing "'
    if message.startswith("Invalid control character"):
        return _control_character(text[at])
    if message.startswith("Invalid \\uXXXX"):
        return r"\u needs four hexadecimal digits after it"
    if message.startswith("Invalid \\escape"):
        return f"\\{_shown(text[: at + 2], at + 1)} is no escape of JSON; write a backslash as \\\\"
    if message.startswith("Illegal trailing comma"):
        return _extra_comma(text, at + 1)
    if not text[at:].strip():
        return "the body ends here, before the JSON does"
    return _unexpected(text, at, message)


def _control_character(found: str) -> str:
    name, escape = _ESCAPES.get(found, (f"the control character U+{ord(found):04X}", f"\\u{ord(found):04x}"))
    return f"{name} stands inside a text; write it as {escape}"


def _unexpected(text: str, at: int, message: str) -> str:
    found = text[at]
    if found == _BYTE_ORDER_MARK:
        return "a byte order mark (U+FEFF) stands here; at most one may, at the very beginning"
    if found in _QUOTES:
        return f'{found} stands where " is needed; texts and names stand in double quotes'
    if text.startswith(("//", "/*", "#"), at):
        return "a comment stands here; JSON has none"
    if found in "]}" and text[:at].rstrip(" \t\r\n").endswith(","):
        return _extra_comma(text, at)
    if message.startswith("Extra data"):
        return _after_the_end(text, at)
    if message.startswith("Expecting property name"):
        return f"{_shown(text, at)} stands where a name in double quotes or }} is needed"
    if message.startswith("Expecting ':'"):
        return f"{_shown(text, at)} stands where a colon is needed, between a name and its value"
    if message.startswith("Expecting ','"):
        return _wrong_number(text, at) or f"{_shown(text, at)} stands where a comma or the closing bracket is needed"
    if word := _WORD.match(text, at):
        other = _OTHER_WORDS.get(word[0].lower())
        return f"{_shown(text, at)} is no value of JSON; write {other or 'texts in double quotes'}"
    if found in "+.":
        return "a number begins with a digit or with -, and has a digit on each side of its point"
    return f"{_shown(text, at)} stands where a value is needed"


def _after_the_end(text: str, at: int) -> str:
    return _wrong_number(text, at) or f"{_shown(text, at)} stands after the end of the JSON; send one value alone"


def _wrong_number(text: str, at: int) -> str | None:
    """The sentence for `01`, `1.` or `1e`, where the parser has taken the part before for the whole number."""
    if text[at] in "0123456789.eE" and _NUMBER_BEFORE.search(text[max(0, at - 400) : at]):
        return "the number goes on in a way that JSON has not: no 0 in front, and a digit after a point or an e"
    return None


def _extra_comma(text: str, at: int) -> str:
    closing = text[at:].lstrip()[:1]
    return f"nothing stands between a comma and {closing}; leave the comma out"


def _shown(text: str, at: int) -> str:
    word = _WORD.match(text, at)
    found = word[0][:20] if word else text[at : at + 1]
    return found if found.isprintable() and not found.isspace() else f"the character U+{ord(found[0]):04X}"
