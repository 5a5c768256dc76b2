"""Does a confidence sequence hold the truth at all looks at once?

Worked out exactly for shares; counted for means, with fixed seeds and a false alarm of 1 in 10,000 for
another choice of them (see test_coverage.py).
"""

import numpy as np
import pytest
from scipy import stats as sp

from qfast.stats import PrecisionRule, anytime_bounded_mean, anytime_mean, anytime_share, estimate_mean

FALSE_ALARM = 1e-4


@pytest.fixture(params=[pytest.param(200, id="quick"), pytest.param(4000, id="long", marks=pytest.mark.long)])
def n_studies(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def assert_at_least(hits: int, n_studies: int, level: float) -> None:
    assert hits >= sp.binom.ppf(FALSE_ALARM, n_studies, level), f"{hits} of {n_studies} hold the truth at all looks"


def ever_missed(p: float, level: float, n_max: int) -> float:
    """Exact probability that the sequence of a share misses p at some n up to n_max: walk over all counts."""
    alive, missed, first, last = np.array([1.0]), 0.0, 0, 0
    for n in range(1, n_max + 1):
        alive = np.append(alive * (1 - p), 0.0) + np.append(0.0, alive * p)
        # The counts whose interval holds p are first..last; neither end moves back as n grows.
        while anytime_share(first, n, level=level).interval.high < p:
            first += 1
        while last < n and anytime_share(last + 1, n, level=level).interval.low <= p:
            last += 1
        outside = np.ones(n + 1, dtype=bool)
        outside[first : last + 1] = False
        missed += float(alive[outside].sum())
        alive[outside] = 0.0
    return missed


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("n_max", [300, pytest.param(5000, marks=pytest.mark.long)])
def test_share_is_missed_at_no_look_but_for_alpha(p: float, n_max: int) -> None:
    missed = ever_missed(p, 0.95, n_max)
    assert 0.0 < missed <= 0.05
    # It is not idle either: an interval for one look would be missed about ten times as often.
    assert missed > 0.01


LAWS = {
    "normal": (lambda rng, size: rng.normal(size=size), 0.0),
    "skewed": (lambda rng, size: rng.exponential(size=size), 1.0),
    "rare success": (lambda rng, size: (rng.random(size) < 0.05) * 1.0, 0.05),
}


@pytest.mark.parametrize("name", LAWS)
def test_mean_is_held_at_every_look(name: str, n_studies: int) -> None:
    draw, mean = LAWS[name]
    rng = np.random.default_rng(201)
    looks = np.unique(np.geomspace(100, 20_000, 120).astype(int) // 2 * 2)
    # The half-width for a spread of 1, from the function itself; it is proportional to the spread.
    unit = np.array([anytime_mean(np.tile([1.0, -1.0], n // 2)).interval.high * np.sqrt((n - 1) / n) for n in looks])
    once = sp.norm.isf(0.025) / np.sqrt(looks)
    held = held_once = 0
    for _ in range(n_studies):
        x = draw(rng, int(looks[-1])) - mean
        average = np.cumsum(x)[looks - 1] / looks
        spread = np.sqrt(np.maximum(np.cumsum(x * x)[looks - 1] / looks - average**2, 0) * looks / (looks - 1))
        held += bool((np.abs(average) <= spread * unit).all())
        held_once += bool((np.abs(average) <= spread * once).all())
    assert_at_least(held, n_studies, 0.95)
    # The interval for one look, looked at each time, is misled in a third of the studies or more.
    assert held_once < 0.7 * n_studies


@pytest.mark.parametrize("p", [0.05, 0.5])
def test_bounded_mean_is_held_at_every_look(p: float, n_studies: int) -> None:
    rng = np.random.default_rng(202)
    held = 0
    for _ in range(n_studies):
        x = rng.beta(2 * p, 2 * (1 - p), size=1000)
        held += all(p in anytime_bounded_mean(x[:n], (0.0, 1.0)).interval for n in range(10, 1001, 45))
    assert_at_least(held, n_studies, 0.95)


def test_the_interval_where_the_rule_stops_holds_the_mean(n_studies: int) -> None:
    rng = np.random.default_rng(203)
    rule = PrecisionRule(half_width=0.15, tune_at=1000)
    held = 0
    for _ in range(n_studies):
        x = rng.exponential(size=4000)
        look = next(look for n in range(100, 4001, 100) if (look := rule.look(x[:n])).narrow_enough)
        held += 1.0 in look.estimate.interval
    assert_at_least(held, n_studies, 0.95)


def test_stopping_when_it_looks_significant_misleads_the_interval_for_one_look(n_studies: int) -> None:
    # A true mean of 0; whoever stops as soon as the interval excludes it is wrong each time that happens.
    rng = np.random.default_rng(204)
    fooled = fooled_anytime = 0
    for _ in range(n_studies):
        x = rng.normal(size=3000)
        looks = [x[:n] for n in range(100, 3001, 145)]
        fooled += any(0.0 not in estimate_mean(seen).interval for seen in looks)
        fooled_anytime += any(0.0 not in anytime_mean(seen).interval for seen in looks)
    assert fooled > 0.15 * n_studies
    assert_at_least(n_studies - fooled_anytime, n_studies, 0.95)
