"""Which figures Envoy is told to keep."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.node.counters import READ, other_than, statistics

LISTENER = "0123456789abcdef" * 2
TEXTS = st.text("ab_", max_size=5)


@given(st.sets(TEXTS, min_size=1, max_size=6), TEXTS)
def test_everything_but_the_words_is_matched(words: set[str], text: str) -> None:
    assert bool(re.fullmatch(other_than(words), text)) is (text not in words)


@given(st.sets(TEXTS, min_size=1, max_size=6), st.data())
def test_none_of_the_words_is_matched(words: set[str], data: st.DataObject) -> None:
    assert not re.fullmatch(other_than(words), data.draw(st.sampled_from(sorted(words))))


def is_left_out(figure: str) -> bool:
    for pattern in statistics()["stats_matcher"]["exclusion_list"]["patterns"]:
        if "prefix" in pattern and figure.startswith(pattern["prefix"]):
            return True
        if "safe_regex" in pattern and re.fullmatch(pattern["safe_regex"]["regex"], figure):
            return True
    return False


def test_what_is_read_of_a_listener_is_kept() -> None:
    figures = [f"{layer}.{LISTENER}.{name}" for layer, names in READ.items() for name in names]
    assert "http.0123456789abcdef0123456789abcdef.downstream_rq_5xx" in figures
    assert [each for each in figures if is_left_out(each)] == []


@pytest.mark.parametrize(
    "figure",
    [
        f"listener.{LISTENER}.downstream_cx_length_ms",
        f"listener.{LISTENER}.downstream_cx",
        f"listener.{LISTENER}.worker_0.downstream_cx_active",
        f"listener.{LISTENER}.http.{LISTENER}.downstream_rq_2xx",
        f"http.{LISTENER}.downstream_rq_total",
        f"http.{LISTENER}.tracing.random_sampling",
        f"cluster.{LISTENER}.upstream_cx_total",
        "cluster.uncounted.upstream_cx_overflow",
        f"extension_config_discovery.network_filter.{LISTENER}.config_reload",
    ],
)
def test_what_nobody_reads_of_a_listener_is_left_out(figure: str) -> None:
    assert is_left_out(figure)


def test_figures_of_envoy_itself_are_kept() -> None:
    assert not is_left_out("server.uptime")
