"""Which metrics Envoy keeps: of each listener those that `equipoise.node.telemetry` reads, and those of itself, whose
number does not grow. Pure.

All the others would cost some 100 KiB of memory for each listener. They are named by what they are not, since what
Envoy is told to leave out by the beginning of the name costs it the least: it neither spells the name nor remembers it.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from equipoise.backends.envoy.build.names import UNCOUNTED
from equipoise.core.traffic import RESPONSE_TIMES

READ: Final[Mapping[str, Collection[str]]] = {
    "listener": (
        "downstream_cx_active",
        "downstream_cx_total",
        "downstream_cx_overflow",
        "downstream_global_cx_overflow",
        "downstream_cx_overload_reject",
    ),
    "tcp": ("downstream_cx_rx_bytes_total", "downstream_cx_tx_bytes_total"),
    "http": (
        "downstream_cx_total",
        "downstream_cx_rx_bytes_total",
        "downstream_cx_tx_bytes_total",
        "downstream_rq_active",
        *(f"downstream_rq_{digit}xx" for digit in range(1, 6)),
        "downstream_rq_time",
    ),
    "udp": (
        "downstream_sess_active",
        "downstream_sess_total",
        "downstream_sess_rx_bytes",
        "downstream_sess_tx_bytes",
    ),
    "cluster": ("upstream_cx_overflow",),
}
"""By the layer that counts them; what ends like these and is kept again for each worker thread is not among them."""

_NEVER_READ: Final = (f"cluster.{UNCOUNTED}.", "extension_config_discovery.", "sds.")


def statistics() -> dict[str, Any]:
    """Return the part of the bootstrap that says which metrics are kept, and in which steps times are counted."""
    patterns = [f"{layer}[.][0-9a-f]{{32}}[.]{other_than(names)}" for layer, names in READ.items()]
    never = [{"prefix": prefix} for prefix in _NEVER_READ]
    return {
        "stats_matcher": {"exclusion_list": {"patterns": [*never, {"safe_regex": {"regex": "|".join(patterns)}}]}},
        "histogram_bucket_settings": [{"match": {"suffix": ".downstream_rq_time"}, "buckets": list(RESPONSE_TIMES)}],
        # A name then stays what it is, which costs less than to take the ids out of it.
        "use_all_default_tags": False,
    }


def other_than(words: Collection[str]) -> str:
    """Return a pattern for every text but these words of letters, digits and underscores.

    Envoy's patterns cannot say "not". So it is said for each beginning of a word how a text may go on otherwise.
    """
    continued: dict[str, list[str]] = {}
    for word in words:
        if word:
            continued.setdefault(word[0], []).append(word[1:])
    otherwise = [f"[^{''.join(continued)}].*" if continued else ".+"]
    if "" not in words:
        otherwise.append("")
    return f"(?:{'|'.join([*otherwise, *(first + other_than(rest) for first, rest in continued.items())])})"
