"""``qfast show``, ``qfast rollout`` and ``qfast problems``."""

import json

import numpy as np
import pytest
from made_runs import made_run

import qfast
from qfast.cli.train import kept

LOG = """\
[DEBUG] best action for 0: 1
[DEBUG] best action for 1: 1
[DEBUG] best action for 2: 1
[DEBUG] best action for 3: 1
[INFO ] finished in 4 steps!
"""


def test_show_sums_up(command, run_file):
    done = command("show", run_file)
    assert (done.returncode, done.stderr) == (0, "")
    assert "50 agents, 60 episodes each" in done.stdout
    assert "mean Q" in done.stdout
    assert "→→→→G" in done.stdout


def test_show_json_is_what_train_told(command):
    trained = json.loads(command("train", "--agents", 5, "--episodes", 9, "--out", "a.npz", "--json").stdout)
    shown = json.loads(command("show", "a.npz", "--json").stdout)
    assert shown == {key: value for key, value in trained.items() if key != "out"}


def test_show_one_agent(command, run_file):
    run = qfast.load(run_file)
    done = command("show", run_file, "--agent", 7)
    assert done.stdout.startswith("Agent 7 of seed 1 on corridor\n")
    assert f"{run.q[7, 0, 1]:.4f}*" in done.stdout
    assert f"return {run.returns[7, -1]:.6g}, length {run.lengths[7, -1]} steps" in done.stdout
    told = json.loads(command("show", run_file, "--agent", "-1", "--json").stdout)
    assert told["agent"] == 49
    assert told["q"] == run.table(49)
    assert told["policy"] == [*([a] for a in run.policy()[49, :4].tolist()), []]
    assert told["final_length"] == run.lengths[49, -1]


def test_show_reads_every_record(command):
    for record in ("none", "summary"):
        command("train", "--agents", 5, "--episodes", 9, "--record", record, "--out", "a.npz")
        shown = command("show", "a.npz")
        assert shown.returncode == 0, shown.stderr
        assert ("last episode" in shown.stdout) == (record == "summary")
        assert json.loads(command("show", "a.npz", "--json").stdout)["settings"]["record"] in (None, "summary")


def test_rollout_of_one_agent_logs_as_the_article_does(command, run_file):
    for arguments in (["rollout", run_file, "--agent", 0, "-v"], ["-v", "rollout", run_file, "--agent", 0]):
        done = command(*arguments)
        assert done.stderr == LOG
    assert done.stdout.startswith("Agent 0 finished in 4 steps\n")
    assert "0 → 1 → 2 → 3 → 4" in done.stdout
    assert command("rollout", run_file, "--agent", 0).stderr == ""


def test_rollout_of_all(command, run_file):
    done = command("rollout", run_file)
    assert "One greedy episode of each of 50 agents, at most 20 steps" in done.stdout
    assert "100 % (50 of 50 agents)" in done.stdout
    short = command("rollout", run_file, "--max-steps", 2)
    assert "0 % (0 of 50 agents); the limit stopped the others" in short.stdout
    one = command("rollout", run_file, "--max-steps", 2, "--agent", 3)
    assert one.stdout.startswith("Agent 3 was stopped by the limit after 2 steps\n")


def test_rollout_json(command, run_file):
    told = json.loads(command("rollout", run_file, "--json", "--max-steps", 30).stdout)
    episode = qfast.rollout(qfast.load(run_file), max_steps=30)
    assert told["agents"] == list(range(50))
    assert told["returns"] == episode.returns.tolist()
    assert told["terminated"] == episode.terminated.tolist()
    assert [len(path) for path in told["states"]] == (episode.lengths + 1).tolist()
    assert [len(path) for path in told["actions"]] == episode.lengths.tolist()
    assert told["states"][0] == [0, 1, 2, 3, 4]
    assert json.loads(command("rollout", run_file, "--json", "--agent", 3).stdout)["agents"] == [3]


def test_a_long_path_is_shortened(command, tmp_path):
    # An agent that knows nothing and takes the first action for ever walks against the wall.
    made_run(qfast.corridor(), np.zeros((1, 5, 2)), ties="first").save(tmp_path / "a.npz")
    done = command("rollout", "a.npz", "--agent", 0, "--max-steps", 500)
    assert "→ 0 → … (461 more) → 0" in done.stdout
    assert (
        len(json.loads(command("rollout", "a.npz", "--agent", 0, "--max-steps", 500, "--json").stdout)["states"][0])
        == 501
    )


def test_problems_lists_what_train_takes(command):
    listed = json.loads(command("problems", "--json").stdout)
    text = command("problems").stdout
    assert listed["problems"]["corridor"] == {"n_states": 5, "n_actions": 2, "max_episode_steps": None}
    assert set(listed["problems"]) == set(qfast.problems.names())
    for name in (*listed["problems"], *listed["gymnasium"]):
        assert name in text


@pytest.mark.parametrize("name", ["corridor", "taxi"])
def test_problems_describes_one(command, name):
    mdp = qfast.problems.resolve(name)
    assert command("problems", name).stdout == f"{mdp!r}\n"
    assert json.loads(command("problems", name, "--json").stdout)["digest"] == mdp.digest


def test_an_interruption_does_not_take_the_place_of_a_complete_run(tmp_path, capsys):
    whole, part = (qfast.train(n_agents=n, episodes=9, seed=1, progress=False) for n in (5, 2))
    file = whole.save(tmp_path / "run.npz")
    with pytest.raises(qfast.Interrupted), kept(file):
        raise qfast.Interrupted("stopped", part)
    assert qfast.load(file).n_agents == 5
    assert f"2 agents are complete; {file} is left as it was" in capsys.readouterr().err


def test_agents_are_measured_on_the_way(command, tmp_path):
    done = command("train", "--agents", 30, "--episodes", 60, "--seed", 1, "--checkpoints", 3, "--out", "a.npz")
    assert (done.returncode, done.stderr) == (0, "")
    assert qfast.load(tmp_path / "a.npz").checkpoints.episodes.tolist() == [20, 40, 60]


def test_a_schedule_is_given_anew(command):
    options = ("--explore", "softmax", "--temperature", "5:4", "--agents", 3, "--episodes", 9)
    done = command("train", *options, "--max-steps", 50, "--out", "soft.npz")
    assert (done.returncode, done.stderr) == (0, "")
    assert "give temperature=" in command("resume", "soft.npz", "--episodes", 5).stderr
    assert command("resume", "soft.npz", "--episodes", 5, "--temperature", "4:3").returncode == 0
