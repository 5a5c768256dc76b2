"""Names of problems, and the user's names of states and actions, wherever a person reads them."""

import json
from typing import Any

import pytest
from made_runs import made_run

import qfast
from qfast import problems
from qfast.cli import main
from qfast.cli.app import run as run_command

STATES = [("hall", 0), "kitchen", "out"]


def room() -> qfast.MDP:
    return qfast.MDP(
        [[1, 0], [2, 0], [2, 2]], [[0, 0], [1, 0], [0, 0]], terminated=[[0, 0], [1, 0], [1, 1]],
        states=STATES, actions=["on", "back"], name="My room",
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained() -> qfast.Run:
    return qfast.train(room(), n_agents=20, episodes=100, seed=0, progress=False)


def test_builders_and_gymnasium_name_their_problems() -> None:
    assert qfast.corridor().name == "corridor"
    assert problems.cliff_walking(slippery=True).name == "cliff_walking"
    assert problems.resolve("cliff-walking-slippery").name == "cliff_walking_slippery"
    assert problems.resolve("FrozenLake-v1").name == "FrozenLake-v1"
    assert {name: problems.resolve(name).name for name in problems.names()} == {n: n for n in problems.names()}
    assert qfast.grid("SG").name is None


def test_a_file_is_a_name_where_there_is_no_other(tmp_path: Any) -> None:
    (tmp_path / "my_map.txt").write_text("S.G")
    assert problems.resolve(str(tmp_path / "my_map.txt")).name == "my_map"
    qfast.grid("SG").save(tmp_path / "plain.npz")
    room().save(tmp_path / "named.npz")
    assert problems.resolve(str(tmp_path / "plain.npz")).name == "plain"
    assert problems.resolve(str(tmp_path / "named.npz"), max_episode_steps=9).name == "My room"


def test_a_name_makes_no_difference() -> None:
    assert room().with_name(None) == room().with_name("x") == room()
    assert room().with_name(None).name is None
    with pytest.raises(qfast.InvalidInput, match="name is 3; give a short text"):
        room().with_name(3)  # type: ignore[arg-type]


def test_a_run_and_its_census_say_the_names(trained: qfast.Run) -> None:
    assert "  problem    My room, 3 states, 2 actions" in repr(trained)
    assert trained.table(0)["kitchen"].keys() == {"on", "back"}
    census = trained.census()
    assert repr(census).startswith("Census of My room: 20 agents")
    assert "policy 0  ('hall', 0): on, kitchen: on" in repr(census)
    assert census.policy(0) == {("hall", 0): ("on",), "kitchen": ("on",)}


def test_show_says_the_names(trained: qfast.Run, tmp_path: Any, capsys: Any) -> None:
    run, problem = str(trained.save(tmp_path / "run.npz")), str(room().save(tmp_path / "room.npz"))
    run_command(["show", run])
    shown = capsys.readouterr().out
    assert shown.startswith("Q-learning on My room: 3 states, 2 actions")
    assert "('hall', 0)" in shown
    run_command(["show", run, "--census"])
    shown = capsys.readouterr().out
    assert shown.startswith("My room: 20 agents")
    assert "kitchen: on" in shown
    run_command(["show", run, "--agent", "0"])
    assert capsys.readouterr().out.startswith("Agent 0 of seed 0 on My room")
    run_command(["show", run, "--json"])
    told = json.loads(capsys.readouterr().out)["problem"]
    assert (told["name"], told["actions"]) == ("My room", ["on", "back"])
    assert told["states"] == [["hall", 0], "kitchen", "out"]
    run_command(["show", problem])
    assert capsys.readouterr().out.startswith("My room: MDP with 3 states")
    run_command(["show", problem, "--json"])
    assert json.loads(capsys.readouterr().out)["name"] == "My room"
    assert main(["show", problem, "--census"]) == 2
    assert "holds a problem and no agents; qfast train" in capsys.readouterr().err


def test_a_study_says_the_name() -> None:
    options: dict[str, Any] = {"n_agents": 64, "episodes": 10, "seed": 0, "progress": False}
    study = qfast.study(room(), vary={"alpha": [0.1, 0.2]}, **options)
    assert "  problem    My room, 3 states, 2 actions, no limit" in repr(study)
    assert "name='My room'" in study.dataset.attrs["command"]
    assert "states=[('hall', 0), 'kitchen', 'out']" in study.dataset.attrs["command"]
    several = qfast.study({"a": room(), "corridor": qfast.corridor()}, vary={"alpha": [0.1]}, **options)
    assert "  problem    a: My room, 3 states" in repr(several)
    assert "  problem    corridor: 5 states" in repr(several)


def test_odd_names_are_shown_and_not_obeyed() -> None:
    odd = qfast.MDP([[0]], [[1.0]], terminated=[[True]], states=["\x1b[31mred"], actions=["a\nb"])
    assert (odd.state_names, odd.action_names) == (("\\x1b[31mred",), ("a\\nb",))
    run = made_run(odd, [[[1.0]]])
    assert "\x1b" not in repr(run.census())
    assert run.policy_of(0) == {"\x1b[31mred": "a\nb"}
