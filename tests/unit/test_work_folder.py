"""Folders of parts: gone on with by the same work, refused to other work, whole after a death at any moment."""

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from processes import environment

import qfast
from qfast.storage import work_folder
from qfast.storage.work_folder import WorkFolder, read_work


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
    code = "import sys; from qfast.storage.work_folder import WorkFolder; WorkFolder(sys.argv[1], kind='demo', work={})"
    with parts(begun):
        done = subprocess.run(
            [sys.executable, "-c", code, begun / "x.parts"], capture_output=True, text=True, check=False,
            env=environment(),
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


def test_a_part_that_was_set_aside_goes_with_the_rest(begun):
    (begun / "x.parts" / "a.npz").write_bytes(b"half")
    with parts(begun) as again:
        with pytest.warns(qfast.DamagedPartWarning, match=r"set aside as a\.npz\.damaged"):
            assert again.read("a") is None
        assert again.names() == ["b"]
        again.remove()
    assert names(begun) == []


def test_parts_of_another_shape_are_damaged(begun):
    with parts(begun) as again, pytest.warns(qfast.DamagedPartWarning, match="does not hold what it should"):
        assert again.read("a", lambda arrays: arrays["y"]) is None


def test_another_state_of_the_folder_is_refused_in_a_sentence(begun, monkeypatch):
    monkeypatch.setattr(work_folder, "_VERSION", 3)
    with pytest.raises(qfast.BadFile, match=r"work\.json has version 2, and this qfast reads 3; use the qfast that"):
        parts(begun)


# --- locks ------------------------------------------------------------------------------------------------------------


def test_nobody_ever_holds_a_lock_on_what_is_gone(tmp_path):
    inside, together, done, refused = [], [], [], set()

    def work():
        while len(done) < 60:
            try:
                made = parts(tmp_path)
            except qfast.InvalidInput as error:
                refused.add(str(error).rpartition("x.parts")[2])
                continue
            together.append(len(inside))
            inside.append(made)
            made.write("a", {"x": np.zeros(1)})
            assert made.names() == ["a"]
            inside.remove(made)
            made.remove()
            done.append(made)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) >= 60
    assert set(together) == {0}
    assert refused <= {" is in use by another process; wait for it, or name another place"}
    assert names(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX locks")
@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EWOULDBLOCK, "is in use by another process"),
        (errno.ENOLCK, r"cannot be locked \(No locks available\).* on another disk"),
        (errno.EOPNOTSUPP, r"cannot be locked \(Operation not supported\)"),
    ],
)
def test_why_there_is_no_lock(tmp_path, monkeypatch, number, said):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", fail)
    with pytest.raises(qfast.InvalidInput, match=said):
        parts(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(qfast.InvalidInput, match=r"cannot be written \(Permission denied\); name a folder"):
        parts(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_folder_that_cannot_be_made_is_refused_and_not_waited_for(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "unmounted" / "disk")
    with pytest.raises(qfast.InvalidInput, match=r"is a link to nothing \(.*unmounted/disk\)"):
        qfast.train(n_agents=2, episodes=3, progress=False, out=tmp_path / "link")
    with pytest.raises(qfast.InvalidInput, match="File name too long"):
        qfast.train(n_agents=2, episodes=3, progress=False, out="a" * 300)
    if Path("/proc/self").is_dir():  # a folder in which nothing can be made
        with pytest.raises(qfast.InvalidInput, match="cannot be written"):
            WorkFolder("/proc/x", kind="demo", work={})
