"""Tables from Gymnasium and by hand, problems by name, and noise cut into outcomes."""

import math
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import scipy.stats

from qfast.errors import BadFile, InvalidInput, MissingExtra, MissingLimitWarning
from qfast.model.mdp import MDP
from qfast.problems import (
    GYMNASIUM_IDS,
    cliff_walking,
    corridor,
    equally_likely,
    from_gymnasium,
    from_P,
    frozen_lake,
    grid,
    maximisation_bias,
    names,
    normal,
    resolve,
    taxi,
)

END = [(1.0, 1, 0.0, True)]


def distribution(row: Any) -> dict[tuple[int, float, bool], float]:
    total: dict[tuple[int, float, bool], float] = defaultdict(float)
    for probability, next_state, reward, terminated in row:
        if probability > 0:
            total[int(next_state), float(reward), bool(terminated)] += float(probability)
    return dict(total)


def outcomes(mdp: MDP, s: int, a: int) -> Any:
    return zip(mdp.probability[s, a], mdp.next_state[s, a], mdp.reward[s, a], mdp.terminated[s, a], strict=True)


def assert_holds(mdp: MDP, table: Any) -> None:
    """Compare with P state for state, action for action."""
    assert (mdp.n_states, mdp.n_actions) == (len(table), len(table[0]))
    for s in range(mdp.n_states):
        for a in range(mdp.n_actions):
            assert distribution(outcomes(mdp, s, a)) == pytest.approx(distribution(table[s][a]), abs=1e-12), (s, a)


CASES: list[tuple[MDP, str, dict[str, Any]]] = [
    (frozen_lake(), "FrozenLake-v1", {}),
    (frozen_lake(slip=0.0), "FrozenLake-v1", {"is_slippery": False}),
    (frozen_lake("8x8", max_episode_steps=200), "FrozenLake8x8-v1", {}),
    (frozen_lake(slip=0.3, max_episode_steps=100), "FrozenLake-v1", {"success_rate": 0.7}),
    (
        frozen_lake(["SFH", "FSG"], goal_reward=5, hole_reward=-2, step_reward=-1),
        "FrozenLake-v1",
        {"desc": ["SFH", "FSG"], "reward_schedule": (5, -2, -1)},
    ),
    (cliff_walking(max_episode_steps=300), "CliffWalking-v1", {"max_episode_steps": 300}),
    (cliff_walking(slippery=True, max_episode_steps=300), "CliffWalkingSlippery-v1", {"max_episode_steps": 300}),
    (taxi(), "Taxi-v4", {}),
    (taxi(rainy=True), "Taxi-v4", {"is_rainy": True}),
]


@pytest.mark.parametrize(("own", "name", "options"), CASES)
def test_builders_equal_gymnasium(own: MDP, name: str, options: dict[str, Any]) -> None:
    env = gymnasium.make(name, **options)
    inner: Any = env.unwrapped
    read = from_gymnasium(name, **options)
    for mdp in (own, read):
        assert_holds(mdp, inner.P)
        assert mdp.start == pytest.approx(inner.initial_state_distrib, abs=1e-15)
        assert env.spec is not None
        assert mdp.max_episode_steps == env.spec.max_episode_steps
        assert (mdp.action_names, mdp.state_names, mdp.layout) == (read.action_names, read.state_names, read.layout)
    env.close()


@pytest.mark.parametrize("index", [0, 1, 2, 4, 5, 6, 7])
def test_equally_likely_and_deterministic_builders_are_the_same_value(index: int) -> None:
    own, name, options = CASES[index]
    assert own == from_gymnasium(name, **options)


@pytest.mark.parametrize(
    ("name", "n_outcomes"),
    [
        ("FrozenLake-v1", 3),
        ("FrozenLake8x8-v1", 3),
        ("CliffWalking-v1", 1),
        ("CliffWalkingSlippery-v1", 3),
        ("Taxi-v4", 1),
    ],
)
def test_gymnasium_tables_are_equally_likely(name: str, n_outcomes: int) -> None:
    mdp = from_gymnasium(name, max_episode_steps=100)
    assert mdp.n_outcomes == n_outcomes
    assert np.all(mdp.probability == 1 / n_outcomes)


def test_a_step_of_the_environment_is_an_outcome_of_the_table() -> None:
    for name in set(GYMNASIUM_IDS) - {"Blackjack-v1"}:
        env = gymnasium.make(name, max_episode_steps=50)
        mdp = from_gymnasium(name, max_episode_steps=50)
        env.action_space.seed(3)
        state, _ = env.reset(seed=3)
        assert mdp.start[state] > 0
        for _ in range(300):
            action = int(env.action_space.sample())
            entered, reward, terminated, truncated, _ = env.step(action)
            assert (entered, float(reward), bool(terminated)) in distribution(outcomes(mdp, state, action))
            assert mdp.decision_states[state]
            state = entered
            if terminated:
                assert mdp.terminal_states[state]
            if terminated or truncated:
                state, _ = env.reset()
        env.close()


def test_limits_of_gymnasium() -> None:
    assert from_gymnasium("FrozenLake-v1").max_episode_steps == 100
    assert from_gymnasium("FrozenLake-v1", max_episode_steps=7).max_episode_steps == 7
    made = gymnasium.make("FrozenLake-v1", max_episode_steps=33)
    assert from_gymnasium(made).max_episode_steps == 33
    bare = made.unwrapped
    assert from_gymnasium(gymnasium.wrappers.TimeLimit(bare, 12)).max_episode_steps == 12
    made.close()


def test_a_missing_limit_is_warned_about() -> None:
    with pytest.warns(MissingLimitWarning, match="CliffWalking-v1 has no limit .* set max_episode_steps") as caught:
        mdp = from_gymnasium("CliffWalking-v1")
    assert mdp.max_episode_steps is None
    assert caught[0].filename == __file__
    with pytest.warns(MissingLimitWarning):
        assert resolve("CliffWalking-v1") == mdp


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("CartPole-v1", {}, "CartPole-v1 cannot be used: it has no table P"),
        ("Taxi-v4", {"fickle_passenger": True}, "fickle_passenger=True cannot be used"),
        ("Taxi-v3", {}, "cannot make 'Taxi-v3': .*deprecated.*Taxi-v4"),
        ("CliffWalking-v0", {}, "cannot make 'CliffWalking-v0'"),
        ("Nonsense-v0", {}, "cannot make 'Nonsense-v0'"),
        ("FrozenLake-v1", {"is_slipery": True}, "cannot make 'FrozenLake-v1', is_slipery=True"),
        ("FrozenLake-v1", {"map_name": "9x9"}, "map_name='9x9'"),
        ("FrozenLake-v1", {"max_episode_steps": 0}, "max_episode_steps=0"),
        (3, {}, "env is 3, neither an id nor"),
    ],
)
def test_what_gymnasium_cannot_give(name: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        from_gymnasium(name, **options)
    assert "\n" not in str(caught.value)


def test_environments_are_read_but_not_through_wrappers_that_change_them() -> None:
    env = gymnasium.make("FrozenLake-v1", is_slippery=False)
    assert from_gymnasium(env) == from_gymnasium("FrozenLake-v1", is_slippery=False)
    with pytest.raises(InvalidInput, match="wrapped in TransformReward"):
        from_gymnasium(gymnasium.wrappers.TransformReward(env, lambda reward: -float(reward)))
    with pytest.raises(InvalidInput, match="is_slippery cannot change an environment"):
        from_gymnasium(env, is_slippery=True)
    del env.unwrapped.initial_state_distrib  # type: ignore[attr-defined]
    assert from_gymnasium(env, start=0) == from_gymnasium("FrozenLake-v1", is_slippery=False)
    with pytest.raises(InvalidInput, match="no initial_state_distrib and no isd; say where episodes begin: start="):
        from_gymnasium(env)
    env.close()


def test_without_gymnasium_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(MissingExtra, match=r'pip install "qfast\[gym\]"'):
        from_gymnasium("FrozenLake-v1")


def test_outcomes_are_merged_only_where_reward_and_flag_agree() -> None:
    row = [(0.4, 1, 1.0, False), (0.1, 1, 1.0, False), (0.2, 1, 2.0, False), (0.3, 1, 1.0, True), (0.0, 0, 9.0, False)]
    mdp = from_P([[row], [END]])
    assert mdp.n_outcomes == 3
    assert list(outcomes(mdp, 0, 0)) == [(0.5, 1, 1.0, False), (0.2, 1, 2.0, False), (0.3, 1, 1.0, True)]
    assert mdp.probability[1, 0].tolist() == [1.0, 0.0, 0.0]


def test_equally_likely_rows_are_kept_apart() -> None:
    third = 1 / 3
    mdp = from_P([[[(third, 0, 0.0, False), (third, 0, 0.0, False), (third, 1, 1.0, True)]], [END]])
    assert mdp.next_state[0, 0].tolist() == [0, 0, 1]
    assert np.all(mdp.probability == third)
    assert np.all(mdp.terminated[1])


def test_equal_outcomes_that_are_all_there_is_become_one() -> None:
    assert from_P([[[(0.5, 1, 1.0, True), (0.5, 1, 1.0, True)]], [END]]).is_deterministic
    assert (
        from_P([[[(0.8, 1, 1.0, True), (0.1, 1, 1.0, True), (0.1, 1, 1.0, True)]], [END]]).probability[0, 0, 0] == 1.0
    )


def test_rows_of_two_and_three_are_spread_to_six_and_long_ones_padded() -> None:
    def even(n: int) -> list[tuple[float, int, float, bool]]:
        return [(1 / n, i % 2, float(i), False) for i in range(n)]

    six = from_P([[even(2)], [even(3)]])
    assert six.n_outcomes == 6
    assert np.all(six.probability == 1 / 6)
    assert_holds(six, [[even(2)], [even(3)]])
    padded = from_P([[even(5)], [even(3)]])
    assert padded.n_outcomes == 5
    assert padded.probability[1, 0, 3:].tolist() == [0.0, 0.0]
    assert_holds(padded, [[even(5)], [even(3)]])


def test_missing_actions_are_not_allowed() -> None:
    mdp = from_P({0: {0: END, 1: [(1.0, 0, 0.0, False)]}, 1: {1: END}})
    assert mdp.allowed is not None
    assert mdp.allowed.tolist() == [[True, True], [False, True]]
    assert from_P([[END, []], [END, END]]).allowed.tolist() == [[True, False], [True, True]]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "P has no action in any state"),
        ([], "P has no action in any state"),
        (7, "P is 7, not a dict or a list"),
        ({0: {}}, "P has no action in any state"),
        ([[7]], r"P\[0\]\[0\] is 7, not a list of"),
        ([[[(1.0, 0, 0.0)]]], r"P\[0\]\[0\]\[0\]=\(1.0, 0, 0.0\) is no"),
        ([[[(1.0, 0.5, 0.0, False)]]], "leads to 0.5, which is no state of P"),
        ([[[(1.0, 1, 0.0, False)]]], "leads to 1, which is no state of P, with terminated=False; .*states are 0"),
        ({0: {0: [(1.0, 1, 0.0, False)]}, 1: {}}, "lead to 1 with terminated=False, but no action is possible there"),
        ([[[(1.0, 0, 0.0, 2)]]], "terminated=2; give True"),
        ([[[(1.0, 0, 0.0, "yes")]]], "terminated='yes'; give True"),
        ([[{0: 1.0}]], "give the rewards too"),
        (np.zeros((2, 3, 3)), r"shape \(2, 3, 3\); use qfast.from_matrices"),
        ([[[(1.0, [1], 0.0, True)]]], "not hashable; use a tuple"),
        ([[[(1.0, 0, "much", True)]]], "reward='much'; give a number"),
        ([[[(1.0, 0, math.nan, True)]]], "reward=nan; it must be finite"),
        ([[[(-0.5, 0, 0.0, True), (1.5, 0, 1.0, True)]]], "probability=-0.5; it must be at least 0"),
        ([[[(0.5, 0, 0.0, True)]]], r"probabilities of P\[0\]\[0\] sum to 0.5, not 1"),
        ([[[(1.0, 0, 0.0, True)]]], "start=0 is a terminal state"),
    ],
)
def test_bad_tables(table: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        from_P(table)


def test_options_of_from_p() -> None:
    mdp = from_P(
        [[[(1.0, 1, 1.0, False)]], [[(1.0, 0, 0.0, True)]]],
        start=[0.5, 0.5],
        max_episode_steps=9,
        state_names=["a", "b"],
        action_names=["on"],
        layout="SS",
    )
    assert (mdp.start.tolist(), mdp.max_episode_steps, mdp.state_names) == ([0.5, 0.5], 9, ("a", "b"))
    assert (mdp.action_names, mdp.layout) == (("on",), ("SS",))


@pytest.mark.parametrize("name", names())
def test_every_name_resolves_to_a_problem_that_ends(name: str) -> None:
    mdp = resolve(name)
    mdp.check_ends()
    assert mdp == resolve(name.upper().replace("_", "-"))
    assert resolve(name, max_episode_steps=17) == mdp.with_limit(17)
    assert mdp.probability.sum(axis=2) == pytest.approx(1.0, abs=1e-12)


def test_files_and_ids_resolve(tmp_path: Path) -> None:
    text = tmp_path / "maze.txt"
    text.write_text("S.#\n..G\n", encoding="utf-8")
    assert resolve(str(text)) == grid("S.#\n..G")
    assert resolve(str(corridor(7).save(tmp_path / "mdp.npz"))) == corridor(7)
    assert resolve(str(tmp_path / "mdp.npz"), max_episode_steps=3).max_episode_steps == 3
    assert resolve("FrozenLake-v1") == frozen_lake()
    assert resolve("CliffWalking-v1", max_episode_steps=5).max_episode_steps == 5


def test_an_unknown_problem_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'coridor' is unknown \(did you mean 'corridor'\?\).*four_rooms.*Taxi-v4"):
        resolve("coridor")
    with pytest.raises(InvalidInput, match="no such file either"):
        resolve(str(tmp_path / "missing.npz"))
    with pytest.raises(InvalidInput, match="cannot make 'Nonsense-v0'"):
        resolve("Nonsense-v0")
    with pytest.raises(InvalidInput, match="is no text"):
        resolve(5)  # type: ignore[arg-type]


def test_bad_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "grid.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFile, match=r"grid\.txt is no text file"):
        resolve(str(path))
    path.write_text("S?G", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"grid\.txt: the grid has '\?' in row 0, column 1"):
        resolve(str(path))
    (tmp_path / "mdp.npz").write_bytes(b"nothing")
    with pytest.raises(BadFile, match="truncated, damaged"):
        resolve(str(tmp_path / "mdp.npz"))


@pytest.mark.parametrize(
    ("k", "ratio"), [(1, 0.0), (2, 0.637), (4, 0.861), (8, 0.945), (16, 0.978), (32, 0.991), (64, 0.996)]
)
def test_normal_outcomes_keep_the_mean_and_nearly_the_variance(k: int, ratio: float) -> None:
    values = equally_likely(normal(-0.1, 2.0), k)
    assert values.shape == (k,)
    assert np.all(np.diff(values) > 0)
    assert values.mean() == pytest.approx(-0.1, abs=1e-15)
    assert values.var() / 4.0 == pytest.approx(ratio, abs=5e-4)


def test_outcomes_are_the_means_of_the_bins() -> None:
    standard = statistics.NormalDist()
    bins = np.array([standard.inv_cdf((i + 0.5) / 200_000) for i in range(200_000)]).reshape(8, -1)
    assert equally_likely(standard, 8) == pytest.approx(bins.mean(axis=1), abs=1e-4)


@pytest.mark.parametrize(
    "frozen",
    [
        scipy.stats.norm(-0.1, 2.0),
        scipy.stats.expon(scale=2.0),
        scipy.stats.uniform(-1.0, 3.0),
        scipy.stats.t(5),
        scipy.stats.binom(5, 0.3),
        scipy.stats.poisson(2.5),
    ],
)
@pytest.mark.parametrize("k", [1, 2, 7, 32])
def test_frozen_distributions_of_scipy(frozen: Any, k: int) -> None:
    values = equally_likely(frozen, k)
    assert values.mean() == pytest.approx(frozen.mean(), abs=1e-7)
    assert np.all(np.diff(values) >= -1e-7)
    assert values.var() <= frozen.var()
    if k == 32:
        assert values.var() >= 0.9 * frozen.var()


def test_scipy_and_the_closed_form_agree() -> None:
    assert equally_likely(scipy.stats.norm(-0.1, 2.0), 16) == pytest.approx(
        equally_likely(normal(-0.1, 2.0), 16), abs=1e-7
    )


def test_a_discrete_distribution_that_fits_is_exact() -> None:
    assert equally_likely(scipy.stats.randint(1, 7), 6) == pytest.approx([1, 2, 3, 4, 5, 6])
    assert equally_likely(scipy.stats.bernoulli(0.25), 4) == pytest.approx([0, 0, 0, 1])
    assert equally_likely(scipy.stats.bernoulli(0.25), 2) == pytest.approx([0, 0.5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: equally_likely(normal(0, 1), 0), "k=0 is not a whole number of at least 1"),
        (lambda: equally_likely(normal(0, 1), 2.0), "k=2.0 is not a whole number"),
        (lambda: equally_likely("normal", 3), r"no statistics.NormalDist and no frozen.*qfast\[study\]"),
        (lambda: equally_likely(scipy.stats.cauchy(), 3), "finite mean"),
        (lambda: equally_likely(scipy.stats.norm([0.0, 1.0]), 3), "one dimension"),
        (lambda: normal(0, -1), "std=-1 is negative"),
        (lambda: normal(math.nan, 1), "mean=nan is not finite"),
    ],
)
def test_bad_distributions(call: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        call()


def test_a_distribution_without_spread() -> None:
    assert equally_likely(normal(3.0, 0.0), 4).tolist() == [3.0] * 4
    assert maximisation_bias(n_outcomes=1).reward[1, 0, 0] == -0.1
