"""Means, spreads, quantiles, shares and tolerance intervals: against hand counts and independent formulas."""

import importlib
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats as sp

from qfast.errors import InvalidInput, MissingExtra
from qfast.stats import (
    Interval,
    estimate_iqm,
    estimate_mean,
    estimate_quantile,
    estimate_share,
    estimate_std,
    performance_profile,
    seeds_for_width,
    summarize,
    tolerance_interval,
)

SCORES = np.random.default_rng(3).gamma(2.0, 3.0, size=57)


def test_mean_has_students_interval() -> None:
    x = np.random.default_rng(3).normal(2.0, 3.0, size=57)
    found = estimate_mean(x, level=0.9)
    low, high = sp.ttest_1samp(x, 0.0).confidence_interval(0.9)
    assert found.value == pytest.approx(x.mean(), rel=1e-14)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), rel=1e-12)
    assert (found.interval.level, found.interval.method, found.caution) == (0.9, "Student's t", "")


def test_mean_of_skewed_scores_has_halls_interval() -> None:
    # The ends are where the transformed t of the mean is the quantile: solved for by SciPy instead of by cube roots.
    n, s, g = SCORES.size, SCORES.std(ddof=1), sp.skew(SCORES)
    t = sp.t.ppf(0.975, n - 1)

    def transformed(mean: float) -> float:
        w = (SCORES.mean() - mean) / s
        return math.sqrt(n) * (w + g * w**2 / 3 + g**2 * w**3 / 27 + g / (6 * n))

    found = estimate_mean(SCORES).interval
    assert [transformed(found.low), transformed(found.high)] == pytest.approx([t, -t], rel=1e-9)
    assert "Hall" in found.method
    assert found.high - SCORES.mean() > SCORES.mean() - found.low


def test_mean_within_bounds_is_andersons() -> None:
    x, band = np.array([0.2, 0.4, 0.5, 0.9]), sp.ksone.isf(0.025, 4)
    grid = np.linspace(0.0, 1.0, 200_001)[1:] - 0.5e-5 / 2
    below = np.searchsorted(np.sort(x), grid, side="right") / 4
    found = estimate_mean(x, bounds=(0.0, 1.0)).interval
    # The mean is the integral of 1 - F over [0, 1].
    assert found.high == pytest.approx(1 - np.maximum(below - band, 0).mean(), abs=1e-4)
    assert found.low == pytest.approx(1 - np.minimum(below + band, 1).mean(), abs=1e-4)
    with pytest.raises(InvalidInput, match=r"scores\[3\]=0.9 is outside bounds"):
        estimate_mean(x, bounds=(0.0, 0.5))


def test_equal_scores_leave_room_for_others() -> None:
    others = 1 - 0.025 ** (1 / 20)
    assert others == pytest.approx(0.168, abs=5e-4)
    free = estimate_mean([1.0] * 20)
    assert (free.value, free.interval.low, free.interval.high) == (1.0, -math.inf, math.inf)
    assert "all 20 agents have this score; at 95 % at most 16.8 % of the population have another" in str(free)
    for scores, bounds in (([1.0] * 20, (0.0, 1.0)), ([True] * 20, None)):
        assert estimate_mean(scores, bounds=bounds).interval.low == pytest.approx(1 - others)
    within = estimate_mean([3.0] * 20, bounds=(0.0, 5.0)).interval
    assert (within.low, within.high) == pytest.approx((3 - 3 * others, 3 + 2 * others))
    assert estimate_std([1.0] * 20).interval == Interval(0.0, math.inf, 0.95, free.interval.method)


def test_two_values_have_exact_intervals() -> None:
    x = np.repeat([2.0, 7.0], [6, 24])
    ends = sp.binomtest(24, 30).proportion_ci(0.95, method="exact")
    mean, std = estimate_mean(x).interval, estimate_std(x).interval
    assert (mean.low, mean.high) == pytest.approx((2 + 5 * ends.low, 2 + 5 * ends.high))
    assert std.high == pytest.approx(5 * math.sqrt(ends.low * (1 - ends.low)))
    assert std.low == pytest.approx(5 * math.sqrt(ends.high * (1 - ends.high)))
    # One agent apart from all others may stand for others still farther out: no two values are taken for granted.
    assert "Clopper" not in estimate_mean([2.0] * 29 + [7.0]).interval.method
    assert estimate_mean([2.0] * 29 + [7.0]).caution


def test_iqm_with_ties_at_a_quartile_has_an_interval_that_holds() -> None:
    rng = np.random.default_rng(8)
    x = np.where(rng.random(1000) < 0.7, 0.0, rng.exponential(size=1000))
    band = sp.kstwo.isf(0.05, 1000)
    u = np.linspace(0.25, 0.75, 100_001)
    found = estimate_iqm(x).interval
    assert found.high == pytest.approx(np.quantile(x, u + band, method="inverted_cdf").mean(), abs=1e-4)
    assert found.low == pytest.approx(np.quantile(x, u - band, method="inverted_cdf").mean(), abs=1e-4)
    few = estimate_iqm([0.0, 0.0, 0.0, 1.0, 2.0, 2.0])
    assert "ties" in few.caution
    assert estimate_iqm(rng.normal(size=1000)).caution == ""


@pytest.mark.parametrize("draw", ["standard_t", "pareto"])
def test_heavy_tails_are_named(draw: str) -> None:
    x = getattr(np.random.default_rng(1), draw)(2.5, size=1000)
    assert "heavy tails" in estimate_std(x).caution
    assert "heavy tails" in seeds_for_width(x, 0.1).caution
    assert "heavy tails" in str(seeds_for_width(x, 0.1))
    assert estimate_std(np.random.default_rng(1).normal(size=1000)).caution == ""


def test_mean_of_four_by_hand() -> None:
    # Mean 5, variance 2/3, standard error sqrt(1/6), t_3 at 0.975 = 3.182446 (any printed table).
    interval = estimate_mean([4.0, 5.0, 6.0, 5.0]).interval
    assert interval.half_width == pytest.approx(3.182446 * math.sqrt(1 / 6), rel=1e-6)


def bonett(x: np.ndarray, z: float) -> tuple[float, float]:
    """Bonett 2006, written from the formula of the paper with plain sums."""
    n = len(x)
    ordered = sorted(x.tolist())
    cut = int(n / (2 * math.sqrt(n - 4)))
    middle = ordered[cut : n - cut]
    trimmed = sum(middle) / len(middle)
    mean = sum(ordered) / n
    squares = sum((v - mean) ** 2 for v in ordered)
    gamma4 = n * sum((v - trimmed) ** 4 for v in ordered) / squares**2
    c = n / (n - z)
    error = c * math.sqrt((gamma4 - (n - 3) / n) / (n - 1))
    return tuple(math.sqrt(math.exp(math.log(c * squares / (n - 1)) + sign * z * error)) for sign in (-1, 1))


@pytest.mark.parametrize("n", [5, 6, 8, 20, 57])
def test_std_has_bonetts_interval(n: int) -> None:
    found = estimate_std(SCORES[:n])
    assert found.value == pytest.approx(np.std(SCORES[:n], ddof=1), rel=1e-13)
    assert (found.interval.low, found.interval.high) == pytest.approx(bonett(SCORES[:n], 1.959963984540054), rel=1e-9)


def test_std_does_not_overflow() -> None:
    assert estimate_std(SCORES * 1e90).interval.high == pytest.approx(1e90 * estimate_std(SCORES).interval.high)


def test_iqm_is_the_mean_of_the_middle_half() -> None:
    assert estimate_iqm(range(8)).value == pytest.approx(np.mean([2, 3, 4, 5]))
    # n = 10: floor(10 / 4) = 2 agents are cut from either end.
    assert estimate_iqm([0, 1, 2, 3, 4, 5, 6, 7, 8, 900]).value == pytest.approx(np.mean([2, 3, 4, 5, 6, 7]))


def test_iqm_interval_by_the_winsorised_variance() -> None:
    x = np.sort(SCORES[:40])
    winsorised = np.clip(x, x[10], x[29])
    half = sp.t.ppf(0.975, 40 - 20 - 1) * winsorised.std(ddof=1) / (0.5 * math.sqrt(40))
    assert estimate_iqm(SCORES[:40]).interval.half_width == pytest.approx(half, rel=1e-12)


def test_iqm_agrees_with_rliable() -> None:
    metrics = pytest.importorskip("rliable.metrics")
    assert estimate_iqm(SCORES).value == pytest.approx(metrics.aggregate_iqm(SCORES[:, None]), rel=1e-12)


@pytest.mark.parametrize("p", [0.05, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("n", [6, 20, 99, 1000])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_quantile_interval_is_exact_for_the_binomial(n: int, p: float, level: float) -> None:
    # With scores 1..n the ends are the ranks l and u themselves.
    interval = estimate_quantile(np.arange(1, n + 1), p, level=level).interval
    below = sp.binom(n, p)
    tail = (1 - level) / 2
    if math.isfinite(interval.low):
        rank = int(interval.low)
        assert below.cdf(rank - 1) <= tail < below.cdf(rank)
    else:
        assert below.cdf(0) > tail
    if math.isfinite(interval.high):
        rank = int(interval.high)
        assert below.sf(rank - 1) <= tail < below.sf(rank - 2)
    else:
        assert below.sf(n - 1) > tail


def test_median_interval_of_a_hundred() -> None:
    # Conover's table: ranks 40 and 61 for n = 100.
    assert estimate_quantile(range(1, 101), 0.5).interval == Interval(40.0, 61.0, 0.95, "order statistics")


@pytest.mark.parametrize(("content", "confidence", "first"), [(0.9, 0.9, 38), (0.9, 0.95, 46), (0.95, 0.95, 93)])
def test_tolerance_needs_wilks_number_of_agents(content: float, confidence: float, first: int) -> None:
    # Wilks 1941: 1 - n b^(n-1) + (n-1) b^n reaches the confidence first at these n.
    few = tolerance_interval(np.arange(first - 1), content=content, confidence=confidence)
    enough = tolerance_interval(np.arange(first), content=content, confidence=confidence)
    assert (few.low, few.high) == (-math.inf, math.inf)
    assert (enough.low, enough.high) == (0.0, first - 1.0)


@pytest.mark.parametrize("n", [46, 100, 1000, 10_000])
def test_tolerance_interval_is_the_narrowest_symmetric_one(n: int) -> None:
    low = int(tolerance_interval(np.arange(n)).low)
    # r = low + 1 agents lie at or beyond each end: the share between is Beta(n + 1 - 2r, 2r).
    assert sp.beta.sf(0.9, n + 1 - 2 * (low + 1), 2 * (low + 1)) >= 0.95
    assert sp.beta.sf(0.9, n + 1 - 2 * (low + 2), 2 * (low + 2)) < 0.95


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (3, 10), (10, 10), (9_000, 10_000)])
def test_share_has_clopper_and_pearsons_interval(hits: int, n: int) -> None:
    low, high = sp.binomtest(hits, n).proportion_ci(0.95, method="exact")
    interval = estimate_share(hits, n).interval
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)


def test_equal_scores_have_no_spread_whatever_rounding_says() -> None:
    summary = summarize([0.1] * 1000)
    assert (summary.mean.value, summary.std.value, summary.standard_error) == (0.1, 0.0, 0.0)
    assert math.isinf(summary.mean.interval.half_width)
    # At most 0.4 % have another score: the middle half has this one.
    assert summary.iqm.interval.half_width == 0.0
    assert "all 1,000 agents have this score" in summary.mean.interval.method


@pytest.mark.parametrize("n", [1, 2, 4])
def test_too_few_agents_give_an_unbounded_interval(n: int) -> None:
    x = np.arange(float(n)) + 5
    assert math.isinf(estimate_quantile(x, 0.5).interval.half_width)
    assert math.isinf(tolerance_interval(x).high)
    if n == 1:
        assert math.isinf(estimate_mean(x).interval.half_width)
        assert math.isinf(estimate_iqm(x).interval.half_width)
    else:
        assert estimate_std(x).interval.low == 0.0
        assert math.isinf(estimate_std(x).interval.high)


@given(
    hnp.arrays(np.float64, st.integers(2, 60), elements=st.integers(-50, 50).map(float)),
    st.floats(0.5, 0.99),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_summary_is_consistent(scores: np.ndarray, level: float, random: object) -> None:
    summary = summarize(scores, level=level)
    for estimate in (summary.mean, summary.std, summary.median, summary.iqm, *(q.estimate for q in summary.quantiles)):
        assert estimate.value in estimate.interval
        assert estimate.interval.level == level
    # Neither the order of the agents nor the unit of the scores matters.
    random.shuffle(shuffled := scores.tolist())
    assert summarize(shuffled, level=level) == summary
    scaled = summarize(4 * scores, level=level, at_least=4.0 * summary.at_least if summary.at_least else None)
    assert scaled.std.value == pytest.approx(4 * summary.std.value, rel=1e-9)
    assert scaled.median.value == pytest.approx(4 * summary.median.value)
    assert (scaled.share is None) == (summary.share is None)


def test_share_of_a_bar_and_of_booleans() -> None:
    assert summarize([1.0, 2.0, 3.0, 6.0], at_least=3.0).share == estimate_share(2, 4)
    assert summarize([True, False, True]).share == estimate_share(2, 3)
    assert summarize([1.0, 2.0, 3.0]).share is None


def test_row_of_a_table_holds_every_number() -> None:
    summary = summarize(SCORES, at_least=5.0, quantiles=(0.1,))
    row = summary.as_dict()
    assert row["q10"] == summary.quantiles[0].estimate.value
    assert row["share_high"] == summary.share.interval.high
    assert row["tolerance_low"] == summary.tolerance.low
    assert len(row) == 3 + 3 * 6 + 2
    assert "spread over agents" in str(summary)


def test_performance_profile_counts_strictly_above_and_its_band_is_massarts() -> None:
    profile = performance_profile([1.0, 2.0, 2.0, 6.0] * 100)
    assert profile.thresholds.tolist() == [1.0, 2.0, 6.0]
    assert profile.share.tolist() == [0.75, 0.25, 0.0]
    half = math.sqrt(math.log(40) / 800)
    assert profile.high == pytest.approx(profile.share + half)
    assert profile.low == pytest.approx(np.maximum(profile.share - half, 0))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[1.0, 2.0]], r"shape \(1, 2\), not \(n_agents,\)"),
        (["a", "b"], "dtype <U1"),
        ([], "0 agents, fewer than the 2 needed"),
        ([[1.0], [1.0, 2.0]], "is not an array"),
    ],
)
def test_bad_scores_are_named(scores: list, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        summarize(scores)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, math.nan, True, "0.95"])
def test_bad_levels_are_named(level: object) -> None:
    for call in (summarize, estimate_mean, estimate_std, estimate_iqm, performance_profile):
        with pytest.raises(InvalidInput, match="level="):
            call([1.0, 2.0, 3.0], level=level)


def test_other_bad_options_are_named() -> None:
    with pytest.raises(InvalidInput, match="successes=11 is above n=10"):
        estimate_share(11, 10)
    with pytest.raises(InvalidInput, match=r"n=2\.5 is not a whole number"):
        estimate_share(1, 2.5)
    with pytest.raises(InvalidInput, match=r"successes=\[1, 2\] is not a whole number"):
        estimate_share([1, 2], 3)
    with pytest.raises(InvalidInput, match="n=0 is not a whole number of at least 1"):
        estimate_share(0, 0)
    with pytest.raises(InvalidInput, match="at_least=nan"):
        summarize([1.0, 2.0], at_least=math.nan)
    with pytest.raises(InvalidInput, match=r"low=2.0 is not at most high=1.0"):
        Interval(2.0, 1.0, 0.95, "none")
    with pytest.raises(InvalidInput, match="content="):
        tolerance_interval([1.0, 2.0], content=1.5)
    with pytest.raises(InvalidInput, match="quantiles="):
        summarize([1.0, 2.0], quantiles=(0.5, 2.0))


def test_missing_scipy_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.split(".")[:2] == ["qfast", "stats"]]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(MissingExtra, match=r'scipy.stats is not installed; .* pip install "qfast\[study\]"'):
        importlib.import_module("qfast.stats")
