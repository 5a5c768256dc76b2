"""Exact solutions against an independent library: MDPSolver, which is written in C++."""

import platform
import sys

import numpy as np
import pytest

from qfast.exact import evaluate_policy, solve
from qfast.model.mdp import MDP
from qfast.problems import cliff_walking, corridor, frozen_lake, garnet, taxi

# There are wheels for these; elsewhere it would have to be compiled, and `pyproject.toml` leaves it out.
if sys.platform == "linux" and platform.machine() != "x86_64":
    pytest.skip("MDPSolver has no wheel for this platform", allow_module_level=True)

import mdpsolver

TOLERANCE = 1e-10


def masked(seed: int) -> MDP:
    """A random problem with several starts, ends, and actions that are not allowed."""
    rng = np.random.default_rng(seed)
    shape = (40, 3, 3)
    return MDP(
        rng.integers(0, 40, shape),
        rng.normal(size=shape),
        terminated=rng.random(shape) < 0.1,
        probability=rng.dirichlet(np.ones(3), shape[:2]),
        allowed=(rng.random(shape[:2]) < 0.8) | (np.arange(3) == 0),
    )


PROBLEMS = {
    "corridor": corridor(),
    "lake 4x4": frozen_lake("4x4"),
    "lake 8x8": frozen_lake("8x8"),
    "cliff": cliff_walking(max_episode_steps=200),
    "taxi": taxi(),
    "garnet": garnet(300, 5, 4, seed=2),
    "masked": masked(3),
}


def theirs(mdp: MDP, gamma: float, algorithm: str) -> tuple[np.ndarray, np.ndarray]:
    """V and a policy by MDPSolver, for all states of the problem."""
    # It knows no ends: one more state, which is never left and pays nothing, takes their place.
    n = mdp.n_states
    columns, probabilities, rewards = [], [], []
    for s in range(n):
        open_ = [a for a in range(mdp.n_actions) if mdp.allowed is None or mdp.allowed[s, a]]
        rows: list[dict[int, float]] = []
        pay: list[float] = []
        for a in range(mdp.n_actions):
            # Nor does it know masks: an action that is not allowed does what the first allowed one does.
            does = a if a in open_ else open_[0]
            rows.append({})
            pay.append(float(mdp.probability[s, does] @ mdp.reward[s, does]))
            for k in np.flatnonzero(mdp.probability[s, does]):
                ended = mdp.terminated[s, does, k] or mdp.terminal_states[mdp.next_state[s, does, k]]
                entered = n if ended else int(mdp.next_state[s, does, k])
                rows[-1][entered] = rows[-1].get(entered, 0.0) + float(mdp.probability[s, does, k])
        columns.append([list(row) for row in rows])
        probabilities.append([list(row.values()) for row in rows])
        rewards.append(pay)
    columns.append([[n]] * mdp.n_actions)
    probabilities.append([[1.0]] * mdp.n_actions)
    rewards.append([0.0] * mdp.n_actions)
    model = mdpsolver.model()
    model.mdp(discount=gamma, rewards=rewards, tranMatProbs=probabilities, tranMatColumns=columns)
    model.solve(algorithm=algorithm, tolerance=TOLERANCE, parallel=False)
    return np.array(model.getValueVector())[:n], np.array(model.getPolicy())[:n]


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize(("gamma", "algorithm"), [(0.5, "vi"), (0.9, "pi"), (0.99, "mpi")])
def test_values_and_policies_agree(name: str, gamma: float, algorithm: str) -> None:
    mdp = PROBLEMS[name]
    v, policy = theirs(mdp, gamma, algorithm)
    ours = solve(mdp, gamma)
    here, acting = np.arange(mdp.n_states), ~mdp.terminal_states
    slack = TOLERANCE / (1.0 - gamma) + ours.error_bound
    np.testing.assert_allclose(ours.v[acting], v[acting], rtol=0, atol=slack)
    # Their policy is one of the best, and worth what both say.
    if mdp.allowed is not None:
        policy = np.where(mdp.allowed[here, policy], policy, mdp.allowed.argmax(axis=1))
    assert ours.optimal_actions[here, policy][acting].all()
    np.testing.assert_allclose(evaluate_policy(mdp, policy, gamma).v[acting], v[acting], rtol=0, atol=slack)
