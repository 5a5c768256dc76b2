"""Each learning rule on an episode of three steps, worked out by hand, and held against the oracle.

The problem: 0 -> 1 with reward 1; from 1 action 0 leads to 2 with reward 2, and action 1 to the end with reward 4; from
2 to the end with reward 6.  States 0 and 2 allow action 0 alone.  The agents know something already: Q(0) = 2,
Q(1) = (4, 3), Q(2) = 8.  Step size and discount are 1/2, so that all numbers are exact.
"""

from dataclasses import replace

import numpy as np
import pytest
from oracle import population
from oracle.chance import assert_counts

import qfast

AGENTS = 40
NO = -np.inf
KNOWN = [[2, NO], [4, 3], [8, NO], [0, 0]]
LONG, SHORT = 9, 5  # returns: 1 + 2 + 6 by action 0 in state 1, and 1 + 4 by action 1
SETTINGS = {"gamma": 0.5, "ties": "first", "dtype": "float64", "record": "returns", "seed": 3, "progress": False}


def problem(limit=100):
    next_state = [[1, 1], [2, 3], [3, 3], [3, 3]]
    reward = [[1, 0], [2, 4], [6, 0], [0, 0]]
    terminated = [[False, False], [False, True], [True, True], [True, True]]
    allowed = [[True, False], [True, True], [True, False], [False, False]]
    return qfast.MDP(
        next_state, reward, terminated=terminated, allowed=allowed, max_episode_steps=limit, action_names=("-1", "1")
    )


def one_episode(known=KNOWN, *, limit=100, q_tables=None, **settings):
    """Agents that know something go through one episode."""
    settings = {"epsilon": 0.0} | SETTINGS | settings
    if "explore" in settings:
        del settings["epsilon"]
    run = population.train(problem(limit), n_agents=AGENTS, episodes=1, alpha=0.0, **settings)
    run = replace(run, q=np.broadcast_to(np.array(known, float), run.q.shape).copy())
    if q_tables is not None:
        run = replace(run, q_tables=np.broadcast_to(np.array(q_tables, float), run.q_tables.shape).copy())
    return population.resume(run, episodes=1, alpha=0.5)


def assert_learned(run, expected):
    """Compare what each agent learned with what belongs to the return of its last episode: [Q(0), Q(1), Q(2)]."""
    for q, last_return in zip(run.q, run.returns[:, -1], strict=True):
        first, second, third = expected[last_return]
        assert q.tolist() == [[first, NO], second, [third, NO], [0, 0]]
    assert set(run.returns[:, -1].tolist()) == set(expected)


# --- one step -------------------------------------------------------------------------------------------------------


def test_q_learning():
    # Q(0): 2 + (1 + 4/2 - 2) / 2; the largest value counts, whichever action follows.
    long = [2.5, [5, 3], 7]  # Q(1): 4 + (2 + 8/2 - 4) / 2;  Q(2): 8 + (6 - 8) / 2
    assert_learned(one_episode(rule="q_learning"), {LONG: long})
    assert_learned(one_episode(rule="q_learning", epsilon=1.0), {LONG: long, SHORT: [2.5, [4, 3.5], 8]})


def test_sarsa():
    # Q(0): the action that follows counts: 2 + (1 + 4/2 - 2) / 2, or 2 + (1 + 3/2 - 2) / 2.
    run = one_episode(rule="sarsa", epsilon=1.0)
    assert_learned(run, {LONG: [2.5, [5, 3], 7], SHORT: [2.25, [4, 3.5], 8]})
    assert run.n_steps == run.lengths.sum()


def test_sarsa_needs_one_more_action_after_a_truncated_episode():
    # The same updates of Q(0), and nothing else: the action that was chosen in state 1 is not taken.
    run = one_episode(rule="sarsa", epsilon=1.0, limit=1)
    assert {(*q[0], *q[1]) for q in run.q.tolist()} == {(2.5, NO, 4, 3), (2.25, NO, 4, 3)}
    assert run.lengths.tolist() == [[1, 1]] * AGENTS
    assert run.n_steps == 2 * AGENTS


def test_expected_sarsa():
    # Half of the time at random: 4/2 + 3.5/2 = 3.75 in state 1, 8 in state 2; Q(0): 2 + (1 + 3.75/2 - 2) / 2.
    run = one_episode(rule="expected_sarsa", epsilon=0.5)
    assert_learned(run, {LONG: [2.4375, [5, 3], 7], SHORT: [2.4375, [4, 3.5], 8]})


def test_expected_sarsa_of_softmax():
    # At this temperature a value lower by 1 is half as likely: (4 + 3/2) / 1.5 = 11/3; Q(0): 2 + (1 + 11/6 - 2) / 2.
    run = one_episode(rule="expected_sarsa", explore="softmax", temperature=1 / np.log(2))
    np.testing.assert_allclose(run.q[:, 0, 0], 2 + 5 / 12, rtol=1e-7)  # exp is a float32 one


def test_double_q_learning():
    # State 1: the sum (6, 5) chooses action 0.  Table one takes its own best action, 1, for the other's value, 2:
    # (1 + 2/2) / 2 = 1.  Table two takes action 0 for the other's value, 1: (1 + 1/2) / 2 = 0.75.
    one, two = [[0, NO], [1, 3], [0, NO], [0, 0]], [[0, NO], [5, 2], [0, NO], [0, 0]]
    run = one_episode(rule="double_q_learning", q_tables=[one, two])
    seen = set()
    for first, second in run.q_tables.tolist():
        heads = [
            second[0][0] == 0,
            second[1][0] == 5,
            second[2][0] == 0,
        ]  # the table whose turn it was not is as before
        assert first[0][0] == (1 if heads[0] else 0)
        assert second[0][0] == (0 if heads[0] else 0.75)
        assert first[1] == ([1.5, 3] if heads[1] else [1, 3])  # 1 + (2 + 0 - 1) / 2
        assert second[1] == ([5, 2] if heads[1] else [3.5, 2])  # 5 + (2 + 0 - 5) / 2
        assert (first[2][0], second[2][0]) == ((3, 0) if heads[2] else (0, 3))  # 6 / 2
        seen.add(tuple(heads))
    assert len(seen) > 4  # a coin for each step
    np.testing.assert_array_equal(run.q, run.q_tables.mean(axis=1))


@pytest.mark.parametrize(("ties", "end"), [("first", 6.75), ("last", 7.25)])
def test_the_articles_rule(ties, end):
    # The best action in states 1 and 2 is 0, which is called -1: 2 + (1 - 1/2 - 2) / 2, 4 + (2 - 1/2 - 4) / 2.
    # The end's own row (0, 0) is a tie: 8 + (6 - 1/2 - 8) / 2 if it is -1, or 8 + (6 + 1/2 - 8) / 2.
    assert_learned(one_episode(rule="article", ties=ties), {LONG: [1.25, [2.75, 3], end]})


# --- several steps --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["q_learning", "sarsa", "expected_sarsa"])
def test_two_steps(rule):
    # Q(0): 1 + (2 + 8/2)/2 = 4 when state 2 is reached.  Q(1): 2 + 6/2 = 5 and Q(2): 6 at the end.
    # By action 1 the end comes first: 1 + 4/2 = 3.
    run = one_episode(rule=rule, n=2, epsilon=1.0)
    assert_learned(run, {LONG: [3, [4.5, 3], 7], SHORT: [2.5, [4, 3.5], 8]})


@pytest.mark.parametrize("rule", ["q_learning", "sarsa", "expected_sarsa"])
@pytest.mark.parametrize("n", [3, 4, 7])
def test_as_many_steps_as_the_episode_has_or_more(rule, n):
    # Q(0): 1 + (2 + 6/2)/2 = 3.5 at the end.
    run = one_episode(rule=rule, n=n, epsilon=1.0)
    assert_learned(run, {LONG: [2.75, [4.5, 3], 7], SHORT: [2.5, [4, 3.5], 8]})


@pytest.mark.parametrize("rule", ["q_learning", "sarsa", "expected_sarsa"])
@pytest.mark.parametrize("n", [2, 3])
def test_a_truncated_episode_looks_ahead_to_where_it_stopped(rule, n):
    # Stopped in state 2, worth 8: Q(0): 1 + (2 + 8/2)/2 = 4, Q(1): 2 + 8/2 = 6.  By action 1 it had ended before.
    run = one_episode(rule=rule, n=n, limit=2, epsilon=1.0)
    q = {float(total): q.tolist() for q, total in zip(run.q, run.returns[:, 1], strict=True)}
    assert q == {3.0: [[3, NO], [5, 3], [8, NO], [0, 0]], 5.0: [[2.5, NO], [4, 3.5], [8, NO], [0, 0]]}
    assert run.n_steps == 4 * AGENTS


def test_what_each_rule_takes_for_the_value_of_where_it_stopped():
    # State 1 is worth max 4; 4 or 3; 4/2 + 3.5/2 = 3.75.
    expected = {"q_learning": {2.5}, "sarsa": {2.5, 2.25}, "expected_sarsa": {2.4375}}
    for rule, values in expected.items():
        run = one_episode(rule=rule, n=4, limit=1, epsilon=0.5)
        assert set(run.q[:, 0, 0].tolist()) == values


# --- traces ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("traces", ["accumulating", "replacing"])
@pytest.mark.parametrize("rule", ["q_learning", "sarsa"])
def test_traces(rule, traces):
    # Traces fall by gamma lambda = 1/4 a step.  Changes: (1 + 4/2 - 2)/2 = 0.5, (2 + 8/2 - 4)/2 = 1, (6 - 8)/2 = -1.
    # Q(0): 2 + 0.5 + 1/4 - 1/16; Q(1): 4 + 1 - 1/4; Q(2): 8 - 1.
    run = one_episode(rule=rule, traces=traces, lambda_=0.5)
    assert_learned(run, {LONG: [2.6875, [4.75, 3], 7]})


@pytest.mark.parametrize("traces", ["accumulating", "replacing"])
def test_an_exploratory_action_cuts_the_traces_of_q_learning(traces):
    # By action 1: Q(0) changes by (1 + 4/2 - 2)/2 = 0.5 and no more, Q(1) by (4 - 3)/2.
    run = one_episode(rule="q_learning", traces=traces, lambda_=0.5, epsilon=1.0)
    assert_learned(run, {LONG: [2.6875, [4.75, 3], 7], SHORT: [2.5, [4, 3.5], 8]})


@pytest.mark.parametrize("traces", ["accumulating", "replacing"])
def test_an_action_that_ties_does_not_cut_them(traces):
    # With Q(1) = (3, 3): Q(0) changes by (1 + 3/2 - 2)/2 = 0.25 and by 1/4 of (4 - 3)/2 = 0.5.
    known = [KNOWN[0], [3, 3], *KNOWN[2:]]
    run = one_episode(known, rule="q_learning", traces=traces, lambda_=0.5, epsilon=1.0)
    short = run.q[run.returns[:, 1] == SHORT]
    assert len(short) > 0
    assert short[:, :2].tolist() == [[[2.375, NO], [3, 3.5]]] * len(short)


@pytest.mark.parametrize("traces", ["accumulating", "replacing"])
def test_sarsa_follows_its_traces_through_exploratory_actions(traces):
    # By action 1: (1 + 3/2 - 2)/2 = 0.25, and 1/4 of (4 - 3)/2 = 0.5.
    run = one_episode(rule="sarsa", traces=traces, lambda_=0.5, epsilon=1.0)
    assert_learned(run, {LONG: [2.6875, [4.75, 3], 7], SHORT: [2.375, [4, 3.5], 8]})


@pytest.mark.parametrize("rule", ["q_learning", "sarsa"])
def test_traces_below_the_cutoff_are_dropped(rule):
    # 1/4 is below 0.3 and not below 0.25.
    settings = {"rule": rule, "traces": "replacing", "lambda_": 0.5}
    assert_learned(one_episode(trace_cutoff=0.3, **settings), {LONG: [2.5, [5, 3], 7]})
    assert_learned(one_episode(trace_cutoff=0.25, **settings), {LONG: [2.75, [4.75, 3], 7]})


@pytest.mark.parametrize(("traces", "learned"), [("accumulating", 1.47265625), ("replacing", 1.15625)])
@pytest.mark.parametrize("rule", ["q_learning", "sarsa"])
def test_a_pair_that_is_met_again(rule, traces, learned):
    # A state that leads to itself, reward 1, three times; gamma lambda = 1/2.  Changes (1 + Q/2 - Q)/2 times the trace:
    # accumulating: 0.5 * 1 = 0.5; 0.375 * 1.5 -> 1.0625; 0.234375 * 1.75 -> 1.47265625.
    # replacing: 0.5; 0.375 -> 0.875; 0.28125 -> 1.15625.
    again = qfast.MDP(
        [[0, 1], [1, 1]], [[1, 0], [0, 0]], terminated=[[False, True], [True, True]], max_episode_steps=3,
        allowed=[[True, False], [False, False]],
    )  # fmt: skip
    settings = {"rule": rule, "traces": traces, "lambda_": 1.0, "alpha": 0.5, "epsilon": 0.0}
    run = population.train(again, n_agents=3, episodes=1, **SETTINGS, **settings)
    assert run.q[:, 0, 0].tolist() == [learned] * 3


@pytest.mark.parametrize("rule", ["q_learning", "sarsa"])
def test_traces_do_not_outlive_an_episode(rule):
    # Two episodes of one step: the second one's update does not reach the first one's pair, nor twice its own.
    run = one_episode(rule=rule, traces="accumulating", lambda_=1.0, limit=1)
    run = population.resume(run, episodes=1)
    assert run.q[:, 0, 0].tolist() == [2.75] * AGENTS  # 2, 2.5, 2.75


# --- exploration ----------------------------------------------------------------------------------------------------


def bandit(*rewards):
    """One state, one step."""
    n = len(rewards)
    return qfast.MDP(
        np.ones((2, n), int), [rewards, np.zeros(n)], terminated=np.ones((2, n), bool), max_episode_steps=9,
        allowed=[[True] * n, [False] * n],
    )  # fmt: skip


def test_ucb_takes_turns_as_its_bonus_says():
    # Rewards 1 and 0, c = 2: each once, then 1 + 2 sqrt(ln N / N0) against 2 sqrt(ln N / N1), N = N0 + N1:
    # (1, 1): equal bonuses -> 0;  (2, 1): 2.482 > 2.096 -> 0;  (3, 1): 2.3593 > 2.3548 -> 0;
    # (4, 1): 2.269 < 2.537 -> 1.
    run = population.train(bandit(1, 0), n_agents=3, episodes=6, alpha=1.0, explore="ucb", c=2.0, **SETTINGS)
    assert run.returns.tolist() == [[1, 0, 1, 1, 1, 0]] * 3
    assert run.visits[:, 0].tolist() == [[4, 2]] * 3


def test_softmax_chooses_in_proportion():
    settings = {"n_agents": 20_000, "episodes": 1, "alpha": 0.0, "explore": "softmax", "record": "returns", "seed": 31}
    mdp = qfast.MDP([[1, 1]] * 2, [[0, 1], [0, 0]], terminated=[[True, True]] * 2, max_episode_steps=9)
    twice = qfast.by_episode(np.full(10, 2.0))
    run = qfast.train(mdp, temperature=qfast.by_episode([2.0]), progress=False, **settings)
    run = replace(run, q=np.broadcast_to(np.array([[0, 2 * np.log(4)], [0, 0]], np.float32), run.q.shape).copy())
    run = qfast.resume(run, episodes=10, temperature=twice, progress=False)
    assert_counts(np.bincount(run.returns[:, 1:].ravel().astype(int), minlength=2), [1, 4])


@pytest.mark.parametrize("rule", ["q_learning", "sarsa"])
def test_greedy_is_epsilon_greedy_without_epsilon(rule):
    run = one_episode(rule=rule, explore="greedy")
    assert_learned(run, {LONG: [2.5, [5, 3], 7]})


def test_greedy_tries_everything_that_optimism_promises():
    # Each disappoints from 5 on in its turn, and then the best one stays.
    optimistic = {"explore": "greedy", "initial_q": 5.0}
    run = population.train(bandit(1, 3, 2), n_agents=2, episodes=6, alpha=1.0, **optimistic, **SETTINGS)
    assert run.returns.tolist() == [[1, 3, 2, 3, 3, 3]] * 2


# --- step sizes by visits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["q_learning", "sarsa"])
def test_one_over_n_makes_means(rule):
    # Rewards of a pair never change here, so its mean is there at once, and a table's last value stays.
    settings = SETTINGS | {"rule": rule}
    run = population.train(bandit(3, 1), n_agents=9, episodes=5, alpha=qfast.by_visits(), epsilon=1.0, **settings)
    taken = np.stack([(run.returns == 3).sum(axis=1), (run.returns == 1).sum(axis=1)], axis=1)
    assert (run.visits[:, 0] == taken).all()
    assert (run.q[:, 0] == np.where(taken > 0, [3.0, 1.0], 0.0)).all()
    halves = qfast.by_visits([1 / 2, 1 / 4])
    run = population.train(bandit(4, 0), n_agents=1, episodes=3, alpha=halves, epsilon=0.0, rule=rule, **SETTINGS)
    assert run.q[0, 0, 0] == 2 + 0.5 + 0.375  # 4/2, then a quarter of the rest twice


# --- the article ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ties", "last"), [("first", 1.1), ("last", 2.9)])
def test_the_articles_table(ties, last):
    run = population.train(rule="article", ties=ties, n_agents=5, episodes=1_000, seed=1)
    # Forward from each state, as the article prints it: 1 + 0.9 * 1, and 2 + 0.9 * (-1) or 2 + 0.9 beyond the goal.
    np.testing.assert_allclose(run.q[:, :4, 1], [[1.9, 1.9, 1.9, last]] * 5, atol=1e-5)
    # Backwards it comes near 0 + 0.9 and -1 + 0.9, as often as that was tried.
    np.testing.assert_allclose(np.median(run.q[:, :4, 0], axis=0), [0.9, -0.1, -0.1, -0.1], atol=0.02)
    assert not run.q[:, 4].any()


def test_the_default_rule_finds_the_truth_instead():
    truth = qfast.exact.solve(qfast.corridor(), 0.9).q
    run = qfast.train(n_agents=500, seed=1, episodes=4_000, progress=False)
    np.testing.assert_allclose(run.q[:, :4], np.broadcast_to(truth[:4], (500, 4, 2)), atol=2e-4)
