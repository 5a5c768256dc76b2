"""How many agents: published sample sizes, and the condition itself at n and at n - 1."""

import math

import numpy as np
import pytest
from scipy import stats as sp

from qfast.errors import InvalidInput
from qfast.stats import estimate_share, seeds_for_power, seeds_for_width, selection_bias, winner

STANDARD = sp.norm.ppf((np.arange(2000) + 0.5) / 2000)
STANDARD = STANDARD / STANDARD.std(ddof=1)


@pytest.mark.parametrize(("d", "power", "n"), [(0.1, 0.8, 1571), (0.2, 0.8, 394), (0.5, 0.8, 64), (0.8, 0.8, 26)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_sizes_of_two_groups_from_the_tables(d: float, power: float, n: int, sign: int) -> None:
    # statsmodels.stats.power.TTestIndPower gives 1570.7, 393.4, 63.8, 25.5 (as does G*Power).
    assert seeds_for_power(STANDARD + sign * d, STANDARD, paired=False, power=power).n == n


@pytest.mark.parametrize(("d", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_sizes_of_pairs_from_the_tables(d: float, n: int) -> None:
    # The one-sample t-test: G*Power gives 199, 34, 15 for a power of 0.8.
    assert seeds_for_power(STANDARD + d, np.zeros(2000), paired=True).n == n


def test_range_comes_from_the_populations() -> None:
    found = seeds_for_power(STANDARD + 0.5, STANDARD, paired=False)
    assert found.n_low < found.n < found.n_high
    small = seeds_for_power(STANDARD[::40] + 0.2, STANDARD[::40], paired=False)
    assert small.n_high is None
    assert "no number of" in str(small)


def test_equal_means_need_no_finite_number_and_constants_two() -> None:
    assert seeds_for_power(STANDARD, STANDARD, paired=False).n is None
    assert seeds_for_power([3.0, 3.0], [2.0, 2.0], paired=False).n == 4  # 2 / C(8, 4) = 0.03
    assert seeds_for_power([3.0, 3.0], [2.0, 2.0], paired=True).n == 6  # 2 / 2^6 = 0.03
    # Very close means: more than any float can count is None as well, and is found at once.
    assert seeds_for_power(STANDARD + 1e-9, STANDARD, paired=False).n is None
    assert seeds_for_power(STANDARD + 1e-4, STANDARD, paired=False).n == pytest.approx(1.5698e9, rel=1e-3)


@pytest.mark.parametrize("width", [0.5, 0.1, 0.01])
def test_width_of_a_mean_is_reached_at_n_and_not_before(width: float) -> None:
    n = seeds_for_width(STANDARD, width, level=0.9).n
    halves = [sp.t.ppf(0.95, m - 1) / math.sqrt(m) for m in (n - 1, n)]
    assert halves[1] <= width < halves[0]


@pytest.mark.parametrize("hits", [0, 3, 50, 100])
@pytest.mark.parametrize("width", [0.2, 0.05, 0.004])
def test_width_of_a_share_is_reached_at_n_and_not_before(hits: int, width: float) -> None:
    found = seeds_for_width([1] * hits + [0] * (100 - hits), width, quantity="share")

    def half(n: int) -> float:
        # The share need not be a whole number of n agents: quantiles of beta distributions.
        k = hits / 100 * n
        low = sp.beta.ppf(0.025, k, n - k + 1) if k else 0.0
        return ((sp.beta.ppf(0.975, k + 1, n - k) if k < n else 1.0) - low) / 2

    assert half(found.n) <= width < half(found.n - 1)
    assert found.n_low <= found.n <= found.n_high
    if hits == 50:
        exact = estimate_share(found.n // 2, found.n - found.n % 2).interval.half_width
        assert exact == pytest.approx(width, rel=0.02)


def test_no_spread_needs_two_agents() -> None:
    found = seeds_for_width([6.0] * 50, 0.1)
    assert (found.n, found.n_high) == (2, None)


def test_widths_near_the_largest_float() -> None:
    small, large = (seeds_for_width(unit * STANDARD, 0.1 * unit) for unit in (1.0, 2.0**1020))
    assert (large.n, large.n_low, large.n_high) == (small.n, small.n_low, small.n_high)


def test_small_pilot_has_no_upper_end() -> None:
    assert seeds_for_width([1.0, 2.0, 4.0], 0.1).n_high is None


def test_bad_input_is_named() -> None:
    for width in (0, -1.0, math.nan, math.inf, "1"):
        with pytest.raises(InvalidInput, match="half_width="):
            seeds_for_width(STANDARD, width)
    with pytest.raises(InvalidInput, match="quantity='median' is unknown"):
        seeds_for_width(STANDARD, 0.1, quantity="median")
    with pytest.raises(InvalidInput, match="other values than 0 and 1"):
        seeds_for_width(STANDARD, 0.1, quantity="share")
    with pytest.raises(InvalidInput, match=r"power=1.0 is outside \(0, 1\)"):
        seeds_for_power(STANDARD, STANDARD + 1, paired=False, power=1.0)


def test_winner_and_its_bias() -> None:
    assert winner([[1.0, 3.0], [2.0, 2.0], [0.0, 1.0]]) == 0
    assert winner([[1.0, 3.0], [2.0, 2.0], [0.0, 1.0]], higher_is_better=False) == 2
    found = selection_bias(STANDARD + 1.25, STANDARD + 1.0)
    assert found.bias.value == pytest.approx(0.25)
    assert found.bias.value == pytest.approx(found.selected.value - found.fresh.value)
    assert "fresh seeds" in str(found)
    assert found.standardised.value == pytest.approx(0.25)
    assert found.seen


def test_a_bias_that_is_not_seen_is_not_said_to_be_absent() -> None:
    # The best of 50 equal settings of 200 agents is flattered by 0.16 standard deviations; its interval holds 0.
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(50, 200))
    found = selection_bias(scores[scores.mean(axis=1).argmax()], rng.normal(size=200))
    assert not found.seen
    # Welch's test with 200 of each finds a difference of 0.28 standard deviations with power 0.8.
    assert found.detectable == pytest.approx(2.8 * math.sqrt(2 / 200), rel=0.1)
    assert f"a bias below {found.detectable:.3g} would be missed" in str(found)
