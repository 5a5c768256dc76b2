"""The contract of reproducibility: agent i of a run with seed s has the same bits, however it was made."""

import multiprocessing
import platform
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from faults.runs import assert_same
from oracle.digests import RICH_EPISODES, digest, digests, plain, rich, rich_mdp
from oracle.kernels import kernel_with
from processes import run_python

import qfast
from qfast.engine.journal import Collector


def rows(run, first, until):
    """Q, returns and lengths of some agents."""
    return [array[first:until].tolist() for array in (run.q, run.returns, run.lengths)]


@pytest.fixture(scope="module")
def plain_run():
    return qfast.train(**plain())


@pytest.fixture(scope="module")
def rich_run():
    return qfast.train(rich_mdp(), **rich())


# --- which agents ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_agents", [1, 2, 3, 63, 64, 65, 127, 129, 191, 193])
def test_the_number_of_agents_does_not_matter(plain_run, rich_run, n_agents):
    assert rows(qfast.train(**plain(n_agents)), 0, n_agents) == rows(plain_run, 0, n_agents)
    assert rows(qfast.train(rich_mdp(), **rich(n_agents)), 0, n_agents) == rows(rich_run, 0, n_agents)


@pytest.mark.parametrize("agent", [0, 1, 4_567, 9_999])
def test_one_of_ten_thousand_agents_can_be_made_alone(agent):
    many = qfast.train(**plain(10_000, episodes=50))
    alone = qfast.train(**plain(1, episodes=50, first_agent=agent))
    assert rows(alone, 0, 1) == rows(many, agent, agent + 1)


@pytest.mark.parametrize(("first", "n_agents"), [(1, 1), (37, 100), (64, 64), (130, 70)])
def test_some_agents_of_a_run_can_be_made_again(plain_run, first, n_agents):
    part = qfast.train(**plain(n_agents, first_agent=first))
    assert rows(part, 0, n_agents) == rows(plain_run, first, first + n_agents)


def test_agents_differ(plain_run):
    assert len(np.unique(plain_run.lengths, axis=0)) == 200


# --- how the work is divided ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("record", ["returns", "summary"])
def test_threads_do_not_matter(threads, record):
    expected = qfast.train(**plain(1_001, threads=3, record=record))
    assert_same(qfast.train(**plain(1_001, threads=threads, record=record)), expected)


@pytest.mark.parametrize("block", [64, 128, 192, 1024])
@pytest.mark.parametrize("record", ["returns", "summary"])
def test_blocks_do_not_matter(block, record):
    expected = qfast.train(**plain(1_001, record=record))
    with kernel_with(block=block):
        run = qfast.train(**plain(1_001, record=record))
    assert_same(run, expected)


@pytest.mark.parametrize("max_steps", [1, 13, 1_000])
def test_pauses_do_not_matter(plain_run, rich_run, max_steps):
    with kernel_with(max_steps=max_steps):
        assert_same(qfast.train(rich_mdp(), **rich()), rich_run)
        assert_same(qfast.train(**plain()), plain_run)


def test_a_summary_over_more_episodes_than_one_window_holds():
    settings = plain(70, episodes=5_000, seed=3)
    run, summary = (qfast.train(**settings | {"record": record}) for record in ("returns", "summary"))
    np.testing.assert_array_equal(run.q, summary.q)
    np.testing.assert_allclose(summary.curve.returns.mean, run.returns.mean(axis=0, dtype=float), rtol=1e-12)
    np.testing.assert_array_equal(summary.curve.lengths.max, run.lengths.max(axis=0))


def test_a_process_pool_with_spawn(plain_run, rich_run):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert_same(qfast.train(**plain(executor=pool)), plain_run)
        assert_same(qfast.train(rich_mdp(), **rich(executor=pool)), rich_run)
        summary = qfast.train(**plain(record="summary", executor=pool))
        half = qfast.train(**plain(episodes=40, executor=pool))
        assert_same(qfast.resume(half, episodes=60, executor=pool), plain_run)
        evaluation = qfast.evaluate(rich_run, episodes=20, executor=pool)
    assert_same(summary, qfast.train(**plain(record="summary")))
    np.testing.assert_array_equal(
        evaluation.returns, qfast.evaluate(rich_run, episodes=20, progress=False).returns
    )


def test_several_python_threads_at_once(plain_run, rich_run):
    expected = {seed: qfast.train(**plain(seed=seed)) for seed in (1, 2)}

    def work(i):
        if i % 4 == 0:
            assert_same(qfast.train(rich_mdp(), **rich()), rich_run)
        elif i % 4 == 1:
            assert_same(qfast.train(**plain()), plain_run)
        else:
            assert_same(qfast.train(**plain(seed=i % 4 - 1)), expected[i % 4 - 1])
        return i

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(24))) == list(range(24))


# --- interrupted and resumed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("record", [None, "returns", "summary"])
@pytest.mark.parametrize("parts", [(400, 600), (1, 998, 1), (250, 250, 250, 250)], ids=str)
def test_resumed_runs_equal_those_at_once(tmp_path, record, parts):
    at_once = qfast.train(**plain(130, episodes=1_000, record=record))
    run = qfast.train(**plain(130, episodes=parts[0], record=record))
    for episodes in parts[1:]:
        run = qfast.load(run.save(tmp_path / "run.npz"))
        run = qfast.resume(run, episodes=episodes, progress=False)
    assert run.episodes == 1_000
    assert_same(run, at_once)


@pytest.mark.parametrize("record", ["returns", "summary"])
def test_resuming_goes_on_with_schedules_starts_limits_and_masks(tmp_path, record):
    at_once = qfast.train(rich_mdp(), **rich(record=record))
    run = qfast.train(rich_mdp(), **rich(until=40, record=record))
    run = qfast.load(run.save(tmp_path / "run.npz"))
    rest = {name: rich(first=40)[name] for name in ("alpha", "epsilon")}
    run = qfast.resume(run, episodes=RICH_EPISODES - 40, progress=False, **rest)
    assert_same(run, at_once)


def test_resuming_does_not_change_the_run_before(plain_run):
    before = digest(plain_run)
    longer = qfast.resume(plain_run, episodes=10, progress=False)
    again = qfast.resume(plain_run, episodes=10, progress=False)
    assert digest(plain_run) == before
    assert_same(longer, again)


def test_an_interrupted_run_holds_the_agents_that_were_complete(monkeypatch):
    settings = plain(50_000, episodes=200, threads=2)

    take = Collector.take

    def interrupt(collector, block):
        take(collector, block)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Collector, "take", interrupt)
    with pytest.raises(qfast.Interrupted) as caught:
        qfast.train(**settings)
    monkeypatch.undo()
    part = caught.value.run
    assert 0 < part.n_agents < 50_000
    assert_same(part, qfast.train(**settings | {"n_agents": part.n_agents}))


# --- seeds ----------------------------------------------------------------------------------------------------------


def test_a_run_remembers_a_seed_that_it_drew():
    run = qfast.train(**plain(seed=None))
    assert_same(qfast.train(**plain(seed=run.seed)), run)
    assert digest(qfast.train(**plain(seed=None))) != digest(run)


def test_seeds_of_all_kinds():
    def of(seed):
        return digest(qfast.train(**plain(3, seed=seed)))

    assert of(5) == of(np.int64(5)) == of(np.random.SeedSequence(5))
    assert of([1, 2]) == of(np.random.SeedSequence([1, 2]))
    child = np.random.SeedSequence(5).spawn(2)[1]
    assert len({of(5), of(6), of(2**64 + 5), of([1, 2]), of(child)}) == 5


@pytest.mark.parametrize(
    "seed", [7, 2**100, [3, 4], np.random.SeedSequence(5).spawn(2)[1]], ids=["small", "large", "list", "child"]
)
def test_seeds_survive_a_file(tmp_path, seed):
    at_once = qfast.train(**plain(3, seed=seed))
    run = qfast.load(qfast.train(**plain(3, episodes=40, seed=seed)).save(tmp_path / "run.npz"))
    assert_same(qfast.resume(run, episodes=60, progress=False), at_once)
    assert_same(qfast.train(**plain(3, seed=run.seed)), at_once)


# --- evaluation and rollout ------------------------------------------------------------------------------------------


def test_evaluation_belongs_to_the_agent(rich_run):
    expected = qfast.evaluate(rich_run, episodes=30, threads=1, progress=False)
    before = digest(rich_run)
    for threads in (2, 7):
        result = qfast.evaluate(rich_run, episodes=30, threads=threads, progress=False)
        for name in ("returns", "success", "lengths"):
            np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))
    few = qfast.evaluate(qfast.train(rich_mdp(), **rich(65)), episodes=30, progress=False)
    np.testing.assert_array_equal(few.returns, expected.returns[:65])
    assert digest(rich_run) == before


def test_rollouts_belong_to_the_agent(rich_run):
    everyone = qfast.rollout(rich_run)
    for agent in (0, 77, 199):
        alone = qfast.rollout(rich_run, agents=agent)
        n = alone.lengths[0]
        assert everyone.lengths[agent] == n
        assert everyone.states[agent, : n + 1].tolist() == alone.states[0].tolist()
        assert everyone.returns[agent] == alone.returns[0]


# --- other processes and processors ----------------------------------------------------------------------------------


def test_another_process_in_development_mode():
    assert run_python("-X", "dev", "-W", "error", "-m", "oracle.digests").split() == digests()


HASWELL = "+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+movbe"


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="names processors of this family")
@pytest.mark.parametrize(
    ("processor", "features", "name"),
    [
        ("haswell", HASWELL, "plain"), ("x86-64", "+sse2", "rich"),
        pytest.param("haswell", HASWELL, "rich", marks=pytest.mark.long),
        pytest.param("x86-64", "+sse2", "plain", marks=pytest.mark.long),
    ],
)  # fmt: skip
def test_narrower_processors_give_the_same_bits(tmp_path, processor, features, name):
    environment = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": tmp_path}
    assert run_python("-m", "oracle.digests", name, **environment).split() == digests([name])
