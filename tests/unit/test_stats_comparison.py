"""Two populations: difference, probability of improvement, effect size, tests and their correction."""

import math

import numpy as np
import pytest
from scipy import stats as sp

from qfast.errors import InvalidInput
from qfast.stats import compare, correct, effect_size, probability_of_improvement
from qfast.stats.interval import share_interval
from qfast.text import p_text

RNG = np.random.default_rng(11)
A, B = RNG.gamma(2.0, 2.0, 40).round(), RNG.gamma(2.0, 1.5, 40).round()


def test_difference_is_scipys_welch_test() -> None:
    found, expected = compare(A, B[:30], paired=False), sp.ttest_ind(A, B[:30], equal_var=False)
    low, high = expected.confidence_interval(0.95)
    assert found.difference.value == pytest.approx(A.mean() - B[:30].mean())
    assert (found.difference.interval.low, found.difference.interval.high) == pytest.approx((low, high))
    assert (found.p_value, found.test) == (pytest.approx(expected.pvalue), "Welch's t-test")


def test_paired_difference_is_scipys_paired_test() -> None:
    found, expected = compare(A, B, paired=True, level=0.9), sp.ttest_rel(A, B)
    low, high = expected.confidence_interval(0.9)
    assert (found.difference.interval.low, found.difference.interval.high) == pytest.approx((low, high))
    assert (found.p_value, found.test) == (pytest.approx(expected.pvalue), "paired t-test")


def test_pairing_narrows_the_interval_of_populations_that_move_together() -> None:
    luck = RNG.normal(size=200)
    a, b = luck + 0.1 * RNG.normal(size=200), luck + 0.1 * RNG.normal(size=200)
    paired, independent = (compare(a, b, paired=p).difference.interval.half_width for p in (True, False))
    assert paired < independent / 4


def test_probability_of_improvement_counts_all_pairs() -> None:
    counted = np.mean([(x > y) + (x == y) / 2 for x in A for y in B[:30]])
    found = probability_of_improvement(A, B[:30])
    assert found.value == pytest.approx(counted, rel=1e-14)
    assert found.value == pytest.approx(sp.mannwhitneyu(A, B[:30]).statistic / (40 * 30))
    turned = probability_of_improvement(A, B[:30], higher_is_better=False)
    assert turned.value == pytest.approx(1 - counted)
    assert turned.interval.low == pytest.approx(1 - found.interval.high)


def test_probability_of_improvement_agrees_with_rliable() -> None:
    metrics = pytest.importorskip("rliable.metrics")
    expected = metrics.probability_of_improvement(A[:, None], B[:30, None])
    assert probability_of_improvement(A, B[:30]).value == pytest.approx(expected)


def test_its_standard_error_is_brunner_and_munzels() -> None:
    # The test statistic is (p - 1/2) / error; SciPy computes it from ranks, another way.
    found = probability_of_improvement(A, B)
    expected = sp.brunnermunzel(B, A)
    p, interval = found.value, found.interval
    logit = [math.log(end / (1 - end)) for end in (interval.low, interval.high)]
    half_on_probability = (logit[1] - logit[0]) / 2 * p * (1 - p)
    error = (p - 0.5) / float(expected.statistic)
    freedom = half_on_probability / error
    # freedom here is the t quantile; turn it into the p-value of the statistic with the same degrees.
    candidates = np.linspace(20, 78, 20_001)
    quantiles = sp.t.isf(0.025, candidates)
    degrees = candidates[np.argmin(np.abs(quantiles - freedom))]
    assert 2 * sp.t.sf(abs(expected.statistic), degrees) == pytest.approx(expected.pvalue, rel=1e-3)


def test_separated_populations_get_the_exact_bound() -> None:
    found = probability_of_improvement(np.arange(10) + 100, np.arange(15))
    assert found.value == found.interval.high == 1.0
    # 10 disjoint pairs all won: P = p^10, and 0.025 at the end.
    assert found.interval.low**10 == pytest.approx(0.025)
    assert probability_of_improvement(np.arange(15), np.arange(10) + 100).interval.low == 0.0


def test_populations_of_one_score_are_a_tie_not_a_certainty() -> None:
    found = probability_of_improvement([6.0] * 20, [6.0] * 20)
    assert found.value == 0.5
    assert 0.4 < found.interval.low < 0.5 < found.interval.high < 0.6


def test_same_seed_without_ties_is_wilson() -> None:
    a = np.array([1.0] * 30 + [0.0] * 10)
    interval = probability_of_improvement(a, np.full(40, 0.5), paired=True).interval
    low, high = sp.binomtest(30, 40).proportion_ci(0.95, method="wilson")
    assert (interval.low, interval.high) == pytest.approx((low, high))


def test_wilsons_interval_of_many_shares_at_once() -> None:
    hits = np.array([0, 3, 10])
    low, high = share_interval(hits / 10, 10, level=0.9)
    expected = [sp.binomtest(k, 10).proportion_ci(0.9, method="wilson") for k in hits.tolist()]
    assert low == pytest.approx([e.low for e in expected], abs=1e-15)
    assert high == pytest.approx([e.high for e in expected])
    assert (low[0], high[-1]) == (0.0, 1.0)


def test_same_seed_all_ties_narrows_with_n() -> None:
    widths = [probability_of_improvement(np.ones(n), np.ones(n), paired=True).interval.half_width for n in (10, 1000)]
    z2 = 1.959963984540054**2
    assert widths == pytest.approx([z2 / (2 * (n + z2)) for n in (10, 1000)])


def test_effect_size_is_cohens_d_and_does_not_depend_on_pairing() -> None:
    d = (A.mean() - B.mean()) / math.sqrt((A.var(ddof=1) + B.var(ddof=1)) / 2)
    assert effect_size(A, B).value == pytest.approx(d)
    assert effect_size(A, B, paired=True).value == pytest.approx(d)
    assert effect_size(B, A).value == pytest.approx(-d)
    assert "Cohen's d" in effect_size(A, B).interval.method


def test_effect_size_interval_is_the_jackknifes_in_the_limit() -> None:
    a, b = RNG.normal(0.4, 1, 400), RNG.exponential(2, 400)
    leave_out = [effect_size(np.delete(a, i), b).value for i in range(400)]
    other = [effect_size(a, np.delete(b, i)).value for i in range(400)]
    variance = 399 * (np.var(leave_out) + np.var(other))
    assert effect_size(a, b).interval.half_width == pytest.approx(1.96 * math.sqrt(variance), rel=0.02)
    both = [effect_size(np.delete(a, i), np.delete(b, i), paired=True).value for i in range(400)]
    half = 1.96 * math.sqrt(399 * np.var(both))
    assert effect_size(a, b, paired=True).interval.half_width == pytest.approx(half, rel=0.02)


@pytest.mark.parametrize(("paired", "p_value"), [(False, 2 / math.comb(10, 5)), (True, 2 / 2**5)])
def test_no_spread_at_all(paired: bool, p_value: float) -> None:
    equal, other = compare([2.0] * 5, [2.0] * 5, paired=paired), compare([3.0] * 5, [2.0] * 5, paired=paired)
    assert (equal.p_value, equal.difference.value, equal.better, equal.ahead) == (1.0, 0.0, None, None)
    assert (other.p_value, other.difference.value, other.ahead) == (pytest.approx(p_value), 1.0, "a")
    assert other.better == (None if paired else "a")
    assert other.probability_of_improvement.value == 1.0
    for found in (equal, other):
        # Five agents leave room for almost anything else.
        assert math.isinf(found.difference.interval.half_width)
        assert not found.effect_size.defined
        assert found.effect_size.reason == "not defined: no spread over agents to divide by"


@pytest.mark.parametrize("paired", [False, True])
def test_two_against_two_prove_nothing(paired: bool) -> None:
    found = compare([1.0, 1.0], [0.0, 0.0], paired=paired)
    assert found.p_value == pytest.approx(0.5 if paired else 1 / 3)
    assert found.better is None
    assert 0.0 in found.difference.interval
    assert (found.difference.interval.high, found.effect_size.defined) == (1.0, False)


def test_two_seeds_and_a_coin_reject_in_no_more_than_they_should() -> None:
    for n in (2, 3, 5):
        rejected = 0.0
        for i, j in np.ndindex(n + 1, n + 1):
            x, y = np.repeat([1.0, 0.0], [i, n - i]), np.repeat([1.0, 0.0], [j, n - j])
            weight = sp.binom.pmf(i, n, 0.5) * sp.binom.pmf(j, n, 0.5)
            rejected += weight * (compare(x, y, paired=False).p_value < 0.05)
        assert rejected <= 0.05


def test_two_values_are_compared_by_exact_tests() -> None:
    a, b = np.repeat([7.0, 2.0], [18, 12]), np.repeat([7.0, 2.0], [9, 21])
    found = compare(a, b, paired=False)
    assert (found.p_value, found.test) == (sp.fisher_exact([[18, 12], [9, 21]]).pvalue, "Fisher's exact test")
    ends = [sp.binomtest(k, 30).proportion_ci(0.95, method="exact") for k in (18, 9)]
    below = math.hypot(0.6 - ends[0].low, ends[1].high - 0.3)
    assert found.difference.value == pytest.approx(5 * 0.3)
    assert found.difference.interval.low == pytest.approx(5 * (0.3 - below))
    pairs = compare(a, b, paired=True)
    assert (pairs.p_value, pairs.test) == (sp.binomtest(9, 9).pvalue, "McNemar's exact test")
    assert pairs.difference.value == pytest.approx(1.5)


def test_the_verdict_and_what_decided() -> None:
    found = compare(A + 3, B, paired=False)
    assert (found.better, found.ahead) == ("a", "a")
    assert found.why.startswith("Welch's t-test, p ")
    assert found.why.endswith("< 0.05")
    assert compare(A + 3, B, paired=False, higher_is_better=False).better == "b"
    close = compare(A + 0.01, A, paired=False)
    assert (close.better, close.ahead) == (None, "a")
    assert ">= 0.05" in close.why


@pytest.mark.parametrize("paired", [False, True])
def test_near_the_largest_float(paired: bool) -> None:
    unit = 2.0**1021
    x, y = np.array([1.0, 2.5, 3.0, 3.5, 1.5]), np.array([-3.0, -1.0, -2.0, -3.5, -2.5])
    found, small = compare(unit * x, unit * y, paired=paired), compare(x, y, paired=paired)
    assert (found.better, found.p_value) == (small.better, pytest.approx(small.p_value)) == ("a", found.p_value)
    assert found.effect_size.value == pytest.approx(small.effect_size.value)
    assert found.difference.value == unit * small.difference.value  # 4.8 * 2^1021 is still a float
    assert found.difference.interval.high == pytest.approx(unit * small.difference.interval.high)
    beyond = compare([1.7e308] * 3 + [1.6e308], [-1.7e308] * 3 + [-1.6e308], paired=paired)
    # No float can hold the difference; which mean is higher, and how surely, is known all the same.
    assert (beyond.difference.defined, beyond.ahead) == (False, "a")
    assert (beyond.better, beyond.why) == ("a", f"{beyond.test}, p {p_text(beyond.p_value)} < 0.05")
    assert "not defined: it is beyond the range of float64; divide the scores by a large number" in str(beyond)
    other = compare([-1.7e308] * 3 + [-1.6e308], [1.7e308] * 3 + [1.6e308], paired=paired, higher_is_better=False)
    assert (other.better, other.p_value) == ("a", beyond.p_value)
    tiny = compare(x * 1e-300, y * 1e-300, paired=paired)
    assert tiny.p_value == pytest.approx(small.p_value)


def test_one_population_without_spread_is_welchs_limit() -> None:
    # SciPy gives the same numbers and a warning of lost precision; a warning would fail here.
    found = compare(A, [2.0] * 30, paired=False)
    expected = sp.ttest_1samp(A, 2.0)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.difference.interval.high == pytest.approx(expected.confidence_interval(0.95).high - 2.0)
    assert found.difference.caution == "all 30 scores of b are equal: its own spread is not known"


def test_comparison_prints_on_one_screen() -> None:
    text = str(compare(A, B, paired=True))
    assert len(text.splitlines()) == 6
    assert "paired t-test" in text


def test_holm_and_the_false_discovery_rates() -> None:
    # Worked by hand: (m - i + 1) p_(i), then the running maximum.
    assert correct([0.03, 0.01, 0.02, 0.05, 0.04]) == pytest.approx([0.09, 0.05, 0.08, 0.09, 0.09])
    assert correct([0.5, 0.9]).tolist() == [1.0, 1.0]
    bh = correct([0.03, 0.01, 0.02, 0.05, 0.04], method="benjamini-hochberg")
    assert bh == pytest.approx([0.05] * 5)
    by = correct([0.01, 0.2], method="benjamini-yekutieli")
    assert by == pytest.approx([0.03, 0.3])


def test_holm_agrees_with_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = RNG.random(50) ** 3
    assert correct(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])


def test_bad_input_is_named() -> None:
    with pytest.raises(InvalidInput, match="a has 40 agents and b 30, but paired=True"):
        compare(A, B[:30], paired=True)
    with pytest.raises(InvalidInput, match="b has 1 agents, fewer than the 2 needed"):
        compare(A, [1.0], paired=False)
    # A test that could not be made counts for nothing.
    assert correct([0.01, math.nan, 0.04]) == pytest.approx([0.02, math.nan, 0.04], nan_ok=True)
    assert np.isnan(correct([math.nan], method="benjamini-hochberg")).all()
    with pytest.raises(InvalidInput, match=r"p_values holds 1\.5"):
        correct([0.1, 1.5])
    with pytest.raises(InvalidInput, match="method='bonferroni' is unknown; use one of 'holm'"):
        correct([0.1], method="bonferroni")
