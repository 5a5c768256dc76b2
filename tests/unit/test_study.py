"""Studies: each agent is the one that `qfast.train` makes, and what is kept of them is what NumPy says."""

import inspect
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from importlib import import_module
from multiprocessing import get_context

import numpy as np
import pytest

import qfast
from qfast import Metric
from qfast.errors import InvalidInput
from qfast.studies.reduce import quantiles_of

EPISODES = 300
LAKE = qfast.problems.frozen_lake("4x4", slip=0.0)
VARY = {"alpha": [0.1, 0.5], "epsilon": [0.05, qfast.linear(0.5, 0.1)]}
PLAIN = {"alpha": [0.1, 0.5], "epsilon": [0.05, 0.2]}  # without a schedule, where lengths are recorded: see `house`


def make(**changes):
    settings = {"vary": VARY, "n_agents": 150, "episodes": EPISODES, "gamma": 0.95, "seed": 3, "progress": False}
    return qfast.study(LAKE, **(settings | changes))


def train(alpha=0.1, epsilon=0.05, **changes):
    settings = {"n_agents": 150, "episodes": EPISODES, "gamma": 0.95, "seed": 3, "record": "returns"}
    return qfast.train(LAKE, alpha=alpha, epsilon=epsilon, progress=False, **(settings | changes))


@pytest.fixture(scope="module")
def study():
    return make()


@pytest.fixture(scope="module")
def run():
    return train(checkpoints=20)


HIGH = {"higher_is_better": True}


def last_return(block):
    """Return of the last episode."""
    return block.returns[:, -1]


def n_agent(block):
    return block.agents


def test_configurations_are_the_product(study):
    labels = ["epsilon=0.05", "epsilon=linear(0.5, 0.1)"]
    assert study.labels == [f"alpha={alpha}, {label}" for alpha in (0.1, 0.5) for label in labels]
    assert study.configurations[0] == {"alpha": 0.1, "epsilon": "0.05"}
    assert len(study) == 4
    assert study.dataset["alpha"].values.tolist() == [0.1, 0.1, 0.5, 0.5]
    assert dict(study.dataset.sizes) == {
        "configuration": 4, "agent": 150, "episode": EPISODES, "quantile": 5, "quantile_episode": 50, "checkpoint": 20,
    }  # fmt: skip


def test_metrics_are_those_of_train(study, run):
    returns = run.returns.astype(float)
    np.testing.assert_allclose(study.scores("auc", 0), returns.mean(axis=1), rtol=1e-15)
    np.testing.assert_allclose(study.scores("final_return", 0), returns[:, -30:].mean(axis=1), rtol=1e-15)
    np.testing.assert_array_equal(study.scores("steps", 0), run.lengths.sum(axis=1))
    np.testing.assert_array_equal(study.scores("regret", 0), run.regret())
    np.testing.assert_array_equal(study.dataset["optimal"].values[0], run.is_optimal())
    census = run.census()
    np.testing.assert_array_equal(study.scores("greedy_return", 0), census.expected_return[census.policy_of])
    first = run.first_optimal().episodes
    np.testing.assert_array_equal(study.scores("first_optimal", 0), np.where(np.isnan(first), np.inf, first))
    assert 0 < study.scores("optimal", 0).mean() < 1  # otherwise all of this would say little
    assert study.dataset.attrs["n_steps"] == study.scores("steps").sum()


def test_curves_are_those_of_train(study, run):
    data = study.dataset.isel(configuration=0)
    returns = run.returns.astype(float)
    np.testing.assert_allclose(data["return_mean"], returns.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(data["return_std"], returns.std(axis=0, ddof=1), rtol=1e-10)
    ranks = [7, 37, 74, 112, 142]  # the smallest values that 5, 25, 50, 75 and 95 % of 150 do not exceed
    when = data["quantile_episode"].values - 1
    assert when[0] == 0
    assert when[-1] == EPISODES - 1
    np.testing.assert_array_equal(data["return_quantile"], np.sort(run.returns, axis=0)[ranks][:, when])
    np.testing.assert_array_equal(data["share_optimal"], run.checkpoints.share_optimal)
    np.testing.assert_allclose(data["regret_mean"], run.checkpoints.regret.mean(axis=0), rtol=1e-13)
    np.testing.assert_array_equal(data["checkpoint"], run.checkpoints.episodes)


def test_paired_agents_share_their_streams(study):
    alone = train(alpha=0.5, n_agents=1, first_agent=140)
    assert study.scores("steps", 2)[140] == alone.lengths.sum()
    assert study.paired
    assert "paired: agent i has the same random stream" in repr(study)


def test_schedules_are_those_of_train():
    settings = {"n_agents": 64, "episodes": 20, "seed": 3, "progress": False}
    own = {"metrics": ["steps", Metric(last_return, "last", **HIGH)], "checkpoints": None}
    made = qfast.study(vary={"epsilon": [qfast.linear(0.5, 0.1)]}, **settings, **own)
    run = qfast.train(epsilon=qfast.linear(0.5, 0.1), record="returns", **settings)
    np.testing.assert_array_equal(made.scores("last", 0), run.returns[:, -1])
    np.testing.assert_array_equal(made.scores("steps", 0), run.lengths.sum(axis=1))


def test_unpaired_agents_have_numbers_of_their_own(study):
    unpaired = make(paired=False)
    assert unpaired.dataset["first_agent"].values.tolist() == [0, 150, 300, 450]
    alone = train(alpha=0.5, n_agents=1, first_agent=300 + 17)
    assert unpaired.scores("steps", 2)[17] == alone.lengths.sum()
    np.testing.assert_array_equal(unpaired.scores("steps", 0), study.scores("steps", 0))
    assert (unpaired.scores("steps", 2) != study.scores("steps", 2)).any()
    assert "unpaired" in repr(unpaired)
    assert unpaired.to_dataframe().query("configuration == 2")["agent"].tolist() == list(range(300, 450))


def test_a_first_agent_counts_for_all(study):
    later = make(first_agent=64, n_agents=86)
    np.testing.assert_array_equal(later.scores("auc"), study.scores("auc")[:, 64:])


def test_bits_do_not_depend_on_how_the_work_is_divided(study, monkeypatch):
    for changes in ({"threads": 1}, {"threads": 3}, {"executor": ThreadPoolExecutor(2)}):
        assert make(**changes).dataset.equals(study.dataset), changes
    monkeypatch.setattr("qfast.studies.reduce._MOST_AGENTS", 64)
    assert make().dataset.equals(study.dataset)


def test_bits_in_other_processes(study):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert make(executor=pool).dataset.equals(study.dataset)


def test_the_number_of_agents_does_not_matter(study):
    np.testing.assert_array_equal(make(n_agents=70).scores("regret"), study.scores("regret")[:, :70])


def test_metrics_of_the_users_own(run):
    own = {"last_return": Metric(last_return, **HIGH), "number": Metric(n_agent, **HIGH)}
    mine = make(vary=PLAIN, metrics=own, first_agent=0)
    np.testing.assert_array_equal(mine.scores("last_return", 0), run.returns[:, -1])
    np.testing.assert_array_equal(mine.scores("number", 3), np.arange(150))
    assert mine.dataset["last_return"].attrs["description"] == "Return of the last episode."
    few = make(vary=PLAIN, metrics=["steps", Metric(last_return, **HIGH)], checkpoints=None, curves=False)
    assert few.metrics == ["steps", "last_return"]
    assert set(few.dataset.sizes) == {"configuration", "agent"}


@pytest.mark.parametrize(
    ("metric", "told"),
    [(lambda block: block.returns, "gave shape"), (lambda block: "x", "gave shape"), (lambda block: 1.0, "gave shape")],
)
def test_metrics_must_be_one_number_an_agent(metric, told):
    with pytest.raises(InvalidInput, match=told):
        make(vary=PLAIN, metrics={"mine": Metric(metric, **HIGH)})


def test_all_quantiles_and_short_studies():
    whole = make(curves="all", n_agents=70)
    assert whole.dataset["return_quantile"].dims == ("configuration", "quantile", "episode")
    short = make(episodes=3, n_agents=2)
    assert short.dataset["checkpoint"].values.tolist() == [1, 2, 3]
    one = make(episodes=1, n_agents=1, vary={})
    assert one.labels == ["problem"]
    assert np.isnan(one.dataset["return_std"].values).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_quantiles_are_exact(dtype):
    rng = np.random.default_rng(5)
    tables = [rng.normal(size=(3, 101)), rng.integers(-3, 4, (3, 64)), rng.normal(1000, 1e-2, (2, 1)), np.zeros((1, 7))]
    for table in tables:
        values = table.astype(dtype)
        ranks = [max(1, int(np.ceil(level * values.shape[1]))) - 1 for level in (0.05, 0.5, 0.95)]
        expected = np.sort(values, axis=1)[:, ranks].T
        np.testing.assert_array_equal(quantiles_of(values, (0.05, 0.5, 0.95)), expected)


def test_several_problems_and_grids():
    vary = [{"epsilon": [0.1, 0.2]}, {"explore": ["greedy"], "initial_q": [1.0]}]
    both = make(vary=vary, n_agents=64, episodes=20)
    assert both.labels == [
        "epsilon=0.1, explore=epsilon_greedy, initial_q=0", "epsilon=0.2, explore=epsilon_greedy, initial_q=0",
        "explore=greedy, initial_q=1",
    ]  # fmt: skip
    assert both.configurations[2] == {"explore": "greedy", "initial_q": 1.0}
    assert np.isnan(both.dataset["epsilon"].values[2])
    grid = both.grid("auc")
    assert grid.dims == ("epsilon", "explore", "initial_q", "agent")
    assert np.isnan(grid.sel(epsilon=0.1, explore="greedy")).all()
    there = grid.sel(epsilon=0.2, explore="epsilon_greedy", initial_q=0)
    assert there.values.tolist() == both.scores("auc", 1).tolist()
    problems = {"lake": LAKE, "corridor": qfast.corridor()}
    two = qfast.study(problems, vary={"alpha": [0.1]}, n_agents=64, episodes=20, seed=0, progress=False)
    assert two.labels == ["problem=lake, alpha=0.1", "problem=corridor, alpha=0.1"]
    assert two.to_rliable("steps")["alpha=0.1"].shape == (64, 2)


def test_find(study):
    assert [study.find(c) for c in (2, -2, "alpha=0.5, epsilon=0.05")] == [2, 2, 2]
    assert study.find({"alpha": 0.5, "epsilon": qfast.linear(0.5, 0.1)}) == 3
    for wrong in (4, "alpha=7", {"alpha": 0.5}, {"gamma": 1}, {"alpha": 7}, None, True, 1.5):
        with pytest.raises(InvalidInput, match="configuration"):
            study.find(wrong)


@pytest.mark.parametrize(
    ("method", "function"),
    [
        ("plot_curves", "plots.study_curves"), ("plot_share_optimal", "plots.study_share_optimal"),
        ("plot_sensitivity", "plots.sensitivity"), ("plot_sensitivity_map", "plots.sensitivity_map"),
        ("plot_distribution", "plots.score_distribution"), ("report", "reports.write_report"),
        ("save", "studies.storage.save_study"),
    ],
)  # fmt: skip
def test_methods_that_are_functions_of_other_rooms(study, method, function):
    """They have the functions' signatures and texts, on the class and on a study."""
    module, _, name = f"qfast.{function}".rpartition(".")
    bound = getattr(import_module(module), name)
    assert getattr(qfast.Study, method) is bound
    assert getattr(study, method).__func__ is bound
    first, *others = inspect.signature(bound).parameters
    assert list(inspect.signature(getattr(study, method)).parameters) == others
    assert inspect.getdoc(getattr(study, method)) == inspect.getdoc(bound)
    assert first == "study"


def test_help_on_a_study_needs_no_picture():
    code = (
        "import pydoc, sys, qfast; text = pydoc.plain(pydoc.render_doc(qfast.Study)); "
        "sys.exit('matplotlib' in sys.modules or 'plot_curves = study_curves(' not in text)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_grid(study):
    grid = study.grid(study.dataset["steps"].mean("agent"))
    assert grid.dims == ("alpha", "epsilon")
    assert grid.sel(alpha=0.5, epsilon="0.05") == study.scores("steps", 2).mean()
    assert study.grid("optimal").dtype == np.bool_
    with pytest.raises(InvalidInput, match="does not exist"):
        study.grid("speed")
    with pytest.raises(InvalidInput, match="no dimension"):
        study.grid(study.dataset["quantile"])


def test_layouts(study):
    table = study.to_dataframe()
    assert len(table) == 600
    assert table["optimal"].dtype == np.bool_
    assert table.query("label == 'alpha=0.5, epsilon=0.05'")["auc"].tolist() == study.scores("auc", 2).tolist()
    assert study.to_rliable("auc")["alpha=0.5, epsilon=0.05"][:, 0].tolist() == study.scores("auc", 2).tolist()
    rows = study.to_rl_evaluation()
    assert rows.columns.tolist() == ["alpha", "epsilon", "seed", "frame", *study.metrics]
    assert rows["frame"].unique().tolist() == [EPISODES]


def test_rerun_takes_agents_that_were_not_used(study):
    again = study.rerun(1, progress=False)
    assert again.labels == [study.labels[1]]
    more = make(n_agents=300)
    np.testing.assert_array_equal(again.scores("auc", 0), more.scores("auc", 1)[150:])
    other = study.rerun({"alpha": 0.5, "epsilon": 0.05}, 64, seed=9, progress=False)
    np.testing.assert_array_equal(other.scores("steps", 0), train(0.5, n_agents=64, seed=9).lengths.sum(axis=1))


def test_attributes_say_how_it_was_made(study):
    about = study.dataset.attrs
    assert (study.seed, study.n_agents, study.episodes) == ("3", 150, EPISODES)
    space = {}
    exec(about["command"], space)
    assert space["study"].dataset.equals(study.dataset)
    for name in study.dataset.data_vars:
        assert set(study.dataset[name].attrs) >= {"long_name", "units", "higher_is_better", "description"}


def test_the_dataset_is_described_on_one_screen(study):
    lines = repr(study).splitlines()
    assert len(lines) < 24
    assert lines[0] == "Study of 4 configurations, 150 agents each, 300 episodes"
