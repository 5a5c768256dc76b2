"""Studies in netCDF and zarr: what is read is what was written, and damage is noticed."""

import os
import shutil
import sys

import numpy as np
import pytest

import qfast
from qfast.errors import BadFile, InvalidInput, MissingExtra


@pytest.fixture(scope="module")
def study():
    vary = {"epsilon": [0.1, 0.2], "traces": [None]}
    return qfast.study(vary=vary, n_agents=70, episodes=50, seed=0, progress=False)


@pytest.mark.parametrize("name", ["study.nc", "study.zarr"])
def test_what_is_read_is_what_was_written(study, tmp_path, name):
    for _ in range(2):  # the second one replaces the first
        path = study.save(tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    read = qfast.load_study(str(path))
    assert read.dataset.identical(study.dataset)
    assert read.metrics == study.metrics
    assert read.problems == study.problems
    assert read.rerun(1, 64, progress=False).dataset.equals(study.rerun(1, 64, progress=False).dataset)


def test_others_can_read_it(study, tmp_path):
    netcdf4 = pytest.importorskip("netCDF4")
    with netcdf4.Dataset(study.save(tmp_path / "study.nc")) as file:
        np.testing.assert_array_equal(file["auc"][:], study.scores("auc"))
        assert file["auc"].units == "reward"


@pytest.mark.parametrize("name", ["study.nc", "study.zarr"])
def test_damage_is_noticed(study, tmp_path, name):
    path = study.save(tmp_path / name)
    file = path if path.is_file() else max(path.glob("steps/*"), key=lambda part: part.stat().st_size)
    content = bytearray(file.read_bytes())
    steps = study.scores("steps").astype("<f8").tobytes()
    at = content.find(steps[:64]) if path.is_file() else len(content) - 3
    content[at + 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(BadFile, match="damaged"):
        qfast.load_study(path)
    if path.is_file():
        file.write_bytes(content[: len(content) // 2])
        with pytest.raises(BadFile, match="truncated"):
            qfast.load_study(path)


def test_foreign_files_are_refused(study, tmp_path):
    xarray = pytest.importorskip("xarray")
    xarray.Dataset({"x": 1}).to_netcdf(tmp_path / "other.nc", engine="netcdf4")
    with pytest.raises(BadFile, match="holds no study"):
        qfast.load_study(tmp_path / "other.nc")
    (tmp_path / "text.nc").write_text("hello")
    with pytest.raises(BadFile, match="no study"):
        qfast.load_study(tmp_path / "text.nc")
    with pytest.raises(FileNotFoundError):
        qfast.load_study(tmp_path / "missing.nc")
    (tmp_path / "study.csv").write_text("hello")
    with pytest.raises(InvalidInput, match="no ending"):
        qfast.load_study(tmp_path / "study.csv")


@pytest.mark.parametrize("name", ["study.nc", "study.zarr"])
def test_a_file_that_would_fill_the_memory_is_refused(study, tmp_path, monkeypatch, name):
    path = study.save(tmp_path / name)
    monkeypatch.setattr("qfast.studies.storage.available_memory", lambda: 1_000)
    with pytest.raises(BadFile, match=r"it would take .* GB, and 1e-06 GB are free"):
        qfast.load_study(path)


@pytest.mark.parametrize("name", ["study.nc", "study.zarr"])
def test_a_link_stays_a_link_and_nothing_is_left(study, tmp_path, name):
    (tmp_path / "there").mkdir()
    (tmp_path / name).symlink_to(tmp_path / "there" / name)
    left = tmp_path / "there" / f".{name}.1-01234567.tmp"  # of a save that was killed
    left.mkdir()
    for _ in range(2):
        study.save(tmp_path / name)
        assert [path.name for path in (tmp_path / "there").iterdir()] == [name]
    assert (tmp_path / name).is_symlink()
    assert qfast.load_study(tmp_path / name).dataset.equals(study.dataset)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_no_pipe_is_replaced_or_waited_for(study, tmp_path):
    os.mkfifo(tmp_path / "pipe.nc")
    with pytest.raises(InvalidInput, match="is a device or a pipe, which writing would replace"):
        study.save(tmp_path / "pipe.nc")
    with pytest.raises(BadFile, match="is a device or a pipe"):
        qfast.load_study(tmp_path / "pipe.nc")


def test_bad_places_are_refused(study, tmp_path):
    (tmp_path / "folder.nc").mkdir()
    (tmp_path / "file.zarr").write_text("x")
    places = {"study.csv": "no ending", "no/study.nc": "there is no folder", "folder.nc": "is a folder; name a file",
              "file.zarr": "is there already"}  # fmt: skip
    for name, told in places.items():
        with pytest.raises(InvalidInput, match=told):
            study.save(tmp_path / name)


@pytest.mark.parametrize(("name", "package"), [("study.nc", "netCDF4"), ("study.zarr", "zarr")])
def test_missing_packages_are_named(study, tmp_path, monkeypatch, name, package):
    path = study.save(tmp_path / name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf'{package} is not installed; .*pip install "qfast\[study\]"'):
        study.save(tmp_path / name)
    with pytest.raises(MissingExtra, match=package):
        qfast.load_study(path)


@pytest.mark.parametrize("package", ["xarray", "scipy"])
def test_a_study_needs_its_extra(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"{package} is not installed; .*qfast\[study\]"):
        qfast.study(vary={})


def test_a_failed_save_leaves_the_old_file(study, tmp_path, monkeypatch):
    path = study.save(tmp_path / "study.nc")
    before = path.read_bytes()
    monkeypatch.setattr("xarray.Dataset.to_netcdf", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        study.save(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("ending", ["nc", "zarr"])
def test_a_study_is_no_run(study, tmp_path, ending):
    path = study.save(tmp_path / f"study.{ending}")
    with pytest.raises(BadFile, match=rf"study\.{ending} is the name of a study; qfast\.load_study reads it"):
        qfast.load(path)
