"""What one step means: traps that known libraries have fallen into, one hand-made problem each.

The expected numbers are worked out by hand; step sizes and discounts are 0.5 or 1, so that they are exact.
"""

import numpy as np
import pytest
from oracle import population

import qfast

AGENTS = 5
LIMIT = 1000  # where a limit does not matter


def make(rows, **options):
    """An MDP from rows[state][action] = (next state, reward, terminated), with a terminal state behind them."""
    rows = [*rows, [(len(rows), 0.0, True)] * len(rows[0])]
    next_state, reward, terminated = (np.array([[pair[i] for pair in row] for row in rows]) for i in range(3))
    return qfast.MDP(
        next_state, reward, terminated=terminated.astype(bool), **({"max_episode_steps": LIMIT} | options)
    )


def train(mdp, *, episodes, **settings):
    """Train agents of the oracle with numbers that are exact in binary."""
    defaults = {"n_agents": AGENTS, "alpha": 0.5, "gamma": 0.5, "epsilon": 0.0, "ties": "first", "dtype": "float64"}
    defaults |= {"record": "returns", "seed": 0, "progress": False}
    return population.train(mdp, episodes=episodes, **(defaults | settings))


def bandit(*rewards, **options):
    """One state, one step: action a pays rewards[a]."""
    return make([[(1, reward, True) for reward in rewards]], **options)


# --- the update -----------------------------------------------------------------------------------------------------


def test_two_episodes_of_the_corridor():
    run = train(qfast.corridor(max_episode_steps=LIMIT), episodes=2, ties="last")
    # First episode, forward all the way: 1, 1, 1 and 2 from zero.  Second: 0.5 + 0.5 (1 + 0.25 - 0.5) = 0.875 twice,
    # 0.5 + 0.5 (1 + 0.5 - 0.5) = 1, and 1 + 0.5 (2 - 1) = 1.5.
    assert run.q[0].tolist() == [[0, 0.875], [0, 0.875], [0, 1.0], [0, 1.5], [0, 0]]
    assert run.returns.tolist() == [[5, 5]] * AGENTS
    assert run.lengths.tolist() == [[4, 4]] * AGENTS
    assert run.n_steps == AGENTS * 8


def test_float32_rounds_every_operation():
    run = train(bandit(1.0, -1.0), episodes=2, alpha=0.1, dtype="float32")
    one, step = np.float32(1), np.float32(0.1)
    assert run.q[0, 0, 0] == step + step * (one - step)
    assert run.q.dtype == np.float32


def test_the_row_of_a_state_that_leads_to_itself_is_not_stale():
    # The bootstrap reads the old value: 0.5, 0.5 + 0.5 (1 + 0.25 - 0.5) = 0.875, 0.875 + 0.5 (1 + 0.4375 - 0.875).
    run = train(make([[(0, 1.0, False), (1, 0.0, True)]], max_episode_steps=3), episodes=1)
    assert run.q[0, 0].tolist() == [1.15625, 0.0]
    # The choice sees the new one: action 0 disappoints, so action 1 follows at once.
    run = train(make([[(0, -1.0, False), (1, 0.0, True)]]), episodes=1)
    assert run.q[0, 0].tolist() == [-0.5, 0.0]
    assert run.lengths[0].tolist() == [2]


def test_the_next_episode_sees_what_the_last_step_of_the_one_before_learned():
    run = train(bandit(-1.0, -2.0), episodes=4)
    # 0: -0.5; 1: -1; 0: -0.75; 0: -0.875.
    assert run.returns[0].tolist() == [-1, -2, -1, -1]
    assert run.q[0, 0].tolist() == [-0.875, -1.0]


# --- terminated and truncated ---------------------------------------------------------------------------------------


def test_terminated_belongs_to_the_outcome_and_not_to_the_state():
    # Both actions of state 0 lead to state 1, which is worth 8; only action 0 goes on from there.
    mdp = make([[(1, 0.0, False), (1, 0.0, True)], [(2, 8.0, True), (2, 8.0, True)]])
    run = train(mdp, episodes=60, alpha=1.0, epsilon=1.0)
    assert run.q.tolist() == [[[4, 0], [8, 8], [0, 0]]] * AGENTS


def test_truncation_bootstraps_and_begins_anew():
    run = train(qfast.corridor(max_episode_steps=1), episodes=5, alpha=1.0, initial_q=10.0, ties="last")
    # Step 1: 1 + 0.5 * 10 = 6.  Then back (value 10 > 6, stays in state 0): 0 + 0.5 * 10 = 5; then forward again.
    assert run.q[0].tolist() == [[5, 6], [10, 10], [10, 10], [10, 10], [10, 10]]
    assert run.returns[0].tolist() == [1, 0, 1, 1, 1]
    assert run.lengths[0].tolist() == [1] * 5


def test_an_episode_that_terminates_at_its_last_permitted_step_is_terminated():
    run = train(qfast.corridor(2, max_episode_steps=1), episodes=1, alpha=1.0, initial_q=10.0, ties="last")
    assert run.q[0].tolist() == [[10, 2], [10, 10]]


def test_a_truncated_episode_is_as_long_as_the_limit():
    run = train(qfast.corridor(max_episode_steps=7), episodes=3, alpha=0.0)
    assert run.lengths.tolist() == [[7] * 3] * AGENTS
    assert run.n_steps == AGENTS * 3 * 7


@pytest.mark.parametrize("initial_q", [100.0, -100.0])
@pytest.mark.parametrize("start", [0, [0.25, 0.25, 0.25, 0.25, 0]], ids=["one start", "four starts"])
def test_rows_of_terminal_states_are_never_read(initial_q, start):
    corridor = qfast.corridor()
    mdp = qfast.MDP(
        corridor.next_state, corridor.reward, terminated=corridor.terminated, start=start, max_episode_steps=LIMIT
    )
    run = train(mdp, episodes=400, alpha=1.0, epsilon=1.0, initial_q=initial_q)
    # Forward 2, 1 + 2/2, 1 + 2/2 ...; back: to the state before, or -1 + half of it; in state 0 it stays.
    expected = [[1, 2], [0, 2], [0, 2], [0, 2], [initial_q, initial_q]]
    assert run.q.tolist() == [expected] * AGENTS


# --- the choice of actions ------------------------------------------------------------------------------------------


def test_exploration_may_take_the_greedy_action_too():
    # Action 1 is greedy for good; with epsilon 1 it is still taken half of the time (counts: see test_exploration).
    run = train(bandit(0.0, 1.0), episodes=50, epsilon=1.0)
    assert {0.0, 1.0} == set(run.returns[:, 10:].ravel().tolist())


@pytest.mark.parametrize(("ties", "taken"), [("first", {5.0}), ("last", {7.0}), ("random", {5.0, 6.0, 7.0})])
def test_ties(ties, taken):
    run = train(bandit(5.0, 6.0, 7.0), episodes=60, alpha=0.0, epsilon=[0.0] * 60, ties=ties)
    assert set(run.returns.ravel().tolist()) == taken


@pytest.mark.parametrize("ties", ["first", "last", "random"])
@pytest.mark.parametrize("better", [0, 1, 2])
def test_values_are_compared_exactly(ties, better):
    rewards = [0.1, 0.1, 0.1]
    rewards[better] = np.nextafter(0.1, 1)
    explore = [1.0] * 40 + [0.0] * 40
    run = train(bandit(*rewards), episodes=80, alpha=1.0, epsilon=explore, ties=ties)
    assert set(run.returns[:, 40:].ravel().tolist()) == {rewards[better]}


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("initial_q", [-3.0, 0.0, 50.0])
def test_a_masked_action_is_never_taken_and_never_bootstrapped_from(epsilon, initial_q):
    # Action 0 of state 0 and action 1 of state 1 would pay a fortune.
    rows = [[(2, 1e6, True), (1, 0.0, False)], [(2, 1.0, True), (2, 1e6, True)]]
    mdp = make(rows, allowed=[[False, True], [True, False], [False, False]])
    run = train(mdp, episodes=4, alpha=1.0, epsilon=epsilon, initial_q=initial_q)
    assert run.q.tolist() == [[[-np.inf, 0.5], [1.0, -np.inf], [initial_q] * 2]] * AGENTS
    assert run.returns.tolist() == [[1.0] * 4] * AGENTS


# --- returns and rates ----------------------------------------------------------------------------------------------


def test_the_return_is_not_discounted():
    mdp = qfast.corridor(max_episode_steps=LIMIT)
    for gamma in (0.0, 0.5, 1.0):
        run = train(mdp, episodes=1, gamma=gamma, ties="last", alpha=0.0)
        assert run.returns.tolist() == [[5.0]] * AGENTS  # 1 + 1 + 1 + 2


def test_a_schedule_counts_episodes_and_not_steps():
    mdp = qfast.corridor(max_episode_steps=LIMIT)
    run = train(mdp, episodes=3, ties="last", alpha=[0.5, 0.0, 0.5])
    twice = train(mdp, episodes=2, ties="last", alpha=[0.5, 0.5])
    assert run.q.tolist() == twice.q.tolist()
    assert run.q[0, :, 1].tolist() == [0.875, 0.875, 1.0, 1.5, 0.0]


def test_a_schedule_moves_on_after_a_truncated_episode_too():
    run = train(qfast.corridor(max_episode_steps=2), episodes=3, ties="last", alpha=[1.0, 0.0, 0.0])
    assert run.q[0].tolist() == [[0, 1], [0, 1], [0, 0], [0, 0], [0, 0]]


def test_values_for_each_agent():
    run = train(bandit(2.0, -1.0), episodes=1, n_agents=3, alpha=[0.0, 0.5, 1.0], initial_q=[-4.0, 0.0, 4.0])
    assert run.q[:, 0, 0].tolist() == [-4.0, 1.0, 2.0]
    assert run.q[:, 1, 0].tolist() == [-4.0, 0.0, 4.0]
    chain = make([[(1, 0.0, False)] * 2, [(2, 1.0, True)] * 2])
    run = train(chain, episodes=2, n_agents=3, alpha=1.0, gamma=[0.0, 0.5, 1.0])
    assert run.q[:, 0, 0].tolist() == [0.0, 0.5, 1.0]


# --- tables of Gymnasium (how they are read is tested in test_problems_tables) ----------------------------------------


def test_outcomes_that_agree_in_the_state_but_not_in_the_flag_stay_apart():
    step = [(0.5, 1, 4.0, True), (0.5, 1, 4.0, False)]
    table = {0: {0: step}, 1: {0: [(1.0, 2, 8.0, True)]}, 2: {0: [(1.0, 2, 0.0, True)]}}
    run = train(qfast.from_P(table, max_episode_steps=LIMIT), episodes=20, n_agents=50, alpha=1.0)
    # Whichever outcome came last counts: 4 where it terminated, 4 + 8 / 2 where it went on.
    assert set(run.q[:, 0, 0].tolist()) == {4.0, 8.0}


def test_outcomes_that_agree_in_the_state_but_not_in_the_reward_stay_apart():
    table = {0: {0: [(0.5, 1, 1.0, True), (0.5, 1, 3.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
    run = train(qfast.from_P(table, max_episode_steps=LIMIT), episodes=20)
    assert set(run.returns.ravel().tolist()) == {1.0, 3.0}


def test_episodes_begin_where_gymnasium_begins_them():
    pytest.importorskip("gymnasium")
    mdp = qfast.from_gymnasium("Taxi-v4", max_episode_steps=1)
    run = train(mdp, episodes=2000, alpha=1.0, epsilon=1.0, initial_q=5.0)
    assert np.count_nonzero(mdp.start) == 300
    touched = (run.q != 5.0).any(axis=(0, 2))
    assert np.array_equal(touched, mdp.start > 0)


# --- the article ----------------------------------------------------------------------------------------------------


def test_the_articles_problem_is_learned():
    run = qfast.train(seed=1, progress=False, n_agents=200)
    # Q* of going forward with gamma 0.9: 2, 1 + 0.9 * 2 = 2.8, 3.52, 4.168 from the goal backwards.
    np.testing.assert_allclose(run.q[:, :4, 1].mean(axis=0), [4.168, 3.52, 2.8, 2.0], atol=1e-3)
    assert (run.policy()[:, :4] == 1).all()
