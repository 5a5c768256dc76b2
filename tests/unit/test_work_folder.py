"""Folders of parts: gone on with by the same work, refused to other work, whole after a death at any moment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import qfast
from qfast.work_folder import WorkFolder, read_work


def names(folder):
    return sorted(path.name for path in folder.iterdir())


WORK = {"seed": 1, "shape": (2, 3), "name": "ü"}


def parts(folder, **changes):
    return WorkFolder(folder / "x.parts", **{"kind": "demo", "work": WORK} | changes)


@pytest.fixture
def begun(tmp_path):
    """A folder with two parts, whose process has ended."""
    with parts(tmp_path) as made:
        made.write("a", {"x": np.arange(100)})
        made.write("b", {"x": np.arange(5.0)})
    return tmp_path


def test_the_same_work_finds_its_parts(begun):
    with parts(begun) as again:
        assert again.names() == ["a", "b"]
        assert again.read("b")["x"].tolist() == [0, 1, 2, 3, 4]
        assert again.read("c") is None
        again.write("b", {"x": np.zeros(1)})
        assert again.read("b")["x"].tolist() == [0]
        again.drop("b")
        again.drop("b")
        assert again.names() == ["a"]
    assert read_work(begun / "x.parts", "demo") == json.loads(json.dumps(WORK))


def test_other_work_is_refused_and_told_why(begun):
    with pytest.raises(qfast.InvalidInput, match=r"begun with seed=1, not 2; go on with those settings"):
        parts(begun, work=WORK | {"seed": 2})
    with pytest.raises(qfast.InvalidInput, match="holds a demo, not a study"):
        parts(begun, kind="study")
    with parts(begun) as again:
        assert again.names() == ["a", "b"]


def test_places_that_cannot_be(tmp_path):
    with pytest.raises(qfast.InvalidInput, match="there is no folder"):
        parts(tmp_path / "nowhere")
    (tmp_path / "x.parts").write_text("a file")
    with pytest.raises(qfast.InvalidInput, match="is a file"):
        parts(tmp_path)
    (tmp_path / "x.parts").unlink()
    (tmp_path / "x.parts").mkdir()
    (tmp_path / "x.parts" / "thesis.txt").write_text("years of work")
    with pytest.raises(qfast.InvalidInput, match=r"something else \(it holds 'thesis.txt'\)"):
        parts(tmp_path)
    assert names(tmp_path / "x.parts") == ["thesis.txt"]
    with parts(tmp_path / "x.parts") as made, pytest.raises(qfast.InvalidInput, match="cannot name a part"):
        made.write("../a", {})


def test_one_process_at_a_time(begun):
    code = "import sys, json; from qfast.work_folder import WorkFolder; WorkFolder(sys.argv[1], kind='demo', work={})"
    with parts(begun):
        done = subprocess.run(
            [sys.executable, "-c", code, begun / "x.parts"], capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(Path(qfast.__file__).parents[1])},
        )  # fmt: skip
        assert "is in use by another process; wait for it" in done.stderr
        with pytest.raises(qfast.InvalidInput, match="in use"):
            parts(begun)
    parts(begun).close()


@pytest.mark.parametrize("damage", ["truncated", "bit", "empty", "foreign"])
def test_a_damaged_part_is_made_again(begun, damage):
    path = begun / "x.parts" / "a.npz"
    whole = bytearray(path.read_bytes())
    at = whole.find(np.arange(100).tobytes()[:64])
    whole[at + 30] ^= 4
    path.write_bytes({"truncated": whole[:-100], "bit": whole, "empty": b"", "foreign": b"PK?"}[damage])
    with parts(begun) as again:
        with pytest.warns(qfast.DamagedPartWarning, match=r"a\.npz is .*damaged.*made again"):
            assert again.read("a") is None
        assert again.read("b") is not None


def test_a_part_of_other_work_is_refused(begun):
    with WorkFolder(begun / "y.parts", kind="demo", work={"seed": 2}) as other:
        other.write("a", {"x": np.arange(3)})
    (begun / "y.parts" / "a.npz").replace(begun / "x.parts" / "a.npz")
    with parts(begun) as again, pytest.raises(qfast.BadFile, match="is a part of another demo"):
        again.read("a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"\xff{", "cannot be read"),
        (b'{"digest": "0", "version": 1, "kind": "demo", "work": {}}', "checksum is wrong"),
    ],
)
def test_a_damaged_folder_is_refused(begun, content, said):
    (begun / "x.parts" / "work.json").write_bytes(content)
    with pytest.raises(qfast.BadFile, match=said):
        parts(begun)


def test_what_a_killed_writer_left_is_swept_up(begun):
    (begun / "x.parts" / ".a.npz.123-0123abcd.tmp").write_bytes(b"half")
    with parts(begun) as again:
        assert names(again.folder) == ["a.npz", "b.npz", "lock", "work.json"]


def test_a_folder_whose_process_died_before_it_began(tmp_path):
    (tmp_path / "x.parts").mkdir()
    (tmp_path / "x.parts" / "lock").touch()
    with parts(tmp_path) as made:
        assert made.names() == []


def test_done_work_leaves_nothing(begun):
    with parts(begun) as again:
        again.remove()
    assert names(begun) == []
