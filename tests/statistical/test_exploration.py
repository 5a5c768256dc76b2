"""How often the agents do what: exploration, ties, outcomes and starts have their stated probabilities.

The rewards are chosen so that the return of an episode says what happened in it.  Each assertion has a false-alarm
rate of 1e-6 at a seed fixed beforehand (see `oracle.chance`).
"""

import numpy as np
import pytest
from oracle.chance import assert_counts, assert_independent, assert_uniform

import qfast

AGENTS, EPISODES = 2_000, 200


def returns(mdp, **settings):
    """Whole-numbered returns (agents, episodes)."""
    defaults = {"n_agents": AGENTS, "episodes": EPISODES, "record": "returns", "progress": False, "alpha": 0.0}
    run = qfast.train(mdp, **(defaults | settings))
    whole = run.returns.astype(np.int64)
    np.testing.assert_array_equal(whole, run.returns)
    return whole


def bandit(n_actions, **options):
    """One step; the return is the action."""
    shape = (2, n_actions)
    reward = np.stack([np.arange(n_actions), np.zeros(n_actions)])
    return qfast.MDP(np.ones(shape, int), reward, terminated=np.ones(shape, bool), **options)


@pytest.mark.parametrize("n_actions", [2, 3, 5])
@pytest.mark.parametrize("epsilon", [0.01, 0.1, 0.5, 0.95, 1.0])
def test_every_action_has_its_share_of_exploration_and_the_greedy_one_the_rest(n_actions, epsilon):
    taken = returns(bandit(n_actions), epsilon=epsilon, ties="first", seed=21)
    expected = np.full(n_actions, epsilon / n_actions)
    expected[0] += 1 - epsilon
    assert_counts(np.bincount(taken.ravel(), minlength=n_actions), expected)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("tied", [(1,), (0, 4), (1, 2), (0, 2, 3), (0, 1, 2, 3, 4)], ids=str)
def test_ties_are_broken_uniformly(tied, epsilon):
    # Action a pays 1 if it is tied, and leads to state 1 + a, which pays 10 (1 + a).  With gamma 0 the values of the
    # first state are the first rewards alone, learned in 200 episodes of pure exploration.
    n_actions, learning = 5, 200
    next_state = np.full((7, n_actions), 6)
    next_state[0] = np.arange(1, 6)
    reward = np.zeros((7, n_actions))
    reward[0, list(tied)] = 1
    reward[1:6] = 10 * np.arange(1, 6)[:, None]
    mdp = qfast.MDP(next_state, reward, terminated=next_state == 6, max_episode_steps=10)
    schedule = qfast.by_episode(np.repeat([1.0, epsilon], [learning, EPISODES]))
    taken = returns(
        mdp, episodes=learning + EPISODES, alpha=1.0, gamma=0.0, epsilon=schedule, seed=22,
    )[:, learning:] // 10 - 1  # fmt: skip
    expected = np.full(n_actions, epsilon / n_actions)
    expected[list(tied)] += (1 - epsilon) / len(tied)
    assert_counts(np.bincount(taken.ravel(), minlength=n_actions), expected)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("allowed", [(1, 4), (0, 2, 3), (0, 1, 2, 3)], ids=str)
def test_allowed_actions_are_equally_likely(allowed, epsilon):
    mask = np.zeros((2, 5), bool)
    mask[0, list(allowed)] = True
    taken = returns(bandit(5, allowed=mask, max_episode_steps=10), epsilon=epsilon, seed=23)
    assert_counts(np.bincount(taken.ravel(), minlength=5), mask[0])


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 1.0])
def test_choices_are_independent_over_time_and_over_agents(epsilon):
    # All actions tie for ever, so that each choice is uniform, whether explored or not.
    taken = returns(bandit(5), epsilon=epsilon, ties="random", seed=24)
    assert_uniform(taken, 5)
    for lag in (1, 2):
        pairs = taken.reshape(AGENTS, -1, 2, lag)
        assert_independent(pairs[:, :, 0], pairs[:, :, 1], 5, 5)
    for distance in (1, 16, 64):
        pairs = taken[: AGENTS // (2 * distance) * 2 * distance].reshape(-1, 2, distance, EPISODES)
        assert_independent(pairs[:, 0], pairs[:, 1], 5, 5)
    assert_independent(taken, np.broadcast_to(np.arange(EPISODES) % 5, taken.shape), 5, 5)


@pytest.mark.parametrize("kind", ["equal", "unequal"])
def test_starts_actions_and_outcomes_are_independent(kind):
    # Every step ends an episode, and its reward 9 s + 3 a + k names the start s, the action a and the outcome k.
    start, outcome = np.array([0.6, 0.1, 0.3]), np.array([[0.5, 0.2, 0.3], [0.7, 0.3, 0.0], [0.05, 0.9, 0.05]])
    if kind == "equal":
        start, outcome = np.full(3, 1 / 3), np.full((3, 3), 1 / 3)
    reward = np.zeros((4, 3, 3))
    reward[:3] = np.arange(27).reshape(3, 3, 3)
    probability = np.broadcast_to(outcome, (4, 3, 3))  # they depend on the action
    mdp = qfast.MDP(
        np.full((4, 3, 3), 3), reward, terminated=np.ones((4, 3, 3), bool), probability=probability, start=[*start, 0]
    )
    seen = returns(mdp, epsilon=1.0, ties="random", seed=25)
    cells = (start[:, None, None] * outcome / 3).ravel()
    assert_counts(np.bincount(seen.ravel(), minlength=27), cells)
    pairs = seen[:, ::2] * 27 + seen[:, 1::2]
    assert_counts(np.bincount(pairs.ravel(), minlength=27**2), np.outer(cells, cells))


def test_probabilities_of_many_rows_at_once():
    # 40 states with rows of their own, visited equally often: each row's outcomes against its own probabilities.
    rng = np.random.default_rng(26)
    n_states, k = 40, 3
    probability = rng.random((n_states + 1, 3, k)) + 0.05
    probability[::2, :, 1] = 0
    probability /= probability.sum(axis=-1, keepdims=True)
    reward = np.zeros((n_states + 1, 3, k))
    reward[:n_states] = np.arange(n_states * 3 * k).reshape(n_states, 3, k)
    shape = reward.shape
    start = [*np.full(n_states, 1 / n_states), 0]
    mdp = qfast.MDP(
        np.full(shape, n_states), reward, terminated=np.ones(shape, bool), probability=probability, start=start
    )
    seen = returns(mdp, epsilon=1.0, ties="random", seed=27)
    assert_counts(np.bincount(seen.ravel(), minlength=n_states * 3 * k), probability[:n_states])
