"""``qfast plot`` and ``qfast report`` for studies."""

import numpy as np
import pytest
from made_studies import made_study

from qfast.cli.app import run
from qfast.cli.plot import STUDY_KINDS, is_study

pytest.importorskip("matplotlib")
pytest.importorskip("netCDF4")

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="session")
def study_file(tmp_path_factory):
    """A saved study: three configurations of 40 agents."""
    path = tmp_path_factory.mktemp("studies") / "study.nc"
    made_study({"alpha": [0.1, 0.3], "epsilon": [0.05, 0.2]}, n_agents=40).save(path)
    return path


@pytest.mark.parametrize("kind", STUDY_KINDS)
def test_every_kind_is_drawn(study_file, tmp_path, capsys, kind):
    picture = tmp_path / "picture.png"
    assert run(["plot", str(study_file), "--kind", kind, "--out", str(picture), "--dpi", "30"]) == 0
    assert capsys.readouterr() == (f"{kind} of 4 configurations drawn in {picture}\n", "")
    assert picture.read_bytes().startswith(PNG)
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.parametrize(
    "options",
    [
        ["--kind", "curve", "--configuration", "alpha=0.1, epsilon=0.2", "--band", "none", "--smooth", "5"],
        ["--kind", "misranking", "--configuration", "0", "--configuration", "3", "--metric", "regret", "--paired"],
        ["--kind", "sensitivity", "--setting", "epsilon", "--setting", "alpha", "--metric", "optimal"],
        ["--kind", "map", "--setting", "epsilon", "--setting", "alpha"],
        ["--kind", "improvement", "--configuration", "2"],
    ],
)
def test_options_reach_the_picture(study_file, tmp_path, options):
    assert run(["plot", str(study_file), *options, "--out", str(tmp_path / "a.svg")]) == 0
    assert "<svg" in (tmp_path / "a.svg").read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--kind", "values"], "--kind values cannot be drawn of a study; use curve, optimal, sensitivity"),
        (["--kind", "curve", "--agent", "1"], "--agent has no meaning for --kind curve; a study has none"),
        (["--kind", "map", "--smooth", "3"], "--smooth has no meaning for --kind map; it belongs to curve"),
        (["--kind", "map", "--setting", "alpha"], "a map needs two"),
        (["--kind", "sensitivity", *["--setting", "alpha"] * 3], "--setting is there 3 times"),
        (["--kind", "misranking", "--configuration", "0"], "name the two to compare"),
        (["--kind", "improvement", *["--configuration", "0"] * 2], "name the one to compare with"),
        (["--kind", "violin", "--metric", "speed"], "metric='speed' is not in the study"),
        (["--kind", "curve", "--configuration", "9"], "configuration=9 does not exist"),
    ],
)
def test_mistakes_are_told_in_one_line(study_file, tmp_path, capsys, options, message):
    assert run(["plot", str(study_file), *options, "--out", str(tmp_path / "a.png")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("qfast: error: ")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_page_about_a_study(command, study_file, tmp_path):
    options = ["--metric", "final_return", "--title", "Which?", "--no-rerun"]
    done = command("report", study_file, "--out", "study.html", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "report of 4 configurations written to study.html\n"
    text = (tmp_path / "study.html").read_text("utf-8")
    assert "<h1>Which?</h1>" in text
    assert "final return" in text
    assert "was not run again" in text


def test_agents_without_a_score_are_dropped_when_asked(command, tmp_path, capsys):
    scores = np.random.default_rng(0).normal(size=(2, 40))
    scores[0, :30] = np.nan
    made_study({"alpha": [0.1, 0.2]}, n_agents=40, metrics={"auc": scores}).save(tmp_path / "lost.nc")
    file, out = str(tmp_path / "lost.nc"), str(tmp_path / "a.svg")
    assert run(["plot", file, "--kind", "misranking", "--out", out]) == 2
    told = "auc is undefined for 30 of 40 agents of alpha=0.1; --missing drop asks about the others"
    assert told in capsys.readouterr().err
    assert run(["plot", file, "--kind", "misranking", "--missing", "drop", "--out", out]) == 0
    assert "10 of 40" in (tmp_path / "a.svg").read_text("utf-8")
    done = command("report", "lost.nc", "--out", "page.html", "--missing", "drop", "--no-rerun")
    assert done.returncode == 0
    assert "about 10 of 40 agents" in (tmp_path / "page.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "out", "message"),
    [
        ("study.nc", "a.pdf", "does not end in .html"),
        ("study.nc", "missing/a.html", "cannot be written"),
        ("run.npz", "a.html", "is no study; give a .nc or .zarr file"),
        ("none.nc", "a.html", "No such file"),
    ],
)
def test_pages_that_cannot_be(study_file, tmp_path, capsys, name, out, message):
    assert run(["report", str(study_file.with_name(name)), "--out", str(tmp_path / out)]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_study_without_its_problem_says_so(study_file, tmp_path, capsys):
    assert run(["report", str(study_file), "--out", str(tmp_path / "a.html")]) == 0
    assert "The winner was not run again on fresh seeds: " in (tmp_path / "a.html").read_text("utf-8")


def test_what_a_study_is_told_by(tmp_path):
    assert is_study("a.nc")
    assert is_study("a.zarr")
    assert is_study(str(tmp_path))
    assert not is_study("a.npz")
    assert not is_study("n" * 5000)
