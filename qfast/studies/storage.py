"""Studies in files: netCDF or zarr by xarray, written whole or not at all."""

import hashlib
import json
import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from qfast.arguments import optional, path_of
from qfast.engine.machine import available_memory
from qfast.errors import BadFile, InvalidInput
from qfast.model.mdp import MDP
from qfast.storage.archive import check_file, read_json, scratch_folder
from qfast.studies.result import Study
from qfast.text import check_printable, printable

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["load_study", "save_study"]

_PROBLEM: Final = "problem_file_"
_FORMAT: Final = "qfast study 2"
_EARLIER: Final = "qfast study 1"  # whose metrics say neither their direction nor whether they are times


def save_study(study: Study, path: str | os.PathLike[str]) -> Path:
    """Write the study to a file, whole or not at all; see `qfast.load_study`.

    Parameters
    ----------
    path : path-like
        ``*.nc`` for netCDF, ``*.zarr`` for zarr; an existing one is replaced.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InvalidInput
        If the ending is another one, or there is no such folder.
    MissingExtra
        If the package for the format is not installed.
    OSError
        If it cannot be written.
    """
    target = check_target(path)
    whole = _with_problems(study)
    final = Path(os.path.realpath(target))  # a link stays one
    with scratch_folder(final) as folder:
        temporary = folder / target.name
        if target.suffix == ".nc":
            whole.to_netcdf(temporary, format="NETCDF4", engine="netcdf4")
            temporary.replace(final)
        else:
            whole.to_zarr(temporary, mode="w-", consolidated=False, zarr_format=2)
            _replace_folder(temporary, final, folder / "old")
    return target


def check_target(path: str | os.PathLike[str]) -> Path:
    """Refuse a path that a study cannot be written to, for its name, its folder, or a package that is missing."""
    target = path_of(path)
    if target.suffix not in (".nc", ".zarr"):
        raise InvalidInput(f"{target} has no ending of a study's file; use .nc for netCDF or .zarr for zarr")
    if not target.parent.is_dir():
        raise InvalidInput(f"{target}: there is no folder {target.parent}; create it first")
    if target.suffix == ".nc":
        check_file(target)
    elif target.exists() and not target.is_dir():
        raise InvalidInput(f"{target} is there already, and is no {target.suffix} file; choose another name")
    _need_format(target.suffix, "saving a study")
    return target


def _need_format(suffix: str, purpose: str) -> Any:
    """Import xarray, and see that the package for the format is there."""
    xarray = optional("xarray", "study", f"{purpose} needs it")
    optional("netCDF4" if suffix == ".nc" else "zarr", "study", f"a {suffix} file needs it")
    return xarray


def _digest(dataset: "xr.Dataset") -> str:
    """A checksum of every number and name, since not every format notices a flipped bit."""
    total = hashlib.sha256()
    for name in sorted(map(str, dataset.variables)):
        array = np.ascontiguousarray(dataset[name].to_numpy())
        if array.dtype.kind not in "biuf":  # text, whose dtype depends on the format
            array = np.frombuffer("\0".join(map(str, array.reshape(-1))).encode(), np.uint8)
        total.update(f"{name} {array.dtype.str} {dataset[name].dims} {dataset[name].shape}".encode())
        total.update(array.tobytes())
    about = {name: np.asarray(value).item() for name, value in dataset.attrs.items() if name != "sha256"}
    total.update(json.dumps(about, sort_keys=True).encode())
    return total.hexdigest()


def _replace_folder(temporary: Path, target: Path, waste: Path) -> None:
    """Put a folder in place of another, which is put back if that fails, and else thrown away."""
    if not target.exists():
        temporary.replace(target)
        return
    old = target.with_name(f".{target.name}.{secrets.token_hex(4)}.old")
    target.replace(old)
    try:
        temporary.replace(target)
    except BaseException:
        old.replace(target)
        raise
    old.replace(waste)


def _with_problems(study: Study) -> "xr.Dataset":
    """The dataset, and beside it the problems as files, so that agents can be trained again."""
    dataset = study.dataset.assign_attrs(format=_FORMAT)
    for i, mdp in enumerate(study.problems.values()):
        dataset = dataset.assign({f"{_PROBLEM}{i}": (f"byte_{i}", _as_bytes(mdp))})
    return dataset.assign_attrs(sha256=_digest(dataset))


def _as_bytes(mdp: MDP) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return np.frombuffer(mdp.save(Path(folder) / "mdp.npz").read_bytes(), np.uint8)


def _from_bytes(content: Any) -> MDP:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mdp.npz"
        file.write_bytes(np.asarray(content, np.uint8).tobytes())
        return MDP.load(file)


def load_study(path: str | os.PathLike[str]) -> Study:
    """Read a study: a file that `Study.save` wrote, or a folder of ``qfast.study(…, out=folder)`` that is complete.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Study
        With the same numbers; functions of the user's own are not kept.

    Raises
    ------
    BadFile
        If it is damaged, foreign, or a folder that is not complete.
    InvalidInput
        If its ending is unknown.
    MissingExtra
        If the package for the format is not installed.
    OSError
        If it does not exist or may not be read.

    Examples
    --------
    >>> import tempfile
    >>> import qfast
    >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=64, episodes=50, seed=0, progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = qfast.load_study(study.save(folder + "/study.nc"))
    >>> again.dataset.equals(study.dataset)
    True
    """
    source = path_of(path)
    if not source.exists():
        raise FileNotFoundError(2, "No such file or directory", str(source))
    if source.is_dir() and source.suffix != ".zarr":
        from qfast.studies.run import read_folder

        if (source / "run.npz").is_file():
            raise BadFile(f"{printable(source)} holds a run, not a study; use qfast.load")
        return read_folder(source)
    if not source.is_file() and not source.is_dir():  # opening a pipe would wait for ever
        raise BadFile(f"{source} is a device or a pipe; give a .nc or .zarr file, or a folder of a study")
    if source.suffix not in (".nc", ".zarr"):
        msg = f"{source} has no ending of a study's file; give a .nc or .zarr file, or a folder of a study"
        raise InvalidInput(msg)
    xarray = _need_format(source.suffix, "reading a study")
    try:
        if source.suffix == ".nc":
            with xarray.open_dataset(source, engine="netcdf4") as opened:
                dataset = _loaded(opened)
        else:
            with xarray.open_zarr(source, consolidated=False, chunks=None) as opened:
                dataset = _loaded(opened)
    except PermissionError:
        raise
    except Exception as error:  # what the formats' libraries raise has no common base class
        msg = f"{source} is truncated, damaged, or no study ({error}); restore it from a copy or write it anew"
        raise BadFile(msg) from error
    return _named(source, dataset)


def _loaded(opened: "xr.Dataset") -> "xr.Dataset":
    """Read everything, unless that is more than there is room for: both formats may be compressed."""
    if opened.nbytes > (free := available_memory()):
        raise ValueError(f"it would take {opened.nbytes / 1e9:.3g} GB, and {max(free, 0) / 1e9:.3g} GB are free")
    return opened.load()


def _named(source: Path, dataset: "xr.Dataset") -> Study:
    if dataset.attrs.get("format") == _EARLIER:
        msg = f"{source} was written by an earlier state of qfast, whose studies cannot be read; run the study again"
        raise BadFile(msg)
    if dataset.attrs.get("format") != _FORMAT:
        msg = f"{source} holds no study (its format is {dataset.attrs.get('format')!r:.40}); give a file of Study.save"
        raise BadFile(msg)
    if _digest(dataset) != dataset.attrs.get("sha256"):
        raise BadFile(f"{source} is damaged: its checksum is wrong; restore it from a copy or write it anew")
    try:
        names = list(read_json(dataset.attrs["problems"]))
        files = [f"{_PROBLEM}{i}" for i in range(len(names)) if f"{_PROBLEM}{i}" in dataset]
        problems = {name: _from_bytes(dataset[file].values) for name, file in zip(names, files, strict=False)}
        dataset = dataset.drop_vars(files)
        del dataset.attrs["format"], dataset.attrs["sha256"]
        study = Study(dataset, problems)
        study.varied, study.n_agents, study.metrics  # noqa: B018 - whether all of it is there
        for text in (*study.labels, *names):
            check_printable("a name", text)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        msg = f"{source} does not hold a whole study ({error!r}); restore it from a copy or write it anew"
        raise BadFile(msg) from error
    for values in dataset.variables.values():
        values.encoding = {}
    return study
