"""One run, one number of greedy policies: what differs where the policy goes, on every face."""

import re
from dataclasses import replace

import numpy as np
import pytest
from made_runs import made_run

import qfast
from qfast.cli.run_page import agent_json, run_json, run_page
from qfast.errors import InvalidInput
from qfast.truth import behaviour
from qfast.truth.behaviour import distinct_policies, greedy_sets

LEFT, RIGHT, EITHER = [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]


@pytest.fixture(scope="module")
def lake():
    return qfast.train(
        qfast.problems.frozen_lake("4x4", slip=0.2), n_agents=300, episodes=500, gamma=0.9, seed=3, progress=False
    )  # fmt: skip


def corridor_run(tables, **options):
    """Agents of the corridor with given rows of Q for its first four states, the fifth is the goal."""
    return made_run(qfast.corridor(), [[*table, LEFT] for table in tables], dtype="float32", **options)


def counts(run):
    """The number of policies on every face."""
    policies, agents = run.policies()
    census = run.census()
    told = re.search(r"([\d,]+) greedy polic", repr(run)).group(1)
    assert agents.tolist() == census.agents.tolist()
    assert all((policies[i] == census.actions(i)).all() for i in range(len(census)))
    page = run_json(run)["policy"]["n_policies"]
    return {int(told.replace(",", "")), len(policies), len(census), page}


def test_states_that_the_policy_does_not_meet_make_no_difference():
    # The first two agents turn back in state 1, and never see what follows.
    run = corridor_run([[RIGHT, LEFT, LEFT, LEFT], [RIGHT, LEFT, RIGHT, EITHER], [RIGHT, RIGHT, RIGHT, RIGHT]])
    assert counts(run) == {2}
    policies, agents = run.policies()
    assert agents.tolist() == [2, 1]
    assert policies[0].astype(int).tolist() == [[0, 1], [1, 0], [0, 0], [0, 0], [0, 0]]
    assert np.unique(run.policy()[:, :4], axis=0).shape == (3, 4)  # counted in all states they would be three


@pytest.mark.parametrize(("ties", "number"), [("random", 3), ("first", 2), ("last", 2)])
def test_the_tie_rule_says_which_policy_it_is(ties, number):
    run = corridor_run([[LEFT] * 4, [EITHER, RIGHT, RIGHT, RIGHT], [RIGHT] * 4], ties=ties)
    assert counts(run) == {number}
    assert run.policy()[1, 0] == (ties == "last")


def test_a_trained_run_has_one_number_on_every_face(lake):
    number = len(lake.census())
    assert counts(lake) == {number}
    assert f"{number} greedy policies" in lake.census().sentence()
    pages = run_page(lake, title="", whole=True)
    assert f"of {number} greedy policies" in repr(pages)
    # Counted in all states in which an agent can act there would be more.
    best = lake.q == lake.q.max(axis=2, keepdims=True)
    assert number < len(np.unique(best[:, lake.mdp.decision_states], axis=0))


def test_a_picture_has_that_number_too(lake):
    figure = pytest.importorskip("matplotlib.figure")
    axes = qfast.plots.census_bars(lake, ax=figure.Figure().add_subplot())
    assert f"300 agents, {len(lake.policies()[1])} greedy policies" in axes.get_title()


def test_a_rollout_follows_the_policy(lake):
    policies, _ = lake.policies()
    went = qfast.rollout(lake, max_steps=30)
    index = lake.census().policy_of
    for i in range(lake.n_agents):
        n = went.lengths[i]
        assert policies[index[i], went.states[i, :n], went.actions[i, :n]].all()
    assert (greedy_sets(lake, 7) == policies[index[7]]).all()
    assert agent_json(lake, 7)["policy"] == [np.flatnonzero(row).tolist() for row in policies[index[7]]]


def test_the_majority_is_of_those_that_come_there():
    run = corridor_run([[RIGHT, LEFT, RIGHT, RIGHT], [RIGHT, LEFT, RIGHT, RIGHT], [RIGHT, RIGHT, RIGHT, LEFT]])
    people = run_json(run)["policy"]
    assert people["majority"] == [[1], [0], [1], [0], []]  # only the third agent sees the last two states
    assert people["actions"] == [[1], [0], [], [], []]


def masked(rng, n_states=70, n_actions=3):
    """A random problem in which some actions are not allowed, larger than one word of 64 states."""
    allowed = rng.random((n_states, n_actions)) < 0.7
    allowed[:, 0] = True
    after = rng.integers(0, n_states, (n_states, n_actions, 2))
    ends = rng.random((n_states, n_actions, 2)) < 0.1
    return qfast.MDP(after, np.ones((n_states, n_actions)), terminated=ends, allowed=allowed, max_episode_steps=50)


@pytest.mark.parametrize("ties", ["random", "first", "last"])
def test_too_large_for_bits_gives_the_same(ties, monkeypatch):
    rng = np.random.default_rng(1)
    mdp = masked(rng)
    q = rng.integers(0, 3, (200, *mdp.allowed.shape)).astype(np.float32)
    q[:, ~mdp.allowed] = -np.inf
    q[150, 0] = np.nan
    run = made_run(mdp, q, dtype="float32", ties=ties)
    fast, census, fine = distinct_policies(run), run.census(), run.is_optimal()
    monkeypatch.setattr(behaviour, "_MOST_WORDS", 0)
    monkeypatch.setattr(behaviour, "_PILE", 1000)  # in several piles, too
    slow = distinct_policies(run)
    for name in ("masks", "states", "agents", "example", "policy_of"):
        assert np.array_equal(getattr(fast, name), getattr(slow, name)), name
    assert len(slow.agents) > 1
    assert (run.census().agents == census.agents).all()
    assert (run.census().is_optimal == census.is_optimal).all()
    assert (run.is_optimal() == fine).all()


def test_a_problem_of_100_000_states_is_counted():
    n = 100_000
    after = np.minimum(np.arange(n)[:, None] + [0, 1], n - 1)
    mdp = qfast.MDP(after, np.zeros((n, 2)), terminated=after == n - 1, max_episode_steps=10)
    q = np.tile(np.float32(RIGHT), (2, n, 1))
    q[1, 3] = LEFT
    policies, agents = made_run(mdp, q, dtype="float32").policies()
    assert agents.tolist() == [1, 1]
    assert policies.any(axis=2).sum(axis=1).tolist() == [n - 1, 4]


def test_without_q_there_is_no_count():
    run = qfast.train(n_agents=3, episodes=5, seed=0, keep_q=False, progress=False)
    with pytest.raises(InvalidInput, match="not kept"):
        run.policies()
    assert "policies" not in repr(run)


def test_words_of_a_census_say_no_more_than_its_numbers(lake):
    census = lake.census()
    n = len(census)
    small, near = np.full(n, 3.09e-15), np.full(n, 0.99999)
    told = replace(census, regret=small, success=near)
    assert told.regret_text(0) == f"< {census.resolution:.0e}"
    assert 0 < census.resolution < 1e-6
    assert "e-15" not in told.table()
    assert told.success_text(0) == "> 0.9999"
    assert replace(census, success=np.full(n, 1e-6)).success_text(0) == "< 0.0001"
    exact = replace(census, regret=np.zeros(n), success=np.ones(n))
    assert (exact.regret_text(0), exact.success_text(0)) == ("0", "1.0000")
    evaluated = qfast.evaluate(corridor_run([[RIGHT] * 4]), episodes=2, progress=False)
    assert "success > 99.99 %" in repr(replace(evaluated, success=np.full(1, 0.99999)))
