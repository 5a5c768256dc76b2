"""Does a 95 % interval hold the truth in 95 % of studies?  Counted, or worked out where that is possible.

A simulated check states the range in which the true coverage may lie and fails if the count of hits is
outside what that range allows with probability ``FALSE_ALARM`` on either side, so that another choice of
seeds would make a right interval fail in at most 2 of 10,000 checks.  Seeds are fixed.  The quick form sees
a coverage that is off by about 0.07, the long form one that is off by 0.015.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate
from scipy import stats as sp

from qfast.stats import (
    compare,
    estimate_share,
    misranking,
    performance_profile,
    probability_of_improvement,
    seeds_for_power,
    selection_bias,
    summarize,
    tolerance_interval,
)

FALSE_ALARM = 1e-4
EXACT, AT_LEAST = (0.95, 0.95), (0.95, 1.0)

Draw = Callable[[np.random.Generator, int], np.ndarray]

# Returns of a cliff: a few values, some far out.
RETURNS = np.array([-60.0, -25.0, -19.0, -17.0, -15.0, -13.0])
SHARES = np.array([0.05, 0.1, 0.15, 0.3, 0.2, 0.2])


@pytest.fixture(params=[pytest.param(200, id="quick"), pytest.param(6000, id="long", marks=pytest.mark.long)])
def n_studies(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def assert_coverage(hits: int, n_studies: int, allowed: tuple[float, float]) -> None:
    low = sp.binom.ppf(FALSE_ALARM, n_studies, allowed[0])
    high = sp.binom.isf(FALSE_ALARM, n_studies, allowed[1])
    assert low <= hits <= high, f"{hits} of {n_studies} intervals hold the truth, {low:.0f} to {high:.0f} are allowed"


def iqm_of(ppf: Callable[[float], float], points: list[float]) -> float:
    return 2 * integrate.quad(ppf, 0.25, 0.75, points=points)[0]


def moments_of_returns() -> dict[str, float]:
    mean = float(SHARES @ RETURNS)
    steps = np.cumsum(SHARES)
    middle = np.clip(np.minimum(steps, 0.75) - np.maximum(steps - SHARES, 0.25), 0, None)
    return {
        "mean": mean,
        "std": math.sqrt(float(SHARES @ (RETURNS - mean) ** 2)),
        "iqm": 2 * float(middle @ RETURNS),
        "median": -17.0,
        "q5": -60.0,
        "q95": -13.0,
    }


def moments_of(law: object) -> dict[str, float]:
    quantiles = {"median": 0.5, "q5": 0.05, "q95": 0.95}
    found = {name: float(law.ppf(p)) for name, p in quantiles.items()}
    return found | {"mean": float(law.mean()), "std": float(law.std()), "iqm": iqm_of(law.ppf, [])}


POPULATIONS: dict[str, tuple[Draw, int, dict[str, float], dict[str, tuple[float, float]]]] = {
    "normal": (
        lambda rng, n: rng.normal(2.0, 3.0, size=n),
        40,
        moments_of(sp.norm(2.0, 3.0)),
        {"mean": EXACT, "std": (0.93, 0.96), "iqm": (0.935, 0.965)},
    ),
    "skewed": (
        lambda rng, n: rng.exponential(size=n),
        300,
        moments_of(sp.expon()),
        {"mean": (0.935, 0.955), "std": (0.92, 0.96), "iqm": (0.935, 0.965)},
    ),
    "returns": (
        lambda rng, n: rng.choice(RETURNS, p=SHARES, size=n),
        500,
        moments_of_returns(),
        {"mean": (0.94, 0.96), "std": (0.92, 0.97), "iqm": AT_LEAST},
    ),
}


@pytest.mark.parametrize("name", POPULATIONS)
def test_intervals_of_a_summary(name: str, n_studies: int) -> None:
    draw, n, truth, allowed = POPULATIONS[name]
    rng = np.random.default_rng(101)
    hits = dict.fromkeys(truth, 0)
    for _ in range(n_studies):
        summary = summarize(draw(rng, n), quantiles=(0.05, 0.95))
        found = {
            "mean": summary.mean,
            "std": summary.std,
            "iqm": summary.iqm,
            "median": summary.median,
            "q5": summary.quantiles[0].estimate,
            "q95": summary.quantiles[1].estimate,
        }
        for key, value in truth.items():
            hits[key] += value in found[key].interval
    for key, count in hits.items():
        # Order statistics hold at least the level, whatever the population.
        assert_coverage(count, n_studies, allowed.get(key, AT_LEAST))


@pytest.mark.parametrize("n", [60, 500])
def test_tolerance_interval_holds_its_content(n: int, n_studies: int) -> None:
    rng = np.random.default_rng(102)
    hits = 0
    for _ in range(n_studies):
        interval = tolerance_interval(rng.normal(size=n), content=0.9, confidence=0.95)
        hits += sp.norm.cdf(interval.high) - sp.norm.cdf(interval.low) >= 0.9
    assert_coverage(hits, n_studies, AT_LEAST)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 5, 50, 1000])
def test_a_share_is_held_by_the_binomial(n: int, level: float) -> None:
    # No simulation: the coverage at p is a sum of binomial probabilities.  Failures of one in a thousand included.
    ends = [estimate_share(k, n, level=level).interval for k in range(n + 1)]
    low, high = np.array([e.low for e in ends]), np.array([e.high for e in ends])
    p = np.concatenate([np.linspace(0.05, 0.95, 91), [1e-5, 1e-4, 1e-3, 0.999, 0.9999]])[:, None]
    covered = (sp.binom.pmf(np.arange(n + 1), n, p) * ((low <= p) & (p <= high))).sum(axis=1)
    assert covered.min() >= level - 1e-9
    assert n < 1000 or covered[:91].mean() < level + 0.01


@pytest.mark.parametrize("n", [2, 5, 30])
def test_a_difference_of_two_shares_is_held_by_the_binomial(n: int) -> None:
    ones = [np.repeat([1.0, 0.0], [k, n - k]) for k in range(n + 1)]
    ends = [[compare(x, y, paired=False, bounds=(0, 1)).difference.interval for y in ones] for x in ones]
    low, high = (np.array([[getattr(e, end) for e in row] for row in ends]) for end in ("low", "high"))
    for p, q in [(0.5, 0.5), (0.9, 0.9), (0.999, 0.999), (0.9, 0.5), (0.7, 0.1), (0.999, 0.8), (0.3, 0.25)]:
        weight = np.outer(*(sp.binom.pmf(np.arange(n + 1), n, share) for share in (p, q)))
        assert weight[(low <= p - q) & (p - q <= high)].sum() >= 0.95, (p, q)


@pytest.mark.parametrize("n", [10, 40])
def test_probability_of_improvement_on_one_seed_by_the_multinomial(n: int) -> None:
    counts = np.array([(w, t, n - w - t) for w in range(n + 1) for t in range(n + 1 - w)])
    ends = []
    for wins, ties, losses in counts.tolist():
        a = np.array([1.0] * wins + [0.0] * (ties + losses))
        b = np.array([0.0] * (wins + ties) + [1.0] * losses)
        ends.append(probability_of_improvement(a, b, paired=True).interval)
    low, high = np.array([e.low for e in ends]), np.array([e.high for e in ends])
    covered = []
    for ties in (0.0, 0.2, 0.5, 0.8, 0.95, 0.99):
        for share in (0.05, 0.2, 0.5, 0.7):
            cells = [(1 - ties) * share, ties, (1 - ties) * (1 - share)]
            p = sp.multinomial.pmf(counts, n, cells)
            truth = cells[0] + ties / 2
            covered.append(p[(low <= truth) & (truth <= high)].sum())
    assert min(covered) > 0.95 - 0.04
    assert np.mean(covered) >= 0.95


def cohens_d(a: tuple[float, float], b: tuple[float, float]) -> float:
    return (a[0] - b[0]) / math.sqrt((a[1] + b[1]) / 2)


# (draw a, draw b, agents of each, true difference, probability of improvement, effect size)
PAIRS: dict[str, tuple[Draw, Draw, int, float, float, float]] = {
    "normal, unequal spread": (
        lambda rng, n: rng.normal(0.5, 1.0, n),
        lambda rng, n: rng.normal(0.0, 3.0, n),
        60,
        0.5,
        float(sp.norm.cdf(0.5 / math.sqrt(10))),
        cohens_d((0.5, 1.0), (0.0, 9.0)),
    ),
    "skewed": (
        lambda rng, n: rng.exponential(2.0, n),
        lambda rng, n: rng.exponential(1.0, n),
        150,
        1.0,
        2 / 3,
        cohens_d((2.0, 4.0), (1.0, 1.0)),
    ),
    "success or not": (
        lambda rng, n: rng.random(n) < 0.9,
        lambda rng, n: rng.random(n) < 0.7,
        150,
        0.2,
        0.6,
        cohens_d((0.9, 0.09), (0.7, 0.21)),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_intervals_of_a_comparison(name: str, n_studies: int) -> None:
    draw_a, draw_b, n, difference, probability, effect = PAIRS[name]
    rng = np.random.default_rng(103)
    hits = np.zeros(3, dtype=int)
    for _ in range(n_studies):
        found = compare(draw_a(rng, n), draw_b(rng, n), paired=False)
        hits += [
            difference in found.difference.interval,
            probability in found.probability_of_improvement.interval,
            effect in found.effect_size.interval,
        ]
    for count in hits.tolist():
        assert_coverage(count, n_studies, (0.935, 0.965))


def test_intervals_of_a_paired_comparison(n_studies: int) -> None:
    rng = np.random.default_rng(104)
    hits = np.zeros(3, dtype=int)
    # A = luck + own noise + 0.3; the difference of a pair is normal with variance 2 * 0.25.
    truth = 0.3, float(sp.norm.cdf(0.3 / math.sqrt(0.5))), 0.3 / math.sqrt(1.25)
    for _ in range(n_studies):
        luck = rng.normal(size=100)
        a, b = luck + rng.normal(0.3, 0.5, 100), luck + rng.normal(0.0, 0.5, 100)
        found = compare(a, b, paired=True)
        hits += [
            truth[0] in found.difference.interval,
            truth[1] in found.probability_of_improvement.interval,
            truth[2] in found.effect_size.interval,
        ]
    for count in hits.tolist():
        assert_coverage(count, n_studies, (0.935, 0.965))


def test_the_test_of_equal_means_keeps_its_level(n_studies: int) -> None:
    rng = np.random.default_rng(105)
    kept = sum(
        compare(rng.normal(0, 1, 20), rng.normal(0, 3, 40), paired=False).p_value >= 0.05 for _ in range(n_studies)
    )
    assert_coverage(kept, n_studies, (0.945, 0.955))


@pytest.mark.parametrize("n", [20, 200])
def test_band_of_a_profile_holds_at_all_thresholds_at_once(n: int, n_studies: int) -> None:
    rng = np.random.default_rng(106)
    hits = 0
    for _ in range(n_studies):
        x = rng.random(n)
        # The profile steps at the scores: the band is tightest there, on either side of the step.
        tau = np.concatenate([x, np.nextafter(x, -1)])
        profile = performance_profile(x, tau)
        truth = 1 - tau
        hits += bool(((profile.low <= truth) & (truth <= profile.high)).all())
    assert_coverage(hits, n_studies, (0.95, 0.985))


def test_fresh_seeds_remove_the_bias_of_the_choice(n_studies: int) -> None:
    # Twenty equal configurations, 30 agents each: the winner's own interval holds the truth far too rarely.
    rng = np.random.default_rng(107)
    selected = fresh = 0
    for _ in range(n_studies):
        scores = rng.normal(size=(20, 30))
        found = selection_bias(scores[scores.mean(axis=1).argmax()], rng.normal(size=30))
        selected += 0.0 in found.selected.interval
        fresh += 0.0 in found.fresh.interval
    assert_coverage(fresh, n_studies, EXACT)
    assert selected < 0.8 * n_studies


def test_seeds_for_power_give_that_power() -> None:
    rng = np.random.default_rng(108)
    pilot = sp.norm.ppf((np.arange(4000) + 0.5) / 4000)
    n = seeds_for_power(pilot + 0.5, 2 * pilot, paired=False, power=0.8).n
    a, b = rng.normal(0.5, 1.0, (4000, n)), rng.normal(0.0, 2.0, (4000, n))
    found = sp.ttest_ind(a, b, axis=1, equal_var=False)
    powered = int(((found.pvalue < 0.05) & (found.statistic > 0)).sum())
    assert_coverage(powered, 4000, (0.79, 0.815))


def test_errors_of_misranking_are_what_they_say() -> None:
    # Populations of 300 agents estimate the misranking of the law they come from; the law itself is given
    # to misranking as a population in exact proportions.
    rng = np.random.default_rng(109)
    parts = (100 * SHARES).round().astype(int)
    law_a, law_b = np.repeat(RETURNS, parts) + 1.5, np.repeat(RETURNS, parts[[0, 2, 1, 3, 5, 4]])
    k = [1, 4]
    truth = misranking(law_a, law_b, k)
    found = [misranking(rng.choice(law_a, 300), rng.choice(law_b, 300), k, rng=rng, n_resamples=50) for _ in range(150)]
    right = np.array([f.wrong_winner if f.better == "a" else 1 - f.wrong_winner for f in found])
    stated = np.mean([f.wrong_winner_population_error for f in found], axis=0)
    # The delta method is an approximation: within a quarter (the spread of 150 values is known to 6 %).
    assert stated == pytest.approx(right.std(axis=0), rel=0.25)
    assert right.mean(axis=0) == pytest.approx(truth.wrong_winner, abs=0.02)


def test_error_of_resampling_is_what_it_says() -> None:
    a, b = np.sqrt(np.arange(1, 40.0)), np.sqrt(np.arange(2, 38.0)) * 0.9
    found = [misranking(a, b, [4, 8], rng=seed, n_resamples=200) for seed in range(300)]
    for name in ("wrong_winner", "missed"):
        values = np.array([getattr(f, name) for f in found])
        stated = np.mean([getattr(f, f"{name}_error") for f in found], axis=0)
        # The spread of 300 values is known to 4 %; four times that.
        assert stated == pytest.approx(values.std(axis=0), rel=0.16)
