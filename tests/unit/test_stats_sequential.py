"""Confidence sequences: their formulas worked in another way, and the stopping rule."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize
from scipy import stats as sp

from qfast.errors import InvalidInput
from qfast.stats import PrecisionRule, anytime_bounded_mean, anytime_mean, anytime_share


@pytest.mark.parametrize(("hits", "n"), [(0, 8), (3, 8), (8, 8), (60, 200)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_share_ends_where_the_mixed_bet_has_won(hits: int, n: int, level: float) -> None:
    interval = anytime_share(hits, n, level=level).interval
    for end in (interval.low, interval.high):
        if end in (0.0, 1.0):
            continue
        # The gain of a bet mixed over Beta(1/2, 1/2) against p = end, by quadrature in angles.
        gain, _ = integrate.quad(
            lambda u, p=end: (math.sin(u) ** 2 / p) ** hits * (math.cos(u) ** 2 / (1 - p)) ** (n - hits) * 2 / math.pi,
            0,
            math.pi / 2,
            epsabs=1e-12,
        )
        assert gain == pytest.approx(1 / (1 - level), rel=1e-6)
    assert (interval.low == 0.0) == (hits == 0)
    assert (interval.high == 1.0) == (hits == n)


def test_share_of_many_agents_is_stable() -> None:
    wide, narrow = anytime_share(500, 1_000).interval, anytime_share(500_000, 1_000_000).interval
    assert narrow.half_width < wide.half_width / 20
    assert narrow.low + narrow.high == pytest.approx(1.0, abs=1e-9)


def test_mean_is_robbins_mixture() -> None:
    x = np.random.default_rng(0).exponential(size=500)

    def half(rho2: float, n: int = 500) -> float:
        return math.sqrt(2 * (n * rho2 + 1) / (n**2 * rho2) * math.log(math.sqrt(n * rho2 + 1) / 0.05))

    # The tuning is where the width at tune_at is smallest, found here by a search.
    best = optimize.minimize_scalar(lambda log: half(math.exp(log), 500), bounds=(-15, 5), method="bounded")
    found = anytime_mean(x, tune_at=500)
    assert found.value == pytest.approx(x.mean())
    assert found.interval.half_width == pytest.approx(x.std(ddof=1) * half(math.exp(best.x)), rel=1e-7)
    for tune_at in (50, 5000):
        assert anytime_mean(x, tune_at=tune_at).interval.half_width > found.interval.half_width


def test_mean_is_unbounded_before_the_first_look_and_without_spread() -> None:
    assert math.isinf(anytime_mean(np.arange(99.0)).interval.half_width)
    assert math.isfinite(anytime_mean(np.arange(100.0)).interval.half_width)
    assert math.isfinite(anytime_mean(np.arange(5.0), first_look=5).interval.half_width)
    flat = anytime_mean([6.0] * 1000)
    assert flat.value == 6.0
    assert "all 1000 scores are equal" in flat.interval.method
    assert math.isinf(flat.interval.half_width)


def naive_empirical_bernstein(x: list[float], alpha: float) -> tuple[float, float]:
    """The sequence agent by agent, as in the paper, on [0, 1]."""
    mean, variance, seen, squares = 0.5, 0.25, 0.5, 0.25
    bets = weighted = cost = 0.0
    for i, value in enumerate(x, start=1):
        bet = min(0.5, math.sqrt(2 * math.log(2 / alpha) / (variance * i * math.log(1 + i))))
        bets += bet
        weighted += bet * value
        cost += 4 * (value - mean) ** 2 * (-math.log(1 - bet) - bet) / 4
        seen += value
        mean = seen / (i + 1)
        squares += (value - mean) ** 2
        variance = squares / (i + 1)
    half = (math.log(2 / alpha) + cost) / bets
    return weighted / bets - half, weighted / bets + half


def test_bounded_mean_is_the_papers_recursion() -> None:
    x = np.random.default_rng(2).beta(2.0, 5.0, size=400)
    low, high = naive_empirical_bernstein(x.tolist(), 0.1)
    found = anytime_bounded_mean(10 * x - 3, (-3.0, 7.0), level=0.9)
    assert (found.interval.low, found.interval.high) == pytest.approx((10 * low - 3, 10 * high - 3), rel=1e-10)
    assert found.value == pytest.approx(10 * x.mean() - 3)


def test_bounded_mean_stays_within_its_bounds() -> None:
    interval = anytime_bounded_mean([1.0, 1.0], (0.0, 1.0)).interval
    assert (interval.low, interval.high) == (0.0, 1.0)


def look_until_done(rule: PrecisionRule, draw, block: int) -> tuple[int, list[bool]]:
    scores, done = np.empty(0), []
    while not done or not done[-1]:
        scores = np.append(scores, draw(block))
        look = rule.look(scores)
        assert look.n == scores.size
        assert look.narrow_enough == (look.estimate.interval.half_width <= rule.half_width)
        done.append(look.narrow_enough)
    return scores.size, done


@pytest.mark.parametrize(
    ("rule", "draw"),
    [
        (PrecisionRule(half_width=0.1), lambda rng, n: rng.normal(size=n)),
        (PrecisionRule(half_width=0.02, quantity="share"), lambda rng, n: rng.random(n) < 0.3),
        (PrecisionRule(half_width=0.05, bounds=(0.0, 1.0)), lambda rng, n: rng.random(n)),
        (PrecisionRule(half_width=0.05, bounds=(0.0, 9.0)), lambda rng, n: np.full(n, 6.0)),
    ],
)
def test_rule_stops_where_its_interval_is_narrow_and_is_reproducible(rule: PrecisionRule, draw) -> None:
    results = []
    for _ in range(2):
        rng = np.random.default_rng(4)
        results.append(look_until_done(rule, lambda n, rng=rng: draw(rng, n), 250))
    assert results[0] == results[1]
    assert results[0][1].count(True) == 1


def test_looking_often_costs_width() -> None:
    x = np.random.default_rng(5).normal(size=10_000)
    once = sp.norm.isf(0.025) * x.std(ddof=1) / 100
    assert anytime_mean(x).interval.half_width == pytest.approx(1.5485 * once, rel=1e-3)


def test_bad_rules_are_named() -> None:
    with pytest.raises(InvalidInput, match="half_width=0 is not above 0"):
        PrecisionRule(half_width=0)
    with pytest.raises(InvalidInput, match="quantity='median' is unknown"):
        PrecisionRule(half_width=1, quantity="median")
    with pytest.raises(InvalidInput, match=r"bounds=\(1, 0\) are not two finite numbers in order"):
        PrecisionRule(half_width=1, bounds=(1, 0))
    with pytest.raises(InvalidInput, match="leave them out"):
        PrecisionRule(half_width=1, quantity="share", bounds=(0, 1))
    with pytest.raises(InvalidInput, match="first_look="):
        PrecisionRule(half_width=1, first_look=1)
    with pytest.raises(InvalidInput, match="other values than 0 and 1"):
        PrecisionRule(half_width=1, quantity="share").look([0.5, 1.0])
    with pytest.raises(InvalidInput, match=r"scores\[1\]=2.0 is outside bounds"):
        anytime_bounded_mean([0.5, 2.0], (0.0, 1.0))
    with pytest.raises(InvalidInput, match="successes=3 is above n=2"):
        anytime_share(3, 2)
