"""Files: written whole or not at all, read back exactly or refused."""

import json
import os
import pickle
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qfast
from qfast.errors import BadFile, InvalidInput
from qfast.storage import archive
from qfast.storage.archive import read_npz, write_npz

ARRAYS = {
    "x": np.arange(6, dtype=np.float32).reshape(2, 3),
    "flags": np.array([True, False]),
    "text": np.array(["a", "ü"]),
    "empty": np.zeros((0, 4)),
    "scalar": np.array(7),
}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and a[k].tobytes() == b[k].tobytes() for k in a
    )


def test_round_trip_is_exact(tmp_path: Path) -> None:
    assert same(read_npz(write_npz(tmp_path / "a.npz", ARRAYS, "demo"), "demo"), ARRAYS)


def test_the_name_is_kept_as_given(tmp_path: Path) -> None:
    assert write_npz(str(tmp_path / "without_suffix"), ARRAYS, "demo") == tmp_path / "without_suffix"
    assert [p.name for p in tmp_path.iterdir()] == ["without_suffix"]


def test_numpy_alone_reads_it(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", ARRAYS, "demo")
    with np.load(path, allow_pickle=False) as content:
        assert np.array_equal(content["x"], ARRAYS["x"])
        assert json.loads(str(content["qfast_file"]))["kind"] == "demo"


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_npz(tmp_path / name, ARRAYS, "demo").read_bytes() for name in ("a", "b"))
    assert first == second


def test_every_single_flipped_bit_is_noticed_or_harmless(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", ARRAYS, "demo")
    whole = path.read_bytes()
    rng, refused = np.random.default_rng(1), 0
    positions = rng.choice(len(whole), 400, replace=False).tolist()
    for position in positions:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            content = read_npz(path, "demo")
        except BadFile:
            refused += 1
        else:  # a date in the archive's directory, say: no bit of an array
            assert same(content, ARRAYS)
    assert refused > len(positions) // 2


@pytest.mark.parametrize("kept", [0, 1, 10, 100, 0.5, -1])
def test_truncated(tmp_path: Path, kept: float) -> None:
    path = write_npz(tmp_path / "a.npz", ARRAYS, "demo")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(BadFile, match=r"a\.npz is truncated, damaged"):
        read_npz(path, "demo")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 nonsense", pickle.dumps({"x": 1})])
def test_foreign_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(BadFile, match="truncated, damaged, or no"):
        read_npz(path, "demo")


def test_foreign_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    with pytest.raises(BadFile, match="was not written by qfast"):
        read_npz(tmp_path / "a.npz", "demo")


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, qfast_file=np.array({"kind": "demo"}, dtype=object))
    with pytest.raises(BadFile):
        read_npz(path, "demo")


def test_another_kind(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", ARRAYS, "run")
    with pytest.raises(BadFile, match="holds kind 'run', not 'mdp'"):
        read_npz(path, "mdp")


def test_newer_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FORMAT_VERSION", 99)
    path = write_npz(tmp_path / "a.npz", ARRAYS, "demo")
    monkeypatch.undo()
    with pytest.raises(BadFile, match=r"version 99.*upgrade qfast"):
        read_npz(path, "demo")


@pytest.mark.parametrize("header", ["{", "[]", '{"version": 1}', '{"version": 1, "kind": "demo", "arrays": {"y": []}}'])
def test_bad_header(tmp_path: Path, header: str) -> None:
    np.savez(tmp_path / "a.npz", qfast_file=np.array(header), x=np.arange(3))
    with pytest.raises(BadFile, match=r"unreadable header|does not hold the arrays"):
        read_npz(tmp_path / "a.npz", "demo")


def test_missing_file_keeps_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "a.npz", "demo")


@pytest.mark.parametrize("name", ["qfast_file", "file", "a b", ""])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot name an array"):
        write_npz(tmp_path / "a.npz", {name: np.arange(3)}, "demo")


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="only pickle"):
        write_npz(tmp_path / "a.npz", {"x": np.array([None])}, "demo")
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no folder"):
        write_npz(tmp_path / "nowhere" / "a.npz", ARRAYS, "demo")


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    path = write_npz(tmp_path / "a.npz", ARRAYS, "demo")

    def fail(_: int) -> None:
        raise failure

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(type(failure)):
        write_npz(path, {"x": np.zeros(1)}, "demo")
    assert same(read_npz(path, "demo"), ARRAYS)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.skipif(os.name != "posix", reason="access bits are POSIX")
def test_access_follows_the_umask(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", ARRAYS, "demo")
    (tmp_path / "plain").touch()
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


# --- files that are more than they seem -------------------------------------------------------------------------------


def repacked(path: Path, change: Callable[[str, bytes], tuple[str, bytes]], **options: Any) -> Path:
    """The same archive with its members changed and right checksums."""
    with zipfile.ZipFile(path) as archive:
        members = [change(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def header_of(shape: str, descr: str = "'<f8'", major: int = 1) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes([major, 0]) + len(text).to_bytes(2, "little") + text


def test_compressed_members_are_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", {"x": np.zeros(10**6)}, "demo")
    repacked(path, lambda name, content: (name, content), compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**5
    with pytest.raises(BadFile, match="compressed members, which qfast never writes"):
        read_npz(path, "demo")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"no array at all", "truncated, damaged"),
        (header_of("(10**12,)"), "truncated, damaged"),
        (header_of("(1000000000000,)"), r"says that it has shape \(1000000000000,\)"),
        (header_of("(1000000000000,)", "'|V0'"), "says that it has shape"),
        (header_of("(-1, -1)") + bytes(8), "says that it has shape"),
        (header_of("(3,)") + bytes(25), "says that it has shape"),
        (header_of("(1,)", "'|O'") + bytes(8), "says that it has shape"),
        (header_of("(1,)", major=9) + bytes(8), "truncated, damaged"),
        (header_of("(" * 5000), "truncated, damaged"),
        (b"", "truncated, damaged"),
    ],
    ids=range(10),
)
def test_members_that_are_no_such_array(tmp_path: Path, content: bytes, told: str) -> None:
    path = write_npz(tmp_path / "a.npz", ARRAYS, "demo")
    repacked(path, lambda name, old: (name, old if name.startswith("qfast_file") else content))
    with pytest.raises(BadFile, match=told):
        read_npz(path, "demo")


def test_a_member_that_is_no_npy_and_two_of_one_name(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", ARRAYS, "demo")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(BadFile, match="members that are no arrays"):
        read_npz(path, "demo")
    write_npz(path, {"x": np.zeros(3)}, "demo")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("x.npy", archive.read("x.npy"))
    with pytest.raises(BadFile, match="two of one name"):
        read_npz(path, "demo")


@pytest.mark.parametrize(
    "header",
    ['{"version": 1e999}', "[" * 100_000, '{"a":' * 100_000, '{"version": ' + "1" * 4000 + "}", '{"version": NaN}'],
    ids=lambda header: header[:12],
)
def test_json_that_is_too_much(tmp_path: Path, header: str) -> None:
    np.savez(tmp_path / "a.npz", qfast_file=np.array(header), x=np.arange(3))
    with pytest.raises(BadFile, match="unreadable header"):
        read_npz(tmp_path / "a.npz", "demo")
    run = qfast.train(n_agents=2, episodes=2, progress=False)
    arrays = read_npz(run.save(tmp_path / "run.npz"), "run")
    write_npz(tmp_path / "run.npz", arrays | {"about": np.array(header)}, "run")
    with pytest.raises(BadFile, match="does not hold a whole run"):
        qfast.load(tmp_path / "run.npz")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("first_agent", -5), ("first_agent", 2**64), ("first_agent", 0.5), ("episodes", 0), ("episodes", 10**1200),
        ("n_agents", True), ("n_steps", -1), ("seconds", -1.0), ("record", "x"),
        ("work", 3),
    ],
)  # fmt: skip
def test_numbers_that_no_run_has(tmp_path: Path, name: str, value: Any) -> None:
    run = qfast.train(n_agents=2, episodes=2, progress=False)
    arrays = read_npz(run.save(tmp_path / "run.npz"), "run")
    about = run.about() | {name: value}
    write_npz(tmp_path / "run.npz", arrays | {"about": np.array(json.dumps(about))}, "run")
    with pytest.raises(BadFile, match=f"does not hold a whole run .*{name}="):
        qfast.load(tmp_path / "run.npz")


def test_a_rate_whose_text_is_none(tmp_path: Path) -> None:
    run = qfast.train(n_agents=2, episodes=2, progress=False)
    arrays = read_npz(run.save(tmp_path / "run.npz"), "run")
    about = run.about()
    about["rates"]["alpha"] = ["constant", 7]
    write_npz(tmp_path / "run.npz", arrays | {"about": np.array(json.dumps(about))}, "run")
    with pytest.raises(BadFile, match=r"alpha=.* is no kind and text"):
        qfast.load(tmp_path / "run.npz")


# --- what is in the way -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="devices are files on Unix")
@pytest.mark.parametrize("place", ["/dev/null", "pipe", "link"])
def test_no_device_is_ever_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("link").symlink_to("pipe")
    run = qfast.train(n_agents=2, episodes=2, progress=False)
    for save in (run.save, run.mdp.save):
        with pytest.raises(InvalidInput, match="is a device or a pipe, which writing would replace"):
            save(place)
    assert stat.S_ISFIFO(Path("link").stat().st_mode)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(BadFile, match="is a device or a pipe; give a file"):  # and no pipe is waited for
        qfast.load(place)
    os.mkfifo("run.npz")
    with pytest.raises(InvalidInput, match="is a device or a pipe"):
        qfast.train(n_agents=2, episodes=2, progress=False, out="run.npz")
    with pytest.raises(InvalidInput, match="is a file; name a folder"):
        qfast.train(n_agents=2, episodes=2, progress=False, out="pipe")
    assert stat.S_ISFIFO(Path("run.npz").stat().st_mode)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.npz").symlink_to(tmp_path / "there.npz")
    write_npz(tmp_path / "link.npz", ARRAYS, "demo")
    assert (tmp_path / "link.npz").is_symlink()
    assert same(read_npz(tmp_path / "there.npz", "demo"), ARRAYS)


@pytest.mark.parametrize("call", [qfast.load, qfast.MDP.load, qfast.corridor().save, qfast.load_study])
def test_names_that_no_file_can_have(call: Callable[[Any], Any]) -> None:
    with pytest.raises(InvalidInput, match="has a null character in it"):
        call("a\0b.npz")
    with pytest.raises(InvalidInput, match="path is 3, no name of a file"):
        call(3)


@pytest.mark.skipif(os.name != "posix", reason="POSIX locks")
def test_what_killed_writers_left_is_swept_up_and_nothing_else(tmp_path: Path) -> None:
    left = tmp_path / ".a.npz.123-0123abcd.tmp"
    others = [tmp_path / ".b.npz.123-0123abcd.tmp", tmp_path / "a.npz.tmp", tmp_path / ".a.npz.tmp"]
    for path in (left, *others):
        path.write_bytes(b"half")
    write_npz(tmp_path / "a.npz", ARRAYS, "demo")
    assert not left.exists()
    assert all(path.exists() for path in others)
    with archive.replacing(tmp_path / "a.npz") as stream:  # somebody is writing it now
        stream.write(b"slow")
        write_npz(tmp_path / "a.npz", ARRAYS, "demo")
        assert len(list(tmp_path.glob(".a.npz.*-*.tmp"))) == 1
    assert (tmp_path / "a.npz").read_bytes() == b"slow"
    with archive.scratch_folder(tmp_path / "a.nc") as folder:
        (folder / "x").touch()
        with archive.scratch_folder(tmp_path / "a.nc"):
            assert (folder / "x").exists()
    (tmp_path / ".a.nc.1-01234567.tmp").mkdir()
    with archive.scratch_folder(tmp_path / "a.nc"):
        assert not (tmp_path / ".a.nc.1-01234567.tmp").exists()
    assert not list(tmp_path.glob(".a.nc*"))
