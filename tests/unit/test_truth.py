"""Agents against the truth, on problems solved by hand."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from made_runs import made_run

import qfast
from qfast.errors import InvalidInput
from qfast.exact import evaluate_policies, evaluate_within_limit, reached_states, solve
from qfast.problems import frozen_lake, garnet, taxi
from qfast.truth.behaviour import pack_actions, unpack_actions
from qfast.truth.judge import make_judge

run_of = partial(made_run, gamma=0.5)


def two_cells():
    """Left and right; the right end of the second cell pays 1 and ends.  V*(0) = gamma, V*(1) = 1."""
    return qfast.MDP(
        [[0, 1], [0, 2], [2, 2]],
        [[0, 0], [0, 1], [0, 0]],
        terminated=[[False, False], [False, True], [True, True]],
        action_names=("left", "right"),
    )


LEFT, RIGHT, EITHER = [1, 0], [0, 1], [1, 1]
END = [7, 7]  # what Q says about the terminal state never matters


@pytest.mark.parametrize(
    ("ties", "rows", "value"),
    [
        ("random", [RIGHT, RIGHT], 0.5),
        ("random", [LEFT, RIGHT], 0.0),
        ("random", [RIGHT, LEFT], 0.0),
        ("random", [EITHER, RIGHT], 1 / 3),  # V = V/4 + 1/4
        ("random", [EITHER, EITHER], 2 / 11),  # V0 = V0/4 + V1/4, V1 = V0/4 + 1/2
        ("first", [EITHER, RIGHT], 0.0),
        ("last", [EITHER, RIGHT], 0.5),
        ("last", [EITHER, EITHER], 0.5),
    ],
)
def test_regret_by_hand(ties, rows, value):
    run = run_of(two_cells(), [[*rows, END]], ties=ties)
    assert run.regret() == pytest.approx([0.5 - value], abs=1e-15)
    assert run.is_optimal().tolist() == [value == 0.5]


def test_error_by_hand():
    # Q* with gamma = 1/2: (0.25, 0.5), (0.25, 1).
    run = run_of(two_cells(), [[[0.25, 0.5], [0.25, 1.0], END], [[0.25, 0.9], [0.25, 0.7], END]])
    all_pairs, met = run.error(), run.error(weight="optimal")
    assert all_pairs.sup == pytest.approx([0.0, 0.4], abs=1e-12)
    assert all_pairs.rms == pytest.approx([0.0, np.sqrt((0.4**2 + 0.3**2) / 4)], abs=1e-12)
    # The optimal policy meets (0, right) once and (1, right) gamma times.
    assert met.rms[1] == pytest.approx(np.sqrt((0.4**2 + 0.3**2 / 2) / 1.5), abs=1e-12)
    assert met.sup[1] == pytest.approx(0.4, abs=1e-12)
    assert "2 agents" in repr(met)


def test_pairs_that_the_optimal_policy_never_takes_have_no_weight():
    run = run_of(two_cells(), [[[99.0, 0.5], [-99.0, 1.0], END]])
    assert run.error(weight="optimal").sup == pytest.approx([0.0], abs=1e-12)
    assert run.error().sup == pytest.approx([99.25], abs=1e-9)


def branches():
    """From 0, action 0 leads to state 1 and action 1 to state 2, worth the same; 3 is where the third one leads."""
    return qfast.MDP(
        [[1, 2, 3], [4, 4, 4], [4, 4, 4], [4, 4, 4], [4, 4, 4]],
        [[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 1], [0, 0, 0]],
        terminated=[[False] * 3, *[[True] * 3] * 4],
    )


def test_what_an_agent_never_meets_does_not_matter():
    first, second, third = [1, 0, 0], [0, 1, 0], [0, 0, 1]
    q = [
        [first, first, third, third, third],  # never meets 2 and 3
        [second, third, second, third, third],  # takes the other good action
        [first, first, first, first, first],  # the same as the first agent, as far as it goes
        [third, first, second, third, third],  # 1 instead of 2
        [[1, 1, 0], first, first, third, third],  # half of the time it meets state 2, where it is wrong
    ]
    run = run_of(branches(), q)
    assert run.is_optimal().tolist() == [True, True, True, False, False]
    assert run.regret() == pytest.approx([0, 0, 0, 0.5, 0.5], abs=1e-15)
    census = run.census()
    assert census.agents.tolist() == [2, 1, 1, 1]
    assert census.example.tolist() == [0, 1, 3, 4]
    assert census.policy_of.tolist() == [0, 1, 0, 2, 3]
    assert census.value == pytest.approx([1.0, 1.0, 0.5, 0.5])
    assert census.share_optimal == pytest.approx(0.6)
    assert census.sentence() == "5 agents, 4 greedy policies, 60 % of the agents optimal"
    assert census.actions(3)[:4].astype(int).tolist() == [[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]]
    # All that ends by the largest reward of an end, 2, is a success.
    assert census.success == pytest.approx([1.0, 1.0, 0.0, 0.5])
    assert census.expected_return == pytest.approx([2.0, 2.0, 1.0, 1.0])


def test_the_census_of_the_corridor():
    run = qfast.train(n_agents=1_000, episodes=300, seed=0, progress=False)
    census = run.census()
    assert len(census) == 1
    assert census.value[0] == pytest.approx(solve(run.mdp, 0.9).start_value, abs=1e-12)
    assert (census.is_optimal.tolist(), census.success.tolist()) == ([True], [1.0])
    assert census.arrows(0, ascii_only=True) == ">>>>G"
    assert "→→→→G" in repr(census)
    with pytest.raises(InvalidInput, match=r"policy=1 does not exist: there are 1 of them; use 0 … 0"):
        census.arrows(1)


def test_agents_that_know_nothing_walk_at_random():
    run = run_of(frozen_lake("4x4", slip=0.2), np.zeros((3, 16, 4)), gamma=0.9)
    census = run.census()
    assert census.agents.tolist() == [3]
    assert census.actions(0)[run.mdp.decision_states].all()
    assert census.arrows(0) == "++++\n+H+H\n+++H\nH++G"
    assert 0 < census.value[0] < solve(run.mdp, 0.9).start_value


# --- gamma = 1 ------------------------------------------------------------------------------------------------------


def waiting(cost):
    """Action 0 waits, action 1 pays 1 and ends."""
    return qfast.MDP([[0, 1], [1, 1]], [[-cost, 1], [0, 0]], terminated=[[False, True], [True, True]])


def test_an_optimal_action_may_be_one_that_must_not_be_repeated():
    run = run_of(waiting(0), [[[1, 0], END], [[0, 1], END], [[1, 1], END]], gamma=1.0)
    assert solve(run.mdp, 1.0).optimal_actions[0].tolist() == [True, True]
    assert run.is_optimal().tolist() == [False, True, True]
    assert run.regret().tolist() == [1.0, 0.0, 0.0]
    assert run.census().success.tolist() == [0.0, 1.0, 1.0]


def test_costs_without_end():
    run = run_of(waiting(1), [[[1, 0], END], [[0, 1], END], [[1, 1], END]], gamma=1.0)
    assert run.regret().tolist() == [np.inf, 0.0, 1.0]  # -1/2 + V/2 + 1/2 for the last one: V = 0
    assert run.is_optimal().tolist() == [False, True, False]
    census = run.census()
    assert census.value.tolist() == [-np.inf, 1.0, 0.0]
    assert census.expected_return.tolist() == [-np.inf, 1.0, 0.0]


def test_an_infinite_optimum_is_refused():
    run = run_of(waiting(-1), [[[1, 0], END]], gamma=0.5)
    for measure in (run.error, run.regret, run.is_optimal, run.census):
        with pytest.raises(InvalidInput, match="infinite or undefined"):
            measure(gamma=1.0)
    assert run.regret(gamma=0.5) == pytest.approx([0.0], abs=1e-12)


# --- gamma of each agent, other options -----------------------------------------------------------------------------


def test_each_agent_is_judged_by_its_own_gamma():
    q = np.tile(np.array([RIGHT, RIGHT, END], float), (3, 1, 1))
    q[2, 0] = LEFT
    run = run_of(two_cells(), q, gamma=[0.5, 0.9, 0.9])
    assert run.regret() == pytest.approx([0.0, 0.0, 0.9], abs=1e-12)
    assert run.regret(gamma=0.25) == pytest.approx([0.0, 0.0, 0.25], abs=1e-12)
    # Q*(0, right) is gamma.
    assert run.error(weight="optimal").sup == pytest.approx([0.5, 0.1, 1.0 - 0.1], abs=1e-12)
    with pytest.raises(InvalidInput, match=r"policies have no common value; give census\(gamma=…\)"):
        run.census()
    assert run.census(gamma=0.9).value == pytest.approx([0.9, 0.0])


def test_a_gamma_of_its_own_for_each_of_many_agents_is_refused():
    run = run_of(two_cells(), np.zeros((1_001, 3, 2)), gamma=np.linspace(0, 0.9, 1_001))
    with pytest.raises(InvalidInput, match="1,001 different gammas; give one number as gamma="):
        run.regret()


@pytest.mark.parametrize(("option", "value", "message"), [("gamma", 1.5, "outside"), ("weight", "some", "unknown")])
def test_bad_options_are_refused(option, value, message):
    with pytest.raises(InvalidInput, match=message):
        run_of(two_cells(), np.zeros((1, 3, 2))).error(**{option: value})


def test_values_that_are_no_numbers_mean_no_preference():
    run = run_of(two_cells(), [[[np.nan, np.nan], [np.nan, np.nan], END]])
    assert run.regret() == pytest.approx([0.5 - 2 / 11])
    assert np.isnan(run.error().sup).all()


# --- larger problems: against qfast.exact, and the two ways of computing against each other -------------------------


def rounded(mdp, n, seed, levels=4):
    """Random Q with many ties; -inf where an action is not allowed."""
    q = np.random.default_rng(seed).integers(0, levels, (n, mdp.n_states, mdp.n_actions)).astype(float)
    if mdp.allowed is not None:
        q[:, ~mdp.allowed & mdp.allowed.any(axis=1, keepdims=True)] = -np.inf
    return q


PROBLEMS = {
    "lake": frozen_lake("8x8"),
    "taxi": taxi(),  # 404 decision states: several words of 64 states; 300 starts
    "garnet": garnet(70, 40, 3, seed=1).with_limit(30),  # two words of actions
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("ties", ["first", "last"])
def test_deterministic_policies_are_those_of_exact(name, ties):
    mdp = PROBLEMS[name]
    q = rounded(mdp, 40, 3)
    best = solve(mdp, 0.9)
    q[0] = np.where(np.isneginf(best.q), 0, best.q)
    run = run_of(mdp, q, gamma=0.9, ties=ties)
    flipped = run.q if ties == "first" else run.q[:, :, ::-1]
    policy = flipped.argmax(axis=2)
    policy = policy if ties == "first" else mdp.n_actions - 1 - policy
    known = evaluate_policies(mdp, policy, 0.9)
    np.testing.assert_allclose(run.regret(), best.start_value - known.start_value, atol=1e-11)
    census = run.census()
    for agent in (0, 1, 39):
        met = reached_states(mdp, policy[agent : agent + 1])[0]
        actions = census.actions(int(census.policy_of[agent]))
        np.testing.assert_array_equal(actions.any(axis=1), met)
        np.testing.assert_array_equal(actions[met].argmax(axis=1), policy[agent][met])
    within = evaluate_within_limit(mdp, policy)
    np.testing.assert_allclose(census.success[census.policy_of], within.success, atol=1e-12)
    np.testing.assert_allclose(census.expected_return[census.policy_of], within.expected_return, atol=1e-9)
    assert run.is_optimal()[0]
    np.testing.assert_array_equal(run.is_optimal(), run.regret() < 1e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_the_kernel_and_scipy_agree(gamma):
    mdp = frozen_lake("4x4", max_episode_steps=None)
    judge = make_judge(mdp, gamma, "random")
    assert judge.program is not None
    q = rounded(mdp, 200, 5)
    group = judge.groups(0, 200)
    masks = judge.behave(q, group, judge.no_masks(200)).masks
    everyone, sparse = np.arange(200), replace(judge, program=None)
    np.testing.assert_allclose(judge.values(masks, everyone, group), sparse.values(masks, everyone, group), atol=1e-12)
    np.testing.assert_allclose(judge.outcomes(masks), sparse.outcomes(masks), atol=1e-12)
    limited = replace(judge, mdp=mdp.with_limit(50)), replace(sparse, mdp=mdp.with_limit(50))
    np.testing.assert_allclose(*(one.outcomes(masks) for one in limited), atol=1e-12)


def test_a_problem_too_large_for_elimination_is_measured_by_scipy():
    mdp = qfast.corridor(1_500)
    judge = make_judge(mdp, 0.99, "random")
    assert judge.program is None
    q = np.zeros((2, mdp.n_states, 2))
    q[0, :, 1] = 1.0
    run = run_of(mdp, q, gamma=0.99)
    assert run.is_optimal().tolist() == [True, False]
    assert run.regret()[0] == 0.0
    assert run.regret()[1] > 0.0


def test_success_is_what_many_episodes_show():
    rng, shape = np.random.default_rng(3), (10, 3, 2)
    ends, allowed = rng.random(shape) < 0.3, (rng.random(shape[:2]) < 0.7) | (np.arange(3) == 0)
    mdp = qfast.MDP(
        rng.integers(0, 10, shape), 1.0 * (ends & (rng.random(shape) < 0.5)), terminated=ends, allowed=allowed,
        probability=np.broadcast_to([0.3, 0.7], shape), start=[0.4, 0.6, *np.zeros(8)], max_episode_steps=1_000,
    )  # fmt: skip
    run = made_run(mdp, np.where(allowed, rng.integers(0, 3, (64, 10, 3)), -np.inf), ties="first")
    census = run.census()
    assert len(np.unique(census.success)) > 5
    shown = qfast.evaluate(run, episodes=4_000, progress=False)
    success = census.success[census.policy_of]
    error = np.sqrt(np.maximum(success * (1 - success), 1e-4) / 4_000)
    assert (np.abs(shown.success - success) < 5 * error).all()  # 64 agents at 5 sigma: false alarm 4e-5
    np.testing.assert_allclose(shown.returns, shown.success, atol=1e-12)  # the end pays 1 for success, 0 else


@pytest.mark.parametrize("n_actions", [1, 2, 8, 9, 31, 32, 33, 70])
def test_actions_are_packed_into_words_and_back(n_actions):
    chosen = np.random.default_rng(0).random((5, 3, n_actions)) < 0.5
    words = pack_actions(chosen)
    assert words.shape == (5, 3, -(-n_actions // 32))
    np.testing.assert_array_equal(unpack_actions(words, n_actions), chosen)
