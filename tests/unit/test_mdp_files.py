"""Files of MDPs: Cassandra's, Storm's, PRISM's; small ones written here, with values computed by hand."""

import re

import numpy as np
import pytest

from qfast.errors import BadFile, InvalidInput
from qfast.exact import solve
from qfast.model.mdp import MDP
from qfast.problems import corridor, read_mdp, resolve, write_drn

TIGER = """
# Cassandra, Kaelbling & Littman (1994): two doors, one of them with a tiger behind.
discount: 0.95
values: reward
states: tiger-left tiger-right
actions: listen open-left open-right
observations: tiger-left tiger-right

T:listen
identity

T:open-left
uniform

T:open-right
uniform

O:listen
0.85 0.15
0.15 0.85

O:open-left
uniform

O:open-right
uniform

R:listen : * : * : * -1
R:open-left : tiger-left : * : * -100
R:open-left : tiger-right : * : * 10
R:open-right : tiger-left : * : * 10
R:open-right : tiger-right : * : * -100
"""

MAZE = """
discount: 0.9
values: cost
states: 3
actions: stay on
start exclude: 2
T: stay identity
T: on : 0
0.0 0.5 0.5
T: on : 1 : 2 1.0
T: on : 2
0 0 1
R: stay : 0 : 0 4
R: stay : 1 : * 4
R: on : 0
1 1 3
R: on : 1 : * 2
"""


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_tiger_without_its_veil(tmp_path):
    mdp = read_mdp(written(tmp_path, "tiger.POMDP", TIGER), max_episode_steps=100)
    assert mdp.states == ("tiger-left", "tiger-right")
    assert mdp.actions == ("listen", "open-left", "open-right")
    assert mdp.name == "tiger.POMDP (discount 0.95)"
    assert mdp.start.tolist() == [0.5, 0.5]
    # Who sees the tiger opens the other door for ever: 10 / (1 - 0.95).
    assert solve(mdp, 0.95).v == pytest.approx([200, 200])
    assert mdp.reward[0, :, 0].tolist() == [-1, -100, 10]


def test_costs_rows_matrices_and_an_absorbing_state(tmp_path):
    mdp = read_mdp(written(tmp_path, "maze.mdp", MAZE))
    assert mdp.start.tolist() == [0.5, 0.5, 0]
    assert mdp.terminal_states.tolist() == [False, False, True]
    # On from 1 costs 2; on from 0 costs 1 or 3, and half of the time 2 more afterwards.
    assert solve(mdp, 1.0).v[:2] == pytest.approx([-3.0, -2.0])
    assert read_mdp(written(tmp_path, "maze.mdp", MAZE), terminal=None, start=1, max_episode_steps=9).start[1] == 1


def test_rewards_by_observation_are_their_mean(tmp_path):
    text = TIGER.replace("R:listen : * : * : * -1", "R:listen : * : * : tiger-left -1\nR:listen : * : tiger-right\n0 8")
    mdp = read_mdp(written(tmp_path, "tiger.pomdp", text), max_episode_steps=5)
    assert mdp.reward[:, 0, 0] == pytest.approx([-0.85, 8 * 0.85])


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("start: uniform", [1 / 3] * 3),
        ("start: 0.2 0.3 0.5", [0.2, 0.3, 0.5]),
        ("start: 1", [0, 1, 0]),
        ("start include: 0 2", [0.5, 0, 0.5]),
        ("", [0.5, 0.5, 0]),  # a uniform belief, over states in which something can be done
    ],
)
def test_starts(tmp_path, start, expected):
    path = written(tmp_path, "maze.mdp", MAZE.replace("start exclude: 2", start))
    assert read_mdp(path, max_episode_steps=5).start == pytest.approx(expected)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("values: cost", "values: prize", 3, "values: 'prize'; write reward or cost"),
        ("T: on : 1 : 2 1.0", "T: on : 1 : 2 0.9", 10, "state 1 and action 'on' sum to 0.9, not 1"),
        ("T: on : 1 : 2 1.0", "T: off : 1 : 2 1.0", 10, r"'off' is none of the actions \(stay, on\)"),
        ("T: on : 1 : 2 1.0", "T: on : 7 : 2 1.0", 10, r"'7' is none of the states \(0 to 2\)"),
        ("0.0 0.5 0.5", "0.0 half 0.5", 9, "the probability 'half' is no number"),
        ("0.0 0.5 0.5", "0.0 1.5 0.5", 9, r"1.5 is outside \[0, 1\]"),
        ("states: 3\n", "", 5, "'start' comes before 'states:'"),
        ("R: on : 1 : * 2", "R: on : 1 : *", 17, "cut off"),
        ("R: on : 0", "Q: on : 0", 15, "'Q' begins no entry"),
        ("start exclude: 2", "start: 0.5 0.2 0.2", 6, "the start sums to 0.9, not 1"),
        ("start exclude: 2", "start exclude: *", 6, "no state is left"),
    ],
)
def test_bad_lines_of_cassandra(tmp_path, old, new, line, message):
    assert old in MAZE
    with pytest.raises(BadFile, match=rf"maze\.mdp, line {line}: .*{message}"):
        read_mdp(written(tmp_path, "maze.mdp", MAZE.replace(old, new)))


def test_zeros_first_and_entries_one_by_one(tmp_path):
    text = MAZE.replace("T: stay identity", "T: * : * : * 0.0\nT: stay : * : 0 0.0").replace("T: on : 2\n0 0 1\n", "")
    text += "".join(f"T: {a} : 2 : 2 1\n" for a in ("stay", "on")) + "T: stay : 0 : 0 1\nT: 0 : 1 : 1 1\n"
    assert read_mdp(written(tmp_path, "a.mdp", text)) == read_mdp(written(tmp_path, "b.mdp", MAZE))


def test_missing_transitions_are_named(tmp_path):
    with pytest.raises(BadFile, match="no transition of state 1 and action 'on'"):
        read_mdp(written(tmp_path, "maze.mdp", MAZE.replace("T: on : 1 : 2 1.0\n", "")))


DRN = """// Exported by storm
// Original model type: MDP
@type: MDP
@value_type: double
@parameters

@reward_models
coins steps
@nr_states
3
@nr_choices
4
@model
state 0 [0, 1] init
\taction flip [1, 0]
\t\t1 : 0.5
\t\t2 : 1/2
\taction wait [0, 0]
\t\t0 : 1
state 1 [0, 1] "not yet"
\taction flip [2, 0]
\t\t2 : 1
state 2 [0, 0] done
\taction wait [0, 0]
\t\t2 : 1
"""


def test_drn(tmp_path):
    path = written(tmp_path, "coin.drn", DRN)
    mdp = read_mdp(path, reward="coins")
    assert mdp.actions == ("flip", "wait")
    assert mdp.allowed.tolist() == [[True, True], [True, False], [True, True]]
    assert mdp.start_state == 0
    assert mdp.name == "coin.drn"
    assert mdp.reward[:2, 0].tolist() == [[1, 1], [2, 2]]
    assert mdp.terminated[0, 0].tolist() == [False, True]
    assert solve(mdp, 1.0).v[:2] == pytest.approx([2.0, 2.0])
    # Rewards of states are paid for acting in them.
    steps = read_mdp(path, reward="steps", terminal="done", max_episode_steps=10)
    assert steps.reward[0, 0].tolist() == [1, 1]
    assert read_mdp(path, reward="coins", goal="not yet").reward[0, 0].tolist() == [2, 1]
    with pytest.raises(InvalidInput, match=r"the reward models 'coins', 'steps'; choose one by reward="):
        read_mdp(path)
    with pytest.raises(InvalidInput, match="reward='gold' is none of the reward models"):
        read_mdp(path, reward="gold")
    with pytest.raises(InvalidInput, match=r"'gone', which is no state; .*labels are \('init', 'not yet', 'done'\)"):
        read_mdp(path, reward="coins", terminal="gone")


def test_a_drn_without_rewards_needs_a_goal(tmp_path):
    bare = re.sub(r" \[[^]]*\]", "", DRN).replace("@reward_models\ncoins steps\n", "@reward_models\n\n")
    path = written(tmp_path, "coin.drn", bare)
    with pytest.raises(InvalidInput, match=r"no rewards; say what counts, goal=… .*\('init', 'not yet', 'done'\)"):
        read_mdp(path)
    mdp = read_mdp(path, goal="not yet")
    assert solve(mdp, 1.0).v[0] == pytest.approx(0.5)  # the probability of coming there


def test_drn_of_a_pomdp_and_of_a_chain(tmp_path):
    pomdp = DRN.replace("MDP\n@value", "POMDP\n@value").replace("state 0 ", "state 0 {3} ")
    assert read_mdp(written(tmp_path, "a.drn", pomdp), reward="coins") == read_mdp(
        written(tmp_path, "b.drn", DRN), reward="coins"
    )
    chain = "@type: DTMC\n@reward_models\nr\n@nr_states\n2\n@model\nstate 0 [3] init\n 0 : 0.5\n 1 : 0.5\n"
    chain += "state 1\n 1 : 1\n"
    assert solve(read_mdp(written(tmp_path, "c.drn", chain)), 1.0).v[0] == pytest.approx(6)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("@type: MDP", "@type: CTMC", 3, "the model is a CTMC"),
        ("@parameters\n", "@parameters\np q", 6, "the model has parameters, 'p q'"),
        ("1 : 0.5", "1 : 0.7", 15, "choice flip, sum to 1.2, not 1"),
        ("1 : 0.5", "9 : 0.5", 16, r"the state 9 is outside \[0, 2\]"),
        ("1 : 0.5", "1 0.5", 16, "is no state, action or transition"),
        ("state 1 ", "state 2 ", 20, "state 2 follows state 0"),
        ("[2, 0]", "[2]", 21, ""),
        ("[2, 0]", "[x, 0]", 21, "the reward 'x' is no number"),
        ("double", "double-interval", 4, "intervals"),
        ("state 1 ", "state 1 !4.5 ", 20, "exit rate"),
        ("@nr_states\n3\n", "", 11, "before @nr_states"),
    ],
)
def test_bad_lines_of_drn(tmp_path, old, new, line, message):
    path = written(tmp_path, "coin.drn", DRN.replace(old, new))
    if new == "[2]":
        assert read_mdp(path, reward="coins").reward[1, 0, 0] == 2
        message, reward = "holds 1 rewards", "steps"
    else:
        reward = "coins"
    with pytest.raises(BadFile, match=rf"coin\.drn, line {line}: .*{message}"):
        read_mdp(path, reward=reward)


def test_a_drn_that_is_cut_off(tmp_path):
    with pytest.raises(BadFile, match="announces 3 states and ends after 2"):
        read_mdp(written(tmp_path, "coin.drn", DRN[: DRN.index("state 2")]), reward="coins")
    with pytest.raises(BadFile, match="has no @model"):
        read_mdp(written(tmp_path, "coin.drn", "@type: MDP\n"))


TRA = """4 6 8
0 0 1 0.5 south
0 0 2 0.5 south
0 1 0 0.4 east
0 1 3 0.6 east
1 0 3 1 east
2 0 3 1 east
3 0 3 0.25 stuck
3 0 3 0.75 stuck
"""
TRA = TRA.replace("4 6 8", "4 5 8")


def prism(tmp_path, **more):
    path = written(tmp_path, "robot.tra", more.pop("tra", TRA))
    for suffix, text in more.items():
        written(tmp_path, f"robot.{suffix}", text)
    return path


def test_prism(tmp_path):
    path = prism(
        tmp_path,
        sta="(x,b)\n0:(0,false)\n1:(1,false)\n2:(0,true)\n3:(1,true)\n",
        lab='0="init" 1="deadlock" 2="goal"\n1: 0\n3: 2\n',
        srew='# Reward structure: "time"\n# State rewards\n4 1\n2 -5\n',
        trew='# Reward structure: "time"\n# Transition rewards\n4 5 3\n0 0 1 1\n0 1 0 -2\n1 0 3 7\n',
    )
    mdp = read_mdp(path)
    assert mdp.states == ((0, False), (1, False), (0, True), (1, True))
    assert mdp.actions == ("south", "east", "stuck")
    assert mdp.start_state == 1
    assert mdp.terminal_states.tolist() == [False, False, False, True]
    # South: 1 + 7 or 0 - 5, half each; east costs 2 with 0.4 and comes back.
    assert solve(mdp.with_limit(None), 1.0).v[1] == pytest.approx(7)
    full = read_mdp(path, start=(0, False))
    assert solve(full, 1.0).v[:3] == pytest.approx([1.5, 7, -5])
    assert read_mdp(path, goal="goal", start=(0, False)).reward[1, 1].max() == 8


def test_prism_in_rows_and_storms_way_are_the_same(tmp_path):
    wanted = read_mdp(prism(tmp_path, srew="4 1\n1 3\n"))
    rows = "4 5 8\n0 0.5:1 0.5:2 south\n0 0.4:0 0.6:3 east\n1 1:3 east\n2 1:3 east\n3 0.25:3 0.75:3 stuck\n"
    assert read_mdp(prism(tmp_path, tra=rows)) == wanted
    (tmp_path / "robot.srew").unlink()
    storm = "mdp\n" + TRA.partition("\n")[2]
    labels = "#DECLARATION\ninit goal\n#END\n0 init\n3 goal\n"
    path = prism(tmp_path, tra=storm, lab=labels, **{"state.rew": "1 3\n"})
    assert read_mdp(path) == wanted


def test_several_reward_structures(tmp_path):
    path = prism(tmp_path)
    for number, structure in enumerate(("time", "money"), 1):
        text = f'# Reward structure: "{structure}"\n# State rewards\n4 1\n0 {number}\n'
        written(tmp_path, f"robot{number}.srew", text)
    with pytest.raises(InvalidInput, match="the reward structures 'time', 'money'; choose one"):
        read_mdp(path)
    assert read_mdp(path, reward="money").reward[0, 0, 0] == 2


def test_a_markov_chain_and_a_deadlock(tmp_path):
    path = prism(tmp_path, tra="3 3\n0 0 0.5\n0 1 0.25\n0 2 0.25\n", srew="3 1\n0 1\n")
    mdp = read_mdp(path)  # 1 and 2 have no way on: ends
    assert (mdp.n_actions, solve(mdp, 1.0).v[0]) == (1, pytest.approx(2))


@pytest.mark.parametrize(
    ("files", "name", "message"),
    [
        ({"tra": TRA.replace("0 0 1 0.5", "0 0 1 0.6")}, "robot.tra, line 2", "state 0, choice south, sum to 1.1"),
        ({"tra": TRA.replace("0 0 1 0.5", "0 0 8 0.5")}, "robot.tra, line 2", r"next state 8 is outside \[0, 3\]"),
        ({"tra": TRA.replace("0 0 1 0.5", "0 0 1")}, "robot.tra, line 2", "the value 'south' is no number"),
        ({"tra": TRA.replace("0 0 1 0.5 south", "0 0 1")}, "robot.tra, line 2", "has 3 words; write: state choice"),
        ({"tra": TRA.replace("0 0 1 0.5", "0 0 1 2.5")}, "robot.tra, line 2", r"2.5 is outside \[0, 1\]"),
        ({"tra": TRA.replace("4 5 8", "4 5 9")}, "robot.tra", "announces 9 transitions and holds 8"),
        ({"tra": "ctmc\n0 0 1\n"}, "robot.tra, line 1", "continuous time"),
        ({"tra": "hello\n"}, "robot.tra, line 1", "the count 'hello' is no whole number"),
        ({"tra": ""}, "robot.tra", "is empty"),
        ({"sta": "(x)\n0:(0)\n2:(1)\n"}, "robot.sta, line 3", "state 2 follows 0"),
        ({"sta": "(x)\n0:(0)\n"}, "robot.sta", "holds 1 states, the transitions 4"),
        ({"lab": '0="init"\n0: 0\n1: 4\n'}, "robot.lab, line 3", "label '4' is not declared"),
        ({"srew": "4 1\n0 1 2\n"}, "robot.srew, line 2", "is no reward of a state"),
        ({"srew": "4 1\n9 1\n"}, "robot.srew, line 2", "outside"),
        ({"trew": "4 5 1\n0 0 1\n"}, "robot.trew, line 2", "has 3 words"),
    ],
)
def test_bad_lines_of_prism(tmp_path, files, name, message):
    files = {"srew": "4 1\n0 1\n", **files}
    with pytest.raises(BadFile, match=rf"{re.escape(name)}.*{message}"):
        read_mdp(prism(tmp_path, **files))


def test_one_way_in(tmp_path):
    saved = corridor(4).save(tmp_path / "c.npz")
    assert read_mdp(saved) == corridor(4)
    assert read_mdp(saved, max_episode_steps=5).max_episode_steps == 5
    path = written(tmp_path, "maze.mdp", MAZE)
    assert resolve(str(path)) == read_mdp(path)
    assert resolve(str(path), max_episode_steps=3).max_episode_steps == 3
    assert MDP.load(read_mdp(path).save(tmp_path / "m.npz")) == read_mdp(path)
    with pytest.raises(InvalidInput, match=r"suffix '.nm'; models are read from .mdp, .pomdp, .drn, .tra and .npz"):
        read_mdp(tmp_path / "x.nm")
    with pytest.raises(FileNotFoundError):
        read_mdp(tmp_path / "none.drn")
    (tmp_path / "x.drn").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFile, match="no text file"):
        read_mdp(tmp_path / "x.drn")


def test_a_large_file_reads_in_a_moment(tmp_path):
    n = 3000
    lines = [f"{s} {a} {(s * (a + 2) + 1) % n} 1 go{a}" for s in range(n) for a in range(2)]
    path = prism(tmp_path, tra=f"{n} {2 * n} {2 * n}\n" + "\n".join(lines), srew=f"{n} 1\n5 1\n")
    mdp = read_mdp(path, max_episode_steps=10)
    assert np.array_equal(mdp.next_state[:, 1, 0], (np.arange(n) * 3 + 1) % n)


@pytest.mark.parametrize("name", ["corridor", "frozen_lake", "cliff_walking", "tic_tac_toe_perfect", "river_swim"])
def test_what_write_drn_writes_reads_as_the_same_values(tmp_path, name):
    mdp = resolve(name).with_limit(None)
    back = read_mdp(write_drn(mdp, tmp_path / "m.drn"))
    wanted, found = solve(mdp, 0.9), solve(back, 0.9)
    acting = mdp.decision_states
    assert found.v[: mdp.n_states][acting] == pytest.approx(wanted.v[acting])
    assert np.array_equal(back.start[: mdp.n_states] > 0, mdp.start > 0)
    assert set(back.action_names) <= set(mdp.action_names)
