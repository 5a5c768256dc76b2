"""Disks that fill up, are taken away, or may not be written to: a clear error, and everything finished kept."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from oracle.kernels import kernel_with

import qfast
from faults.runs import RUN, assert_same
from qfast.engine import journal
from qfast.engine.agent_arrays import AgentArrays
from qfast.engine.journal import Collector

SETTINGS = RUN | {"n_agents": 20_000, "threads": 1}
# 20,000 agents take 800,000 bytes of Q alone.
LIMITED = f"""
import resource, sys, qfast, qfast.engine.journal
qfast.engine.journal.COMMIT_SECONDS = 0.02
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    qfast.train(**{SETTINGS}, out=sys.argv[1])
except qfast.Unfinished as error:
    print(error)
    print(getattr(error.run, "n_agents", None))
"""


@pytest.fixture(scope="module")
def expected():
    return qfast.train(**SETTINGS)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on files")
@pytest.mark.parametrize("out", ["folder", "run.npz"])
def test_a_disk_that_is_full(tmp_path, script, expected, out):
    done = script(LIMITED, out)
    said, count = done.stdout.splitlines()
    assert "File too large" in said
    assert "start again with the same settings to go on from there" in said
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run.npz").is_file()
    kept = max(int(path.stem[5:]) for path in tmp_path.rglob("done-*.npz"))
    assert 0 < kept < 20_000
    if out == "run.npz":  # in memory there may be more than on the disk
        assert int(count) >= kept
    assert_same(qfast.train(**SETTINGS, out=tmp_path / out), expected)
    assert_same(qfast.load(tmp_path / out), expected)


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 600 kB; only root may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "none", str(disk)], check=False, capture_output=True
    ) if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount") else None  # fmt: skip
    if done is None or done.returncode:
        pytest.skip("only root may mount a disk of a chosen size")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=False)


def test_a_real_disk_that_is_full(tiny_disk, tmp_path, expected, monkeypatch):
    with pytest.raises(qfast.InvalidInput, match=r"will take 0.0012 GB more, and .* are free"):
        qfast.train(**SETTINGS, out=tiny_disk / "folder")
    assert list(tiny_disk.iterdir()) == []
    monkeypatch.setattr(journal, "_check_room", lambda *_: None)  # as if somebody else filled it up meanwhile
    monkeypatch.setattr(journal, "COMMIT_SECONDS", 0.0)
    with pytest.raises(qfast.Unfinished, match="No space left on device"):
        qfast.train(**SETTINGS, out=tiny_disk / "folder")
    shutil.copytree(tiny_disk / "folder", tmp_path / "folder")
    assert_same(qfast.train(**SETTINGS, out=tmp_path / "folder"), expected)


@pytest.mark.parametrize("out", ["folder", "run.npz"])
def test_a_disk_that_is_taken_away(tmp_path, monkeypatch, out):
    monkeypatch.setattr(journal, "COMMIT_SECONDS", 0.0)
    take = Collector.take

    def go(keeping, block):
        if keeping.n_agents == 640:
            (tmp_path / "disk").rename(tmp_path / "gone")
        take(keeping, block)

    monkeypatch.setattr(Collector, "take", go)
    (tmp_path / "disk").mkdir()
    settings = RUN | {"n_agents": 2_000, "threads": 1}
    with kernel_with(block=64), pytest.raises(qfast.Unfinished, match="disk") as caught:
        qfast.train(**settings, out=tmp_path / "disk" / out)
    if out == "run.npz":
        assert 640 <= caught.value.run.n_agents < 2_000
    monkeypatch.undo()
    (tmp_path / "gone").rename(tmp_path / "disk")
    assert_same(qfast.train(**settings, out=tmp_path / "disk" / out), qfast.train(**settings))


@pytest.mark.parametrize("out", ["folder", "run.npz"])
def test_the_whole_run_is_in_the_error_when_saving_fails(tmp_path, monkeypatch, out):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qfast.run.write_npz", full)
    with pytest.raises(qfast.Unfinished, match="cannot be written: No space left on device; all agents are") as caught:
        qfast.train(**RUN, out=tmp_path / out)
    assert_same(caught.value.run, qfast.train(**RUN))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(qfast.InvalidInput, match="cannot be written"):
        qfast.train(**RUN, out=tmp_path / "run.npz")
    tmp_path.chmod(0o700)


# --- memory -----------------------------------------------------------------------------------------------------------


def test_too_little_memory_is_noticed_before_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr("qfast.training_checks.available_memory", lambda: 50_000_000)
    with pytest.raises(qfast.InvalidInput, match=r"would fit: out='folder' .*, or keep_q=False"):
        qfast.train(n_agents=10**9)
    with pytest.raises(qfast.InvalidInput, match=r"GB more, and .* are free there"):
        qfast.train(n_agents=10**13, out=tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_what_stays_on_the_disk_or_is_dropped_needs_no_memory(tmp_path, monkeypatch):
    made = []
    empty = AgentArrays.empty.__func__

    def watched(cls, plan, n, *, records_only=False):
        memory = empty(cls, plan, n, records_only=records_only)
        made.append(sum(array.nbytes for array in vars(memory).values()))
        return memory

    monkeypatch.setattr(AgentArrays, "empty", classmethod(watched))
    for options in ({"out": tmp_path / "folder"}, {"keep_q": False}):
        made.clear()
        run = qfast.train(**RUN | {"n_agents": 50_000, "episodes": 3} | options)
        assert max(made) <= 1024 * 64
        assert run.n_agents == run.curve.n_agents == 50_000
    assert isinstance(qfast.load(tmp_path / "folder").q, np.memmap)


def test_a_container_has_less_than_its_machine(tmp_path):
    from qfast.engine.machine import _free_in_container

    assert _free_in_container(tmp_path) == 2**62
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 300000\ninactive_file 200000\n")
    assert _free_in_container(tmp_path) == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert _free_in_container(tmp_path) == 2**62
