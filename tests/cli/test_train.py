"""``qfast train`` and ``qfast resume``."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_runs import made_run

import qfast
from qfast import training
from qfast.cli.train import kept, save_and_sum_up

SMALL = ("--agents", 20, "--episodes", 30, "--seed", 5)


def test_the_default_run_is_summed_up_on_one_screen(command):
    done = command("train", "--seed", 1)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    assert lines[0] == "Q-learning on corridor: 5 states, 2 actions"
    for text in ("10,000 agents, 1,000 episodes each", "alpha 0.1, gamma 0.9, epsilon 0.1", "→→→→G", "agent-steps"):
        assert text in done.stdout
    assert "all 10,000 agents have the same greedy policy" in done.stdout
    assert "\x1b" not in done.stdout


def test_json_is_complete_and_says_what_the_file_says(command, tmp_path):
    done = command("train", *SMALL, "--record", "returns", "--out", "run.npz", "--json")
    told = json.loads(done.stdout)
    run = qfast.load(tmp_path / "run.npz")
    assert done.stderr == ""
    assert told["settings"] == {
        "n_agents": 20, "first_agent": 0, "episodes": 30, "alpha": 0.1, "gamma": 0.9, "epsilon": 0.1,
        "initial_q": 0.0, "ties": "random", "dtype": "float32", "record": "returns", "rule": "q_learning", "n": 1,
        "explore": "epsilon_greedy",
    }  # fmt: skip
    assert (told["out"], told["seed"], told["n_steps"], told["seconds"]) == ("run.npz", 5, run.n_steps, run.seconds)
    assert told["final_return"]["mean"] == pytest.approx(run.returns[:, -1].mean())
    assert told["final_return"]["std"] == pytest.approx(run.returns[:, -1].std(ddof=1))
    assert told["final_length"]["mean"] == pytest.approx(run.lengths[:, -1].mean())
    np.testing.assert_allclose(told["mean_q"], run.q.mean(axis=0, dtype=np.float64))
    policies, agents = run.policies()
    assert told["policy"]["share"] == agents[0] / 20
    assert told["policy"]["n_policies"] == len(agents)
    assert told["policy"]["actions"] == [np.flatnonzero(row).tolist() for row in policies[0]]
    assert told["problem"]["action_names"] == list(run.mdp.action_names)
    assert set(told) == {
        "out", "problem", "settings", "seed", "n_steps", "n_diverged", "seconds", "steps_per_second", "final_return",
        "final_length", "policy", "mean_q",
    }  # fmt: skip


def test_the_seed_shown_repeats_the_run(command):
    first = json.loads(command("train", *SMALL[:4], "--json").stdout)
    again = json.loads(command("train", *SMALL[:4], "--json", "--seed", first["seed"]).stdout)
    other = json.loads(command("train", *SMALL[:4], "--json").stdout)
    assert again["mean_q"] == first["mean_q"]
    assert other["seed"] != first["seed"]


def test_every_setting_arrives(command, tmp_path):
    done = command(
        "train", "corridor", "--agents", 3, "--episodes", 8, "--alpha", "0.5:0.25", "--gamma", 0.5, "--epsilon",
        "1:0.125:exponential", "--initial-q", 2, "--ties", "last", "--dtype", "float64", "--seed", 7, "--threads", 1,
        "--max-steps", 40, "--record", "none", "--first-agent", 11, "--out", "run.npz",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = qfast.load(tmp_path / "run.npz")
    same = qfast.train(
        qfast.corridor().with_limit(40), n_agents=3, episodes=8, alpha=qfast.linear(0.5, 0.25), gamma=0.5,
        epsilon=qfast.exponential(1, 0.125), initial_q=2, ties="last", dtype="float64", seed=7, record=None,
        first_agent=11, progress=False,
    )  # fmt: skip
    np.testing.assert_array_equal(run.q, same.q)
    assert (run.learner, run.record, run.first_agent, run.mdp) == (same.learner, None, 11, same.mdp)
    assert "linear(0.5, 0.25)" in done.stdout
    assert "from agent 11 on" in done.stdout
    assert "on 1 thread" in done.stdout


def test_one_agent_has_no_spread(command):
    done = command("train", "--agents", 1, "--seed", 0)
    assert "±" not in done.stdout
    assert "agreement" not in done.stdout
    assert json.loads(command("train", "--agents", 1, "--json").stdout)["final_return"]["std"] is None


def test_resume_equals_training_at_once(command, tmp_path):
    command("train", "--agents", 20, "--episodes", 12, "--seed", 5, "--out", "run.npz")
    done = command("resume", "run.npz", "--episodes", "18", "--out", "run.npz")
    assert done.returncode == 0, done.stderr
    assert "30 episodes each" in done.stdout
    at_once = qfast.train(n_agents=20, episodes=30, seed=5, progress=False)
    np.testing.assert_array_equal(qfast.load(tmp_path / "run.npz").q, at_once.q)


def test_resume_takes_schedules_for_the_rest(command):
    command("train", *SMALL, "--epsilon", "0.5:0.1", "--out", "run.npz")
    refused = command("resume", "run.npz", "--episodes", 5)
    assert refused.returncode == 2
    assert "epsilon" in refused.stderr
    told = json.loads(command("resume", "run.npz", "--episodes", 5, "--epsilon", "0.1:0.01", "--json").stdout)
    assert told["settings"]["episodes"] == 35


def test_resume_fills_no_folder(command, tmp_path):
    command("train", *SMALL, "--out", "run.npz")
    done = command("resume", "run.npz", "--episodes", 5, "--out", "longer")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--out longer is the name of a folder, as in qfast train, which resume does not fill" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def test_a_grid_from_a_text_file(command, tmp_path):
    (tmp_path / "maze.txt").write_text("S.#..\n#.G..\n")
    done = command("train", "maze.txt", "--agents", 20, "--seed", 0, "--max-steps", 50)
    assert done.stdout.startswith("Q-learning on maze: 8 states, 4 actions\n")
    assert "policy" in done.stdout
    assert "→↓#" in done.stdout
    assert "#→G" in done.stdout


def test_an_mdp_from_its_file_and_masked_actions_as_null(command, tmp_path):
    corridor = qfast.corridor(6)
    corridor.save(tmp_path / "mdp.npz")
    told = json.loads(command("train", "mdp.npz", "--agents", 3, "--episodes", 20, "--json").stdout)
    assert told["problem"]["digest"] == corridor.digest
    mdp = qfast.MDP([[0, 1], [1, 1]], [[0, 1], [0, 0]], terminated=[[True, True], [True, True]],
                    allowed=[[False, True], [True, True]])  # fmt: skip
    made_run(mdp, [[[-np.inf, 0.5], [0, 0]]] * 3).save(tmp_path / "run.npz")
    told = json.loads(command("show", "run.npz", "--json").stdout)
    assert told["mean_q"][0] == [None, 0.5]
    assert told["problem"]["digest"] == mdp.digest
    assert " - " in command("show", "run.npz").stdout


def test_where_agents_disagree_the_majority_is_shown(command):
    done = command("train", "cliff_walking", "--agents", 30, "--episodes", 20, "--seed", 0, "--max-steps", 500)
    assert " agents) have the most common of 10 greedy policies" in done.stdout
    assert "what most of the agents that come there do" in done.stdout
    assert "majority" in done.stdout
    assert "\npolicy" not in done.stdout


def test_where_arrows_cannot_be_printed_there_is_ascii(command):
    done = command("train", *SMALL, "--episodes", 300, env={"PYTHONIOENCODING": "ascii"})
    assert done.stdout.isascii()
    assert ">>>>G" in done.stdout
    assert "+-" in done.stdout


def test_gymnasium_problem_with_a_warning_in_one_line(command):
    pytest.importorskip("gymnasium")
    done = command("problems", "CliffWalking-v1")
    assert done.returncode == 0
    assert done.stderr.startswith("qfast: warning: CliffWalking-v1 has no limit")
    assert done.stderr.count("\n") == 1
    assert command("train", "CliffWalking-v1", "--agents", 3, "--episodes", 5, "--max-steps", 50).stderr == ""


def test_out_replaces_a_file_whole_and_leaves_nothing_else(command, tmp_path):
    (tmp_path / "run.npz").write_text("old")
    done = command("train", *SMALL, "--out", "run.npz")
    assert "saved in run.npz" in done.stdout
    assert qfast.load(tmp_path / "run.npz").n_agents == 20
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def test_what_was_learned_is_shown_even_if_the_disk_fills_up_while_saving(monkeypatch, capsys):
    def full(run, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    run = qfast.train(n_agents=3, episodes=5, seed=0, progress=False)
    monkeypatch.setattr(qfast.Run, "save", full)
    with pytest.raises(OSError, match=r"run\.npz"):
        save_and_sum_up(run, Path("run.npz"), as_json=False)
    assert "mean Q" in capsys.readouterr().out


def test_an_interruption_with_a_full_disk_is_an_error(monkeypatch):
    def full(run, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    run = qfast.train(n_agents=3, episodes=5, seed=0, progress=False)
    monkeypatch.setattr(qfast.Run, "save", full)
    with pytest.raises(OSError, match=r"run\.npz"), kept(Path("run.npz")):
        raise qfast.Interrupted("stopped", run)


def test_agents_that_diverge_are_told_of(command, monkeypatch):
    # As traces that never decay do it on a walk without an end in sight: see test_divergence.
    train = training.run_training

    def diverging(*arguments, **options):
        run = train(*arguments, **options)
        run.q[0, 0, 0] = np.inf
        return replace(run, n_diverged=1)

    monkeypatch.setattr(training, "run_training", diverging)
    told = command("train", "--agents", 20, "--episodes", 200, "--seed", 0)
    assert told.returncode == 0
    assert "qfast: warning: " in told.stderr
    assert "agents have diverged: their Q grew beyond what float32 holds" in told.stderr
    assert "agents): Q holds inf or NaN" in told.stdout
