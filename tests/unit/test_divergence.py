"""Agents whose Q leaves its bounds: never in silence, and never by an action that is not allowed."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import qfast
from qfast.engine.agent_arrays import diverged_agents, mean_table
from qfast.errors import DivergedWarning

N = 6
# A corridor whose third action is not allowed; with alpha 0.3 the traces drive 3 of 200 agents out of all bounds.
_AFTER = np.stack([np.maximum(np.arange(N) - 1, 0), np.minimum(np.arange(N) + 1, N - 1), np.zeros(N, int)], 1)
MDP = qfast.MDP(
    _AFTER, np.where(_AFTER == N - 1, 2.0, -1.0), terminated=(_AFTER == N - 1) | (np.arange(N) == N - 1)[:, None],
    max_episode_steps=200, allowed=[[True, True, False]] * N,
)  # fmt: skip
LEARNING = {
    "n_agents": 200, "episodes": 300, "gamma": 1.0, "rule": "sarsa", "traces": "accumulating", "lambda_": 1.0,
    "seed": 0, "progress": False,
}  # fmt: skip
SETTINGS = LEARNING | {"alpha": 0.3}
OWN = qfast.Metric(lambda block: block.lengths[:, -1], "last_length", higher_is_better=False)  # so lengths are recorded
TOLD = r"3 of 200 agents have diverged: .* float32 holds.* smaller alpha or lambda_"


@pytest.fixture(scope="module")
def run():
    with pytest.warns(DivergedWarning, match=TOLD) as told:
        run = qfast.train(MDP, **SETTINGS)
    assert told[0].filename == __file__
    return run


def test_a_run_says_which_agents_diverged(run):
    expected = ~np.isfinite(run.q[:, :, :2]).all(axis=(1, 2))
    assert run.diverged.tolist() == expected.tolist()
    assert run.n_diverged == expected.sum() == 3
    assert (run.q[:, :-1, 2] == -np.inf).all()
    assert "diverged   3 agents have inf or NaN in Q" in repr(run)


def test_what_diverged_agents_do_is_allowed(run):
    assert (run.policy()[:, :-1] < 2).all()
    paths = qfast.rollout(run, agents=np.flatnonzero(run.diverged), max_steps=20)
    assert set(np.unique(paths.actions).tolist()) <= {-1, 0, 1}
    result = qfast.evaluate(run, episodes=3, progress=False)
    assert np.isfinite(result.returns).all()
    assert np.isfinite(run.regret()).all() or run.regret().max() == np.inf
    assert not np.isnan(run.regret()).any()


def test_it_is_known_however_the_agents_are_trained_and_kept(run, tmp_path):
    with pytest.warns(DivergedWarning, match=TOLD):
        assert qfast.train(MDP, keep_q=False, **SETTINGS).n_diverged == 3
    with pytest.warns(DivergedWarning, match=TOLD), ThreadPoolExecutor(2) as pool:
        assert qfast.train(MDP, executor=pool, **SETTINGS).n_diverged == 3
    with pytest.warns(DivergedWarning, match=TOLD):
        assert qfast.train(MDP, out=tmp_path / "folder", **SETTINGS).n_diverged == 3
    for loaded in (qfast.load(run.save(tmp_path / "run.npz")), qfast.load(tmp_path / "folder")):
        assert loaded.n_diverged == loaded.diverged.sum() == 3
    with pytest.warns(DivergedWarning, match="agents have diverged"):
        more = qfast.resume(run, episodes=5, progress=False)
    assert more.n_diverged == more.diverged.sum() >= 3


def test_a_study_says_where_agents_diverged(tmp_path):
    told = r"alpha=0\.3: 3 of 200 agents\).*agents_diverged"
    with pytest.warns(DivergedWarning, match=told) as warned:
        study = qfast.study(MDP, vary={"alpha": [0.01, 0.3]}, out=tmp_path, metrics=["auc", OWN], **LEARNING)
    assert warned[0].filename == __file__
    assert study.dataset["agents_diverged"].values.tolist() == [0, 3]
    with pytest.warns(DivergedWarning, match=told):  # nothing is left to be trained: it is read
        again = qfast.study(MDP, vary={"alpha": [0.01, 0.3]}, out=tmp_path, metrics=["auc", OWN], **LEARNING)
    assert again.dataset["agents_diverged"].values.tolist() == [0, 3]


def test_values_that_are_not_finite():
    q = np.zeros((4, 2, 2))
    q[1, 0, 0], q[2, 1, 1], q[3, 0, 1] = np.nan, np.inf, -np.inf
    assert diverged_agents(q, None).tolist() == [False, True, True, True]
    assert diverged_agents(q, np.array([[False, True], [False, False]])).tolist() == [False, True, True, False]
    assert diverged_agents(np.stack([q, q], axis=-1), None).tolist() == [False, True, True, True]
    assert diverged_agents(q[:0], None).tolist() == []


def test_two_tables_that_diverged_to_either_side_have_no_mean_and_no_warning():
    q = np.array([[[[np.inf, -np.inf], [1.0, 3.0]]]])
    np.testing.assert_array_equal(mean_table(q), [[[np.nan, 2.0]]])
