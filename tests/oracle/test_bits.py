"""The kernel against the oracle: the same bits in Q and in every record."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle.cases import cases
from oracle.kernels import kernel_with
from oracle.learner import learn
from oracle.variants import OPTIONS, VARIANTS, pairs, pairwise

import qfast


def assert_same_bits(left, right):
    """Equal in shape, type and every bit; -0.0 is not 0.0 here."""
    assert left.dtype == right.dtype
    assert left.shape == right.shape
    unsigned = np.dtype(f"u{left.dtype.itemsize}")
    np.testing.assert_array_equal(
        np.ascontiguousarray(left).view(unsigned), np.ascontiguousarray(right).view(unsigned), f"{left}\n{right}"
    )


def test_the_design_holds_every_pair_of_options():
    wanted = {((x, u), (y, v)) for x in OPTIONS for y in OPTIONS if x < y for u in OPTIONS[x] for v in OPTIONS[y]}
    rows = pairwise(OPTIONS)
    found = {tuple(sorted(pair)) for row in rows for pair in pairs(row)}
    assert wanted <= found
    assert len(rows) <= 25  # each is compiled


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@given(data=st.data())
def test_the_kernel_equals_the_oracle(variant, data):
    case = data.draw(cases(variant))
    run = train(variant, data, case)
    expected = {agent: learn(case.mdp, **case.of_agent(agent)) for agent in agents_to_compare(run.n_agents)}
    for agent, learned in expected.items():
        assert_same_bits(run.q[agent], learned.q)
        if variant.record == "returns":
            assert_same_bits(run.returns[agent], learned.returns)
            assert_same_bits(run.lengths[agent], learned.lengths.astype(np.int32))
    if len(expected) == run.n_agents:
        assert run.n_steps == sum(learned.lengths.sum() for learned in expected.values())
        if variant.record == "summary":
            assert_sums_up(run.curve.returns, np.array([learned.returns for learned in expected.values()]))
            assert_sums_up(run.curve.lengths, np.array([learned.lengths for learned in expected.values()]))


# Evaluation needs a variant of its own; among those without a record every value of every other option occurs.
@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant.record is None], ids=str)
@given(data=st.data())
def test_evaluation_equals_the_oracle_without_learning(variant, data):
    case = data.draw(cases(variant))
    run = train(variant, data, case)
    episodes, limit = data.draw(st.integers(1, 10)), data.draw(st.integers(1, 12))
    width, lanes = variant.lanes
    with kernel_with(width=width, lanes=lanes, block=192):
        result = qfast.evaluate(run, episodes=episodes, max_steps=limit, threads=1, progress=False)
    seed = np.random.SeedSequence(case.settings["seed"], spawn_key=(2,))
    for agent in agents_to_compare(run.n_agents):
        settings = case.of_agent(agent) | {"seed": seed, "episodes": episodes, "alpha": 0, "epsilon": 0}
        settings |= {"initial_q": run.q[agent], "goal_reward": result.goal_reward}
        expected = learn(case.mdp.with_limit(limit), **settings)
        assert result.returns[agent] == sum(map(float, expected.returns)) / episodes
        assert result.lengths[agent] == expected.lengths.sum() / episodes
        assert result.success[agent] == expected.successes / episodes


def train(variant, data, case):
    """Train on a variant; in blocks of 192 agents finished lanes take up new agents."""
    width, lanes = variant.lanes
    slices = data.draw(st.sampled_from([200_000, 7, 1]), label="steps before the lanes are put aside")
    with kernel_with(width=width, lanes=lanes, block=192, max_steps=slices):
        return qfast.train(case.mdp, **case.settings, threads=1, record=variant.record, progress=False)


def agents_to_compare(n_agents):
    """All of a few agents; of many, those at the edges of groups of lanes."""
    return range(n_agents) if n_agents <= 7 else sorted({0, n_agents // 2, n_agents - 1} | {63, 64} & {*range(n_agents)})


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
