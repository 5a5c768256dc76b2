"""The MDP value: what it accepts, what it refuses, and what it derives."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qfast.errors import BadFile, InvalidInput
from qfast.model.mdp import MDP
from qfast.storage.archive import write_npz

# Three states in a row; 0 and 1 to act in, 2 the end. Actions: back, forward.
ROW: dict[str, Any] = {
    "next_state": [[0, 1], [0, 2], [2, 2]],
    "reward": [[0.0, 1.0], [-1.0, 2.0], [0.0, 0.0]],
    "terminated": [[False, False], [False, True], [True, True]],
}


def row(**changes: Any) -> MDP:
    return MDP(**{**ROW, **changes})


def test_tables_are_three_dimensional_contiguous_and_read_only() -> None:
    mdp = row()
    for name, dtype in {
        "next_state": np.int64,
        "reward": np.float64,
        "terminated": np.bool_,
        "probability": np.float64,
    }.items():
        table = getattr(mdp, name)
        assert (table.shape, table.dtype) == ((3, 2, 1), dtype)
        assert table.flags.c_contiguous
        assert not table.flags.writeable
    assert mdp.start.tolist() == [1.0, 0.0, 0.0]
    assert not mdp.start.flags.writeable
    assert (mdp.n_states, mdp.n_actions, mdp.n_outcomes, mdp.is_deterministic) == (3, 2, 1, True)
    assert (mdp.start_state, mdp.max_episode_steps, mdp.allowed, mdp.layout) == (0, None, None, None)
    assert (mdp.state_names, mdp.action_names) == (("0", "1", "2"), ("0", "1"))


def test_input_is_copied() -> None:
    reward = np.array(ROW["reward"])
    mdp = row(reward=reward)
    reward[0, 0] = 99.0
    assert mdp.reward[0, 0, 0] == 0.0
    assert reward.flags.writeable


def test_fortran_order_and_small_dtypes_are_taken() -> None:
    next_state = np.asfortranarray(np.array(ROW["next_state"], dtype=np.uint8))
    mdp = row(
        next_state=next_state, reward=np.array(ROW["reward"], dtype=np.float32), terminated=[[0, 0], [0, 1], [1, 1]]
    )
    assert mdp == row()


def test_two_dimensional_tables_stand_for_every_outcome() -> None:
    reward = np.arange(18.0).reshape(3, 2, 3)
    mdp = row(reward=reward)
    assert mdp.n_outcomes == 3
    assert np.array_equal(mdp.next_state[:, :, 2], ROW["next_state"])
    assert np.all(mdp.probability == 1 / 3)
    assert mdp.next_state.flags.c_contiguous


def test_probabilities_are_kept_as_given() -> None:
    given = np.full((3, 2, 3), 1 / 3)
    given[0, 0] = (0.3333333, 0.3333333, 0.3333333)
    mdp = row(reward=np.zeros((3, 2, 3)) + 1, probability=given, terminated=ROW["terminated"])
    assert np.array_equal(mdp.probability, given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"next_state": [[0.0, 1.0], [0, 2], [2, 2]]}, "next_state has dtype float64; states are integers"),
        ({"next_state": [[True, True]] * 3}, "next_state has dtype bool"),
        ({"next_state": [["0", "1"]] * 3}, "next_state has dtype <U1"),
        ({"next_state": [[0, 1], [0], [2, 2]]}, "next_state is not a rectangular array"),
        ({"next_state": [0, 1, 2]}, r"next_state has shape \(3,\); it must be"),
        ({"next_state": np.zeros((0, 2), dtype=int)}, r"next_state has shape \(0, 2\)"),
        ({"next_state": [[0, 1], [0, 3], [2, 2]]}, r"next_state\[1, 1\]=3 is outside \[0, 2\]"),
        ({"next_state": [[0, 1], [-1, 2], [2, 2]]}, r"next_state\[1, 0\]=-1 is outside \[0, 2\]"),
        ({"reward": [[0, np.nan], [0, 0], [0, 0]]}, r"reward\[0, 1\]=nan is not finite"),
        ({"reward": [[0, 0], [0, 0], [-np.inf, 0]]}, r"reward\[2, 0\]=-inf is not finite"),
        ({"reward": [[1j, 0], [0, 0], [0, 0]]}, "reward has dtype complex128"),
        ({"reward": [[0, 1]]}, r"reward has shape \(1, 2\) beside next_state of \(3, 2\); give \(3, 2\) or"),
        ({"terminated": [False, False, True]}, r"terminated has shape \(3,\)"),
        ({"terminated": [[0.0, 0.0]] * 3}, "terminated has dtype float64; give booleans"),
        ({"terminated": [[0, 2]] * 3}, r"terminated\[0, 1\]=2 is not a truth value"),
        ({"probability": [[1.0, 0.9]] * 3}, r"probability\[0, 1\] sums to 0.9, not 1"),
        ({"probability": np.full((3, 2, 2), 0.4)}, r"probability\[0, 0\] sums to 0.8, not 1 \(within 1e-06\)"),
        ({"probability": [[[1.5, -0.5]] * 2] * 3}, r"probability\[0, 0, 1\]=-0.5 is outside \[0, 1\]"),
        ({"probability": [[[np.nan, 1.0]] * 2] * 3}, r"probability\[0, 0, 0\]=nan is outside"),
        ({"probability": [[1.0, 1.0]] * 3, "reward": np.ones((3, 2, 4))}, r"give \(3, 2, 4\)"),
        ({"start": 3}, r"start=3 is outside \[0, 2\]"),
        ({"start": -1}, r"start=-1 is outside \[0, 2\]"),
        ({"start": 0.0}, "start=0.0 is no state"),
        ({"start": True}, "start has dtype bool"),
        ({"start": [0, 1]}, r"start has shape \(2,\); give a state .* or 3 probabilities"),
        ({"start": [0.5, 0.4, 0.0]}, "start sums to 0.9, not 1"),
        ({"start": [1.5, -0.5, 0.0]}, r"start\[1\]=-0.5 is outside"),
        ({"start": [np.nan, 1.0, 0.0]}, r"start\[0\]=nan is outside"),
        ({"start": 2}, "start=2 is a terminal state"),
        ({"start": [0.5, 0.0, 0.5]}, r"start gives 0.5 to terminal states \(2: .*set start to 0 there and divide"),
        ({"max_episode_steps": 0}, "max_episode_steps=0 is not a whole number of at least 1"),
        ({"max_episode_steps": 2**31}, "max_episode_steps=2147483648 is above 2,147,483,647"),
        ({"max_episode_steps": 10.0}, "max_episode_steps=10.0 is not a whole number"),
        ({"max_episode_steps": True}, "max_episode_steps=True is not a whole number"),
        ({"allowed": [[True, True]]}, r"allowed has shape \(1, 2\); it must be .* = \(3, 2\)"),
        ({"allowed": np.ones((3, 2))}, "allowed has dtype float64"),
        ({"allowed": [[True, True], [False, False], [True, True]]}, "state 1 can be reached but allows no action"),
        ({"state_names": ["a", "b"]}, "state_names holds 2 names; give one for each of the 3"),
        ({"state_names": ["a", "b", "a"]}, "state_names holds 'a' twice"),
        ({"state_names": "abc"}, "state_names='abc' is one text"),
        ({"action_names": ["a", 1]}, "action_names holds 1; names are texts"),
        ({"layout": ["S.", "."]}, "layout row 1 has 1 cells, row 0 has 2"),
        ({"layout": ["S#G"]}, r"layout has 2 cells that are no wall \(#\), the MDP has 3 states"),
        ({"layout": [1, 2]}, "layout row 0 is 1"),
        ({"layout": []}, "layout has 0 cells"),
    ],
)
def test_bad_input_gets_one_clear_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        row(**changes)
    assert "\n" not in str(caught.value)


def test_sum_of_probabilities_within_a_millionth_is_taken() -> None:
    assert row(probability=[[[0.5, 0.5 + 9e-7]] * 2] * 3).n_outcomes == 2
    with pytest.raises(InvalidInput, match="sums to"):
        row(probability=[[[0.5, 0.5 + 2e-6]] * 2] * 3)


def test_a_bandit_is_no_terminal_start() -> None:
    bandit = MDP([[0, 0]], [[1.0, 2.0]], terminated=[[True, True]])
    bandit.check_ends()
    assert bandit.decision_states.tolist() == [True]
    with pytest.raises(InvalidInput, match="terminal state"):
        MDP([[0, 0]], [[0.0, 0.0]], terminated=[[True, True]])


def test_an_end_that_pays_is_still_no_start() -> None:
    with pytest.raises(InvalidInput, match="start=2 is a terminal state"):
        row(reward=np.ones((3, 2)), start=2)


def test_actions_that_are_not_allowed_do_not_save_a_terminal_start() -> None:
    changes = {"next_state": [[0, 1], [0, 2], [2, 0]], "terminated": [[False, False], [False, True], [True, False]]}
    assert row(**changes, start=2).start_state == 2
    with pytest.raises(InvalidInput, match="start=2 is a terminal state"):
        row(**changes, start=2, allowed=[[True, True], [True, True], [True, False]])


def test_no_allowed_action_matters_only_where_an_agent_can_be() -> None:
    allowed = np.array([[True, True], [True, True], [False, False]])
    assert np.array_equal(row(allowed=allowed).allowed, allowed)


def test_decision_and_terminal_states() -> None:
    mdp = row()
    assert mdp.decision_states.tolist() == [True, True, False]
    assert mdp.terminal_states.tolist() == [False, False, True]
    assert not mdp.decision_states.flags.writeable


def test_terminated_belongs_to_the_outcome() -> None:
    # State 1 is entered both by an outcome that ends the episode and by one that does not: it is no terminal state.
    mdp = MDP([[1, 1], [1, 0]], [[0.0, 0.0], [0.0, 1.0]], terminated=[[False, True], [False, True]])
    assert mdp.decision_states.tolist() == [True, True]
    assert mdp.terminal_states.tolist() == [False, False]


def test_impossible_outcomes_and_masked_actions_lead_nowhere() -> None:
    shape = (3, 1, 2)
    next_state = np.broadcast_to([1, 2], shape)
    mdp = MDP(
        next_state, np.ones(shape), terminated=np.zeros(shape, bool), probability=np.broadcast_to([1.0, 0.0], shape)
    )
    assert mdp.decision_states.tolist() == [True, True, False]
    masked = row(allowed=[[True, False], [True, True], [True, True]])
    assert masked.decision_states.tolist() == [True, False, False]
    assert masked.terminal_states.tolist() == [False, False, False]


def test_every_start_of_positive_probability_counts() -> None:
    mdp = MDP([[0], [1], [2]], np.ones((3, 1)), terminated=[[True]] * 3, start=[0.5, 0.5, 0.0])
    assert mdp.decision_states.tolist() == [True, True, False]
    assert mdp.start_state is None


@pytest.mark.parametrize("wide", [False, True])
def test_reachability_agrees_with_a_slow_search(wide: bool) -> None:
    rng = np.random.default_rng(5)
    n_states = 400
    for _ in range(5):
        next_state = rng.integers(0, n_states, (n_states, 3 if wide else 1, 1))
        terminated = rng.random(next_state.shape) < 0.2
        mdp = MDP(next_state, np.ones(next_state.shape), terminated=terminated, start=7, max_episode_steps=9)
        seen, todo = {7}, [7]
        while todo:
            state = todo.pop()
            for entered in next_state[state][~terminated[state]].tolist():
                if entered not in seen:
                    seen.add(entered)
                    todo.append(entered)
        assert set(np.flatnonzero(mdp.decision_states).tolist()) == seen


def test_an_endless_run_is_refused() -> None:
    changes = {"next_state": [[0, 1], [1, 1], [2, 2]], "terminated": [[True, False], [False, False], [True, True]]}
    names = ["hall", "trap", "end"]
    with pytest.raises(InvalidInput, match=r"from state 1 \(trap\) no outcome .*set max_episode_steps"):
        row(**changes, state_names=names).check_ends()
    row(**changes, max_episode_steps=10).check_ends()
    row().check_ends()


def test_an_end_behind_a_masked_or_impossible_way_is_no_end() -> None:
    with pytest.raises(InvalidInput, match=r"from state 0 \(and 1 more\)"):
        row(allowed=[[True, True], [True, False], [True, True]]).check_ends()
    certain = [[[1.0, 0.0]]]
    with pytest.raises(InvalidInput, match="from state 0"):
        MDP([[[0, 0]]], [[1.0]], terminated=[[[False, True]]], probability=certain).check_ends()


def test_a_long_corridor_is_searched() -> None:
    state = np.arange(100_000)
    next_state = np.stack([np.maximum(state - 1, 0), np.minimum(state + 1, state[-1])], axis=1)
    mdp = MDP(next_state, np.zeros(next_state.shape), terminated=next_state == state[-1])
    mdp.check_ends()
    assert mdp.decision_states.sum() == 99_999


def test_with_limit() -> None:
    mdp = row()
    limited = mdp.with_limit(7)
    assert (limited.max_episode_steps, mdp.max_episode_steps) == (7, None)
    assert limited != mdp
    assert limited.with_limit(None) == mdp
    assert np.shares_memory(limited.reward, mdp.reward)
    with pytest.raises(InvalidInput, match="max_episode_steps=0"):
        mdp.with_limit(0)


def test_frozen() -> None:
    mdp = row()
    with pytest.raises(AttributeError):
        mdp.max_episode_steps = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        mdp.reward[0, 0, 0] = 3.0


@pytest.mark.parametrize(
    "changes",
    [
        {"reward": [[0.0, 1.0], [-1.0, 2.5], [0.0, 0.0]]},
        {"start": 1},
        {"max_episode_steps": 5},
        {"allowed": [[False, True], [True, True], [True, True]]},
        {"state_names": ["a", "b", "c"]},
        {"action_names": ["back", "on"]},
        {"layout": ["S.G"]},
    ],
)
def test_equality_looks_at_everything(changes: dict[str, Any]) -> None:
    assert row() == row()
    assert hash(row()) == hash(row())
    assert row(**changes) != row()
    assert row(**changes) == row(**changes)
    assert row() != "row"


def test_digest_is_pinned() -> None:
    # The digest names problems in files of runs, so a change of it needs a new format version.
    assert row().digest == "e212af3edad2ff6f2546a2a67e68ea5498a3f9f5d7134e7153262fbfdbf9f9d1"


def test_everything_allowed_is_no_mask() -> None:
    assert row(allowed=np.ones((3, 2), dtype=bool)) == row()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_and_pickles_are_equal_and_read_only(copied: Any) -> None:
    mdp = row(allowed=[[False, True], [True, True], [True, True]])
    twin = copied(mdp)
    assert twin == mdp
    assert not twin.reward.flags.writeable
    assert not twin.allowed.flags.writeable


def test_save_and_load(tmp_path: Path) -> None:
    full = row(
        reward=np.arange(12.0).reshape(3, 2, 2),
        probability=np.broadcast_to([0.25, 0.75], (3, 2, 2)),
        start=[0.5, 0.5, 0.0],
        max_episode_steps=9,
        allowed=[[False, True], [True, True], [True, True]],
        state_names=["a", "b", "ü"],
        action_names=["back", "on"],
        layout=["S#", ".G"],
    )
    for mdp in (row(), full):
        assert MDP.load(mdp.save(tmp_path / "mdp.npz")) == mdp
    with np.load(tmp_path / "mdp.npz", allow_pickle=False) as content:
        assert np.array_equal(content["reward"], full.reward)


def test_load_refuses_what_is_no_mdp(tmp_path: Path) -> None:
    path = tmp_path / "mdp.npz"
    write_npz(path, {**row().to_arrays(), "start": np.array([0.0, 0.0, 1.0])}, "mdp")
    with pytest.raises(BadFile, match=r"does not hold a valid MDP \(start=2 is a terminal"):
        MDP.load(path)
    write_npz(path, {"reward": np.zeros(3), "extra": np.zeros(3)}, "mdp")
    with pytest.raises(BadFile, match=r"missing \['next_state'.*unknown \['extra'\]"):
        MDP.load(path)
    write_npz(path, row().to_arrays(), "run")
    with pytest.raises(BadFile, match="holds kind 'run'"):
        MDP.load(path)


def test_repr_fits_one_screen() -> None:
    mdp = row(
        layout=["S.G"],
        max_episode_steps=50,
        reward=np.ones((3, 2, 4)),
        start=[0.5, 0.5, 0],
        allowed=[[False, True], [True, True], [True, True]],
    )
    assert repr(mdp).splitlines() == [
        "MDP with 3 states, 2 actions, up to 4 outcomes each",
        "  start     one of 2 states",
        "  states    2 to act in, 1 terminal",
        "  rewards   1 to 1",
        "  limit     50 steps an episode",
        "  actions   0, 1",
        "  allowed   5 of 6 actions",
        "  S.G",
    ]
    side = 100
    n = side * side
    big = MDP(
        np.zeros((n, 20), dtype=int), np.ones((n, 20)), terminated=np.zeros((n, 20), bool), layout=["." * side] * side
    )
    lines = repr(big).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
