"""Grids from text, their errors, and policies drawn on them."""

import numpy as np
import pytest

from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.problems import arrows, cliff_walking, corridor, grid, random_walk, taxi, windy_gridworld

LEFT, DOWN, RIGHT, UP = range(4)


def test_cells_are_states_in_reading_order() -> None:
    mdp = grid(
        """
        S.#
        H.G
        """
    )
    assert mdp.state_names == ("0,0", "0,1", "1,0", "1,1", "1,2")
    assert mdp.action_names == ("left", "down", "right", "up")
    assert mdp.layout == ("S.#", "H.G")
    assert mdp.next_state[:, :, 0].tolist() == [
        [0, 2, 1, 0],
        [0, 3, 1, 1],  # the wall to the right stops the move
        [2, 2, 2, 2],
        [2, 3, 4, 1],
        [4, 4, 4, 4],
    ]
    assert mdp.terminated[3, :, 0].tolist() == [True, False, True, False]
    assert mdp.terminated[2].all()
    assert mdp.terminated[4].all()


def test_rewards_are_those_of_the_cell_entered() -> None:
    mdp = grid(["HSG", "#C#"], step_reward=-1, goal_reward=7, hole_reward=-5, cliff_reward=-9)
    assert mdp.reward[1, :, 0].tolist() == [-5.0, -9.0, 7.0, -1.0]
    assert mdp.next_state[1, :, 0].tolist() == [0, 1, 2, 1]
    assert mdp.terminated[1, :, 0].tolist() == [True, False, True, False]
    assert mdp.reward[0].tolist() == [[0.0]] * 4  # ends pay nothing themselves


def test_slip_goes_to_either_side() -> None:
    mdp = grid(["...", ".SG", "..."], slip=0.2)
    assert mdp.next_state[4, RIGHT].tolist() == [7, 5, 1]
    assert mdp.probability[4, RIGHT] == pytest.approx([0.1, 0.8, 0.1])
    assert mdp.terminated[4, RIGHT].tolist() == [False, True, False]
    assert mdp.next_state[4, LEFT].tolist() == [1, 3, 7]
    assert grid(["SG"], slip=1.0).n_outcomes == 2
    assert grid(["SG"], slip=0.0).is_deterministic
    assert np.all(grid(["SG"], slip=2 / 3).probability == 1 / 3)


def test_several_starts_are_equally_likely() -> None:
    mdp = grid("S.S\n..G")
    assert mdp.start.tolist() == [0.5, 0, 0.5, 0, 0, 0]


def test_indentation_does_not_count_and_rows_may_be_a_list() -> None:
    assert grid("   S.\n   .G\n") == grid(["S.", ".G"]) == grid("\n\nS.\n.G\n\n")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("S.\n.x\n.G", {}, "'x' in row 1, column 1; cells are S start, G goal"),
        ("S . G", {}, "' ' in row 0, column 1"),
        ("S..\n.G", {}, "row 1 of the grid has 2 cells, row 0 has 3"),
        ("..G", {}, "no start; put an S"),
        ("S..", {}, r"no goal \(G\), no hole \(H\) and no limit"),
        ("S.S\nC.G", {}, "a cliff and 2 starts"),
        ("", {}, "the grid is empty"),
        ([], {}, "the grid is empty"),
        (7, {}, "the grid is int"),
        ("SG", {"slip": 1.2}, r"slip=1.2 is outside \[0, 1\]"),
        ("SG", {"slip": float("nan")}, "slip=nan is outside"),
        ("SG", {"slip": "much"}, "slip='much' is not a number"),
        ("SG", {"step_reward": float("inf")}, "step_reward=inf is not finite"),
        ("SG", {"goal_reward": "1"}, "goal_reward='1' is not a number"),
        ("SG", {"max_episode_steps": 0}, "max_episode_steps=0"),
    ],
)
def test_bad_grids(text: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        grid(text, **options)  # type: ignore[arg-type]


def test_a_grid_without_an_end_needs_a_limit() -> None:
    assert grid("S..", max_episode_steps=5).max_episode_steps == 5


def test_a_goal_behind_walls_is_noticed_before_training() -> None:
    with pytest.raises(InvalidInput, match=r"from state 0 \(0,0\) .*no outcome"):
        grid("S.#G").check_ends()


def test_arrows_show_ends_walls_and_ties() -> None:
    mdp = grid(["S.#", "HCG"])
    assert arrows(mdp, [RIGHT, UP, 0, 0, 0]) == "→↑#\nHCG"
    ties = np.zeros((5, 4), dtype=bool)
    ties[0, [DOWN, RIGHT]] = ties[1, LEFT] = True
    assert arrows(mdp, ties).splitlines() == ["↓→ ←  #", "H  C  G"]
    assert arrows(mdp, ties, ascii_only=True).splitlines() == ["v> <  #", "H  C  G"]


def test_arrows_know_every_problem_with_a_layout() -> None:
    assert arrows(corridor(), [1] * 5) == "→→→→G"
    assert arrows(random_walk(3), [0] * 5) == "GwwwG"
    kings = windy_gridworld(moves="king_and_stay")
    assert arrows(kings, np.full(70, 8), ascii_only=True).splitlines()[3] == "oooooooGoo"
    assert arrows(cliff_walking(), [1] * 48).splitlines()[3] == "→CCCCCCCCCCG"


def test_arrows_show_cells_that_cannot_be_reached_as_they_are() -> None:
    assert arrows(grid("SG#."), [RIGHT] * 3) == "→G#."


def test_actions_without_a_direction_show_letters_or_numbers() -> None:
    tables = {"reward": [[1.0, 1.0]], "terminated": [[True, True]], "layout": ["S"]}
    assert arrows(MDP([[0, 0]], **tables, action_names=["hit", "stick"]), [1]) == "s"
    assert arrows(MDP([[0, 0]], **tables, action_names=["pull 1", "pull 2"]), [1]) == "1"


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ([0, 1], r"shape \(2,\); give integers of shape \(5,\) or booleans of shape \(5, 2\)"),
        ([0.0] * 5, "dtype float64"),
        ([0, 1, 2, 0, 0], r"policy\[2\]=2 is outside \[0, 1\]"),
        ([0, -1, 0, 0, 0], r"policy\[1\]=-1 is outside"),
        (np.zeros((5, 2), dtype=bool), r"names no action in any state"),
    ],
)
def test_bad_policies(policy: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        arrows(corridor(), policy)  # type: ignore[arg-type]


def test_arrows_need_a_layout_and_allowed_actions() -> None:
    with pytest.raises(InvalidInput, match="no layout"):
        arrows(taxi(), [0] * 500)
    mdp = MDP([[0, 0]], [[1.0, 1.0]], terminated=[[True, True]], layout=["S"], allowed=[[True, False]])
    with pytest.raises(InvalidInput, match=r"policy\[0\] takes action 1, which is not allowed"):
        arrows(mdp, [1])
    assert arrows(corridor(), [1, 1, 1, 1, 99]) == "→→→→G"  # nobody acts in the goal
