"""What a study answers: each answer is what `qfast.stats` says of the same numbers, or can be checked by hand."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from made_studies import Again, made_dataset, made_study

import qfast
from qfast import stats
from qfast.errors import InvalidInput
from qfast.stats.experiment import _draw, resample, resample_means
from qfast.studies.misrank import fine_grid
from qfast.studies.select import full_settings, metric_of, restricted, scores_of, select

LABELS = [f"alpha={a:g}, epsilon={e:g}" for a in (0.1, 0.3, 0.5) for e in (0.05, 0.2)]


@pytest.fixture(scope="module")
def study():
    return made_study()


def two(a, b, *, paired=True, name="auc", **about):
    """A study of two configurations with scores that are given."""
    found = made_study({"alpha": [0.1, 0.2]}, n_agents=len(a), metrics={name: [a, b]}, paired=paired)
    found.dataset[name].attrs.update(about)
    return found


# --- summary ---------------------------------------------------------------------------------------------------------


def test_a_summary_is_what_the_statistics_say(study):
    found = study.summary()
    assert [row.label for row in found.rows] == LABELS
    assert found.best.label == "alpha=0.5, epsilon=0.05"
    for row in found.rows:
        assert row.summary == stats.summarize(study.scores("auc", row.configuration))
        hits = int(study.scores("optimal", row.configuration).sum())
        assert row.optimal == stats.estimate_share(hits, 400)
    assert found.methods["mean"] == ("Student's t",)
    assert found.methods["optimal"] == ("Clopper-Pearson",)


def test_a_summary_as_tables(study):
    found = study.summary(where={"epsilon": 0.05}, quantiles=[0.1], level=0.9, content=0.8, at_least=4.0)
    wide, tidy = found.to_dataframe(), found.to_dataframe(tidy=True)
    assert wide["alpha"].tolist() == [0.1, 0.3, 0.5]
    direct = stats.summarize(study.scores("auc", 4), level=0.9, quantiles=[0.1], content=0.8, at_least=4.0)
    last = wide.iloc[-1]
    assert last["mean_low"] == direct.mean.interval.low
    assert last["q10"] == direct.quantiles[0].estimate.value
    assert last["share_high"] == direct.share.interval.high
    assert last["optimal"] == study.scores("optimal", 4).mean()
    assert set(tidy["statistic"]) == {"mean", "median", "iqm", "std", "q10", "share", "optimal", "tolerance"}
    assert (tidy["method"].str.len() > 0).all()
    assert (tidy["level"] == 0.9).all()


def test_the_text_keeps_spread_and_uncertainty_apart(study):
    text = str(study.summary())
    known, spread = text.split("How the agents differ")
    assert "95 % confidence intervals; they shrink as agents are added" in known
    assert "it does not shrink" in spread
    assert text.count("alpha=0.5, epsilon=0.2") == 2
    row = study.summary().rows[0].summary
    assert f"{row.mean.value:.3f} ± {row.mean.interval.half_width:.3f}" in known
    assert f"{row.std.value:.3f} [" in spread


def test_what_never_happened_is_no_number():
    scores = [10.0, 20.0, 30.0, *[np.inf] * 7]
    row = two(scores, scores, name="first_optimal").summary("first_optimal").rows[0]
    assert row.summary.mean.value == pytest.approx((10 + 20 + 30 + 7 * 100) / 10)  # trained for 100 episodes
    assert row.summary.median.value == np.inf
    assert row.summary.quantiles[0].estimate.value == pytest.approx(10 + 0.45 * 10)  # numpy's 5 % quantile of ten
    assert row.summary.tolerance.high == np.inf
    assert row.happened == stats.estimate_share(3, 10)
    assert "never" in str(two(scores, scores, name="first_optimal").summary("first_optimal"))


def test_without_infinite_scores_nothing_is_censored(study):
    assert study.summary().note == ""
    assert study.summary().rows[0].happened is None
    assert "count as 100 in means" in study.summary("first_optimal").note


def test_a_study_that_stopped_by_looking_has_an_interval_that_allows_it():
    study = made_study()
    rule = stats.PrecisionRule(0.05)
    study.dataset.attrs["precision"] = json.dumps({"metric": "auc", **asdict(rule)})
    found = study.summary()
    assert found.rows[0].summary.mean == stats.anytime_mean(study.scores("auc", 0))
    assert "asymptotic confidence sequence" in found.methods["mean"][0]
    assert "agents were added until the interval of auc was at most 0.05" in str(found)
    assert study.summary("regret").methods["mean"][0].startswith("Student's t")
    share = stats.PrecisionRule(0.05, quantity="share", level=0.9)
    study.dataset.attrs["precision"] = json.dumps({"metric": "optimal", **asdict(share)})
    row = study.summary("optimal").rows[0].summary
    hits = int(study.scores("optimal", 0).sum())
    assert row.mean == row.share == stats.anytime_share(hits, 400)


# --- comparisons -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("metric", ["auc", "regret"])
def test_a_comparison_is_what_the_statistics_say(paired, metric):
    study = made_study(paired=paired)
    found = study.compare(LABELS[0], {"alpha": 0.5, "epsilon": 0.05}, metric, level=0.9)
    x, y = study.scores(metric)[[0, 4]]
    assert found.comparison == stats.compare(x, y, paired=paired, higher_is_better=metric == "auc", level=0.9)
    assert found.better == ("b" if metric == "auc" else "a")
    winner, other = (LABELS[4], LABELS[0]) if metric == "auc" else (LABELS[0], LABELS[4])
    assert found.sentence.startswith(f"{winner} is better than {other} in ")
    assert ("on the same seed" in found.sentence) == paired


def test_no_difference_is_said_to_be_none():
    scores = np.arange(20.0)
    found = two(scores, scores[::-1], paired=False).compare(0, 1)
    assert found.better is None
    assert found.sentence.startswith("No difference in mean return is found between alpha=0.1 and alpha=0.2: 0.0 [")


def test_all_pairs_are_corrected_together(study):
    found = study.compare_all(method="benjamini-hochberg")
    means = study.scores("auc").mean(axis=1)
    assert found.order == tuple(np.argsort(-means).tolist())
    assert len(found) == 15
    p = [pair.comparison.p_value for pair in found.pairs]
    np.testing.assert_allclose(
        [pair.adjusted_p_value for pair in found.pairs], stats.correct(p, method="benjamini-hochberg")
    )
    matrix = found.probability_of_improvement()
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose((matrix + matrix.T)[off], 1.0)
    x, y = study.scores("auc")[list(found.order[:2])]
    assert matrix[0, 1] == stats.probability_of_improvement(x, y, paired=True).value
    frame = found.to_dataframe()
    assert len(frame) == 15
    assert frame["better"].iloc[0] == LABELS[4]
    assert str(found).count("\n") == 3 + 15


def test_simultaneous_intervals_are_wider_by_bonferroni(study):
    found = study.compare_all(against=LABELS[4], simultaneous=True)
    assert len(found) == 5
    x, y = study.scores("auc")[[4, 2]]
    direct = stats.compare(x, y, paired=True, level=1 - 0.05 / 5)
    assert found.pairs[0].comparison.difference == direct.difference
    assert {LABELS[4]} == {pair.label_a for pair in found.pairs}


def test_the_holm_correction_can_lose_a_finding():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(6, 50)) + np.array([0, 0, 0, 0, 0, 0.45])[:, None]
    study = made_study(n_agents=50, metrics={"auc": scores}, paired=False)
    alone, together = study.compare(5, 1), study.compare_all()
    pair = next(p for p in together.pairs if {p.a, p.b} == {1, 5})
    assert alone.adjusted_p_value == alone.comparison.p_value == pair.comparison.p_value
    assert pair.adjusted_p_value > alone.adjusted_p_value
    assert together.equals_of_best


# --- the best --------------------------------------------------------------------------------------------------------


def test_the_winner_has_two_numbers():
    study = Again(made_dataset())
    found = study.best(n_agents=300, seed=5)
    fresh = study.rerun(4, 300, 5).scores("auc", 0)
    assert found.label == LABELS[4]
    assert found.runner_up == LABELS[2]
    assert found.scores == stats.selection_bias(study.scores("auc", 4), fresh)
    assert (found.n_selected, found.n_fresh, found.n_configurations) == (400, 300, 6)
    assert found.to_dataframe()["value"].tolist() == [
        found.scores.selected.value, found.scores.fresh.value, found.scores.bias.value,
    ]  # fmt: skip
    assert "on 300 fresh seeds it is" in found.sentence


def test_fresh_seeds_take_the_luck_away():
    """Forty settings that make no difference: the best looks better than it is, and its fresh run does not."""
    rng = np.random.default_rng(1)
    vary = {"alpha": [round(0.01 * i, 2) for i in range(1, 41)]}
    study = made_study(vary, n_agents=20, metrics={"auc": rng.normal(size=(40, 20))})

    class Null(type(study)):
        mean = 0.0

        def rerun(self, configuration, n_agents=None, seed=None, **_):
            scores = self.mean + np.random.default_rng(2).normal(size=(1, 400))
            one = made_dataset({"alpha": [0.1]}, n_agents=400, metrics={"auc": scores})
            return type(study)(one)

    class Worse(Null):
        mean = -1.0

    class Better(Null):
        mean = 2.0

    found = Null(study.dataset).best()
    assert found.scores.bias.value > 0.2
    assert 0 in found.scores.fresh.interval
    assert "is not shown to be better than" in found.sentence
    assert "where it was chosen it looked better by 0.41 [0.00, 0.83] (to be chosen flatters, and" in found.sentence
    assert "it looked better by 1.4" in Worse(study.dataset).best().sentence
    assert "it looked worse by 1.59" in Better(study.dataset).best().sentence


# --- how many seeds --------------------------------------------------------------------------------------------------


def test_seeds_needed_are_what_the_statistics_say(study):
    found = study.seeds_needed(half_width=0.01)
    assert [row.needed for row in found.rows] == [stats.seeds_for_width(x, 0.01) for x in study.scores("auc")]
    assert found.n == max(row.needed.n for row in found.rows)
    share = study.seeds_needed(LABELS[1], metric="optimal", half_width=0.02).rows
    assert share[0].needed == stats.seeds_for_width(study.scores("optimal", 1), 0.02, quantity="share")
    x, y = study.scores("auc")[[4, 2]]
    pair = study.seeds_needed(power=0.9, rng=0).rows[0]
    assert pair.label == f"{LABELS[4]} or {LABELS[2]}"
    assert pair.needed == stats.seeds_for_power(x, y, paired=False, power=0.9)
    direct = stats.misranking(x, y, pair.needed.n, paired=False, rng=0)
    assert pair.checked_power == 1 - direct.missed[0]
    assert pair.checked_power == pytest.approx(0.9, abs=0.03)
    shared = study.seeds_needed(power=0.9, paired=True, rng=0).rows[0].needed
    assert shared == stats.seeds_for_power(x, y, paired=True, power=0.9)
    assert shared.n < pair.needed.n  # these agents share a part of their luck


def test_equal_populations_need_no_number_of_seeds():
    scores = [0.0, 1.0, 2.0, 3.0]
    found = two(scores, scores[::-1], paired=False).seeds_needed(0, 1)
    assert found.n is None
    assert "no number" in str(found)


def test_misranking_of_two_is_what_the_statistics_say(study):
    found = study.misranking(2, 4, k=[1, 5, 20], rng=7, n_resamples=500)
    x, y = study.scores("auc")[[4, 2]]
    direct = stats.misranking(x, y, [1, 5, 20], paired=False, rng=7, n_resamples=500)
    assert found.labels == (LABELS[4], LABELS[2])  # the better one first
    np.testing.assert_array_equal(found.wrong, direct.wrong_winner)
    np.testing.assert_array_equal(found.missed, direct.missed)
    np.testing.assert_array_equal(found.to_dataframe()["opposite"], direct.opposite)
    np.testing.assert_allclose(found.loss, found.wrong * (x.mean() - y.mean()))


def test_misranking_by_hand():
    """One of a: 1, 1, 1, 0; one of b: 1, 0, 0, 0. A single seed errs if a = 0, b = 1, half if they are equal."""
    study = two([1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0], paired=False)
    found = study.misranking(k=[1, 2])
    assert found.wrong[0] == pytest.approx(1 / 16 + (3 / 16 + 3 / 16) / 2)
    a, b = np.array([1, 6, 9]) / 16, np.array([9, 6, 1]) / 16  # zero, one and two successes of two
    two_seeds = a[0] * b[1:].sum() + a[1] * b[2] + (a @ b) / 2
    assert found.wrong[1] == pytest.approx(two_seeds)
    assert set(found.methods) <= {"exact, ranks", "exact, convolution"}
    assert found.loss[0] == pytest.approx(found.wrong[0] * 0.5)


def test_misranking_where_lower_is_better(study):
    found = study.misranking(0, 5, "regret", k=[3], rng=0)
    assert found.labels == (LABELS[0], LABELS[5])
    assert found.wrong[0] < 0.5


def test_misranking_of_the_best_is_what_the_statistics_say(study):
    found = study.misranking(k=[1, 4, 9], rng=3, n_resamples=300)
    direct = stats.misranking_of_best(list(study.scores("auc")), [1, 4, 9], paired=False, rng=3, n_resamples=300)
    np.testing.assert_array_equal(found.named, direct.named)
    means = study.scores("auc").mean(axis=1)
    np.testing.assert_allclose(found.loss, direct.named @ (means.max() - means))
    assert found.missed is None
    assert "best of 6: alpha=0.5, epsilon=0.05" in str(found)
    shared = study.misranking(k=[4], rng=3, n_resamples=300, paired=True)
    same = stats.misranking_of_best(list(study.scores("auc")), 4, paired=True, rng=3, n_resamples=300)
    assert shared.wrong[0] == same.wrong[0]


def test_trustworthy_is_the_last_crossing(study):
    found = study.misranking(2, 4, k=[30, 1, 3, 10], rng=0)
    share = dict(zip(found.k.tolist(), found.wrong.tolist(), strict=True))
    assert share[10] > 0.05 > share[30]
    assert found.trustworthy() == 30
    assert found.trustworthy(0.2) == 10
    assert found.trustworthy(1e-6) is None
    assert "10 are too few and 30 enough to bring that to 5 %" in found.sentence
    with pytest.raises(InvalidInput, match="risk=0 is outside"):
        found.trustworthy(0)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("kind", ["numbers", "few values", "far from zero"])
def test_experiments_are_the_first_seeds_of_what_is_drawn(paired, kind):
    """Means and spreads by running sums against those of each small experiment by itself."""
    rng, k = np.random.default_rng(0), np.array([1, 2, 7, 20])
    populations = [rng.normal(size=50) if kind == "numbers" else rng.integers(3, size=50) * 1.0 for _ in range(3)]
    if kind == "far from zero":
        populations = [1e6 + 0.1 * x for x in populations]
    how = {"paired": paired, "n_resamples": 60}
    drawn = [list(chunk) for chunk in _draw(populations, 20, rng=np.random.default_rng(1), **how)]
    both = list(resample(populations, k, rng=np.random.default_rng(1), **how))
    means = list(resample_means(populations, k, rng=np.random.default_rng(1), **how))
    for chunk, found, alone in zip(drawn, both, means, strict=True):
        for i, m in enumerate(k):
            for j, scores in enumerate(chunk):
                mean, std = found[i][j]
                np.testing.assert_allclose(mean, scores[:, :m].mean(axis=1), rtol=1e-14, atol=1e-14)
                np.testing.assert_allclose(alone[j, :, i], mean, rtol=1e-14, atol=1e-14)
                expected = scores[:, :m].std(axis=1, ddof=1) if m > 1 else 0.0
                np.testing.assert_allclose(std, expected, rtol=1e-9, atol=1e-9)
                same = (scores[:, :m] == scores[:, :1]).all(axis=1)
                assert (std[same] == 0).all()
                assert (mean[same] == scores[same, 0]).all()


def test_the_fine_grid_ends_where_hardly_anything_is_wrong(study):
    grid = fine_grid(study, 2, 4)
    assert {1, 3, 5, 10, 30, 100} <= set(grid)
    assert study.misranking(2, 4, k=grid[-1], rng=0).wrong[0] < 0.01


# --- profiles --------------------------------------------------------------------------------------------------------


def test_profiles_turn_where_lower_is_better(study):
    up = study.profile(thresholds=[3.0, 4.0])
    np.testing.assert_allclose(up.profiles[4].share, [(study.scores("auc", 4) > t).mean() for t in (3.0, 4.0)])
    down = study.profile("regret", thresholds=[0.0, 0.5])
    np.testing.assert_allclose(down.profiles[0].share, [(study.scores("regret", 0) < t).mean() for t in (0.0, 0.5)])
    assert len(up.to_dataframe()) == 12
    assert study.profile().thresholds.size == 1000  # of 2,400 that occur


# --- which agents, which configurations ------------------------------------------------------------------------------


def test_agents_that_were_not_run_do_not_count():
    study = made_study({"alpha": [0.1, 0.2]}, n_agents=10)
    study.dataset["auc"][1, 6:] = np.nan
    study.dataset["agents_run"][1] = 6
    x = study.scores("auc")
    assert [row.summary.n for row in study.summary().rows] == [10, 6]
    assert study.compare(0, 1).comparison == stats.compare(x[0, :6], x[1, :6], paired=True)
    assert study.misranking(k=[2]).n_agents == 6
    free = made_study({"alpha": [0.1, 0.2]}, n_agents=10, paired=False)
    free.dataset["auc"][1, 6:] = np.nan
    free.dataset["agents_run"][1] = 6
    assert free.compare(0, 1).comparison == stats.compare(free.scores("auc", 0), free.scores("auc", 1), paired=False)


def test_where_selects_numbers_up_to_rounding(study):
    assert select(study, {"alpha": 0.1 + 0.2}) == [2, 3]
    assert select(study, {"alpha": np.array([0.1, 0.5]), "epsilon": 0.2}) == [1, 5]


def test_problems_have_no_common_scale():
    study = made_study({"problem": ["lake", "taxi"], "alpha": [0.1, 0.2, 0.3]}, n_agents=30)
    for ask in (study.compare_all, study.misranking, study.profile, study.seeds_needed):
        with pytest.raises(InvalidInput, match="no common scale; name one, for example where="):
            ask()
    assert len(study.compare_all(where={"problem": "taxi"})) == 3
    assert len(study.misranking(k=2, where={"problem": "lake"}).labels) == 3
    assert len(study.summary()) == 6


def test_settings_that_only_some_have():
    study = made_study(n_agents=50)
    assert study.configurations[4] == {"alpha": 0.5, "epsilon": 0.05}
    study.dataset["epsilon"][4:] = np.nan  # greedy configurations have no epsilon
    assert study.configurations[4] == {"alpha": 0.5}
    assert [row.configuration for row in study.summary(where={"epsilon": 0.05}).rows] == [0, 2]
    assert len(study.compare_all()) == 15
    assert full_settings(study)[5] == {"alpha": 0.5, "epsilon": None}


@pytest.mark.parametrize("paired", [True, False])
def test_means_near_the_largest_float(paired):
    scores = 1.7e308 * np.random.default_rng(0).uniform(0.8, 1, size=(2, 20))
    near, apart = two(*scores, paired=paired), two(scores[0], -scores[1], paired=paired)
    assert np.isfinite(near.misranking(0, 1, rng=0).loss).all()
    assert "inf" not in near.compare(0, 1).sentence + near.misranking(0, 1, rng=0).sentence + str(near.summary())
    sentence = apart.compare(0, 1).sentence
    assert "is better than" in sentence
    assert "a difference of means is not defined: it is beyond the range of float64." in sentence
    assert "alpha=0.1 is better than alpha=0.2 in mean return" in apart.misranking(0, 1, rng=0).sentence


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda s: s.summary("speed"), "metric='speed' is not in the study; use one of 'final_return', 'auc'"),
        (lambda s: s.summary(where={"gamma": 1}), "where names 'gamma', which did not vary; use 'alpha', 'epsilon'"),
        (lambda s: s.summary(where={"alpha": 0.7}), "alpha=0.7, which the study did not run; it ran 0.1, 0.3, 0.5"),
        (lambda s: s.summary(where="alpha"), "where='alpha' is not a mapping"),
        (lambda s: s.summary(level=95), "level=95 is outside"),
        (lambda s: s.compare(0, 0), "are the same configuration"),
        (lambda s: s.compare(0, "alpha=7"), "'alpha=7' does not exist"),
        (lambda s: s.compare_all(method="none"), "method='none' is unknown"),
        (lambda s: s.compare_all(where={"alpha": 0.1, "epsilon": 0.2}), "one configuration alone"),
        (lambda s: s.compare_all(against=0, where={"alpha": 0.3}), "against=0 is not among"),
        (lambda s: s.misranking(0), "one of them is missing; name both"),
        (lambda s: s.misranking(0, 1, k=0), "use whole numbers that are at least 1"),
        (lambda s: s.misranking(1, 1), "are the same configuration"),
        (lambda s: s.seeds_needed(0, 1, half_width=0.1), "half_width is about one configuration"),
        (lambda s: s.seeds_needed(half_width=0), "half_width=0 is not above 0"),
        (lambda s: s.seeds_needed(0, 1, power=2), "power=2 is outside"),
        (lambda s: s.best(where={"alpha": 0.1, "epsilon": 0.2}), "one configuration alone has no winner"),
        (lambda s: made_study(paired=False).misranking(0, 1, paired=True), "paired=True, but agents of this study"),
        (lambda s: s.profile(thresholds="abc"), "thresholds='abc' is no list of finite numbers; use for example"),
        (lambda s: s.profile(thresholds=[[1.0]]), "thresholds=[[1.0]] is no list of finite numbers"),
        (lambda s: s.profile(thresholds=[np.nan]), "thresholds=[nan] is no list of finite numbers"),
        (lambda s: s.compare(0, 1, level="x"), "level='x' is not a number"),
        (lambda s: s.compare_all(level="x"), "level='x' is not a number"),
        (lambda s: s.best(level="x"), "level='x' is not a number"),
        (lambda s: s.profile(level=None), "level=None is not a number"),
    ],
)
def test_bad_questions_are_refused(study, ask, message):
    with pytest.raises(InvalidInput) as caught:
        ask(study)
    assert message in str(caught.value)


def test_what_never_happened_counts_as_the_end_in_means_alone(study):
    metric = metric_of(study, "first_optimal")
    scores = scores_of(study, metric, 0)
    assert scores.max() == np.inf
    assert restricted(study, metric, scores).max() == 100


def test_a_profile_is_read_on_a_screen():
    study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=64, episodes=20, seed=0, progress=False)
    text = repr(study.profile("steps"))
    assert text.startswith("Shares of agents below thresholds (")
    assert len(text.splitlines()) == 4
    assert max(map(len, text.splitlines())) <= 120
