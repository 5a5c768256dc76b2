"""Laws that hold for every problem and setting: what must make no difference, and what must follow from what.

They are laws of the oracle, which `test_bits` ties to the kernel; what is recorded is the kernel's own.
"""

from dataclasses import replace

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from oracle import population
from oracle.cases import Case, cases
from oracle.variants import Variant

import qfast
from qfast.engine.tables import alias_table

LAW = Variant(n_actions=3, outcomes="equal", dtype="float64")
FIELDS = ("next_state", "reward", "terminated", "probability", "start", "max_episode_steps", "allowed")


def train(case):
    settings = {name: value for name, value in case.settings.items() if name != "first_agent"}
    return population.train(case.mdp, **settings)


def few(variant):
    """Cases of a variant with at most seven agents, without tables of Q, which a changed problem would not fit."""
    return cases(variant, tables=False).filter(lambda case: case.settings["n_agents"] <= 7)


def changed(case, **tables):
    """The same run on a changed problem."""
    fields = {name: getattr(case.mdp, name) for name in FIELDS} | tables
    return Case(qfast.MDP(fields.pop("next_state"), fields.pop("reward"), **fields), case.settings)


def assert_same(left, right):
    for name in ("q", "returns", "lengths"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), name)


# --- what makes no difference -----------------------------------------------------------------------------------------


@given(few(LAW))
def test_a_mask_that_allows_everything(case):
    mask = np.ones(case.mdp.next_state.shape[:2], bool)
    mask[-1] = False  # the end, where no agent acts
    assert_same(train(case), train(changed(case, allowed=mask)))


@given(few(replace(LAW, limited=False)))
def test_a_limit_that_is_never_reached(case):
    run = train(case)
    assert_same(run, train(changed(case, max_episode_steps=int(run.lengths.max()) + 1)))


@given(few(LAW))
def test_a_state_that_is_never_entered(case):
    mdp = case.mdp
    more = {name: np.concatenate([getattr(mdp, name), getattr(mdp, name)[:1]]) for name in FIELDS[:4]}
    run = train(changed(case, **more, start=np.append(mdp.start, 0)))
    np.testing.assert_array_equal(run.q[:, :-1], train(case).q)
    assert (run.q[:, -1] == run.q[:, -1, :1]).all()  # as it began


@given(few(LAW), st.randoms(use_true_random=False))
def test_the_numbers_of_the_states(case, random):
    mdp, number = case.mdp, list(range(case.mdp.n_states))
    random.shuffle(number)  # state s becomes state number[s]
    old = np.argsort(number)
    tables = {name: getattr(mdp, name)[old] for name in ("reward", "terminated", "probability", "start")}
    run = train(changed(case, next_state=np.array(number)[mdp.next_state[old]], **tables))
    plain = train(case)
    np.testing.assert_array_equal(run.q, plain.q[:, old])
    np.testing.assert_array_equal(run.returns, plain.returns)


@given(few(LAW))
def test_rates_that_are_written_in_another_way(case):
    assume(case.settings["explore"] == "epsilon_greedy")
    n_agents, episodes = case.settings["n_agents"], case.settings["episodes"]
    numbers = {name: 0.3 if isinstance(case.settings[name], qfast.Rate) else case.settings[name]
               for name in ("alpha", "gamma", "epsilon", "initial_q")}  # fmt: skip
    by_agent = {name: qfast.per_agent(np.full(n_agents, value)) for name, value in numbers.items()}
    by_episode = {name: qfast.by_episode(np.full(episodes, numbers[name])) for name in ("alpha", "epsilon")}
    plain = train(Case(case.mdp, case.settings | numbers))
    assert_same(plain, train(Case(case.mdp, case.settings | by_agent)))
    assert_same(plain, train(Case(case.mdp, case.settings | numbers | by_episode)))


def test_what_is_recorded():
    runs = [
        qfast.train(n_agents=65, episodes=30, seed=0, record=record, progress=False)
        for record in (None, "returns", "summary")
    ]
    for run in runs:
        np.testing.assert_array_equal(run.q, runs[0].q)
        assert run.n_steps == runs[0].n_steps == runs[1].lengths.sum()


# --- what follows from what -------------------------------------------------------------------------------------------


@given(few(LAW), st.sampled_from([0.125, 2.0, 1024.0]))
def test_twice_the_rewards_are_twice_the_values(case, scale):
    initial_q = case.settings["initial_q"]
    initial_q = qfast.per_agent(initial_q.values * scale) if isinstance(initial_q, qfast.Rate) else initial_q * scale
    scaled = changed(case, reward=case.mdp.reward * scale)
    run, plain = train(Case(scaled.mdp, case.settings | {"initial_q": initial_q})), train(case)
    np.testing.assert_array_equal(run.q, plain.q * scale)  # a power of two: without any rounding
    np.testing.assert_array_equal(run.returns, plain.returns * scale)
    np.testing.assert_array_equal(run.lengths, plain.lengths)


@given(few(LAW))
def test_values_stay_within_what_rewards_can_give(case):
    gamma, initial_q = case.settings["gamma"], case.settings["initial_q"]
    assume(not isinstance(gamma, qfast.Rate) and gamma < 1 and not isinstance(initial_q, qfast.Rate))
    low, high = min(case.mdp.reward.min(), 0) / (1 - gamma), max(case.mdp.reward.max(), 0) / (1 - gamma)
    slack = 1e-9 * (high - low)
    q = train(case).q
    assert (q >= min(low, initial_q) - slack).all()
    assert (q <= max(high, initial_q) + slack).all()


@given(few(replace(LAW, outcomes="one")))
def test_without_a_future_and_with_full_steps_values_are_rewards(case):
    run = train(Case(case.mdp, case.settings | {"gamma": 0.0, "alpha": 1.0, "initial_q": 12345.0}))
    reward = case.mdp.reward[:, :, 0]
    # Q + (r - Q) is r but for one rounding of the difference.
    tried = run.q != 12345.0
    error = np.abs(run.q - reward) / (np.abs(reward) + 12345.0)
    assert (error[tried] < 1e-15).all()
    assert not tried[:, ~case.mdp.decision_states].any()


@given(few(LAW))
def test_nothing_is_learned_with_steps_of_zero(case):
    run = train(Case(case.mdp, case.settings | {"alpha": 0.0, "initial_q": 7.0}))
    assert (run.q == 7).all()


# --- alias tables -----------------------------------------------------------------------------------------------------


@given(arrays.arrays(
    np.float64, st.tuples(st.integers(1, 5), st.integers(1, 12)),
    elements=st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-12, 1.0)),
))  # fmt: skip
def test_alias_tables_have_the_probabilities_that_they_were_made_from(weights):
    weights[weights.sum(axis=1) == 0, 0] = 1
    n, k = weights.shape
    probability = weights / weights.sum(axis=1, keepdims=True)
    threshold, other = alias_table(probability)
    assert threshold.dtype == np.uint32
    assert ((other >= 0) & (other < k)).all()
    own = threshold.astype(np.float64)
    implied = own.copy()
    np.add.at(implied, (np.arange(n)[:, None], other), 2.0**32 - own)
    implied /= k * 2.0**32
    # A word has 2**32 values, so each of the k columns may be off by one in 2**32, and rounding is far below that.
    assert np.abs(implied - probability).max() <= 1.01 * 2.0**-32
    assert (implied[probability == 0] == 0).all()


@given(st.integers(1, 12))
def test_equal_probabilities_make_columns_that_keep_to_themselves(k):
    threshold, other = alias_table(np.full(k, 1 / k))
    assert ((threshold == 2**32 - 1) | (other == np.arange(k))).all()
