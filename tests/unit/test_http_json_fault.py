"""What is said about a body that is no JSON: the place as an editor shows it, what stands there, what helps."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.http.body import decoded
from equipoise.http.errors import Malformed, RequestError
from equipoise.http.json_fault import READ_AGAIN_BYTES

COMMA = "stands where a comma or the closing bracket is needed"
NUMBER = "the number goes on in a way that JSON has not: no 0 in front, and a digit after a point or an e"
HALF = "is half of a surrogate pair without its other half; send the character"
DEEP = "The body is nested too deeply; send plain JSON."

CASES: list[tuple[bytes, str]] = [
    # Control characters
    (b'{"name": "a",\n "text": "x\ny"}', r"line 2, column 12: a line break stands inside a text; write it as \n"),
    (b'"x\ry"', r"line 1, column 3: a line break stands inside a text; write it as \r"),
    (b'"x\ty"', r"line 1, column 3: a tab stands inside a text; write it as \t"),
    (b'"x\x00y"', r"line 1, column 3: the control character U+0000 stands inside a text; write it as \u0000"),
    (
        '"\u8d1f\u8f7d\x1b"'.encode(),
        r"line 1, column 4: the control character U+001B stands inside a text; write it as \u001b",
    ),
    (b'["a"\x0b]', f"line 1, column 5: the character U+000B {COMMA}"),
    (b"[1\xc2\xa0]", f"line 1, column 3: the character U+00A0 {COMMA}"),
    # Commas, colons, brackets
    (b'{"a":1,\n}', "line 2, column 1: nothing stands between a comma and }; leave the comma out"),
    (b"[1, ]", "line 1, column 5: nothing stands between a comma and ]; leave the comma out"),
    (b"[1,,2]", "line 1, column 4: , stands where a value is needed"),
    (b'{"a":}', "line 1, column 6: } stands where a value is needed"),
    (b'{"a":1 "b":2}', f'line 1, column 8: " {COMMA}'),
    (b'{"a" 1}', "line 1, column 6: 1 stands where a colon is needed, between a name and its value"),
    (b'{"a"=1}', "line 1, column 5: = stands where a colon is needed, between a name and its value"),
    (b"{1:2}", "line 1, column 2: 1 stands where a name in double quotes or } is needed"),
    (b"{name:2}", "line 1, column 2: name stands where a name in double quotes or } is needed"),
    # The end
    (b'{"a":', "line 1, column 6: the body ends here, before the JSON does"),
    (b'{"a":1\n', "line 2, column 1: the body ends here, before the JSON does"),
    (b'{"a":"bc}', 'line 1, column 6: the text that begins here has no closing "'),
    (b'{"a":1}{"b":2}', "line 1, column 8: { stands after the end of the JSON; send one value alone"),
    # Quotes, comments, words
    (b"{'a': 1}", "line 1, column 2: ' stands where \" is needed; texts and names stand in double quotes"),
    (
        "{\u201ca\u201d: 1}".encode(),
        'line 1, column 2: \u201c stands where " is needed; texts and names stand in double quotes',
    ),
    (b'{"a": 1} // b', "line 1, column 10: a comment stands here; JSON has none"),
    (b"[1, /* b */ 2]", "line 1, column 5: a comment stands here; JSON has none"),
    (b"# a\n[]", "line 1, column 1: a comment stands here; JSON has none"),
    (b'{"a": True}', "line 1, column 7: True is no value of JSON; write true"),
    (b'{"a": None}', "line 1, column 7: None is no value of JSON; write null"),
    (b'{"a": undefined}', "line 1, column 7: undefined is no value of JSON; write null"),
    (b'{"a": HTTP}', "line 1, column 7: HTTP is no value of JSON; write texts in double quotes"),
    (b"name=a&type=b", "line 1, column 1: name is no value of JSON; write texts in double quotes"),
    (b"<a/>", "line 1, column 1: < stands where a value is needed"),
    # Numbers
    (b'["NaN", NaN]', "line 1, column 9: NaN is no number of JSON; leave the field out or send null"),
    (b'["a\\"I", -Infinity]', "line 1, column 11: Infinity is no number of JSON; leave the field out or send null"),
    (b'["1e999", 1, 1e999]', "line 1, column 14: the number is out of range; send a smaller one"),
    (b"[" + b"1" * 5000 + b"]", "line 1, column 2: the number is out of range; send a smaller one"),
    (b"[01]", f"line 1, column 3: {NUMBER}"),
    (b"[1.]", f"line 1, column 3: {NUMBER}"),
    (b"[1e]", f"line 1, column 3: {NUMBER}"),
    (b"01", f"line 1, column 2: {NUMBER}"),
    (b"[+1]", "line 1, column 2: a number begins with a digit or with -, and has a digit on each side of its point"),
    (b"[.5]", "line 1, column 2: a number begins with a digit or with -, and has a digit on each side of its point"),
    # Escapes
    (rb'"C:\dir"', "line 1, column 4: \\d is no escape of JSON; write a backslash as \\\\"),
    (rb'"\u12zz"', r"line 1, column 3: \u needs four hexadecimal digits after it"),
    (rb'"\\ud800 \ud800"', rf"line 1, column 10: \ud800 {HALF}"),
    (rb'"\ud83d\ude00 \udc00"', rf"line 1, column 15: \udc00 {HALF}"),
    (rb'"\ud800A"', rf"line 1, column 2: \ud800 {HALF}"),
    # Encodings
    (b'{"a":\n"\xff"}', "line 2, column 2: the byte 0xFF is no UTF-8; send the text in UTF-8"),
    ('{"name":"\u8d1f\u8f7d"}'.encode("gbk"), "line 1, column 10: the byte 0xB8 is no UTF-8; send the text in UTF-8"),
    (b'"\xed\xa0\x80"', "line 1, column 2: the byte 0xED is no UTF-8; send the text in UTF-8"),
    (
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        "line 1, column 1: a byte order mark (U+FEFF) stands here; at most one may, at the very beginning",
    ),
    *(('{"a":1}'.encode(name), "it is in UTF-16; send UTF-8") for name in ("utf-16", "utf-16-le", "utf-16-be")),
    *(('{"a":1}'.encode(name), "it is in UTF-32; send UTF-8") for name in ("utf-32", "utf-32-le", "utf-32-be")),
]


def told(body: bytes) -> str:
    with pytest.raises(RequestError) as caught:
        decoded(body)
    assert type(caught.value) is Malformed
    return caught.value.message


@pytest.mark.parametrize(("body", "fault"), CASES, ids=lambda value: repr(value[:24]) if type(value) is bytes else "")
def test_the_fault_is_told_with_its_place(body: bytes, fault: str) -> None:
    assert told(body) == f"The body is not valid JSON: {fault}."


@pytest.mark.parametrize("body", [b"[" * 60_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b"[" * 5_000 + b"}"])
def test_what_is_nested_too_deeply(body: bytes) -> None:
    assert told(body) == DEEP


def test_a_long_body_is_not_read_again() -> None:
    filling = b" " * READ_AGAIN_BYTES
    assert "byte" in told(filling + b"NaN")
    assert "byte" not in told(filling[3:] + b"NaN")


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(str.encode)
    | st.text('"\\{}[],:019.eE+-aNI\n\x00ud8', max_size=30).map(str.encode)
)
def test_whatever_is_refused_is_told_by_its_place(body: bytes) -> None:
    """The decoder decides what is JSON; what it refuses never fails here, and is told in one of the sentences above."""
    broken: RequestError | None = None
    try:
        read = decoded(body)
    except RequestError as refusal:
        broken = refusal
    if broken is None:
        assert read == json.loads(body.decode("utf-8-sig"))
    elif type(broken) is Malformed:
        assert "byte " not in broken.message or "the byte 0x" in broken.message
        assert "line " in broken.message or "; send UTF-8" in broken.message
        assert broken.message.isprintable()
