"""Policies that were learned on a table, back in the environment that it came from."""

import numpy as np
import pytest
from made_runs import made_run

import qfast
from qfast.errors import Interrupted, InvalidInput

gym = pytest.importorskip("gymnasium")
made_envs = pytest.importorskip("made_envs")


def found(env, **options):
    return qfast.from_env(env, **{"progress": False, "max_episode_steps": 100, **options})


def seen(run, env, **options):
    return qfast.replay(run, env, progress=False, **options)


def test_a_deterministic_table_keeps_its_promise_exactly():
    grid = found(lambda: made_envs.DictGrid(4, fixed_target=(3, 3)))
    replayed = seen(qfast.exact.solve(grid, 1.0), lambda: made_envs.DictGrid(4, fixed_target=(3, 3)), episodes=5)
    assert replayed.returns == pytest.approx(np.full((1, 5), 0.5))
    assert replayed.promised_returns == pytest.approx([0.5])
    assert replayed.success.all()
    assert replayed.promised_success.tolist() == [1.0]
    assert (replayed.lengths == 6).all()
    assert "(all alike)" in repr(replayed)


def test_agents_of_a_run():
    lake = qfast.from_gymnasium("FrozenLake-v1")
    noise = np.random.default_rng(0).normal(0, 0.02, (20, 16, 4))
    run = made_run(lake, qfast.exact.solve(lake, 0.99).q + noise, gamma=0.99)
    replayed = seen(run, "FrozenLake-v1", agents=[3, 17], episodes=400)
    assert replayed.agents.tolist() == [3, 17]
    policies = run.policy()[[3, 17]]
    exact = qfast.exact.evaluate_within_limit(lake, policies)
    assert (replayed.promised_success == exact.success).all()
    for i in range(2):  # a true table: five standard errors
        p = exact.success[i]
        assert abs(replayed.success[i].mean() - p) < 5 * np.sqrt(p * (1 - p) / 400)
        assert replayed.success_of(i).interval.low < replayed.success[i].mean() < replayed.success_of(i).interval.high
    text = repr(replayed)
    assert text.startswith("Replay of 2 agents, 400 episodes each, at most 100 steps")
    assert "promised" in text
    assert seen(run, "FrozenLake-v1").agents.tolist() == list(range(10))
    assert (seen(run, "FrozenLake-v1", agents=3, episodes=5).returns
            == seen(run, "FrozenLake-v1", agents=3, episodes=5).returns).all()  # fmt: skip


def test_optimal_policies_of_sampled_tables_do_well():
    lake = found("FrozenLake-v1", samples=400, max_episode_steps=None)
    best = qfast.exact.solve(lake, 0.99)
    replayed = seen(best, "FrozenLake-v1", episodes=400)
    assert replayed.success.mean() > 0.65  # 0.74 is the best within 100 steps
    grid = found(lambda: made_envs.DictGrid(3, slip=0.3), samples=100)
    replayed = seen(qfast.exact.solve(grid, 0.99), lambda: made_envs.DictGrid(3, slip=0.3), episodes=400)
    assert replayed.success.all()
    assert replayed.promised_returns[0] == pytest.approx(replayed.returns.mean(), abs=0.1)
    assert replayed.return_of().interval.half_width < 0.1


def test_a_table_of_the_taxi_found_and_replayed():
    taxi = found("Taxi-v4", max_episode_steps=None)
    replayed = seen(qfast.exact.solve(taxi, 0.99), "Taxi-v4", episodes=200)
    assert replayed.success.all()
    assert abs(replayed.returns.mean() - replayed.promised_returns[0]) < 5 * replayed.returns.std() / np.sqrt(200)


def test_a_table_that_hides_something_does_not_keep_its_promise():
    """The table knows nothing of the key; the environment needs it."""
    line = found(made_envs.Line)
    replayed = seen(qfast.exact.solve(line, 0.9), made_envs.Keyed, episodes=3)
    assert replayed.promised_success.tolist() == [1.0]
    assert not replayed.success.any()


def test_states_that_the_table_does_not_know():
    short = qfast.from_P({0: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 1, 0.0, False)]},
                          1: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 1, 1.0, True)]}}, max_episode_steps=9)  # fmt: skip
    replayed = seen(qfast.exact.solve(short, 0.9), made_envs.Line, episodes=4)
    assert replayed.lost.all()
    assert (replayed.lengths == 2).all()
    assert "4 of 4 episodes came to a state that the table does not know" in repr(replayed)


def test_states_by_a_function_and_resets_by_seeds():
    def state(env):
        return (env.unwrapped.at, env.unwrapped.has_key)

    keyed = found(made_envs.Keyed, state=state)
    replayed = seen(qfast.exact.solve(keyed, 0.9), made_envs.Keyed, state=state, episodes=3)
    assert replayed.success.all()
    one = found(lambda: made_envs.DictGrid(4), resets=[5])
    replayed = seen(qfast.exact.solve(one, 0.9), lambda: made_envs.DictGrid(4), resets=[5], episodes=3)
    assert not replayed.lost.any()
    assert replayed.returns == pytest.approx(np.full((1, 3), replayed.promised_returns[0]))


def test_the_limit_is_that_of_the_environment_if_that_is_shorter():
    line = found(made_envs.Line)
    replayed = seen(qfast.exact.solve(line, 0.9), lambda: gym.wrappers.TimeLimit(made_envs.Line(), 3), episodes=2)
    assert replayed.max_steps == 3
    assert replayed.promised_success.tolist() == [0.0]
    assert not replayed.success.any()


def test_what_is_refused():
    line = found(made_envs.Line)
    best = qfast.exact.solve(line, 0.9)
    for options, message in (
        ({"agents": 0}, "an exact solution has one policy"),
        ({"episodes": 0}, "episodes=0"),
        ({"level": 1.5}, r"level=1.5 is outside \(0, 1\)"),
        ({"resets": 3}, "resets is 3; give seeds"),
        ({"state": lambda env: "x"}, "no episode began in a state of the table: the environment begins in 'x'"),
        ({"state": lambda env: 0, "bins": 3}, "state= and bins= both"),
    ):
        with pytest.raises(InvalidInput, match=message):
            seen(best, made_envs.Line, **options)
    with pytest.raises(InvalidInput, match="the table has the action 2, the environment 2 others"):
        seen(qfast.exact.solve(qfast.from_gymnasium("FrozenLake-v1"), 0.9), made_envs.Line)
    with pytest.raises(InvalidInput, match="run is an MDP, not a Run"):
        seen(line, made_envs.Line)


def test_ctrl_c():
    def stop(event):
        if event.done > 2:
            raise KeyboardInterrupt

    best = qfast.exact.solve(found(made_envs.Line), 0.9)
    with pytest.raises(Interrupted, match=r"stopped; \d+ of 50 episodes were played"):
        qfast.replay(best, made_envs.Line, episodes=50, progress=stop)
