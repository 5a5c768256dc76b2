"""Pictures of studies: what they show is what the study holds, and each says how many agents and what its bands are."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from made_studies import made_study

from qfast.errors import InvalidInput

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from qfast import plots
from qfast.plots.canvas import agents_text, look

GRID = {"alpha": [0.01, 0.1, 0.3, 1.0], "epsilon": [0.05, 0.2], "rule": ["sarsa", "q_learning"]}


@pytest.fixture(scope="module")
def study():
    return made_study()


@pytest.fixture(scope="module")
def large():
    return made_study(GRID, n_agents=60)


@pytest.fixture
def ax():
    return Figure(figsize=(9, 6), layout="constrained").add_subplot()


def drawn(ax):
    """Let matplotlib do all the work, which is when it complains."""
    ax.figure.canvas.draw()
    return ax


def title(ax):
    return ax.get_title(loc="left").replace("\n", "; ")


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def edges(collection):
    return collection.get_paths()[0].vertices[:, 1]


def test_axes_go_in_and_come_out_and_all_is_labelled(study, monkeypatch):
    from matplotlib import pyplot as plt

    monkeypatch.setattr(plt, "show", lambda: pytest.fail("a window was opened"))
    before = plt.get_fignums()
    draw = [
        study.plot_curves, study.plot_share_optimal, study.plot_sensitivity, study.plot_sensitivity_map,
        study.plot_distribution, study.plot_profile, study.plot_improvement,
        lambda ax: study.plot_misranking(2, 4, k=[1, 3, 10], rng=0, n_resamples=200, ax=ax),
        lambda ax: plots.named_shares(study.misranking(k=[1, 3, 10], rng=0, n_resamples=200), ax=ax),
    ]  # fmt: skip
    for paint in draw:
        ax = Figure(layout="constrained").add_subplot()
        assert paint(ax=ax) is ax
        drawn(ax)
        assert ax.get_xlabel()
        assert "400 agents each" in title(ax), title(ax)
    assert plt.get_fignums() == before


def test_without_axes_there_is_a_new_figure(study):
    from matplotlib import pyplot as plt

    plt.switch_backend("agg")
    ax = study.plot_curves()
    assert ax.figure is not study.plot_curves().figure
    plt.close("all")


def test_no_two_lines_look_alike_in_grey():
    assert len({(str(look(i).linestyle), look(i).marker) for i in range(6)}) == 6
    assert len({str(look(i).linestyle) for i in range(6)}) == 6


# --- over episodes ---------------------------------------------------------------------------------------------------


def test_curves_are_the_means_and_bands_say_what_they_are(study, ax):
    drawn(study.plot_curves([LABEL], ax=ax))
    data = study.dataset
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), data["return_mean"].to_numpy()[4])
    assert edges(ax.collections[0]).max() == pytest.approx(data["return_quantile"].to_numpy()[4, -1].max())
    assert title(ax) == "1 of 6 configurations; 400 agents; bands: where 90 % of the agents are"
    study.plot_curves([LABEL], band="mean", ax=ax)
    half = 1.959964 * data["return_std"].to_numpy()[4] / 20
    assert edges(ax.collections[1]).max() == pytest.approx((data["return_mean"].to_numpy()[4] + half).max(), rel=1e-6)
    assert "95 % confidence interval of the mean" in title(ax)
    study.plot_curves([LABEL], band="std", smooth=10, ax=ax)
    assert "one standard deviation over agents in single episodes" in title(ax)
    assert ax.get_xlabel() == "episode (averages over 10 in a row)"


LABEL = "alpha=0.5, epsilon=0.05"


def test_of_many_configurations_the_best_are_drawn(large, ax):
    drawn(large.plot_curves(ax=ax))
    assert title(ax).startswith("the 6 best of 16 by mean return; 60 agents each")
    best = [large.labels[i] for i in np.argsort(-large.scores("auc").mean(axis=1))[:6]]
    assert labels(ax) == best


def test_the_share_of_optimal_agents_has_wilsons_band(study, ax):
    drawn(study.plot_share_optimal([0], ax=ax))
    share = study.dataset["share_optimal"].to_numpy()[0]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), share)
    from scipy.stats import binomtest

    hits = round(share[-1] * 400)
    exact = binomtest(hits, 400).proportion_ci(method="wilson")
    assert edges(ax.collections[0]).max() == pytest.approx(exact.high, abs=2e-3)
    assert "(Wilson)" in title(ax)


# --- over settings ---------------------------------------------------------------------------------------------------


def test_sensitivity_has_a_line_for_each_value_of_another_setting(study, ax):
    drawn(study.plot_sensitivity(ax=ax))
    assert ax.get_xlabel() == "alpha"
    assert labels(ax) == ["epsilon=0.05", "epsilon=0.2"]
    lines = [line for line in ax.lines if len(line.get_xdata()) == 3]
    np.testing.assert_allclose(lines[0].get_ydata(), study.scores("auc")[[0, 2, 4]].mean(axis=1))
    assert "caps: 95 % confidence interval of the mean; bands: 90 % of the agents" in title(ax)
    low = np.quantile(study.scores("auc", 0), 0.05)
    assert any(edges(band).min() == pytest.approx(low) for band in ax.collections if band.get_paths())


def test_other_settings_stand_as_in_the_best(large, ax):
    drawn(large.plot_sensitivity("alpha", lines="epsilon", ax=ax))
    best = large.configurations[int(large.scores("auc").mean(axis=1).argmax())]
    assert f"rule={best['rule']}" in title(ax)
    assert ax.get_xscale() == "log"
    ax = Figure().add_subplot()
    drawn(large.plot_sensitivity("rule", "regret", where={"epsilon": 0.2, "alpha": 0.3}, ax=ax))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["sarsa", "q_learning"]
    assert "long bars: 90 % of the agents" in title(ax)
    assert ax.get_ylabel() == "regret (reward)"


def test_the_map_frames_the_best(large, ax):
    drawn(large.plot_sensitivity_map(("alpha", "epsilon"), where={"rule": "sarsa"}, ax=ax))
    shown = ax.images[0].get_array()
    chosen = [i for i, c in enumerate(large.configurations) if c["rule"] == "sarsa"]
    means = large.scores("auc")[chosen].mean(axis=1).reshape(4, 2).T
    np.testing.assert_allclose(shown, means)
    row, column = np.unravel_index(means.argmax(), means.shape)
    assert [p.get_xy() for p in ax.patches] == [(column - 0.5, row - 0.5)]
    assert len(ax.texts) == 8
    other = drawn(large.plot_sensitivity_map(metric="regret", ax=Figure().add_subplot()))
    row, column = np.unravel_index(np.argmin(other.images[0].get_array()), (2, 4))
    assert other.patches[0].get_xy() == (column - 0.5, row - 0.5)


# --- over agents -----------------------------------------------------------------------------------------------------


def test_violins_are_histograms(study, ax):
    drawn(study.plot_distribution(ax=ax))
    assert [text.get_text() for text in ax.get_yticklabels()] == study.labels
    assert [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"] == pytest.approx(
        study.scores("auc").mean(axis=1)
    )
    assert "line: middle 90 %" in title(ax)


def test_equal_agents_have_a_violin_too(ax):
    same = made_study({"alpha": [0.1, 0.2]}, n_agents=5, metrics={"auc": np.full((2, 5), 3.0)})
    drawn(same.plot_distribution(ax=ax))
    drawn(same.plot_distribution(kind="ecdf", ax=Figure().add_subplot()))


def test_distribution_functions_go_from_none_to_all(study, ax):
    drawn(study.plot_distribution("first_optimal", [0, 1], kind="ecdf", ax=ax))
    assert ax.lines[0].get_ydata()[[0, -1]].tolist() == [0.0, 1.0]
    assert ax.get_xlabel() == "first optimal episode (episodes)\n(never: 100; at the checkpoint that saw it)"


def test_profiles_have_their_band(study, ax):
    profile = study.profile()
    drawn(plots.performance_profiles(profile, [LABEL], ax=ax))
    assert labels(ax) == [LABEL]
    assert set(ax.lines[0].get_ydata()) <= set(profile.profiles[4].share)
    assert "95 % confidence for the whole curve" in title(ax)
    with pytest.raises(InvalidInput, match="names 'alpha=9', which the profile lacks"):
        plots.performance_profiles(profile, ["alpha=9"])


# --- choices ---------------------------------------------------------------------------------------------------------


def test_the_matrix_holds_both_directions(study, ax):
    found = study.compare_all()
    drawn(plots.improvement(found, ax=ax))
    np.testing.assert_array_equal(ax.images[0].get_array().filled(np.nan), found.probability_of_improvement())
    assert len(ax.texts) == 30
    assert "paired; on the same seed" in title(ax)


def test_pairs_that_are_not_told_apart_are_marked(ax):
    scores = np.random.default_rng(0).normal(size=(3, 30))
    alike = made_study({"alpha": [0.1, 0.2, 0.3]}, n_agents=30, metrics={"auc": scores}, paired=False)
    drawn(plots.improvement(alike.compare_all(), ax=ax))
    assert all(text.get_text().startswith("(") for text in ax.texts)
    assert "in brackets: not told apart" in title(ax)
    other = drawn(plots.improvement(alike.compare_all(against=0), ax=Figure().add_subplot()))
    assert "hollow: not told apart" in title(other)
    assert {line.get_markerfacecolor() for line in other.lines if line.get_marker() == "o"} == {"white"}


def test_against_one_there_is_a_line_with_an_interval(study, ax):
    found = study.compare_all(against=LABEL)
    drawn(plots.improvement(found, ax=ax))
    ends = sorted((1 - p.comparison.probability_of_improvement.interval.high) for p in found.pairs)
    bars = [line.get_xdata() for line in ax.lines if line.get_marker() == "None" and line.get_xdata()[0] != 0.5]
    np.testing.assert_allclose(sorted(bar[0] for bar in bars), ends)
    assert LABEL in ax.get_xlabel()


def test_the_misranking_curve_marks_where_it_can_be_trusted(study, ax):
    found = study.misranking(2, 4, k=[1, 3, 5, 10, 30, 100], rng=0, n_resamples=400)
    drawn(plots.misranking_curve(found, ax=ax))
    curves = [line for line in ax.lines if len(line.get_xdata()) == 6 and line.get_linestyle() != "None"]
    np.testing.assert_array_equal(curves[0].get_ydata(), found.missed)
    np.testing.assert_array_equal(curves[1].get_ydata(), found.wrong)
    texts = [text.get_text() for text in ax.texts]
    assert f"{found.trustworthy()} seeds" in texts
    assert "a coin" in texts
    assert labels(ax) == ["misses the difference (Welch's t-test at 0.05)", "names the wrong winner (by the mean)"]
    assert "truth: 400 agents each; independent seeds; bands: ± 2 standard errors" in title(ax)


def test_the_shares_of_names_add_up(large, ax):
    found = large.misranking(k=[1, 3, 10], rng=0, n_resamples=300)
    drawn(plots.named_shares(found, top=1, ax=ax))
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), 1 - found.wrong)
    assert labels(ax)[0] == "14 others"
    assert len(labels(ax)) == 3
    assert labels(ax)[-1].endswith("(the best)")
    top = max(edges(collection).max() for collection in ax.collections)
    assert top == pytest.approx(1.0)
    alone = drawn(plots.misranking_curve(found, ax=Figure().add_subplot()))
    assert "a guess" in [text.get_text() for text in alone.texts]


def test_numbers_beside_marks_overlap_neither_each_other_nor_the_legend(study):
    found = study.misranking(2, 4, k=[1, 3, 5, 10, 30, 100], rng=0, n_resamples=100)
    high = replace(found.result, missed=np.array([0.98, 0.971, 0.956, 0.9, 0.4, 0.02]))
    ax = Figure(figsize=(5, 3.7), layout="constrained").add_subplot()
    drawn(plots.misranking_curve(replace(found, result=high), ax=ax))
    boxes = [text.get_window_extent() for text in ax.texts if "%" in text.get_text()]
    boxes.append(ax.get_legend().get_window_extent())
    assert len(boxes) > 8
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]


def test_numbers_of_agents_in_words():
    assert agents_text([1]) == "1 agent"
    assert agents_text([5, 9]) == "5 to 9 agents each"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda s: s.plot_curves(band="sem"), "band='sem' is unknown"),
        (lambda s: s.plot_curves(smooth=0), "smooth=0 is no number of episodes"),
        (lambda s: s.plot_curves([]), "is empty or names one twice"),
        (lambda s: s.plot_curves([0, LABEL, 4]), "is empty or names one twice"),
        (lambda s: s.plot_curves("alpha"), "is no list"),
        (lambda s: s.plot_distribution(kind="pie"), "kind='pie' is unknown"),
        (lambda s: s.plot_sensitivity("gamma"), "setting names 'gamma', which did not vary"),
        (lambda s: s.plot_sensitivity("alpha", lines="alpha"), "is the setting on the axis"),
        (lambda s: s.plot_sensitivity_map(["alpha"]), "a map needs two of 'alpha', 'epsilon'"),
        (lambda s: s.plot_misranking(2, 4, k=[1], risk=1.5), "risk=1.5 is outside"),
        (lambda s: plots.named_shares(s.misranking(k=[1], rng=0, n_resamples=9), top=0), "top=0 is not a whole number"),
        (lambda s: made_study(curves=False).plot_curves(), "run it with curves=True"),
        (lambda s: made_study(curves=False).plot_share_optimal(), "run it with checkpoints=20"),
        (lambda s: made_study(GRID, n_agents=5).plot_curves(list(range(7))), "6 can be told apart"),
        (lambda s: made_study({"problem": list("abcdefg")}, n_agents=5).plot_curves(), "no common scale; name some"),
    ],
)
def test_bad_wishes_are_refused(study, draw, message):
    with pytest.raises(InvalidInput) as caught:
        draw(study)
    assert message in str(caught.value)
