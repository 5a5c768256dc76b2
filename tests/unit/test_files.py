"""Files: written whole or not at all, read back exactly or refused."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from qfast import files
from qfast.errors import BadFile, InvalidInput
from qfast.files import read_npz, write_npz

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
    monkeypatch.setattr(files, "FORMAT_VERSION", 99)
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
