"""Rewards that are too large for Q, step sizes that are too small for it, and no compiler: said before training."""

import numpy as np
import pytest
from processes import run_python

import qfast
from qfast import exact, problems
from qfast.errors import InvalidInput, PrecisionWarning
from qfast.model.learner import make_learner
from qfast.model.magnitudes import check_magnitudes, lost_updates

SMALL = {"n_agents": 3, "episodes": 20, "seed": 0, "progress": False}


def loop(reward, limit=50):
    """One state that is never left."""
    return qfast.MDP([[0, 0]], [[reward, 0.0]], terminated=[[False, False]], max_episode_steps=limit)


def coin(low, high):
    """A reward of two, and the end."""
    shape = (1, 1, 2)
    return qfast.MDP(np.zeros(shape, int), [[[low, high]]], terminated=np.ones(shape, bool), probability=[[[0.5, 0.5]]])


def learner(**settings):
    return make_learner(n_agents=4, episodes=5, **settings)


@pytest.mark.parametrize(
    ("mdp", "settings", "message"),
    [
        (loop(1e36), {"gamma": 0.999}, r"1e\+36 with gamma=0\.999 may lead Q to 1e\+39 .* use dtype='float64'"),
        (loop(-1e36), {"gamma": [0.5, 0.999, 0.5]}, r"may lead Q to 1e\+39 \(max\|reward\| / \(1 - gamma\)\)"),
        (loop(1e36, 200), {"gamma": 1.0}, r"may lead Q to 2e\+38 \(max\|reward\| \* max_episode_steps\)"),
        (loop(1e36, 200), {"gamma": 0.5}, r"may lead returns to 2e\+38"),
        (loop(1e307), {"gamma": 0.9, "dtype": "float64"}, r"may lead Q to 1e\+308 .* holds; divide the rewards"),
        (coin(0, 1e39), {}, r"may lead Q to 1e\+39 .* float32 holds; use dtype='float64'"),
        (coin(0, 1e39), {"dtype": "float64"}, r"returns may come to 1e\+39.* use record='returns'"),
    ],
)
def test_rewards_that_do_not_fit_are_refused_with_the_bound(mdp, settings, message):
    with pytest.raises(InvalidInput, match=message):
        qfast.train(mdp, **SMALL, **settings)


def test_a_study_refuses_them_too():
    with pytest.raises(InvalidInput, match=r"may lead Q to 1e\+39"):
        qfast.study(loop(1e36), vary={"gamma": [0.9, 0.999]}, **SMALL)


def test_what_fits_is_trained_without_a_warning():
    bandit = qfast.MDP([[0] * 4], [[0, 1e39, 0, 1e39]], terminated=[[True] * 4], max_episode_steps=9)
    run = qfast.train(bandit, dtype="float64", record="returns", **SMALL)
    assert run.q.max() > 1e38
    assert run.n_diverged == 0
    # What cannot occur does not count.
    mdp = qfast.MDP(
        [[0, 1], [1, 1]], [[1e39, 1.0], [0.0, 0.0]], terminated=[[False, True], [True, True]],
        allowed=[[False, True]] * 2,
    )  # fmt: skip
    check_magnitudes(mdp, learner(), "summary")


def test_a_number_beyond_float64_is_not_finite():
    beyond = np.longdouble("1e400") if np.finfo(np.longdouble).maxexp > 1024 else np.longdouble("inf")
    with pytest.raises(InvalidInput, match=r"reward\[0, 0\]=inf is not finite"):
        loop(beyond)
    with pytest.raises(InvalidInput, match="alpha"):
        learner(alpha=beyond)
    with pytest.raises(InvalidInput, match=r"goal=1000.* is not finite"):
        problems.corridor(goal=10**400)


@pytest.mark.parametrize("gamma", [0.5, 1 - 1e-12, 1.0])
def test_exact_values_are_refused_where_sums_could_overflow(gamma):
    mdp = qfast.MDP([[1, 0], [0, 1]], [[1e308, -1e308]] * 2, terminated=[[False, True], [True, False]])
    with pytest.raises(InvalidInput, match=r"1e\+308 is above 1e\+290.* divide the rewards"):
        exact.solve(mdp, gamma)
    largest = qfast.MDP([[0]], [[1e290]], terminated=[[False]])
    if gamma < 1:
        assert exact.solve(largest, gamma).q[0, 0] == pytest.approx(1e290 / (1 - gamma))


def test_step_sizes_that_float32_loses_are_warned_of():
    text = r"alpha=1e-05 times .* spread of 2, is below 0\.000488, .* float32 numbers at 10001.* dtype='float64'"
    bandit = qfast.MDP([[4] * 4] * 5, [[9_999, 10_001] * 2] * 5, terminated=[[True] * 4] * 5, max_episode_steps=9)
    with pytest.warns(PrecisionWarning, match=text) as warned:
        run = qfast.train(bandit, alpha=1e-5, gamma=0.0, **SMALL)
    assert warned[0].filename == __file__
    with pytest.warns(PrecisionWarning, match=text):
        qfast.resume(run, episodes=1, progress=False)
    with pytest.warns(PrecisionWarning, match=r"alpha=1e-05: alpha=1e-05 times .*"):
        qfast.study(bandit, vary={"alpha": [0.1, 1e-5]}, gamma=0.0, **SMALL)
    assert lost_updates(coin(9_999, 10_001), learner(alpha=1e-5, dtype="float64")) is None
    assert "(2 agents)" in str(lost_updates(coin(9_999, 10_001), learner(alpha=[1e-5, 0.1, 0.0, 1e-6])))
    assert "their size of 1" in str(lost_updates(coin(1, 1), learner(alpha=1e-9)))  # nothing to spread


ORDINARY = [
    {}, {"gamma": 0.99}, {"gamma": 1.0}, {"alpha": 0.001, "gamma": 0.999}, {"alpha": qfast.by_visits()},
    {"alpha": qfast.exponential(0.5, 1e-9)}, {"alpha": qfast.linear(0.5, 0.0)}, {"alpha": 0.0},
]  # fmt: skip


@pytest.mark.parametrize("name", problems.names())
def test_ordinary_problems_are_not_warned_of(name):
    mdp = problems.resolve(name)
    for settings in ORDINARY:
        check_magnitudes(mdp, learner(**settings), "summary")
        assert lost_updates(mdp, learner(**settings)) is None


WITHOUT_COMPILER = """
import qfast
from qfast.errors import InvalidInput
from qfast.truth.judge import make_judge
calls = (
    lambda: qfast.train(n_agents=3), lambda: qfast.study(vary={"alpha": [0.1, 0.2]}, n_agents=64),
    lambda: make_judge(qfast.corridor(), 0.9, "random"),
)
for call in calls:
    try:
        call()
    except InvalidInput as error:
        assert str(error).startswith("NUMBA_DISABLE_JIT is set"), error
    else:
        raise AssertionError("went on")
"""


def test_a_switched_off_compiler_is_one_sentence():
    run_python("-c", WITHOUT_COMPILER, NUMBA_DISABLE_JIT=1)
