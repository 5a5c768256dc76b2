"""``qfast plot`` and ``qfast show --census``."""

import json

import pytest

import qfast
from qfast.cli.plot import KINDS

pytest.importorskip("matplotlib")

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="session")
def lake_file(tmp_path_factory):
    """A saved run: 30 agents, 80 episodes of a frozen lake, with checkpoints."""
    path = tmp_path_factory.mktemp("lakes") / "lake.npz"
    lake = qfast.problems.frozen_lake("4x4", slip=0.2)
    qfast.train(lake, n_agents=30, episodes=80, seed=1, checkpoints=4, progress=False).save(path)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn(command, lake_file, tmp_path, kind):
    done = command("plot", lake_file, "--kind", kind, "--out", "picture.png", "--dpi", 40)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{kind} of 30 agents drawn in picture.png\n"
    assert (tmp_path / "picture.png").read_bytes().startswith(PNG)
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


def test_options_reach_the_picture(command, lake_file, tmp_path):
    done = command("plot", lake_file, "--kind", "values", "--agent", 7, "--out", "a.svg", env={"MPLBACKEND": "tkagg"})
    assert (done.returncode, done.stderr) == (0, "")
    done = command("plot", lake_file, "--kind", "q", "--state", "14", "--gamma", 0.5, "--out", "q.svg")
    assert (done.returncode, done.stderr) == (0, "")
    assert b"<svg" in (tmp_path / "q.svg").read_bytes()
    assert command("plot", lake_file, "--band", "none", "--smooth", 10, "--out", "c.pdf").returncode == 0
    assert (tmp_path / "c.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "a.doc"], "has no ending of a picture; use .png, .svg, .pdf"),
        (["--out", "missing/a.png"], "cannot be written"),
        (["--out", "a.png", "--dpi", "1"], "--dpi 1 is outside [10, 2400]; use 150"),
        (["--out", "a.png", "--agent", "1"], "--agent has no meaning for --kind curve; it belongs to values"),
        (["--out", "a.png", "--kind", "q", "--smooth", "2"], "belongs to curve and lengths"),
        (["--out", "a.png", "--kind", "values", "--agent", "30"], "agent=30 does not exist"),
        (["--out", "a.png", "--kind", "q", "--state", "Z"], "state='Z' does not exist"),
        (["--out", "a.png", "--kind", "pie"], "invalid choice: 'pie'"),
        ([], "--out"),
    ],
)
def test_mistakes_are_told_in_one_line(command, lake_file, tmp_path, arguments, message):
    done = command("plot", lake_file, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("qfast: error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_run_is_not_replaced_by_its_picture(command, tmp_path):
    path = tmp_path / "run.png"
    qfast.train(n_agents=2, episodes=3, seed=0, progress=False).save(path)
    before = path.read_bytes()
    done = command("plot", path, "--out", path)
    assert (done.returncode, path.read_bytes()) == (2, before)


def test_no_checkpoints_no_picture_of_them(command, run_file):
    done = command("plot", run_file, "--kind", "optimal", "--out", "a.png")
    assert done.returncode == 2
    assert "the run has no checkpoints" in done.stderr


def test_help_needs_no_matplotlib(command):
    done = command("plot", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"  {kind} " in done.stdout for kind in KINDS)


def test_show_tells_when_agents_became_optimal(command, lake_file, tmp_path):
    assert not qfast.load(lake_file).is_optimal().any()
    done = command("show", lake_file)
    assert "0 % (0 of 30 agents) at the end, not half of them for good\n" in done.stdout
    run = qfast.train(n_agents=40, episodes=200, seed=0, checkpoints=20, progress=False)
    run.save(tmp_path / "corridor.npz")
    first = run.first_optimal()
    told = first.between(first.quantile(0.5))
    done = command("show", "corridor.npz")
    assert f"100 % (40 of 40 agents) at the end, half of them for good {told}\n" in done.stdout


def test_show_census(command, lake_file):
    census = qfast.load(lake_file).census()
    done = command("show", lake_file, "--census")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"frozen_lake: {census.sentence()}\n")
    assert "return and probability of success within 100 steps" in done.stdout
    assert census.arrows(0).split("\n")[0] in done.stdout
    assert f"and {len(census) - 8} more" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_show_census_json(command, lake_file):
    census = qfast.load(lake_file).census(gamma=0.5)
    told = json.loads(command("show", lake_file, "--census", "--gamma", 0.5, "--json").stdout)
    assert (told["n_agents"], told["n_policies"], told["gamma"]) == (30, len(census), 0.5)
    assert [policy["agents"] for policy in told["policies"]] == census.agents.tolist()
    assert [policy["value"] for policy in told["policies"]] == census.value.tolist()
    assert told["policies"][0]["actions"][15] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gamma", "0.5"], "--gamma has a meaning only with --census"),
        (["--census", "--agent", "1"], "not allowed with"),
    ],
)
def test_options_of_the_census(command, lake_file, arguments, message):
    done = command("show", lake_file, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_the_corridor_has_one_policy(command, run_file):
    done = command("show", run_file, "--census")
    assert done.stdout.startswith("corridor: 50 agents, 1 greedy policy, 100 % of the agents optimal\n")
    assert "→→→→G" in done.stdout
