"""What benchmarks make of many measurements."""

from benchmarks.measure import Summary, compared


def test_the_ratio_is_the_median_of_the_ratios_within_rounds() -> None:
    # The machine was slower from round to round; the ratio of the medians would be 2.
    rounds = [({"ms": one}, {"ms": other}) for one, other in ((1.0, 3.0), (2.0, 4.0), (100.0, 300.0))]
    assert compared(rounds) == {"ms": (2.0, 4.0, 3.0)}


def test_no_percentile_is_beyond_the_largest_value() -> None:
    summary = Summary.of([1.0, 2.0, 4.0])
    assert summary.median == 2.0
    assert summary.median < summary.p99 <= summary.most == 4.0
