"""Pictures: what they show is what the run holds, and they are drawn without a warning."""

import sys
from dataclasses import replace

import numpy as np
import pytest

import qfast
from qfast.errors import InvalidInput, MissingExtra
from qfast.exact import solve
from qfast.plots import census_bars, disagreement_map, learning_curve, q_distribution, share_optimal, value_map
from qfast.plots.populations import greedy_shares
from qfast.problems import cliff_walking, dyna_maze, frozen_lake

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

LAKE = frozen_lake("4x4", slip=0.2)
SETTINGS = {"n_agents": 40, "episodes": 300, "gamma": 0.95, "initial_q": 0.5, "seed": 2, "progress": False}


@pytest.fixture(scope="module")
def run():
    return qfast.train(LAKE, **SETTINGS, checkpoints=10, record="returns")


@pytest.fixture(scope="module")
def summary():
    return qfast.train(LAKE, **SETTINGS)


@pytest.fixture
def ax():
    return Figure(layout="constrained").add_subplot()


def drawn(ax):
    """Let matplotlib do all the work, which is when it complains."""
    ax.figure.canvas.draw()
    return ax


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_axes_go_in_and_come_out_and_nothing_is_shown(run, ax, monkeypatch):
    from matplotlib import pyplot as plt

    monkeypatch.setattr(plt, "show", lambda: pytest.fail("a window was opened"))
    before = plt.get_fignums()
    for draw in (learning_curve, share_optimal, value_map, disagreement_map, q_distribution, census_bars):
        ax = Figure(layout="constrained").add_subplot()
        assert draw(run, ax=ax) is ax
        drawn(ax)
        assert ax.get_title() or ax.get_title(loc="left") or (ax.get_xlabel() and ax.get_ylabel())
    assert plt.get_fignums() == before


def test_without_axes_there_is_a_new_figure(run):
    from matplotlib import pyplot as plt

    plt.switch_backend("agg")
    first, second = learning_curve(run), value_map(run)
    assert first.figure is not second.figure
    plt.close(first.figure)
    plt.close(second.figure)


# --- over episodes --------------------------------------------------------------------------------------------------


def test_the_curve_is_the_mean_and_the_bands_say_what_they_are(run, ax):
    drawn(learning_curve(run, ax=ax))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), run.returns.mean(axis=0), atol=1e-6)
    assert ax.lines[0].get_xdata().tolist() == list(range(1, 301))
    assert labels(ax) == ["mean of 40 agents", "90 % of the agents", "50 % of the agents"]


def test_bands_of_one_standard_deviation_and_of_the_mean(run, ax):
    learning_curve(run, band="std", quantity="lengths", ax=ax)
    lengths = run.lengths.astype(float)
    edges = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert edges.max() == pytest.approx((lengths.mean(axis=0) + lengths.std(axis=0, ddof=1)).max())
    assert labels(ax)[1] == "± one standard deviation over agents"
    learning_curve(run, band="mean", quantity="lengths", label="lake", ax=ax)
    edges = ax.collections[1].get_paths()[0].vertices[:, 1]
    error = 1.959964 * lengths.std(axis=0, ddof=1) / np.sqrt(40)
    assert edges.max() == pytest.approx((lengths.mean(axis=0) + error).max(), rel=1e-6)
    assert labels(ax)[-1] == "lake: 95 % confidence interval of the mean"


def test_agents_are_averaged_before_they_are_counted_where_all_is_recorded(run, summary, ax):
    learning_curve(run, smooth=50, ax=ax)
    averages = np.stack([row[:50].mean() for row in run.returns])
    assert ax.lines[0].get_ydata()[0] == pytest.approx(averages.mean(), abs=1e-6)
    assert ax.lines[0].get_ydata().size == 251
    assert ax.lines[0].get_xdata()[0] == 25.5
    assert ax.get_xlabel() == "episode (averages over 50 in a row)"
    learning_curve(summary, smooth=50, ax=ax)
    assert labels(ax)[-1] == "50 % of the agents in single episodes"
    np.testing.assert_allclose(ax.lines[1].get_ydata(), ax.lines[0].get_ydata(), atol=1e-6)


def test_one_agent_has_no_band(ax):
    alone = qfast.train(n_agents=1, episodes=5, seed=0, progress=False)
    drawn(learning_curve(alone, ax=ax))
    assert labels(ax) == ["mean of 1 agent"]
    assert not ax.collections


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantity": "reward"}, "'reward' is unknown; use 'returns' or 'lengths'"),
        ({"band": "sem"}, "'sem' is unknown; use one of 'agents', 'std', 'mean', or None"),
        ({"smooth": 0}, r"smooth=0 is no number of episodes in \[1, 300\]"),
        ({"smooth": 301}, "smooth=301"),
        ({"smooth": True}, "smooth=True"),
    ],
)
def test_bad_options_of_the_curve_are_refused(run, options, message):
    with pytest.raises(InvalidInput, match=message):
        learning_curve(run, **options)


def test_a_run_without_a_record_has_no_curve(run):
    with pytest.raises(InvalidInput, match="the run has no record of its episodes"):
        learning_curve(replace(run, returns=None, lengths=None))


def test_the_share_of_optimal_agents(run, ax):
    drawn(share_optimal(run, label="lake", ax=ax))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), run.checkpoints.optimal.mean(axis=0))
    np.testing.assert_allclose(ax.lines[1].get_ydata(), run.first_optimal().share)
    edges = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert edges.min() >= 0
    assert edges.max() <= 1
    assert labels(ax)[0] == "lake: optimal (40 agents)"


def test_checkpoints_that_grow_are_drawn_on_a_logarithmic_axis(ax):
    corridor = {"n_agents": 4, "episodes": 200, "seed": 0, "progress": False}
    assert share_optimal(qfast.train(**corridor, checkpoints="log"), ax=ax).get_xscale() == "log"
    drawn(ax)
    assert "10" in [label.get_text() for label in ax.get_xticklabels()]
    for even in (20, [0, 1, 200]):
        run = qfast.train(**corridor, checkpoints=even)
        assert share_optimal(run, ax=Figure().add_subplot()).get_xscale() == "linear"


def test_wilsons_interval():
    from qfast.stats.interval import share_interval

    low, high = share_interval(np.array([0.0, 0.5, 1.0]), 10)  # Wilson 1927; tabulated for example by Newcombe 1998
    np.testing.assert_allclose(low, [0.0, 0.2366, 0.7225], atol=1e-4)
    np.testing.assert_allclose(high, [0.2775, 0.7634, 1.0], atol=1e-4)


# --- maps -----------------------------------------------------------------------------------------------------------


def test_the_map_shows_values_where_agents_act(run, ax):
    drawn(value_map(run, agent=3, ax=ax))
    shown = ax.images[0].get_array()
    acts = run.mdp.decision_states.reshape(4, 4)
    np.testing.assert_array_equal(np.ma.getmaskarray(np.ma.masked_invalid(shown)), ~acts)
    np.testing.assert_allclose(shown[acts], run.q[3].max(axis=1).reshape(4, 4)[acts], rtol=1e-6)
    assert [text.get_text() for text in ax.texts] == ["H", "H", "H", "H", "G"]
    arrows = sum(collection.N for collection in ax.collections)
    best = (run.q[3] == run.q[3].max(axis=1, keepdims=True)).sum(axis=1)[run.mdp.decision_states]
    assert arrows == best[best < 4].sum()
    assert not value_map(run, arrows=False, ax=Figure().add_subplot()).collections


def test_arrows_point_where_actions_lead(ax):
    run = qfast.train(n_agents=5, episodes=200, seed=0, progress=False)
    value_map(run, ax=ax)
    (arrows,) = ax.collections
    assert (arrows.U > 0).all()
    assert (arrows.V == 0).all()
    assert arrows.N == 4


def test_disagreement_is_the_entropy_of_greedy_actions(ax):
    corridor = qfast.train(n_agents=4, episodes=200, seed=0, progress=False)
    q = corridor.q.copy()
    q[0, 1] = [2, 1]  # one of four goes back: 0.8113 bits
    q[:2, 2], q[2:, 2] = [1, 1], [0, 1]  # two do not mind: half a vote for each action
    mixed = replace(corridor, q=q)
    np.testing.assert_allclose(greedy_shares(mixed)[:4, 0], [0, 0.25, 0.25, 0])
    drawn(disagreement_map(mixed, ax=ax))
    np.testing.assert_allclose(ax.images[0].get_array()[0, :4], [0, 0.8113, 0.8113, 0], atol=1e-4)
    for ties, back in (("first", 0.5), ("last", 0.0)):
        assert greedy_shares(replace(mixed, learner=replace(mixed.learner, ties=ties)))[2, 0] == back


@pytest.mark.parametrize("build", [cliff_walking, dyna_maze])
def test_maps_with_walls_and_cliffs(build, ax):
    mdp = build(max_episode_steps=50)
    run = qfast.train(mdp, n_agents=3, episodes=5, seed=0, progress=False)
    drawn(value_map(run, ax=ax))
    drawn(disagreement_map(run, ax=Figure(layout="constrained").add_subplot()))
    assert ax.images[0].get_array().shape == (len(mdp.layout), max(map(len, mdp.layout)))


def test_a_problem_without_a_map_is_refused():
    plain = qfast.corridor()
    mdp = qfast.MDP(plain.next_state, plain.reward, terminated=plain.terminated)
    run = qfast.train(mdp, n_agents=2, episodes=3, seed=0, progress=False)
    for draw in (value_map, disagreement_map):
        with pytest.raises(InvalidInput, match="no layout"):
            draw(run)


# --- populations ----------------------------------------------------------------------------------------------------


def test_histograms_count_all_agents_and_mark_the_truth(run, ax):
    drawn(q_distribution(run, state=14, ax=ax))
    shapes = [patch.get_data() for patch in ax.patches if not patch.get_fill()]
    heights = np.array([shape.values - shape.baseline for shape in shapes])
    counts = [np.histogram(run.q[:, 14, a], shapes[0].edges)[0] for a in range(4)]
    np.testing.assert_allclose(heights, 0.85 * np.array(counts) / np.max(counts), atol=1e-12)
    assert f"the highest bar is {100 * np.max(counts) / 40:.3g} % of the agents" in ax.get_xlabel()
    # The first action is on top; the truth is marked in each row.
    assert [shape.baseline for shape in shapes] == [3, 2, 1, 0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["up", "right", "down", "left"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in ax.lines], solve(LAKE, 0.95).q[14])
    assert [line.get_ydata()[0] for line in ax.lines] == [3, 2, 1, 0]
    assert labels(ax) == ["Q*"]


def test_agents_that_all_agree_have_a_histogram_too(ax):
    run = qfast.train(n_agents=3, episodes=500, alpha=1.0, seed=0, progress=False)
    drawn(q_distribution(run, state="3", ax=ax))
    assert ax.get_title(loc="left") == "Q(3, a) of 3 agents"


@pytest.mark.parametrize(
    ("state", "message"),
    [*((state, "does not exist") for state in (16, -1, "Z", True)), (15, "no agent can act")],
)
def test_states_without_agents_are_refused(run, state, message):
    with pytest.raises(InvalidInput, match=message):
        q_distribution(run, state=state)


def test_agents_with_discounts_of_their_own_have_no_common_truth():
    run = qfast.train(n_agents=2, episodes=3, gamma=[0.5, 0.9], seed=0, progress=False)
    with pytest.raises(InvalidInput, match="there is no common Q\\*; give gamma="):
        q_distribution(run)
    assert q_distribution(run, gamma=0.5, ax=Figure().add_subplot()).get_title(loc="left") == "Q(0, a) of 2 agents"


def test_census_bars_are_shares(run, ax):
    census = run.census()
    drawn(census_bars(census, top=3, ax=ax))
    widths = sorted((patch.get_y(), patch.get_width()) for patch in ax.patches)
    np.testing.assert_allclose([w for _, w in widths], [*census.share[:3], census.share[3:].sum()])
    assert [text.get_text() for text in ax.get_yticklabels()][-1] == f"{len(census) - 3} more"
    assert ax.texts[0].get_text().startswith(f"value {census.value[0]:.4g}")
    with pytest.raises(InvalidInput, match="top=0"):
        census_bars(census, top=0)


def test_matplotlib_missing_is_said(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtra, match=r'pip install "qfast\[plot\]"'):
        learning_curve(run)
