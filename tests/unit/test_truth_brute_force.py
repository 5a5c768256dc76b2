"""Agents against the truth, on small random problems: every policy tried, plain loops, dense matrices."""

import itertools

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from made_runs import made_run

from qfast.errors import InvalidInput
from qfast.model.mdp import MDP

AGENTS = 30


@st.composite
def problems(draw):
    """Small problems with ends, masks, several outcomes, several starts, states that cannot be reached, and ties."""
    n_states, n_actions = draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 3, 3]))
    shape = (n_states, n_actions, draw(st.integers(1, 2)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gamma = draw(st.sampled_from([0.0, 0.5, 0.95, 1.0]))
    terminated = rng.random(shape) < draw(st.sampled_from([0.2, 0.6]))
    if gamma == 1.0:  # each step may be the last one, so that every sum is finite
        terminated[:, :, 0] = True
    probability = rng.integers(1, 4, shape).astype(float)
    start = rng.integers(0, 2, n_states).astype(float)
    start[rng.integers(n_states)] = 1.0
    try:
        mdp = MDP(
            rng.integers(0, n_states, shape),
            rng.choice(draw(st.sampled_from([(0, 1), (-1, 0, 1), (-1, 2), (0,)])), size=shape),
            terminated=terminated,
            probability=probability / probability.sum(axis=2, keepdims=True),
            allowed=(rng.random(shape[:2]) < 0.8) | (np.arange(n_actions) == rng.integers(n_actions)),
            start=start / start.sum(),
            max_episode_steps=draw(st.sampled_from([None, 1, 5])) if terminated.all(axis=2).any() else 5,
        )
    except InvalidInput:  # a start that is terminal
        reject()
    q = rng.integers(0, draw(st.sampled_from([2, 3, 9])), (AGENTS, n_states, n_actions)).astype(float)
    if mdp.allowed is not None:
        q[:, ~mdp.allowed] = -np.inf
    return mdp, q, gamma, draw(st.sampled_from(["random", "random", "first", "last"]))


def greedy(row, ties):
    best = [a for a, value in enumerate(row) if value == max(row)]
    return {"random": best, "first": best[:1], "last": best[-1:]}[ties]


def outcomes(mdp, state, actions):
    for a in actions:
        for k in range(mdp.n_outcomes):
            at = state, a, k
            yield mdp.probability[at] / len(actions), mdp.next_state[at], mdp.reward[at], mdp.terminated[at]


def value(mdp, actions_of, gamma):
    """Exact value of the start, by one dense linear system."""
    system, right = np.eye(mdp.n_states), np.zeros(mdp.n_states)
    for s in np.flatnonzero(mdp.decision_states):
        for p, entered, r, ended in outcomes(mdp, s, actions_of(s)):
            right[s] += p * r
            system[s, entered] -= 0.0 if ended else gamma * p
    return mdp.start @ np.linalg.solve(system, right)


def best_value(mdp, gamma):
    """The best of all deterministic policies."""
    choices = [
        [a for a in range(mdp.n_actions) if mdp.allowed is None or mdp.allowed[s, a]] if acts else [0]
        for s, acts in enumerate(mdp.decision_states)
    ]
    return max(value(mdp, lambda s, policy=policy: [policy[s]], gamma) for policy in itertools.product(*choices))


def behaviour(mdp, actions_of):
    """What is done in the states that can be met, as a value to compare by."""
    met, to_do = set(), [int(s) for s in np.flatnonzero(mdp.start)]
    while to_do:
        s = to_do.pop()
        if s not in met:
            met.add(s)
            to_do += [int(entered) for p, entered, _, ended in outcomes(mdp, s, actions_of(s)) if p > 0 and not ended]
    return tuple(sorted((s, tuple(actions_of(s))) for s in met))


def within_limit(mdp, actions_of):
    """Expected return and probability of success, step by step."""
    ends = [
        float(mdp.reward[s, a, k])
        for s, a, k in np.argwhere(mdp.terminated & (mdp.probability > 0))
        if mdp.decision_states[s] and (mdp.allowed is None or mdp.allowed[s, a])
    ]
    here, total, success = dict(enumerate(mdp.start)), 0.0, 0.0
    for _ in range(mdp.max_episode_steps):
        after = dict.fromkeys(range(mdp.n_states), 0.0)
        for s, share in here.items():
            if share > 0:
                for p, entered, r, ended in outcomes(mdp, s, actions_of(s)):
                    total += share * p * r
                    success += share * p * (ended and r == max(ends))
                    after[int(entered)] += 0.0 if ended else share * p
        here = after
    return total, success


@given(problems())
def test_every_measure_against_every_policy(problem):
    mdp, q, gamma, ties = problem
    run = made_run(mdp, q, gamma=gamma, ties=ties)
    policies = [lambda s, table=table: greedy(table[s].tolist(), ties) for table in q]
    best = best_value(mdp, gamma)
    lost = np.array([best - value(mdp, policy, gamma) for policy in policies])
    np.testing.assert_allclose(run.regret(), lost, atol=1e-10)
    # With gamma = 0 nothing is lost by what comes after the first step, and yet it may not be the best.
    assert (run.is_optimal() <= (lost < 1e-9)).all() if gamma == 0.0 else ((lost < 1e-9) == run.is_optimal()).all()
    assert (run.regret()[run.is_optimal()] == 0.0).all()

    census = run.census()
    kinds = [behaviour(mdp, policy) for policy in policies]
    assert len(census) == len(set(kinds))
    for kind in set(kinds):
        mine = [i for i, other in enumerate(kinds) if other == kind]
        (number,) = set(census.policy_of[mine].tolist())
        assert (census.agents[number], census.example[number]) == (len(mine), mine[0])
        assert census.value[number] == pytest.approx(best - lost[mine[0]], abs=1e-10)
        assert {s: np.flatnonzero(row).tolist() for s, row in enumerate(census.actions(number)) if row.any()} == {
            s: list(actions) for s, actions in kind
        }
        if mdp.max_episode_steps is not None:
            total, success = within_limit(mdp, policies[mine[0]])
            assert census.expected_return[number] == pytest.approx(total, abs=1e-12)
            assert census.success[number] == pytest.approx(success, abs=1e-12)
    assert census.agents.tolist() == sorted(census.agents.tolist(), reverse=True)


@given(problems())
def test_distances_against_plain_loops(problem):
    mdp, q, gamma, ties = problem
    run = made_run(mdp, q, gamma=gamma, ties=ties)
    values = np.zeros((mdp.n_states, mdp.n_actions))
    for _ in range(2_000 if gamma > 0.9 else 60):  # value iteration; 0.95^2000 is 1e-45, and gamma = 1 ends soon
        top = np.where(run.mdp.allowed, values, -np.inf).max(axis=1) if mdp.allowed is not None else values.max(axis=1)
        for s, a in itertools.product(np.flatnonzero(mdp.decision_states), range(mdp.n_actions)):
            values[s, a] = sum(p * (r + (0 if ended else gamma * top[n])) for p, n, r, ended in outcomes(mdp, s, [a]))
    pairs = mdp.decision_states[:, None] & (mdp.allowed if mdp.allowed is not None else np.True_)
    pairs = np.broadcast_to(pairs, values.shape)
    apart = np.abs(q - values)[:, pairs]
    np.testing.assert_allclose(run.error().sup, apart.max(axis=1), atol=1e-8)
    np.testing.assert_allclose(run.error().rms, np.sqrt((apart**2).mean(axis=1)), atol=1e-8)
