"""The kernel against the oracle: the same bits in Q and in every record."""

from itertools import combinations, product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import qfast
from oracle.cases import cases
from oracle.kernels import kernel_with
from oracle.learner import learn
from oracle.streams import Stream
from oracle.variants import OPTIONS, VARIANTS, any_variants, pairs, possible, wanted_pairs

# Step sizes too small for their values, and agents that diverge, are as good as any others here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::qfast.errors.PrecisionWarning"),
    pytest.mark.filterwarnings("ignore::qfast.errors.DivergedWarning"),
]


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


def test_the_design_holds_every_pair_of_options():
    found = set().union(*(pairs(vars(variant)) for variant in VARIANTS))
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
    assert len(VARIANTS) <= 56  # each is compiled


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@given(data=st.data())
def test_the_kernel_equals_the_oracle(variant, data):
    compare(variant, data)


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
@pytest.mark.parametrize("variant", VARIANTS[::5], ids=str)
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


def with_a_mask():
    """A corridor of six states whose third action is not allowed, and the settings that drive Q out of all bounds."""
    n = 6
    right, left = np.minimum(np.arange(n) + 1, n - 1), np.maximum(np.arange(n) - 1, 0)
    after = np.stack([left, left, right], 1)
    mdp = qfast.MDP(
        after, np.where(after == n - 1, 2.0, -1.0), terminated=after == n - 1, max_episode_steps=60,
        allowed=[[False, True, True]] * n,
    )  # fmt: skip
    settings = {
        "episodes": 100, "alpha": 1.0, "gamma": 1.0, "traces": "accumulating", "lambda_": 1.0, "seed": 0,
    }  # fmt: skip
    return mdp, settings


@pytest.mark.parametrize("ties", ["random", "first", "last"])
def test_a_forbidden_action_is_never_taken_whatever_q_holds(ties):
    mdp, settings = with_a_mask()
    settings |= {"rule": "sarsa", "ties": ties}
    run = qfast.train(mdp, n_agents=20, record="returns", progress=False, **settings)
    assert run.n_diverged >= 3
    assert run.n_diverged == run.diverged.sum()
    assert (run.q[:, :-1, 0] == -np.inf).all()
    assert (run.policy()[:, :-1] != 0).all()
    for agent in np.flatnonzero(run.diverged)[:3].tolist():
        learned = learn(mdp, agent=agent, **settings)
        assert_same_bits(run.q[agent], learned.q)
        assert_same_bits(run.returns[agent], learned.returns)
        assert_same_bits(run.lengths[agent], learned.lengths.astype(np.int32))


@pytest.mark.parametrize(
    "settings",
    [
        {"rule": "q_learning"}, {"rule": "expected_sarsa"}, {"rule": "double_q_learning"},
        {"rule": "expected_sarsa", "explore": "softmax"}, {"rule": "sarsa", "explore": "ucb"},
    ],
    ids=str,
)  # fmt: skip
def test_a_forbidden_value_is_never_looked_up(settings):
    mdp, _ = with_a_mask()
    settings = {"gamma": 0.9, "alpha": 0.5} | settings
    run = qfast.train(mdp, n_agents=30, episodes=1, seed=0, record="returns", progress=False, **settings)
    rng = np.random.default_rng(1)
    tables = run.q if run.q_tables is None else run.q_tables
    odd = rng.choice([np.nan, np.inf, -np.inf, 1.0, -2.0], run.q.shape).astype(np.float32)
    odd[:, -1], odd[:, :, 0] = 0.0, -np.inf
    tables[...] = odd if run.q_tables is None else odd[:, None]
    if run.visits is not None:
        run.visits[...] = 0
    more = qfast.resume(run, episodes=3, progress=False)
    assert (more.q[:, :-1, 0] == -np.inf).all()
    for agent in range(30):
        stream = Stream(*run.rng[:, agent])
        learned = learn(mdp, stream=stream, state=0, episodes=3, initial_q=odd[agent], **settings)
        assert_same_bits(more.q[agent], learned.q)
        assert_same_bits(more.lengths[agent, 1:], learned.lengths.astype(np.int32))
