"""Infinite scores stay infinite, undefined ones are counted: no number is made up and no agent vanishes."""

import numpy as np
import pytest
from made_studies import Again, made_dataset, made_study
from matplotlib.figure import Figure

import qfast
from qfast.errors import InvalidInput
from qfast.reports.report import render_report

INF, NAN = np.inf, np.nan


@pytest.fixture(scope="module")
def endless():
    """gamma = 1: a policy that goes for the free loop never ends, and its regret is infinite."""
    mdp = qfast.MDP(
        [[0, 1], [1, 1]], [[-1.0, -20.0], [0, 0]], terminated=[[False, True], [True, True]], max_episode_steps=50
    )
    options = {"ties": "first", "n_agents": 20, "episodes": 40, "gamma": 1.0, "epsilon": 0.1, "seed": 0}
    return qfast.study(mdp, vary={"alpha": [0.0, 1.0]}, **options, progress=False)


def test_infinite_regret_is_worse_than_any_number(endless):
    assert np.isposinf(endless.scores("regret", "alpha=0")).all()
    assert (endless.scores("regret", "alpha=1") == 0).all()
    found = endless.compare(0, 1, "regret")
    assert found.better == "b"
    assert found.sentence.startswith("alpha=1 is better than alpha=0 in regret of the greedy policy: ")
    why = "a difference of means is not defined: 100 % of the agents of alpha=0 have infinite regret"
    assert why in found.sentence
    assert endless.best("regret", n_agents=20).label == "alpha=1"
    assert endless.summary("regret").best.label == "alpha=1"
    assert endless.compare_all("regret").labels == ("alpha=1", "alpha=0")


def test_the_return_within_the_limit_always_exists(endless):
    assert endless.scores("greedy_return").tolist() == [[-50.0] * 20, [-20.0] * 20]
    assert "within 50 steps" in str(endless.summary("greedy_return"))


def test_policies_that_never_end_count_among_all():
    grid = qfast.grid("S..\n...\n..G", step_reward=-10.0, goal_reward=0.0, max_episode_steps=500)
    study = qfast.study(grid, vary={"alpha": [0.02, 0.9]}, n_agents=1000, episodes=6, gamma=1.0, epsilon=0.3, seed=0,
                        progress=False)  # fmt: skip
    slow, fast = (np.isinf(study.scores("regret", i)).mean() for i in range(2))
    assert slow > fast
    found = study.compare(0, 1, "regret")
    assert found.better == "b"
    row = study.summary("regret").rows[0]
    assert not row.summary.mean.defined
    assert row.summary.median.value == INF
    text = str(study.summary("regret"))
    assert "not defined" in text
    assert f"{100 * slow:.0f} % of the agents" in text
    assert "never" not in text
    for ask in (study.misranking, study.seeds_needed):
        with pytest.raises(InvalidInput, match=r"is not defined: .* % of the agents .* infinite regret.*use compare"):
            ask(metric="regret")
    assert "greedy_return" in str(study)
    assert not found.comparison.difference.defined
    share = f"{100 * slow:.0f} % of the agents of alpha=0.02"
    assert share in found.sentence  # the mean of the others does not stand for all


def test_sums_that_never_settle():
    """Policies that go to and fro have no return without a limit: no verdict from the chosen few that have one."""
    mdp = qfast.MDP([[0, 1], [0, 2], [2, 2]], [[0.0, 1.0], [-1.0, -0.5], [0, 0]],
                    terminated=[[False, False], [False, True], [True, True]])  # fmt: skip
    options = {"n_agents": 1000, "episodes": 10, "gamma": 0.9, "epsilon": 0.2, "seed": 0, "progress": False}
    study = qfast.study(mdp, vary={"alpha": [0.05, 0.5]}, **options)
    lost = int(np.isnan(study.scores("greedy_return", 0)).sum())
    assert lost == 861
    found = study.compare(0, 1, "greedy_return")
    assert found.better is None
    assert f"undefined for {lost} of 1,000 agents of alpha=0.05" in found.sentence
    assert "139 of 1,000" in str(study.summary("greedy_return"))
    limited = qfast.study(mdp.with_limit(20), vary={"alpha": [0.05, 0.5]}, ties="first", **options)
    assert np.isfinite(limited.scores("greedy_return")).all()


@pytest.fixture(scope="module")
def mixed():
    """Every kind of score: regret infinite for some, the mean return -inf for some, undefined for others."""
    rng = np.random.default_rng(0)
    finite = rng.normal(size=(2, 200))
    finite[1] += 0.5
    some = finite.copy()
    some[0, :24] = -INF
    lost = finite.copy()
    lost[0, :180] = NAN
    both = some.copy()
    both[1, 100:103] = NAN
    both[1, 110] = INF
    scores = {"auc": some, "final_return": lost, "greedy_return": both}
    return made_study({"alpha": [0.1, 0.2]}, n_agents=200, metrics=scores)


def test_minus_infinity_does_not_crash(mixed):
    text = str(mixed.summary("auc"))
    assert "12 % of the agents" in text.replace("12.0 %", "12 %")
    found = mixed.compare(0, 1)
    assert found.better == "b"
    assert "12 % of the agents of alpha=0.1 have infinite auc" in found.sentence
    profile = mixed.profile()
    assert np.isfinite(profile.thresholds).all()
    assert profile.profiles[0].share[0] <= 0.88


def test_undefined_agents_are_counted(mixed):
    found = mixed.compare(0, 1, "final_return")
    assert found.better is None
    assert "No verdict" in found.sentence
    assert "final_return is undefined for 180 of 200 agents of alpha=0.1; missing='drop'" in found.sentence
    row = mixed.summary("final_return").rows[0]
    assert (row.n, row.n_undefined) == (200, 180)
    assert row.summary.mean.value == pytest.approx(np.nanmean(mixed.scores("final_return", 0)))
    assert row.summary.median.interval.low == -INF
    assert "20 of 200" in str(mixed.summary("final_return"))
    for ask in (mixed.misranking, mixed.seeds_needed, mixed.profile, mixed.best):
        with pytest.raises(InvalidInput, match=r"is undefined for 180 of 200 agents of alpha=0.1; missing='drop'"):
            ask(metric="final_return")


def test_dropping_says_how_many_are_left(mixed):
    told = "about 20 of 200 agents"
    assert told in mixed.compare(0, 1, "final_return", missing="drop").sentence
    assert mixed.compare(0, 1, "final_return", missing="drop").comparison.n_a == 20
    assert told in str(mixed.compare_all("final_return", missing="drop"))
    assert told in mixed.misranking(metric="final_return", missing="drop", paired=True, rng=0).sentence
    alone = mixed.misranking(metric="final_return", missing="drop", rng=0).sentence
    assert "about 200 of 200 and 20 of 200 agents" in alone
    assert "20 of 200 agents" in str(mixed.seeds_needed(metric="final_return", missing="drop", rng=0))
    assert mixed.profile("final_return", missing="drop").profiles[0].n == 20
    assert mixed.summary("final_return", missing="drop").rows[0].summary.mean.defined
    with pytest.raises(InvalidInput, match="missing='maybe' is unknown"):
        mixed.compare(0, 1, missing="maybe")


def test_agents_that_were_not_run_are_not_missing():
    dataset = made_dataset({"alpha": [0.1, 0.2]}, n_agents=100, curves=False)
    dataset["auc"][1, 60:] = NAN
    dataset["agents_run"][1] = 60
    study = qfast.studies.Study(dataset)
    found = study.compare(0, 1)
    assert (found.comparison.n_a, found.about, found.no_verdict) == (60, "about the 60 agents that both ran", "")
    assert "about the 60 agents that both ran" in str(study.compare_all())
    assert study.summary().rows[1].n_undefined == 0
    assert "undefined" not in str(study.summary())


def test_a_mean_is_of_all_agents_and_a_paired_difference_of_those_that_both_ran():
    scores = np.array([[1.0] * 50 + [9.0] * 50, [3.0] * 50 + [NAN] * 50]) + np.linspace(0, 0.1, 100)
    dataset = made_dataset({"alpha": [0.1, 0.2]}, n_agents=100, metrics={"auc": scores}, curves=False)
    dataset["agents_run"][1] = 50
    study = qfast.studies.Study(dataset)
    pairs = study.compare_all()
    assert pairs.labels == ("alpha=0.1", "alpha=0.2")  # as the means of the summary
    assert (pairs.pairs[0].better, pairs.pairs[0].about) == ("b", "about the 50 agents that both ran")
    shared, alone = (study.misranking(k=1, paired=paired, rng=0) for paired in (True, False))
    assert (shared.about, shared.labels[0]) == ("about the 50 agents that both ran", "alpha=0.2")
    assert (alone.about, alone.labels[0]) == ("", "alpha=0.1")


def test_shares_of_infinite_scores_are_of_those_that_are_asked_about():
    scores = np.random.default_rng(0).normal(size=(2, 100))
    scores[0, :60], scores[0, 60:80], scores[1, 60:70] = NAN, INF, NAN
    study = made_study({"alpha": [0.1, 0.2]}, n_agents=100, metrics={"auc": scores}, curves=False)
    assert "33 % of the agents of alpha=0.1" in study.compare(0, 1, missing="drop").no_mean  # 10 of the 30 of both
    with pytest.raises(InvalidInput, match=r"50 % of the agents of alpha=0\.1 have infinite auc"):
        study.misranking(0, 1, missing="drop")  # 20 of 40
    with pytest.raises(InvalidInput, match=r"33 % of the agents of alpha=0\.1 have infinite auc"):
        study.misranking(0, 1, missing="drop", paired=True)


@pytest.mark.parametrize("metric", ["auc", "final_return", "greedy_return"])
@pytest.mark.parametrize("missing", ["keep", "drop"])
def test_pages_and_pictures_of_all_that_is_not_finite(mixed, tmp_path, metric, missing):
    study = Again(mixed.dataset)
    path = study.report(tmp_path / "page.html", metric=metric, missing=missing, rerun=metric == "auc")
    page = path.read_text("utf-8")
    assert "not defined" in page or missing == "drop"
    if missing == "drop" and metric == "final_return":
        assert "20 of 200" in page
    for kind in ("violin", "ecdf"):
        ax = study.plot_distribution(metric, kind=kind, ax=Figure().add_subplot())
        assert "not drawn" in ax.get_title(loc="left")
    study.plot_sensitivity("alpha", metric, ax=Figure().add_subplot())
    study.plot_improvement(metric, missing=missing, ax=Figure().add_subplot())


@pytest.mark.parametrize("number", [INF, -INF, NAN])
def test_nothing_crashes_where_no_agent_has_a_number(number, monkeypatch):
    monkeypatch.setattr("qfast.reports.html.Sketchbook.compose", lambda *_, **__: "<svg></svg>")
    scores = np.full((2, 30), number)
    study = Again(made_dataset({"alpha": [0.1, 0.2]}, n_agents=30, metrics={"auc": scores}))
    for missing in ("keep", "drop"):
        assert not study.summary(missing=missing).rows[0].summary.mean.defined
        assert study.compare(0, 1, missing=missing).better is None
        assert study.compare_all(missing=missing).n_different == 0
        for ask in (study.misranking, study.seeds_needed):
            with pytest.raises(InvalidInput, match=r"is not defined: |is defined for 0 of 30 agents of alpha=0\.1"):
                ask(missing=missing)
        assert "<h1>" in render_report(study, missing=missing, rerun=False)
        study.plot_improvement(missing=missing, ax=Figure().add_subplot())
    for draw in (study.plot_distribution, study.plot_sensitivity):
        draw(metric="auc", ax=Figure().add_subplot())
    study.plot_distribution(kind="ecdf", ax=Figure().add_subplot())


def test_times_alone_have_a_restricted_mean():
    times = np.array([[10.0, INF, 50.0, 100.0], [INF, INF, INF, 5.0]])
    study = made_study({"alpha": [0.1, 0.2]}, n_agents=4, episodes=100, metrics={"first_optimal": times})
    summary = study.summary("first_optimal")
    assert summary.rows[0].summary.mean.value == np.mean([10, 100, 50, 100])
    assert summary.rows[1].summary.median.value == INF
    assert "count as 100 in means (restricted mean)" in summary.note
    assert "never" in str(summary)


def test_a_table_where_some_scores_are_shares_and_others_not():
    scores = np.array([[0.5, 1.0] * 10, [0.0, 1.0] * 10])
    study = made_study({"alpha": [0.1, 0.2]}, n_agents=20, metrics={"regret": scores})
    summary = study.summary("regret")
    assert "share >=" not in str(summary)
    assert summary.rows[1].summary.mean.value == 0.5
    assert "share >= 1" in str(study.summary("regret", at_least=1))
    shares = made_study({"alpha": [0.1, 0.2]}, n_agents=20, metrics={"regret": scores.round()})
    assert "share >= 1" in str(shares.summary("regret"))


def test_a_range_that_few_agents_do_not_have():
    study = made_study({"alpha": [0.1]}, n_agents=10, curves=False)
    text = str(study.summary("auc"))
    assert "unknown (10 agents)" in text
    assert "never" not in text
    assert "-inf to" not in text


def test_first_optimal_lies_between_two_checkpoints():
    """The truth of every episode lies in what twenty checkpoints say."""
    lake = qfast.problems.frozen_lake("4x4", slip=0.0)
    options = {"vary": {}, "n_agents": 400, "episodes": 200, "gamma": 0.95, "seed": 0, "metrics": ["first_optimal"]}
    coarse, fine = (qfast.study(lake, **options, checkpoints=n, progress=False) for n in (20, 200))
    row, truth = coarse.summary("first_optimal").rows[0], fine.summary("first_optimal").rows[0]
    for name, estimate in (("median", row.summary.median), ("mean", row.summary.mean)):
        exact = getattr(truth.summary, name).value
        assert row.after[name] < exact <= estimate.value
        assert row.after[name] in estimate.interval
        assert exact in estimate.interval
    low, high = row.after["median"], row.summary.median.value
    assert high - low == 10
    assert f"between {low:g} and {high:g} [" in str(coarse.summary("first_optimal"))
    assert coarse.dataset["first_optimal"].attrs["interval_censored"] == 1
    assert "after the checkpoint before" in coarse.summary("first_optimal").note
    told = coarse.seeds_needed(metric="first_optimal", half_width=5.0).about
    assert told == "a time counts as the checkpoint that saw it"
    frame = coarse.summary("first_optimal").to_dataframe()
    assert frame["median_after"][0] == low
    ax = coarse.plot_distribution("first_optimal", ax=Figure().add_subplot())
    assert "at the checkpoint that saw it" in ax.get_xlabel()



def test_a_goal_on_what_has_no_mean_is_never_met():
    mdp = qfast.MDP([[0, 1], [1, 1]], [[-1.0, -9.0], [0, 0]], terminated=[[False, True], [True, True]],
                    max_episode_steps=5)  # fmt: skip
    study = qfast.study(mdp, vary={}, gamma=1.0, epsilon=0.5, alpha=0.0, ties="first", n_agents=1100, episodes=2,
                        seed=0, precision={"regret": 1e6}, progress=False)  # fmt: skip
    assert np.isinf(study.scores("regret", 0)).all()
    assert int(study.dataset["agents_run"][0]) == 1100


def test_no_interval_of_a_time_reaches_beyond_the_training():
    times = np.full((2, 400), INF)
    times[:, 0] = 90.0  # one of 400, shortly before the end
    study = made_study({"alpha": [0.1, 0.2]}, n_agents=400, metrics={"first_optimal": times})
    for row in study.summary("first_optimal").rows:
        assert row.summary.mean.value == pytest.approx(100 - 10 / 400)
        assert row.summary.mean.interval.low < row.summary.mean.value <= row.summary.mean.interval.high <= 100


def test_the_best_is_in_doubt_where_any_other_is_not_behind_it():
    rng = np.random.default_rng(0)
    close = rng.normal(size=(3, 200)) * [[0.01], [0.01], [20]] + [[1.0], [0.98], [0.0]]
    close[2] += 0.5 - close[2].mean()
    found = Again(made_dataset({"alpha": [0.1, 0.2, 0.3]}, n_agents=200, metrics={"auc": close})).best()
    assert found.rivals == ("alpha=0.3",)
    assert "it is not shown to be better than alpha=0.3" in found.sentence


def test_configurations_of_different_problems_are_independent():
    lake = qfast.problems.frozen_lake(slip=0.0)
    options = {"vary": {"epsilon": [0.1, 0.4]}, "n_agents": 100, "episodes": 50, "gamma": 0.95, "seed": 0}
    study = qfast.study({"x": lake, "y": lake}, **options, progress=False)
    assert "Welch's t-test, independent agents" in study.compare(0, 2).sentence
    assert "agents paired by their random numbers" in study.compare(0, 1).sentence
    with pytest.raises(InvalidInput, match="each problem of this study has random numbers of its own"):
        study.misranking(0, 3, paired=True, rng=0)
    with pytest.raises(InvalidInput, match="no common scale; name one"):
        _ = study.summary().best


def test_checkpoints_too_far_apart_tell_no_difference():
    times = np.array([[50.0] * 160 + [100.0] * 40, [50.0] * 100 + [100.0] * 100])
    dataset = made_dataset({"alpha": [0.1, 0.2]}, n_agents=200, metrics={"first_optimal": times}, paired=False)
    found = qfast.Study(dataset.isel(checkpoint=[9, 19])).compare(0, 1, "first_optimal")
    assert found.better is None
    assert "since the checkpoints are too far apart to tell" in found.sentence
    times[0, :50] = NAN
    made = made_study({"alpha": [0.1, 0.2]}, n_agents=200, metrics={"first_optimal": times}, paired=True)
    assert "about 150 of 200 agents" in made.compare(0, 1, "first_optimal", missing="drop").sentence
    share = made.summary("first_optimal").rows[0].happened
    assert (share.value, share.interval.low < 0.76 < share.interval.high) == (1.0, True)


@pytest.mark.parametrize(
    ("give", "options", "message"),
    [
        (lambda block: np.where(block.agents % 2, 2.0, 0.0), {"is_bool": True}, "gave 2, which is neither 0 nor 1"),
        (lambda block: block.agents + 100.0, {"is_time": True}, "which is no time within 10 episodes"),
        (lambda block: 1 / 0, {}, "the function of own raised ZeroDivisionError: division by zero; mend it"),
        (lambda block: next(iter(())), {}, "the function of own raised StopIteration; mend it"),
    ],
)
def test_what_a_metric_gives_is_checked(give, options, message):
    metric = qfast.Metric(give, name="own", higher_is_better=True, **options)
    with pytest.raises(InvalidInput, match=message):
        qfast.study(vary={"alpha": [0.1]}, n_agents=8, episodes=10, metrics=["auc", metric], progress=False)
