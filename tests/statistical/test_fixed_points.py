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

import house
import numpy as np
import pytest

import qfast
from qfast import exact

GAMMA, EPSILON = 0.5, 0.6
AGENTS, EPISODES = 1_000, 8_000
STEP_SIZE = qfast.by_visits(c=4.0)  # sums diverge, sums of squares converge; c (1 - gamma) > 1 forgets the beginning
ERRORS = 5  # standard errors


def policy(q):
    """The epsilon-greedy probabilities."""
    return (1 - EPSILON) * (q == q.max(axis=1, keepdims=True)) + EPSILON / q.shape[1]


def backup(mdp, values):
    """r + gamma times the value of the next state, on average over outcomes; nothing beyond the end."""
    ahead = np.where(mdp.terminated, 0.0, np.append(values, 0)[mdp.next_state])
    return (mdp.probability * (mdp.reward + GAMMA * ahead)).sum(axis=2)[:3, :2]


def optimal(mdp):
    """Q*."""
    return exact.solve(mdp, GAMMA).q[:3, :2]


def soft(mdp):
    """The value of what an epsilon-greedy agent goes on with."""
    q = exact.soft_fixed_point(mdp, GAMMA, EPSILON).q[:3, :2]
    np.testing.assert_allclose(backup(mdp, q.max(axis=1) * (1 - EPSILON) + EPSILON * q.mean(axis=1)), q)
    return q


def steps_and_a_maximum(mdp, n=3):
    """The fixed point of n-step Q-learning: n - 1 steps as the agent goes, exploring, and then the maximum."""
    q = np.zeros((3, 2))
    for _ in range(200):
        target = backup(mdp, q.max(axis=1))
        for _ in range(n - 1):
            target = backup(mdp, (policy(q) * target).sum(axis=1))
        q = target
    return q


PLAIN, MASKED = house.chances(), house.chances(masked=True)
NARROW = {"dtype": "float64"}
EVERY = qfast.by_episode(np.full(EPISODES // 2, EPSILON))  # the same, as a schedule
#: The problem, the settings, and the fixed point; the first four are variants of the house.
LEARNERS = {
    "q_learning": (PLAIN, {"rule": "q_learning"} | NARROW, optimal),
    "double_q_learning": (MASKED, {"rule": "double_q_learning", "ties": "first"} | NARROW, optimal),
    "sarsa": (PLAIN, {"rule": "sarsa", "ties": "last", "epsilon": EVERY}, soft),
    "expected_sarsa": (MASKED, {"rule": "expected_sarsa"} | NARROW, soft),
    "watkins": (PLAIN, {"rule": "q_learning", "traces": "replacing", "lambda_": 0.8} | NARROW, optimal),
    "sarsa lambda": (PLAIN, {"rule": "sarsa", "traces": "accumulating", "lambda_": 0.8} | NARROW, soft),
    "sarsa, 3 steps": (PLAIN, {"rule": "sarsa", "n": 3} | NARROW, soft),
    "expected_sarsa, 3 steps": (PLAIN, {"rule": "expected_sarsa", "n": 3} | NARROW, soft),
    "q_learning, 3 steps": (PLAIN, {"rule": "q_learning", "n": 3} | NARROW, steps_and_a_maximum),
}


def population(mdp, initial_q, **settings):
    """The agents halfway, and in the end."""
    settings = {"epsilon": EPSILON} | settings
    half = qfast.train(
        mdp, n_agents=AGENTS, episodes=EPISODES // 2, alpha=STEP_SIZE, gamma=GAMMA, initial_q=initial_q, seed=5,
        progress=False, **settings,
    )  # fmt: skip
    return half, qfast.resume(half, episodes=EPISODES // 2, epsilon=settings["epsilon"], progress=False)


def bias_of_the_maximum(run):
    """|E max Q - max E Q|; with two tables the value that the other one has where the own one is maximal."""
    q = run.q[:, :3, :2]
    own, other = (q, q) if run.q_tables is None else (run.q_tables[:, 0, :3, :2], run.q_tables[:, 1, :3, :2])
    value = np.take_along_axis(other, own.argmax(axis=2)[..., None], axis=2)
    return np.abs(value.mean(axis=0)[:, 0] - other.mean(axis=0).max(axis=1)).max()


@pytest.mark.parametrize(
    "name", [*list(LEARNERS)[:4], *(pytest.param(name, marks=pytest.mark.long) for name in list(LEARNERS)[4:])]
)
def test_every_rule_comes_to_its_fixed_point(name):
    mdp, settings, fixed_point = LEARNERS[name]
    bound = np.abs(PLAIN.reward).max() / (1 - GAMMA)
    (low_half, low), (high_half, high) = (population(mdp, initial, **settings) for initial in (-bound, bound))
    means, spreads = ([of(run.q[:, :3, :2], axis=0) for run in (low, high)] for of in (np.mean, np.std))

    forgotten = np.abs(means[0] - means[1])
    by_chance = ERRORS * np.max(spreads) / np.sqrt(AGENTS)
    bias = max(bias_of_the_maximum(low_half), bias_of_the_maximum(high_half)) + by_chance
    tolerance = forgotten + GAMMA / (1 - GAMMA) * bias + by_chance
    others = [other(mdp) for other in (optimal, soft, steps_and_a_maximum) if other is not fixed_point]
    for mean in means:
        assert (np.abs(mean - fixed_point(mdp)) <= tolerance).all()
        assert all((np.abs(mean - other) > tolerance).any() for other in others)
