"""Checkpoints: what agents were on their way, without changing where they go."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace

import house
import numpy as np
import pytest

import qfast
from qfast.errors import InvalidInput
from qfast.problems import frozen_lake
from qfast.truth.checkpoints import COLUMNS, Checkpoints, checkpoint_episodes
from qfast.truth.survival import FirstOptimal

LAKE = frozen_lake("4x4", slip=0.2, max_episode_steps=20)
SETTINGS = {"n_agents": 150, "episodes": 120, "seed": 4, "progress": False, "gamma": 0.95, "threads": 2}


def train(**changes):
    return qfast.train(LAKE, **(SETTINGS | changes))


def assert_equal(left, right):
    for field in fields(Checkpoints):
        one, other = getattr(left, field.name), getattr(right, field.name)
        assert (one is None) == (other is None), field.name
        if one is not None:
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other, field.name)


@pytest.fixture(scope="module")
def watched():
    return train(checkpoints=[0, 1, 7, 64, 120], checkpoint_q=True)


def narrow():
    """A corridor of two actions, with a limit and a mask: as other tests train on it, so that nothing is compiled."""
    plain = qfast.corridor(6)
    allowed = np.ones((6, 2), bool)
    allowed[0, 0] = False
    return qfast.MDP(plain.next_state, plain.reward, terminated=plain.terminated, allowed=allowed, max_episode_steps=20)


EXACT = {"ties": "first", "dtype": "float64", "record": "returns"}


@pytest.mark.parametrize(
    ("mdp", "changes"),
    [
        (LAKE, {"record": "summary"}),
        (LAKE, {"record": "returns"}),
        (qfast.corridor(), {"record": None}),
        (house.chances(masked=True), {"rule": "double_q_learning", "alpha": qfast.by_visits(), **EXACT}),
        (narrow(), {"rule": "sarsa", "n": 3, **EXACT}),
        (
            qfast.corridor(5, max_episode_steps=20),
            {"rule": "sarsa", "traces": "accumulating", "lambda_": 0.5, "explore": "ucb", "alpha": qfast.by_visits()},
        ),
        (qfast.corridor(5), {"epsilon": qfast.linear(0.5, 0.1), "record": "returns"}),
    ],
    ids=["summary", "returns", "nothing", "double", "n-step sarsa", "ucb and traces", "schedule"],
)
def test_training_has_the_same_bits_with_and_without(mdp, changes):
    settings = SETTINGS | changes
    without, with_them = qfast.train(mdp, **settings), qfast.train(mdp, **settings, checkpoints=9)
    for name in ("q", "rng", "state", "n_steps", "returns", "lengths", "visits", "q_tables"):
        np.testing.assert_array_equal(getattr(without, name), getattr(with_them, name), name)
    if without.curve is not None:
        for quantity in ("returns", "lengths"):
            for field in fields(qfast.Summary):
                one, other = (getattr(getattr(run.curve, quantity), field.name) for run in (without, with_them))
                np.testing.assert_array_equal(one, other)
    assert with_them.checkpoints.episodes.size == 9
    np.testing.assert_array_equal(with_them.checkpoints.regret[:, -1], with_them.regret())


def test_checkpoints_on_both_sides_of_a_window_of_the_summary():
    settings = {"n_agents": 3, "episodes": 5_000, "seed": 1, "progress": False}
    watched = qfast.train(**settings, checkpoints=[2_047, 2_048, 2_049, 4_999])
    plain = qfast.train(**settings)
    np.testing.assert_array_equal(watched.q, plain.q)
    np.testing.assert_array_equal(watched.curve.returns.mean, plain.curve.returns.mean)
    shorter = qfast.train(**(settings | {"episodes": 2_049}))
    np.testing.assert_array_equal(watched.checkpoints.error_sup[:, 2], shorter.error().sup)


def test_a_checkpoint_is_what_a_shorter_training_ends_with(watched):
    seen = watched.checkpoints
    assert seen.episodes.tolist() == [0, 1, 7, 64, 120]
    for column, episodes in list(enumerate(seen.episodes))[1:]:
        run = train(episodes=int(episodes))
        np.testing.assert_array_equal(seen.q[:, column], run.q)
        np.testing.assert_array_equal(seen.regret[:, column], run.regret())
        np.testing.assert_array_equal(seen.optimal[:, column], run.is_optimal())
        np.testing.assert_array_equal(seen.error_sup[:, column], run.error().sup)
        np.testing.assert_array_equal(seen.error_rms[:, column], run.error().rms)
    np.testing.assert_array_equal(seen.q[:, 0], np.zeros_like(watched.q))
    assert np.unique(seen.regret[:, 0]).size == 1  # nobody knows anything before the first episode
    assert "150 agents measured 5 times" in repr(seen)


def test_checkpoints_do_not_depend_on_the_other_agents_or_the_threads(watched):
    part = train(n_agents=20, first_agent=100, threads=1, checkpoints=[0, 1, 7, 64, 120])
    np.testing.assert_array_equal(part.checkpoints.regret, watched.checkpoints.regret[100:120])
    np.testing.assert_array_equal(part.checkpoints.error_rms, watched.checkpoints.error_rms[100:120])
    assert part.checkpoints.q is None


def test_checkpoints_of_processes(watched):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        run = train(threads=None, executor=pool, checkpoints=[0, 1, 7, 64, 120], checkpoint_q=True)
    assert_equal(run.checkpoints, watched.checkpoints)


def test_each_agent_by_its_own_gamma():
    gamma = np.where(np.arange(150) % 2, 0.95, 0.5)
    run = train(gamma=gamma, checkpoints=[60, 120])
    np.testing.assert_array_equal(run.checkpoints.regret[:, 1], run.regret())
    np.testing.assert_array_equal(run.checkpoints.error_sup[:, 1], run.error().sup)
    for g in (0.5, 0.95):
        alone = train(gamma=g, checkpoints=[60, 120])
        mine = gamma == g
        np.testing.assert_array_equal(run.checkpoints.regret[mine], alone.checkpoints.regret[mine])


def test_in_two_trainings_as_in_one(watched):
    begun = train(episodes=64, checkpoints=[0, 1, 7, 64], checkpoint_q=True)
    whole = qfast.resume(begun, episodes=56, checkpoints=[120], progress=False)
    assert_equal(whole.checkpoints, watched.checkpoints)
    assert_equal(qfast.resume(begun, episodes=56, progress=False).checkpoints, begun.checkpoints)
    late = qfast.resume(train(episodes=64), episodes=56, checkpoints=1, progress=False)
    np.testing.assert_array_equal(late.checkpoints.regret[:, 0], watched.checkpoints.regret[:, -1])
    assert late.checkpoints.episodes.tolist() == [120]


def test_saved_and_loaded(watched, tmp_path):
    again = qfast.load(watched.save(tmp_path / "run.npz"))
    assert_equal(again.checkpoints, watched.checkpoints)
    assert qfast.load(train().save(tmp_path / "plain.npz")).checkpoints is None
    assert_equal(pickle.loads(pickle.dumps(watched)).checkpoints, watched.checkpoints)


def test_interrupted_training_keeps_the_checkpoints_of_its_agents():
    def stop(progress):
        if progress.phase == "training" and progress.agents_done:
            raise_signal()

    import signal

    def raise_signal():
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(qfast.Interrupted) as interruption:
        train(n_agents=100_000, threads=1, checkpoints=2, progress=stop)
    run = interruption.value.run
    assert 0 < run.n_agents < 100_000
    assert len(run.checkpoints.regret) == run.n_agents
    np.testing.assert_array_equal(run.checkpoints.regret[:, -1], run.regret())


# --- which episodes -------------------------------------------------------------------------------------------------


def test_the_episodes_of_checkpoints():
    assert checkpoint_episodes(1, 7) == (7,)
    assert checkpoint_episodes(3, 10) == (3, 7, 10)
    assert checkpoint_episodes(10, 10) == tuple(range(1, 11))
    assert checkpoint_episodes("log", 1_000)[-4:] == (100, 200, 500, 1_000)
    assert checkpoint_episodes("log", 1) == (1,)
    assert checkpoint_episodes("log", 100, done=30) == (50, 100, 130)
    assert checkpoint_episodes(2, 100, done=30) == (80, 130)
    assert checkpoint_episodes(np.array([0, 5]), 5) == (0, 5)


@pytest.mark.parametrize("episodes", [2, 3, 7, 100, 101, 999])
def test_counts_of_checkpoints_are_kept_and_increase(episodes):
    for count in range(1, episodes + 1):
        when = checkpoint_episodes(count, episodes)
        assert len(set(when)) == count
        assert when == tuple(sorted(when))
        assert when[-1] == episodes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("linear", "'linear' is unknown; use 'log'"),
        (0, r"0 is outside \[1, 100\]"),
        (101, r"101 is outside \[1, 100\]"),
        (True, "are no episodes"),
        (2.5, "are no episodes"),
        ([], "are no episodes"),
        ([1.5], "are no episodes"),
        ([[1], [2, 3]], "are no episodes"),
        ([5, 5], "must increase"),
        ([-1, 5], "must increase from at least 0"),
        ([101], "at most 100 episodes"),
    ],
)
def test_what_are_no_checkpoints_is_refused(given, message):
    with pytest.raises(InvalidInput, match=message):
        checkpoint_episodes(given, 100)


def test_checkpoints_of_the_past_are_refused():
    with pytest.raises(InvalidInput, match="from at least 31 to at most 130"):
        checkpoint_episodes([30], 100, done=30)


def test_tables_without_checkpoints_are_refused():
    with pytest.raises(InvalidInput, match="has no meaning without checkpoints"):
        train(checkpoint_q=True)


# --- from when on ---------------------------------------------------------------------------------------------------


def with_optimal(run, rows):
    nothing = np.zeros((len(rows), 4))
    checkpoints = Checkpoints(np.array([10, 20, 50, 100]), nothing, np.array(rows, bool), nothing, nothing, None)
    return replace(run, checkpoints=checkpoints)


def test_first_optimal_by_hand(watched):
    rows = [[1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 1, 1]]
    first = with_optimal(watched, rows).first_optimal()
    np.testing.assert_array_equal(first.episodes, [10, 20, 100, np.inf, np.inf, 50])
    np.testing.assert_array_equal(first.after, [0, 10, 50, 100, 100, 20])
    assert first.censored.tolist() == [False, False, False, True, True, False]
    np.testing.assert_allclose(first.share, [1 / 6, 2 / 6, 3 / 6, 4 / 6])
    assert (first.quantile(1 / 6), first.quantile(0.3), first.quantile(0.5)) == (10, 20, 50)
    assert np.isinf(first.quantile(0.9))
    assert "6 agents: 66.7 % optimal at the end" in repr(first)
    assert "half            from an episode after 20 and up to 50 on" in repr(first)
    assert "nine tenths     not by then" in repr(first)


def test_first_optimal_of_a_run(watched):
    first = watched.first_optimal()
    assert isinstance(first, FirstOptimal)
    np.testing.assert_array_equal(first.censored, ~watched.is_optimal())
    assert first.share[-1] == watched.checkpoints.share_optimal[-1]


def test_first_optimal_needs_checkpoints():
    with pytest.raises(InvalidInput, match="the run has no checkpoints; train with checkpoints="):
        train(n_agents=1, episodes=1).first_optimal()


@pytest.mark.parametrize("level", [0, -0.5, 1.01])
def test_levels_out_of_range_are_refused(watched, level):
    with pytest.raises(InvalidInput, match="outside"):
        watched.first_optimal().quantile(level)


def test_every_measure_has_a_column(watched):
    assert {field.name for field in fields(Checkpoints)} == {"episodes", "q", *COLUMNS}
