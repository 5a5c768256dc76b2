"""Infinite scores stay infinite, undefined ones (nan) may be anything, and every answer says how many it is about."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as sp

from qfast.errors import InvalidInput
from qfast.stats import (
    PrecisionRule,
    anytime_bounded_mean,
    anytime_mean,
    anytime_share,
    compare,
    effect_size,
    estimate_iqm,
    estimate_mean,
    estimate_quantile,
    estimate_share,
    estimate_std,
    misranking,
    misranking_of_best,
    performance_profile,
    probability_of_improvement,
    ranking,
    seeds_for_power,
    seeds_for_width,
    seeds_for_winner,
    selection_bias,
    summarize,
    tolerance_interval,
    winner,
)

INF, NAN = math.inf, math.nan
RNG = np.random.default_rng(17)
# 12 of 100 agents never end; the others have regrets.
ENDLESS = np.where(np.arange(100) < 12, INF, RNG.exponential(size=100))
FINE = RNG.exponential(size=100) + 0.5
# 10 of 100 agents have no score.
HOLES = np.where(np.arange(100) % 10 == 0, NAN, RNG.normal(size=100))
WHOLE = RNG.normal(size=100) + 3.0


def test_means_with_infinite_scores_are_not_defined_and_say_what_is() -> None:
    for found in (estimate_mean(ENDLESS), estimate_std(ENDLESS), anytime_mean(ENDLESS), estimate_mean(-ENDLESS)):
        assert math.isnan(found.value)
        assert not found.defined
        assert found.reason == "not defined: 12 % of the agents have an infinite score"
        assert str(found) == f"{found.reason}; use the median, quantiles or the probability of improvement"
        assert found.reason_for("regret") == "not defined: 12 % of the agents have infinite regret"
        assert (found.interval.low, found.interval.high) == (-INF, INF)


def test_quantiles_and_the_iqm_know_infinity() -> None:
    # Any number beyond all others stands for an infinite score in whatever does not reach it.
    stand_in = np.where(np.isinf(ENDLESS), 1e6, ENDLESS)
    for p in (0.05, 0.5, 0.75):
        assert estimate_quantile(ENDLESS, p) == estimate_quantile(stand_in, p)
    assert estimate_quantile(ENDLESS, 0.95).value == INF
    assert estimate_iqm(ENDLESS).value == pytest.approx(estimate_iqm(stand_in).value)
    # So many infinite scores so near to the quartile: the upper end may lie among them.
    assert estimate_iqm(ENDLESS).interval.high == INF
    assert estimate_iqm(ENDLESS).interval.low == pytest.approx(estimate_iqm(stand_in).interval.low)
    one = np.append(FINE, INF)
    assert estimate_iqm(one).interval.high == pytest.approx(estimate_iqm(np.append(FINE, 1e6)).interval.high)
    many = np.where(np.arange(100) < 26, INF, 1.0 * np.arange(100))
    assert estimate_iqm(many).reason == "not defined: 26 % of the agents have an infinite score"
    assert estimate_quantile([-INF, INF], 0.5).reason == "not defined: it lies between -inf and inf"
    assert tolerance_interval(ENDLESS).high == INF
    assert tolerance_interval(ENDLESS).low == np.sort(ENDLESS)[1]


def test_a_summary_of_infinite_scores() -> None:
    found = summarize(ENDLESS, at_least=1.0)
    assert (found.n, found.n_undefined) == (100, 0)
    assert found.share == estimate_share(int((ENDLESS >= 1).sum()), 100)
    assert found.median.value == np.median(ENDLESS)
    assert math.isnan(found.standard_error)
    assert "12 % of the agents have an infinite score" in str(found)
    assert summarize(-ENDLESS).mean.reason == found.mean.reason


@pytest.mark.parametrize("paired", [False, True])
def test_verdicts_with_infinite_scores_come_from_ranks(paired: bool) -> None:
    never, always = [INF] * 20, [999.0] * 20
    found = compare(never, always, paired=paired, higher_is_better=False)
    assert (found.better, found.ahead) == ("b", "b")
    assert found.test == ("sign test" if paired else "Brunner-Munzel test")
    assert found.p_value == pytest.approx(2 / 2**20 if paired else 2 / math.comb(40, 20))
    assert "100 % of the agents of a have an infinite score" in found.why
    assert "excludes 1/2" in found.why
    assert compare(never, always, paired=paired).better == "a"
    assert compare(never, never, paired=paired).better is None
    # Most never end in either; a rank test sees the 12 %.
    a, b = np.where(np.arange(500) < 450, INF, 4.0), np.where(np.arange(500) < 345, INF, 4.0)
    other = compare(a, RNG.permutation(b), paired=paired, higher_is_better=False)
    assert other.better == "b"
    assert "90 % of the agents of a and 69 % of the agents of b have an infinite score" in other.difference.reason


def test_the_rank_test_is_brunner_and_munzels_and_the_sign_test() -> None:
    x, y = np.append(RNG.normal(size=30).round(1), [INF] * 4), np.append(RNG.normal(0.8, 1, 25).round(1), INF)
    stand_in = [np.where(np.isinf(z), 99.0, z) for z in (x, y)]
    assert compare(x, y, paired=False).p_value == pytest.approx(sp.brunnermunzel(*stand_in).pvalue)
    wins, losses = int((x[:26] > y).sum()), int((x[:26] < y).sum())
    assert compare(x[:26], np.where(np.arange(26) == 3, INF, y), paired=True).test == "sign test"
    assert compare(x[-26:], y, paired=True).test == "sign test"
    assert wins + losses <= 26


def test_few_agents_are_dealt_out_in_all_ways() -> None:
    x, y = np.array([1.0, 2.0, INF, 5.0]), np.array([0.0, 0.5, 3.0, 0.2])
    scores = np.where(np.isinf(np.append(x, y)), 99.0, np.append(x, y))

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        placed = (
            [np.mean([(v > w) + (v == w) / 2 for w in b]) for v in a],
            [np.mean([(v > w) + (v == w) / 2 for w in a]) for v in b],
        )
        error = math.sqrt(sum(np.var(p, ddof=1) / 4 for p in placed))
        gap = abs(np.mean(placed[0]) - 0.5)
        return gap / error if error else INF if gap else 0.0

    ways = [np.isin(np.arange(8), c) for c in itertools.combinations(range(8), 4)]
    found = statistic(scores[:4], scores[4:])
    counted = np.mean([statistic(scores[w], scores[~w]) >= found - 1e-9 for w in ways])
    assert compare(x, y, paired=False).p_value == pytest.approx(counted)


def test_undefined_scores_leave_no_mean_unless_dropped() -> None:
    kept, dropped = estimate_mean(HOLES), estimate_mean(HOLES, missing="drop")
    assert kept.reason == (
        "not defined: 10 % of the agents have an undefined score (missing='drop' answers for the others alone)"
    )
    known = HOLES[~np.isnan(HOLES)]
    assert dropped.value == pytest.approx(known.mean())
    assert dropped.interval.low == estimate_mean(known).interval.low
    assert "about the 90 of 100 agents whose score is defined" in str(dropped)
    assert not estimate_std(HOLES).defined
    assert not estimate_iqm(HOLES).defined
    assert estimate_std(HOLES, missing="drop").value == pytest.approx(known.std(ddof=1))
    with pytest.raises(InvalidInput, match="missing='ignore' is unknown; use 'keep'"):
        estimate_mean(HOLES, missing="ignore")


def test_intervals_of_ranks_hold_whatever_the_undefined_scores_are() -> None:
    fills = [np.where(np.isnan(HOLES), v, HOLES) for v in (-INF, -1.0, 0.0, 2.0, INF)]
    for p in (0.25, 0.5, 0.9):
        kept = estimate_quantile(HOLES, p).interval
        assert all(
            kept.low <= f.interval.low and f.interval.high <= kept.high
            for f in (estimate_quantile(x, p) for x in fills)
        )
    tolerance, others = tolerance_interval(HOLES), [tolerance_interval(x) for x in fills]
    assert tolerance.low == min(t.low for t in others)
    assert tolerance.high == max(t.high for t in others)
    chance = probability_of_improvement(HOLES, WHOLE)
    assert chance.value == probability_of_improvement(HOLES[~np.isnan(HOLES)], WHOLE).value
    ends = [probability_of_improvement(x, WHOLE).interval for x in fills]
    assert chance.interval.low == min(e.low for e in ends)
    assert chance.interval.high == max(e.high for e in ends)
    share = estimate_share(3, 90, undefined=10).interval
    assert (share.low, share.high) == (estimate_share(3, 100).interval.low, estimate_share(13, 100).interval.high)
    looks = anytime_share(3, 90, undefined=10).interval
    assert (looks.low, looks.high) == (anytime_share(3, 100).interval.low, anytime_share(13, 100).interval.high)
    profile, all_profiles = (
        performance_profile(HOLES, [-1.0, 0.0, 1.0]),
        [performance_profile(x, [-1.0, 0.0, 1.0]) for x in fills],
    )
    assert (profile.n, profile.n_undefined) == (90, 10)
    assert profile.low == pytest.approx(np.min([q.low for q in all_profiles], axis=0))
    assert profile.high == pytest.approx(np.max([q.high for q in all_profiles], axis=0))


@pytest.mark.parametrize("paired", [False, True])
def test_a_verdict_must_hold_whatever_the_undefined_scores_are(paired: bool) -> None:
    sure = compare(HOLES, WHOLE, paired=paired)
    assert sure.better == "b"
    assert "whatever the undefined scores are" in sure.why
    assert (sure.n_a, sure.n_undefined_a) == (90, 10)
    assert not sure.difference.defined
    fills = [compare(np.where(np.isnan(HOLES), v, HOLES), WHOLE, paired=paired) for v in (-INF, INF)]
    assert sure.p_value == max(f.p_value for f in fills)
    few = np.where(np.arange(100) < 92, NAN, HOLES + 9)
    unsure = compare(few, WHOLE, paired=paired)
    assert (unsure.better, unsure.p_value) == (None, 1.0)
    assert "undefined scores of any kind" in unsure.why
    alone = compare(few, WHOLE, paired=paired, missing="drop")
    assert alone.better == "a"
    assert alone.dropped
    count = "about the 8 of 100 pairs of agents" if paired else "about the 108 of 200 agents"
    for text in (alone.why, alone.about, str(alone.difference), str(alone.probability_of_improvement)):
        assert count in text
    assert (alone.n, alone.n_undefined) == ((8, 92) if paired else (108, 92))


def test_the_case_of_six_in_two_hundred() -> None:
    a = np.where(np.arange(200) < 6, 1.0 + np.arange(200), NAN)
    b = np.where(np.arange(200) < 6, 0.1 * np.arange(200), NAN)
    assert compare(a, b, paired=True).better is None
    assert "97.0 % of the pairs of agents have an undefined score" in compare(a, b, paired=True).difference.reason
    assert not effect_size(a, b, paired=True).defined
    nothing = compare([NAN] * 5, [1.0] * 5, paired=False, missing="drop")
    assert (nothing.better, nothing.p_value) == (None, 1.0)
    assert "too few agents" in str(nothing)


def test_a_summary_describes_those_whose_score_is_defined_and_says_so() -> None:
    found, known = summarize(HOLES), summarize(HOLES[~np.isnan(HOLES)])
    assert (found.n, found.n_undefined) == (90, 10)
    assert (found.mean, found.iqm, found.median.value) == (known.mean, known.iqm, known.median.value)
    assert found.median.interval == estimate_quantile(HOLES, 0.5).interval
    assert str(found).startswith("about the 90 of 100 agents whose score is defined; intervals of quantiles and shares")
    dropped = summarize(HOLES, missing="drop")
    assert dropped.median.interval.low == known.median.interval.low
    assert "about the 90 of 100" in str(dropped)
    assert found.as_dict()["n_undefined"] == 10.0
    none = summarize([NAN, NAN, NAN], at_least=1.0)
    assert none.n == 0
    assert none.share.reason == none.mean.reason == "not defined: no agent has a defined score"
    assert "about the 0 of 3 agents" in str(none)


def test_what_is_said_of_other_experiments_needs_means() -> None:
    reason = "12 % of the agents of a have an infinite score"
    pair = misranking(ENDLESS, FINE, [1, 5])
    assert (pair.better, pair.defined) == (None, False)
    assert np.isnan(pair.wrong_winner).all()
    assert reason in pair.reason
    assert reason in str(pair)
    for answer in (seeds_for_power(ENDLESS, FINE), seeds_for_winner([ENDLESS, FINE])):
        assert answer.n is None
        assert "12 % of the agents" in answer.reason
        assert "not defined" in str(answer)
    best = misranking_of_best([FINE, ENDLESS], [1, 5])
    assert (best.best, best.defined) == ((), False)
    assert "(configuration 1)" in best.reason
    assert np.isnan(best.wrong).all()
    assert "infinite score" in seeds_for_width(ENDLESS, 0.1).reason
    bias = selection_bias(FINE, ENDLESS)
    assert (bias.selected.defined, bias.fresh.defined, bias.bias.defined) == (True, False, False)
    assert math.isnan(bias.detectable)


@pytest.mark.parametrize("paired", [False, True])
def test_what_is_said_of_other_experiments_from_the_defined_alone(paired: bool) -> None:
    known = ~np.isnan(HOLES)
    other = WHOLE[known] if paired else WHOLE
    kept, found = misranking(HOLES, WHOLE, 1, paired=paired), misranking(HOLES, WHOLE, 1, paired=paired, missing="drop")
    assert "have an undefined score" in kept.reason
    assert found.wrong_winner[0] == misranking(HOLES[known], other, 1, paired=paired).wrong_winner[0]
    assert found.n_undefined == 10
    assert f"about the {90 if paired else 190} of" in str(found)
    best = misranking_of_best([HOLES, WHOLE], 1, paired=paired, missing="drop", rng=0)
    assert (best.n, best.n_undefined) == ((90, 10) if paired else (190, 10))
    assert not misranking_of_best([HOLES, WHOLE], 1, paired=paired).defined
    power = seeds_for_power(HOLES, WHOLE, paired=paired, missing="drop")
    assert power.n == seeds_for_power(HOLES[known], other, paired=paired).n
    assert power.n_undefined == 10
    assert seeds_for_power(HOLES, WHOLE, paired=paired).n is None
    width = seeds_for_width(HOLES, 0.1, missing="drop")
    assert (width.n, width.n_undefined) == (seeds_for_width(HOLES[known], 0.1).n, 10)
    assert "have an undefined score" in seeds_for_width(HOLES, 0.1).reason


def test_ranking_and_winner() -> None:
    assert ranking([FINE, FINE - 1, FINE + 1]).order == (2, 0, 1)
    found = ranking([ENDLESS, np.full(100, INF), FINE + 2], higher_is_better=False)
    assert (found.by, found.order[-1]) == ("probability of improvement", 1)
    assert "infinite score" in found.reason
    a, b, c = ENDLESS, np.full(100, INF), FINE[:30]
    pairs = [probability_of_improvement(a, other, higher_is_better=False).value for other in (b, c)]
    assert ranking([a, b, c], higher_is_better=False).values[0] == pytest.approx(np.mean(pairs))
    assert winner([np.full(20, INF), np.full(20, 999.0)], higher_is_better=False) == 1
    # One undefined agent of a hundred turns nothing; ninety do.
    one = np.where(np.arange(100) == 0, NAN, WHOLE)
    assert winner([one, FINE - 9]) == 0
    ninety = np.where(np.arange(100) < 90, NAN, WHOLE)
    assert winner([ninety, FINE - 9]) is None
    assert winner([ninety, FINE - 9], missing="drop") == 0
    assert "could make another the best" in ranking([ninety, FINE - 9]).reason


def test_looks_at_agents_without_a_score() -> None:
    rule = PrecisionRule(half_width=0.5)
    look = rule.look(np.append(RNG.normal(size=500), NAN))
    assert (look.n, look.n_undefined, look.narrow_enough) == (500, 1, False)
    assert "undefined score" in look.estimate.reason
    assert not rule.look(np.append(RNG.normal(size=500), INF)).narrow_enough
    share = PrecisionRule(half_width=0.1, quantity="share").look(np.append(np.tile([0.0, 1.0], 500), [NAN] * 10))
    assert share.estimate == anytime_share(500, 1000, undefined=10)
    assert share.narrow_enough
    x = RNG.random(400)
    holes = np.where(np.arange(400) % 40 == 0, NAN, x)
    found = anytime_bounded_mean(holes, (0.0, 1.0)).interval
    ends = [anytime_bounded_mean(np.where(np.isnan(holes), v, holes), (0.0, 1.0)).interval for v in (0.0, 1.0)]
    assert (found.low, found.high) == (ends[0].low, ends[1].high)
    with pytest.raises(InvalidInput, match=r"scores\[1\]=inf is outside bounds"):
        anytime_bounded_mean([0.5, INF], (0.0, 1.0))


ODD = st.sampled_from([INF, -INF, NAN, 0.0, 1.0, -1.0, 1.7e308, -1.7e308, 5e-324, 1e-200, 3.0, 0.1 + 0.2, 0.3])
LISTS = st.lists(ODD | st.floats(-10, 10), min_size=2, max_size=14)


@given(LISTS, LISTS, st.booleans(), st.sampled_from(["keep", "drop"]))
@settings(max_examples=80, deadline=None)
def test_no_scores_crash_or_warn(a: list[float], b: list[float], paired: bool, missing: str) -> None:
    # Warnings are errors here.  Every number that is defined lies in its interval.
    if paired:
        a, b = a[: len(b)], b[: len(a)]
    found = summarize(a, missing=missing)
    both = compare(a, b, paired=paired, missing=missing)
    estimates = [found.mean, found.std, found.median, found.iqm, *(q.estimate for q in found.quantiles)]
    estimates += [both.difference, both.probability_of_improvement, both.effect_size, anytime_mean(a, first_look=2)]
    bias = selection_bias(a, b, missing=missing)
    estimates += [bias.selected, bias.fresh, bias.bias, bias.standardised]
    for estimate in estimates:
        assert estimate.defined == (not math.isnan(estimate.value))
        assert not estimate.defined or estimate.value in estimate.interval
    assert 0.0 <= both.p_value <= 1.0
    assert both.better in (None, both.ahead)
    needed = seeds_for_power(a, b, paired=paired, missing=missing), seeds_for_width(a, 0.5, missing=missing)
    for answer in (found, both, bias, *needed, ranking([a, b], missing=missing)):
        assert "nan [" not in str(answer)
    performance_profile(a, missing=missing)
    try:
        texts = [
            misranking(a, b, [1, 3], paired=paired, missing=missing, n_resamples=20, rng=0),
            misranking_of_best([a, b], [1, 3], paired=paired, missing=missing, n_resamples=20, rng=0),
            seeds_for_winner([a, b], paired=paired, missing=missing),
        ]
    except InvalidInput as error:
        assert "the same mean" in str(error)  # noqa: PT017
    else:
        assert all(map(str, texts))
