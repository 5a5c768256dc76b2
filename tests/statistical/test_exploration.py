"""How often the agents do what: exploration, ties, outcomes and starts have their stated probabilities.

The rewards are chosen so that the return of an episode says what happened in it.  Each assertion has a false-alarm
rate of 1e-6 at a seed fixed beforehand (see `oracle.chance`).  All problems have five actions, unequal outcomes,
several starts, a limit and a mask, and rates with a schedule: one variant of the kernel, the richest of `house`;
`test_bits` ties the others to the same oracle.
"""

import numpy as np
import pytest
from oracle.chance import assert_counts, assert_independent, assert_uniform

import qfast

AGENTS, EPISODES, A = 2_000, 200, 5


def returns(mdp, *, alpha=0.0, epsilon, episodes=EPISODES, **settings):
    """Whole-numbered returns (agents, episodes)."""
    rates = {name: qfast.by_episode(np.full(episodes, rate)) for name, rate in (("alpha", alpha), ("epsilon", epsilon))}
    run = qfast.train(
        mdp, n_agents=AGENTS, episodes=episodes, dtype="float64", record="returns", progress=False, **rates, **settings
    )
    whole = run.returns.astype(np.int64)
    np.testing.assert_array_equal(whole, run.returns)
    return whole


def choices(tied, epsilon, *, allowed=range(A), **settings):
    """Which action each agent takes in each episode (agents, episodes), where those tied are greedy."""
    # An episode begins in one of two states that are alike.  Action a pays 1 if it is tied, and leads to state 2 + a,
    # which pays 10 (1 + a).  With gamma 0 the first values are the first rewards alone, learned in 200 episodes of pure
    # exploration.
    end, learning = 2 + A, 200
    next_state = np.full((end + 1, A, 2), end)
    next_state[:2] = 2 + np.arange(A)[:, None]
    reward = np.zeros(next_state.shape)
    reward[:2, list(tied)] = 1
    reward[2:end] = 10 * np.arange(1, A + 1)[:, None, None]
    mask = np.ones((end + 1, A), bool)
    mask[:2] = np.isin(np.arange(A), allowed)
    mask[end] = False
    mdp = qfast.MDP(
        next_state, reward, terminated=next_state == end, max_episode_steps=10, allowed=mask,
        probability=np.broadcast_to([0.3, 0.7], next_state.shape), start=[0.4, 0.6, *np.zeros(end - 1)],
    )  # fmt: skip
    schedule = np.repeat([1.0, epsilon], [learning, EPISODES])
    found = returns(mdp, episodes=learning + EPISODES, alpha=1.0, gamma=0.0, epsilon=schedule, **settings)
    return found[:, learning:] // 10 - 1


@pytest.mark.parametrize("epsilon", [0.0, 0.01, 0.1, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("tied", [(0,), (1,), (0, 4), (1, 2), (0, 2, 3), (0, 1, 2, 3, 4)], ids=str)
def test_every_action_has_its_share_of_exploration_and_the_greedy_ones_the_rest(tied, epsilon):
    expected = np.full(A, epsilon / A)
    expected[list(tied)] += (1 - epsilon) / len(tied)
    assert_counts(np.bincount(choices(tied, epsilon, seed=22).ravel(), minlength=A), expected)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("allowed", [(1, 4), (0, 2, 3), (0, 1, 2, 3)], ids=str)
def test_allowed_actions_are_equally_likely(allowed, epsilon):
    taken = choices(range(A), epsilon, allowed=allowed, seed=23)
    assert_counts(np.bincount(taken.ravel(), minlength=A), np.isin(np.arange(A), allowed))


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 1.0])
def test_choices_are_independent_over_time_and_over_agents(epsilon):
    # All actions tie for ever, so that each choice is uniform, whether explored or not.
    taken = choices(range(A), epsilon, seed=24)
    assert_uniform(taken, A)
    for lag in (1, 2):
        pairs = taken.reshape(AGENTS, -1, 2, lag)
        assert_independent(pairs[:, :, 0], pairs[:, :, 1], A, A)
    for distance in (1, 16, 64):
        pairs = taken[: AGENTS // (2 * distance) * 2 * distance].reshape(-1, 2, distance, EPISODES)
        assert_independent(pairs[:, 0], pairs[:, 1], A, A)
    assert_independent(taken, np.broadcast_to(np.arange(EPISODES) % A, taken.shape), A, A)


def one_step(probability, start):
    """Every step ends an episode, and its reward (s A + a) K + k names the start s, the action a and the outcome k."""
    n_states, k = len(start), probability.shape[-1]
    shape = (n_states + 1, A, k)
    reward = np.zeros(shape)
    reward[:n_states] = np.arange(n_states * A * k).reshape(n_states, A, k)
    rows = np.broadcast_to([0.5, *np.full(k - 1, 0.5 / (k - 1))], shape).copy()  # the end's are unequal in any case
    rows[:n_states] = probability
    mask = np.ones(shape[:2], bool)
    mask[n_states] = False
    return qfast.MDP(
        np.full(shape, n_states), reward, terminated=np.ones(shape, bool), probability=rows, start=[*start, 0],
        allowed=mask, max_episode_steps=10,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["equal", "unequal"])
def test_starts_actions_and_outcomes_are_independent(kind):
    start = np.array([0.6, 0.1, 0.3])
    outcome = np.array([[0.5, 0.2, 0.3], [0.7, 0.3, 0.0], [0.05, 0.9, 0.05], [0.4, 0.4, 0.2], [1.0, 0.0, 0.0]])
    if kind == "equal":
        start, outcome = np.full(3, 1 / 3), np.full((A, 3), 1 / 3)
    seen = returns(one_step(outcome, start), epsilon=1.0, seed=25)
    cells = (start[:, None, None] * outcome / A).ravel()
    assert_counts(np.bincount(seen.ravel(), minlength=cells.size), cells)
    pairs = seen[:, ::2] * cells.size + seen[:, 1::2]
    assert_counts(np.bincount(pairs.ravel(), minlength=cells.size**2), np.outer(cells, cells))


def test_probabilities_of_many_rows_at_once():
    # 40 states with rows of their own, visited equally often: each row's outcomes against its own probabilities.
    rng = np.random.default_rng(26)
    probability = rng.random((40, A, 3)) + 0.05
    probability[::2, :, 1] = 0
    probability /= probability.sum(axis=-1, keepdims=True)
    seen = returns(one_step(probability, np.full(40, 1 / 40)), epsilon=1.0, seed=27)
    assert_counts(np.bincount(seen.ravel(), minlength=probability.size), probability)
