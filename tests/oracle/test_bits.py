"""The kernel against the oracle: the same bits in Q and in every record."""

from itertools import combinations, product
from pathlib import Path
from tempfile import TemporaryDirectory

import house
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import qfast
from oracle.cases import Case, cases
from oracle.kernels import kernel_with
from oracle.learner import learn
from oracle.streams import Stream
from oracle.variants import (
    EVALUATED,
    OPTIONS,
    VARIANTS,
    any_variants,
    met_in_source,
    pairs,
    pairs_design,
    possible,
    wanted_in_source,
    wanted_pairs,
)

# Step sizes too small for their values, and agents that diverge, are as good as any others here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::qfast.errors.PrecisionWarning"),
    pytest.mark.filterwarnings("ignore::qfast.errors.DivergedWarning"),
]

#: Variants that the normal run compiles, those of `house` that record or evaluate otherwise among them.
MOST = 51


def assert_same_bits(left, right):
    """Equal in shape, type and every bit; -0.0 is not 0.0 here, but one NaN is as good as another."""
    assert left.dtype == right.dtype
    assert left.shape == right.shape
    if left.dtype.kind == "f":
        left, right = (np.where(np.isnan(array), np.nan, array).astype(array.dtype) for array in (left, right))
    unsigned = np.dtype(f"u{left.dtype.itemsize}")
    np.testing.assert_array_equal(
        np.ascontiguousarray(left).view(unsigned), np.ascontiguousarray(right).view(unsigned), f"{left}\n{right}"
    )


def test_the_design_holds_all_that_meets_in_the_source():
    found = set().union(*(met_in_source(vars(variant)) for variant in VARIANTS))
    missing = wanted_in_source() - found
    assert not missing
    assert {(name, value) for name in OPTIONS for value in OPTIONS[name]} <= {
        pair for variant in VARIANTS for pair in vars(variant).items()
    }
    assert len({*VARIANTS, *map(house.spec_of, VARIANTS)}) == 2 * len(VARIANTS)
    assert len(house.specs()) <= MOST  # each is compiled


def test_the_long_design_holds_every_pair_of_options():
    found = set().union(*(pairs(vars(variant)) for variant in pairs_design()))
    assert wanted_pairs(OPTIONS) <= found
    left_out = {
        (x, y)
        for x, y in combinations(OPTIONS, 2)
        if not all(possible({x: u, y: v}) for u, v in product(OPTIONS[x], OPTIONS[y]))
    }
    assert left_out == {
        ("learner", "explore"), ("explore", "explore_schedule"), ("learner", "lambda_schedule"),
        ("n_actions", "outcomes"),
    }  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@given(data=st.data())
def test_the_kernel_equals_the_oracle(variant, data):
    compare(variant, data)


@pytest.mark.long
@pytest.mark.parametrize("number", range(56))
@given(data=st.data())
def test_the_kernel_equals_the_oracle_in_every_pair_of_options(number, data):
    assert len(pairs_design()) <= 56
    if number < len(pairs_design()):
        compare(pairs_design()[number], data)


@pytest.mark.long
@pytest.mark.parametrize("variant", any_variants(200, seed=1), ids=str)
@given(data=st.data())
def test_the_kernel_equals_the_oracle_in_any_variant(variant, data):
    compare(variant, data)


def compare(variant, data):
    """Train with the kernel and with the oracle, and compare every bit that is left of it."""
    case = data.draw(cases(variant))
    run = train(variant, data, case)
    expected = {agent: learn(case.mdp, **case.of_agent(agent)) for agent in agents_to_compare(run.n_agents)}
    for agent, learned in expected.items():
        assert_same_bits(run.q[agent], learned.q)
        assert run.rng[:, agent].tolist() == list(learned.stream.words)
        assert run.state[agent] == learned.state
        if run.q_tables is not None:
            assert_same_bits(run.q_tables[agent], learned.q_tables)
        if run.visits is not None:
            assert_same_bits(run.visits[agent], learned.visits)
        if variant.record == "returns":
            assert_same_bits(run.returns[agent], learned.returns)
            assert_same_bits(run.lengths[agent], learned.lengths.astype(np.int32))
    assert (run.q_tables is None) == (variant.rule != "double_q_learning")
    assert (run.visits is None) == (variant.explore != "ucb" and variant.alpha != "by_visits")
    if len(expected) == run.n_agents:
        assert run.n_steps == sum(learned.lengths.sum() for learned in expected.values())
        if variant.record == "summary":
            assert_sums_up(run.curve.returns, np.array([learned.returns for learned in expected.values()]))
            assert_sums_up(run.curve.lengths, np.array([learned.lengths for learned in expected.values()]))


# Evaluation has variants of its own, whatever the learner was.
@pytest.mark.parametrize("variant", EVALUATED, ids=str)
@given(data=st.data())
def test_evaluation_equals_the_oracle_without_learning(variant, data):
    case = data.draw(cases(variant))
    run = train(variant, data, case)
    assume(not np.isnan(run.q).any())
    episodes, limit = data.draw(st.integers(1, 10)), data.draw(st.integers(1, 12))
    width, lanes = variant.lanes
    with kernel_with(width=width, lanes=lanes, block=192):
        result = qfast.evaluate(run, episodes=episodes, max_steps=limit, threads=1, progress=False)
    seed = np.random.SeedSequence(case.settings["seed"], spawn_key=(2,))
    for agent in agents_to_compare(run.n_agents):
        expected = learn(
            case.mdp.with_limit(limit), seed=seed, agent=case.settings["first_agent"] + agent, episodes=episodes,
            alpha=0.0, explore="greedy", initial_q=run.q[agent], ties=variant.ties, dtype=variant.dtype,
            goal_reward=result.goal_reward,
        )  # fmt: skip
        assert result.returns[agent] == sum(map(float, expected.returns)) / episodes
        assert result.lengths[agent] == expected.lengths.sum() / episodes
        assert result.success[agent] == expected.successes / episodes


def train(variant, data, case):
    """Train on a variant, at once or in two parts; in blocks of 192 agents finished lanes take up new agents."""
    width, lanes = variant.lanes
    slices = data.draw(st.sampled_from([200_000, 7, 1]), label="steps before the lanes are put aside")
    first = data.draw(st.integers(0, case.settings["episodes"] - 1), label="episodes before the run is resumed")
    options = {"threads": 1, "progress": False}
    with kernel_with(width=width, lanes=lanes, block=192, max_steps=slices):
        if first == 0:
            return qfast.train(case.mdp, **case.settings, **options, record=variant.record)
        run = qfast.train(case.mdp, **case.until(first), **options, record=variant.record)
        if data.draw(st.booleans(), label="through a file"):
            with TemporaryDirectory() as folder:
                run = qfast.load(run.save(Path(folder, "run.npz")))
        return qfast.resume(run, **case.from_episode(first), **options)


def agents_to_compare(n_agents):
    """All of a few agents; of many, those at the edges of groups of lanes."""
    some = {0, n_agents // 2, n_agents - 1} | ({63, 64} & {*range(n_agents)})
    return range(n_agents) if n_agents <= 7 else sorted(some)


def assert_sums_up(summary, values):
    """Compare a running summary with NumPy's, values (agents, episodes)."""
    values = values.astype(np.float64)
    scale = np.abs(values).max(axis=0)
    assert (np.abs(summary.mean - values.mean(axis=0)) <= 1e-12 * scale).all()
    np.testing.assert_array_equal(summary.min, values.min(axis=0))
    np.testing.assert_array_equal(summary.max, values.max(axis=0))
    if len(values) == 1:
        assert np.isnan(summary.std).all()
    else:
        assert (np.abs(summary.std - values.std(axis=0, ddof=1)) <= 1e-7 * scale).all()
    for level, quantile in zip((0.05, 0.25, 0.5, 0.75, 0.95), summary.quantiles, strict=True):
        exact = np.sort(values, axis=0)[int(np.ceil(level * len(values))) - 1].astype(np.float32)
        cut = (exact.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)  # 8 significant bits
        np.testing.assert_array_equal(quantile, cut)


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant.limited], ids=str)
@settings(max_examples=5)
@given(data=st.data())
def test_whatever_q_holds(variant, data):
    """Agents whose Q has left all bounds do the same as the oracle's, and never what is forbidden."""
    case = data.draw(cases(variant))
    episodes, n_agents = case.settings["episodes"] + 1, case.settings["n_agents"]
    rates = {name: qfast.by_episode(np.full(episodes, 0.25)) for name in case.from_episode(0) if name != "episodes"}
    case = Case(case.mdp, case.settings | {"episodes": episodes} | rates)
    width, lanes = variant.lanes
    with kernel_with(width=width, lanes=lanes, block=192):
        run = qfast.train(case.mdp, **case.until(1), threads=1, record=variant.record, progress=False)
        rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="values"))
        tables = run.q[:, None] if run.q_tables is None else run.q_tables
        odd = rng.choice([np.nan, np.inf, -np.inf, 1.0, -2.0, 0.0], tables.shape)
        tables[...] = odd if case.mdp.allowed is None else np.where(case.mdp.allowed, odd, -np.inf)
        before = tables.copy()
        more = qfast.resume(run, **case.from_episode(1), threads=1, progress=False)
    after = more.q[:, None] if more.q_tables is None else more.q_tables
    if case.mdp.allowed is not None:
        assert (after[..., ~case.mdp.allowed] == -np.inf).all()
    for agent in agents_to_compare(n_agents):
        mine = Case(case.mdp, case.settings | case.from_episode(1)).of_agent(agent)
        learned = learn(
            case.mdp, **mine | {"seed": None, "stream": Stream(*run.rng[:, agent]), "state": int(run.state[agent])},
            tables=before[agent], visits=None if run.visits is None else run.visits[agent],
        )  # fmt: skip
        assert_same_bits(after[agent], learned.q_tables)
        assert more.rng[:, agent].tolist() == list(learned.stream.words)
        if more.visits is not None:
            assert_same_bits(more.visits[agent], learned.visits)
