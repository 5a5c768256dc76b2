"""Labels of states and actions, the name and the counts of a problem: what is kept, and what is refused."""

import enum
import pickle
from typing import Any

import numpy as np
import pytest

from qfast import problems
from qfast.errors import BadFile, InvalidInput
from qfast.model.mdp import MDP
from qfast.storage.archive import write_npz

ROW: dict[str, Any] = {
    "next_state": [[0, 1], [0, 2], [2, 2]],
    "reward": [[0.0, 1.0], [-1.0, 2.0], [0.0, 0.0]],
    "terminated": [[False, False], [False, True], [True, True]],
}
LABELLED: dict[str, Any] = {
    "states": [(0, np.int64(1)), "x", None],
    "actions": ["left", 1.5],
    "name": "My problem",
    "counts": [[0, 5], [3, 0], [0, 0]],
}


DEEP: list[Any] = []
DEEP.append(DEEP)  # it holds itself


class Colour(enum.Enum):
    RED = 1


class Side(str, enum.Enum):  # noqa: UP042, the older kind, whose str() is another
    LEFT = "left"


class Move(enum.IntEnum):
    UP = 4


def row(**changes: Any) -> MDP:
    return MDP(**ROW, **changes)


def test_labels_are_plain_values_and_give_names() -> None:
    mdp = row(**LABELLED)
    assert mdp.states == ((0, 1), "x", None)
    assert type(mdp.states[0][1]) is int
    assert mdp.actions == ("left", 1.5)
    assert (mdp.state_names, mdp.action_names) == (("(0, 1)", "x", "None"), ("left", "1.5"))
    assert [mdp.index(state) for state in mdp.states] == [0, 1, 2]
    assert mdp.index([0, np.int8(1)]) == mdp.index(np.array([0, 1])) == 0
    assert repr(mdp).startswith("My problem: MDP with 3 states")
    assert "sampled   2 pairs of state and action, at least 3 times" in repr(mdp)


def test_without_labels_states_are_numbers() -> None:
    mdp = row()
    assert (mdp.states, mdp.actions, mdp.name, mdp.counts) == ((0, 1, 2), (0, 1), None, None)
    assert mdp.index(np.int64(2)) == 2
    assert row(states=range(3), actions=np.arange(2), counts=np.zeros((3, 2), int)).digest == mdp.digest


def test_everything_survives_files_pickles_and_limits(tmp_path: Any) -> None:
    mdp = row(**LABELLED)
    for copy in (MDP.load(mdp.save(tmp_path / "a.npz")), pickle.loads(pickle.dumps(mdp)), mdp.with_limit(7)):
        assert (copy.states, copy.actions, copy.name) == (mdp.states, mdp.actions, mdp.name)
        assert [type(label) for label in copy.states] == [tuple, str, type(None)]
        assert np.array_equal(copy.counts, mdp.counts)
        assert not copy.counts.flags.writeable
        assert copy == mdp.with_limit(copy.max_episode_steps)


def test_digests_and_equality() -> None:
    mdp = row()
    assert mdp.digest == "e212af3edad2ff6f2546a2a67e68ea5498a3f9f5d7134e7153262fbfdbf9f9d1"
    assert problems.resolve("corridor").digest == "ca541bd96178d8a70688a93f0e87b57aae5d77b4296580918c62cca5bc83613e"
    assert row(name="another title") == mdp
    different = [mdp, row(states=["a", "b", "c"], state_names=["0", "1", "2"]), row(actions=["0", "1"])]
    different += [row(actions=[0.0, 1.0]), row(counts=[[1, 0]] * 3), row(counts=[[2, 0]] * 3)]
    assert len({one.digest for one in different}) == len(different)


def test_files_and_pickles_without_labels_are_read() -> None:
    old = {name: value for name, value in row().__getstate__().items() if name not in LABELLED}
    mdp = MDP.__new__(MDP)
    mdp.__setstate__(old)
    assert mdp == row()
    assert (mdp.states, mdp.actions, mdp.name, mdp.counts) == ((0, 1, 2), (0, 1), None, None)
    assert not set(row().to_arrays()) & set(LABELLED)


@pytest.mark.parametrize(
    ("states", "names"),
    [
        ([1, "1", "'1'"], ("1", "'1'", '"\'1\'"')),
        (["", "a\nb", None], ("''", "a\\nb", "None")),
        (["'1'", 1, "1"], ('"\'1\'"', "1", "'1'")),
        ([Side.LEFT, np.str_("right"), 1], ("left", "right", "1")),
        ([Move.UP, True, (np.float32(0.5), np.str_("z"))], ("4", "True", "(0.5, 'z')")),
        ([[0, 0], [0, 1], [1, 0]], ("(0, 0)", "(0, 1)", "(1, 0)")),
        ([1 << 4000, -1, 10**30], ("1318" + str(1 << 4000)[4:50] + "… #0", "-1", "1" + "0" * 30)),
        (["x" * 99, "x" * 98, 0], ("x" * 50 + "… #0", "x" * 50 + "… #1", "0")),
    ],
)
def test_names_of_labels_are_unique_and_printable(states: Any, names: tuple[str, ...]) -> None:
    mdp = row(states=states)
    assert mdp.state_names == names
    assert MDP.from_arrays(mdp.to_arrays()) == mdp


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"states": [1, True, 2]}, r"states holds True twice, at 0 and 1, and True == 1; labels must differ"),
        ({"actions": ["a", "a"]}, r"actions holds 'a' twice, at 0 and 1; labels"),
        ({"states": [Colour.RED, 1, 2]}, r"states\[0\] is or holds a Colour, .* keep; use its .name or .value"),
        ({"states": [0, object(), 2]}, r"states\[1\] is or holds an object, .*; use a tuple of the numbers in it"),
        ({"states": [0, 1, (2, frozenset({3}))]}, r"states\[2\] is or holds a frozenset.*; use tuple\(sorted"),
        ({"states": [b"x", 1, 2]}, r"use its .hex\(\)"),
        ({"states": [0, 1, {"a": 1}]}, r"use tuple\(sorted\(d.items\(\)\)\)"),
        ({"states": [0, np.nan, 1]}, r"states\[1\] is or holds nan"),
        ({"states": [0, (1, np.inf), 1]}, r"states\[1\] is or holds inf, which JSON cannot hold"),
        ({"states": [1 << 5000, 1, 2]}, r"states\[0\] is or holds a number of 5,001 bits"),
        ({"states": [DEEP, 1, 2]}, r"states\[0\] is nested more than 50 deep"),
        ({"states": {0, 1, 2}}, "states is a set, which has no order"),
        ({"states": "abc"}, "states='abc' is one text"),
        ({"states": [0, 1]}, "states holds 2 labels; give one for each of the 3"),
        ({"states": 3}, "states is 3; give a list of 3 labels"),
        ({"name": ""}, "name is ''; give a short text"),
        ({"name": "a\nb"}, "control character"),
        ({"name": "a" * 81}, "use at most 80"),
        ({"counts": [[1, 2]]}, r"counts has shape \(1, 2\); it must be .* \(3, 2\)"),
        ({"counts": np.ones((3, 2))}, "counts has dtype float64"),
        ({"counts": [[0, 0], [0, -1], [0, 0]]}, r"counts\[1, 1\]=-1 is no number of samples"),
    ],
)
def test_bad_labels_get_one_clear_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        row(**changes)


def test_an_unknown_state_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"\(0, 2\) is none of the 3 states \(\(0, 1\), 'x', None\); see mdp.states"):
        row(**LABELLED).index((0, 2))


def test_a_file_with_damaged_labels_is_refused(tmp_path: Any) -> None:
    arrays = row(**LABELLED).to_arrays() | {"states": np.array(["[0", "1", "2"])}
    with pytest.raises(BadFile, match="states holds what is no JSON"):
        MDP.load(write_npz(tmp_path / "bad.npz", arrays, "mdp"))
