"""Which offers to change the protocol are passed on, by the pattern that tells Envoy the others."""

import re

import pytest

from equipoise.backends.envoy.build.upgrades import PASSED_ON, unlike

# Python has no \C, "any byte".
IGNORED = re.compile(unlike(PASSED_ON).replace(r"\C", "."), re.DOTALL)


@pytest.mark.parametrize("name", PASSED_ON)
def test_what_can_be_passed_on_is_not_ignored_in_any_case(name: str) -> None:
    for offered in (name, name.lower(), name.upper(), name.title(), name.swapcase()):
        assert not IGNORED.fullmatch(offered)


@pytest.mark.parametrize("name", PASSED_ON)
def test_anything_shorter_or_longer_or_that_begins_otherwise_is_ignored(name: str) -> None:
    for length in range(1, len(name)):
        assert IGNORED.fullmatch(name[:length])
    for more in ("s", "/1", "-over-quic" * 3):
        assert IGNORED.fullmatch(name + more)
    for code in range(0x21, 0x7F):
        for place in (0, 1):
            if chr(code).lower() != name[place].lower():
                assert IGNORED.fullmatch(name[:place] + chr(code) + name[place + 1 :])


def test_no_two_begin_alike_since_the_pattern_tells_them_apart_by_that() -> None:
    assert len({name[0].lower() for name in PASSED_ON}) == len(PASSED_ON)
