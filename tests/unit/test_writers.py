"""MDPs as others read them: Gymnasium's P, and Storm's explicit format."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qfast
from qfast import MDP, problems
from qfast.exact import solve

MASKED: dict[str, Any] = {
    "next_state": [[[1, 2], [0, 0]], [[2, 0], [1, 1]], [[2, 2], [2, 2]]],
    "reward": [[[1, 3], [0, 0]], [[5, 0], [0, 0]], [[0, 0], [0, 0]]],
    "terminated": [[[0, 1], [0, 0]], [[1, 1], [0, 0]], [[1, 1], [1, 1]]],
    "probability": [[[0.25, 0.75], [1, 0]], [[0.5, 0.5], [1, 0]], [[1, 0], [1, 0]]],
    "allowed": [[True, True], [True, False], [True, True]],
}


@pytest.mark.parametrize("name", ["corridor", "frozen_lake", "taxi", "cliff_walking", "windy_gridworld_stochastic"])
def test_a_table_comes_back(name: str) -> None:
    mdp = problems.resolve(name)
    again = qfast.from_P(
        mdp.to_P(), start=mdp.start, max_episode_steps=mdp.max_episode_steps, state_names=mdp.state_names,
        action_names=mdp.action_names, layout=mdp.layout,
    )  # fmt: skip
    assert again == mdp


def test_gymnasium_s_own_table() -> None:
    gymnasium = pytest.importorskip("gymnasium")
    table = gymnasium.make("FrozenLake-v1").unwrapped.P
    ours = qfast.from_gymnasium("FrozenLake-v1").to_P()
    for s, a in np.ndindex(16, 4):
        wanted: dict[Any, float] = {}
        for p, *rest in table[s][a]:
            wanted[tuple(rest)] = wanted.get(tuple(rest), 0) + p
        found: dict[Any, float] = {}
        for p, *rest in ours[s][a]:
            found[tuple(rest)] = found.get(tuple(rest), 0) + p
        assert found == pytest.approx(wanted)


def test_labels_and_masks() -> None:
    mdp = MDP(**MASKED, states=["a", "b", ("end", 1)], actions=["go", "wait"])
    assert mdp.to_P()[1] == {0: [(0.5, 2, 5.0, True), (0.5, 0, 0.0, True)]}
    table = mdp.to_P(labels=True)
    assert table["b"] == {"go": [(0.5, ("end", 1), 5.0, True), (0.5, "a", 0.0, True)]}
    assert table["a"]["wait"] == [(1.0, "a", 0.0, False)]  # padding is gone
    kinds = {type(x) for actions in mdp.to_P().values() for row in actions.values() for o in row for x in o}
    assert kinds == {float, int, bool}
    with pytest.raises(qfast.InvalidInput, match="labels is 3"):
        mdp.to_P(labels=3)  # type: ignore[arg-type]


def value_of(text: str, gamma: float) -> float:
    """V* of the states labelled init, by sweeps over the file's own lines."""
    states: list[dict[str, Any]] = []
    for line in text.splitlines():
        if found := re.fullmatch(r"state (\d+) \[0\]( init| terminal)?", line):
            assert int(found[1]) == len(states)
            states.append({"label": (found[2] or "").strip(), "rows": []})
        elif found := re.fullmatch(r"\taction (\S+) \[(\S+)\]", line):
            states[-1]["rows"].append((float(found[2]), []))
        elif found := re.fullmatch(r"\t\t(\d+) : (\S+)", line):
            states[-1]["rows"][-1][1].append((int(found[1]), float(found[2])))
    head = dict(re.findall(r"@(nr_\w+)\n(\d+)", text))
    assert int(head["nr_states"]) == len(states)
    assert int(head["nr_choices"]) == sum(len(state["rows"]) for state in states)
    assert all([t for t, _ in row] == sorted({t for t, _ in row}) for state in states for _, row in state["rows"])
    assert all(sum(p for _, p in row) == pytest.approx(1) for state in states for _, row in state["rows"])
    values = np.zeros(len(states))
    for _ in range(2_000):
        values = np.array(
            [max(r + gamma * sum(p * values[t] for t, p in row) for r, row in state["rows"]) for state in states]
        )
    return float(np.mean([v for v, state in zip(values, states, strict=True) if state["label"] == "init"]))


@pytest.mark.parametrize(
    "mdp",
    [
        MDP(**MASKED), MDP(**MASKED, start=[0.5, 0.5, 0]), qfast.corridor(),
        problems.frozen_lake(max_episode_steps=None), problems.random_walk(), problems.chain(max_episode_steps=None),
        MDP([[0, 0]], [[1.0, 2.0]], terminated=[[True, True]]), problems.maximisation_bias(),
    ],
    ids=lambda mdp: mdp.name or f"{mdp.n_states} states",
)  # fmt: skip
def test_a_drn_has_the_same_values(mdp: MDP, tmp_path: Path) -> None:
    text = problems.write_drn(mdp, tmp_path / "a.drn").read_text()
    assert value_of(text, 0.9) == pytest.approx(solve(mdp, 0.9).start_value)
    assert text.startswith(f"// {mdp.name or 'MDP'}\n@type: MDP\n")


@pytest.mark.parametrize("name", ["corridor", "taxi", "cliff_walking", "windy_gridworld_stochastic", "chain"])
def test_what_is_written_is_read(name: str, tmp_path: Path) -> None:
    mdp = problems.resolve(name).with_limit(None)
    again = qfast.read_mdp(problems.write_drn(mdp, tmp_path / "a.drn"))
    assert solve(again, 0.95).start_value == pytest.approx(solve(mdp, 0.95).start_value, rel=1e-9)
    assert set(again.action_names) == set(mdp.action_names)
    assert again.n_states == mdp.n_states


def test_names_are_kept_where_they_may(tmp_path: Path) -> None:
    mdp = MDP(**MASKED, states=["a\n", "b", ("end", 1)], actions=["go", "wait"])
    text = problems.write_drn(mdp, tmp_path / "a.drn").read_text()
    assert "\taction go [2.5]\n" in text
    assert set(re.findall(r"action (\S+)", text)) == {"go", "wait"}  # also where episodes have ended
    assert "// a\\n\nstate 0 [0] init\n" in text
    assert "// ('end', 1)\nstate 2 [0] terminal\n" in text
    odd = MDP(**MASKED, actions=["go on", "wait"])
    assert "\taction 0 [2.5]\n" in problems.write_drn(odd, tmp_path / "a.drn").read_text()


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    lake = MDP(**MASKED, start=[0.9, 0.1, 0], max_episode_steps=100)
    with pytest.warns(qfast.LeftOutWarning, match="no place for the limit of 100 steps an episode and how likely each"):
        text = problems.write_drn(lake, tmp_path / "a.drn").read_text()
    assert "// without the limit of 100 steps an episode\n// without how likely each start is\n" in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problems.write_drn(MDP(**MASKED), tmp_path / "a.drn")


def test_bad_places(tmp_path: Path) -> None:
    with pytest.raises(qfast.InvalidInput, match="is a folder"):
        problems.write_drn(qfast.corridor(), tmp_path)
    with pytest.raises(qfast.InvalidInput, match="not an MDP"):
        problems.write_drn("corridor", tmp_path / "a.drn")  # type: ignore[arg-type]
    with pytest.raises((OSError, qfast.InvalidInput)):
        problems.write_drn(qfast.corridor(), tmp_path / "none" / "a.drn")
