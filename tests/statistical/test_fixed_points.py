"""With step sizes that shrink by visits every rule comes to its exact fixed point.

How near it has to come is derived from the agents themselves, not chosen.  Each learner is run twice, from initial
values below and above all that can be learned.  The mean over agents may differ from the fixed point by

- what is left of the initial values: the difference of the two means (the update is monotone in Q, so that a run from
  the fixed point itself would lie between them on average);
- the bias of a maximum over noisy values, b = |E max Q - max E Q| at most, which the fixed-point equation turns into at
  most gamma b / (1 - gamma).  It is estimated from the agents halfway, when the noise was larger than in the end;
- chance: five standard errors for the mean, and as much for what is estimated; a false alarm in a million.

Each test also asks that the tolerance tells the fixed points of the rules apart, so that it would notice a wrong one.
"""

import numpy as np
import pytest

import qfast
from qfast import exact

GAMMA, EPSILON = 0.5, 0.6
AGENTS, EPISODES = 1_000, 8_000
STEP_SIZE = qfast.by_visits(c=4.0)  # sums diverge, sums of squares converge; c (1 - gamma) > 1 forgets the beginning
ERRORS = 5  # standard errors


def problem():
    """Three states with two actions of two equally likely outcomes; a random action is costly in state 1."""
    end = 3
    next_state = [[[1, 2], [end, 0]], [[end, 0], [end, 2]], [[0, end], [1, end]], [[end, end]] * 2]
    reward = [[[0, 1], [1, 0]], [[4, 2], [-6, -2]], [[0, -2], [1, -1]], [[0, 0]] * 2]
    next_state = np.array(next_state)
    return qfast.MDP(next_state, reward, terminated=next_state == end, start=[1 / 3, 1 / 3, 1 / 3, 0])


MDP = problem()
OPTIMAL = exact.solve(MDP, GAMMA).q[:3]
SOFT = exact.soft_fixed_point(MDP, GAMMA, EPSILON).q[:3]


def policy(q):
    """The epsilon-greedy probabilities."""
    return (1 - EPSILON) * (q == q.max(axis=1, keepdims=True)) + EPSILON / q.shape[1]


def backup(values):
    """r + gamma times the value of the next state, on average over outcomes; nothing beyond the end."""
    ahead = np.where(MDP.terminated, 0.0, np.append(values, 0)[MDP.next_state])
    return (MDP.probability * (MDP.reward + GAMMA * ahead)).sum(axis=2)[:3]


def steps_and_a_maximum(n):
    """The fixed point of n-step Q-learning: n - 1 steps as the agent goes, exploring, and then the maximum."""
    q = np.zeros((3, 2))
    for _ in range(200):
        target = backup(q.max(axis=1))
        for _ in range(n - 1):
            target = backup((policy(q) * target).sum(axis=1))
        q = target
    np.testing.assert_allclose(backup(SOFT.max(axis=1) * (1 - EPSILON) + EPSILON * SOFT.mean(axis=1)), SOFT)
    return q


LEARNERS = {
    "q_learning": ({"rule": "q_learning"}, OPTIMAL),
    "double_q_learning": ({"rule": "double_q_learning"}, OPTIMAL),
    "watkins": ({"rule": "q_learning", "traces": "replacing", "lambda_": 0.8}, OPTIMAL),
    "sarsa": ({"rule": "sarsa"}, SOFT),
    "expected_sarsa": ({"rule": "expected_sarsa"}, SOFT),
    "sarsa lambda": ({"rule": "sarsa", "traces": "accumulating", "lambda_": 0.8}, SOFT),
    "sarsa, 3 steps": ({"rule": "sarsa", "n": 3}, SOFT),
    "expected_sarsa, 3 steps": ({"rule": "expected_sarsa", "n": 3}, SOFT),
    "q_learning, 3 steps": ({"rule": "q_learning", "n": 3}, steps_and_a_maximum(3)),
}


def population(initial_q, **settings):
    """The agents halfway, and in the end."""
    options = {"seed": 5, "dtype": "float64", "record": None, "progress": False}
    half = qfast.train(
        MDP, n_agents=AGENTS, episodes=EPISODES // 2, alpha=STEP_SIZE, gamma=GAMMA, epsilon=EPSILON,
        initial_q=initial_q, **options, **settings,
    )  # fmt: skip
    return half, qfast.resume(half, episodes=EPISODES // 2, progress=False)


def bias_of_the_maximum(run):
    """|E max Q - max E Q|; with two tables the value that the other one has where the own one is maximal."""
    q = run.q[:, :3]
    own, other = (q, q) if run.q_tables is None else (run.q_tables[:, 0, :3], run.q_tables[:, 1, :3])
    value = np.take_along_axis(other, own.argmax(axis=2)[..., None], axis=2)
    return np.abs(value.mean(axis=0)[:, 0] - other.mean(axis=0).max(axis=1)).max()


#: Rules whose fixed points are found in the normal run; the others are compiled for this alone.
USUAL = {"q_learning", "double_q_learning", "sarsa", "expected_sarsa"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in USUAL else pytest.mark.long) for name in LEARNERS]
)
def test_every_rule_comes_to_its_fixed_point(name):
    settings, fixed_point = LEARNERS[name]
    bound = np.abs(MDP.reward).max() / (1 - GAMMA)
    (low_half, low), (high_half, high) = (population(initial, **settings) for initial in (-bound, bound))
    means = [run.q[:, :3].mean(axis=0) for run in (low, high)]

    forgotten = np.abs(means[0] - means[1])
    by_chance = ERRORS * max(low.q.std(axis=0).max(), high.q.std(axis=0).max()) / np.sqrt(AGENTS)
    bias = max(bias_of_the_maximum(low_half), bias_of_the_maximum(high_half)) + by_chance
    tolerance = forgotten + GAMMA / (1 - GAMMA) * bias + by_chance
    others = [other for _, other in LEARNERS.values() if other is not fixed_point]
    for mean in means:
        assert (np.abs(mean - fixed_point) <= tolerance).all()
        assert all((np.abs(mean - other) > tolerance).any() for other in others)
