"""What ``qfast plot`` draws of a study."""

import contextlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qfast.cli.options import UsageError
from qfast.errors import InvalidInput

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    from matplotlib.axes import Axes

    from qfast.studies import Study

__all__ = ["STUDY_KINDS", "as_options", "draw_study", "is_study"]

#: What can be drawn of a study, and the options that belong to it.
STUDY_KINDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "curve": ("learning curves of the configurations", ("configuration", "band", "smooth")),
    "optimal": ("share of agents that are optimal, over episodes", ("configuration",)),
    "sensitivity": ("a metric over one setting, with lines for another", ("metric", "setting")),
    "map": ("a metric over two settings", ("metric", "setting")),
    "violin": ("how a metric is distributed over agents", ("metric", "configuration")),
    "ecdf": ("the same as empirical distribution functions", ("metric", "configuration")),
    "profile": ("performance profiles: share of agents above every bar", ("metric", "missing")),
    "improvement": ("how often agents of one configuration do better", ("metric", "configuration", "missing")),
    "misranking": ("how often few seeds name a wrong winner", ("metric", "configuration", "paired", "missing", "rng")),
    "named": ("which configuration few seeds name as the best", ("metric", "paired", "missing", "rng")),
}


def is_study(path: str) -> bool:
    """Tell a study from a run by its name: a folder, netCDF or zarr."""
    return Path(path).suffix in (".nc", ".zarr") or os.path.isdir(path)  # noqa: PTH112 - a name may be too long for Path


@contextlib.contextmanager
def as_options() -> "Iterator[None]":
    """Name what an error advises as the command line does."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(str(error).replace("missing='drop'", "--missing drop")) from error


def draw_study(study: "Study", kind: str, given: "Namespace") -> "Axes":
    """Draw one kind of picture of a study.

    Raises
    ------
    UsageError
        If the options name too many or too few configurations or settings.
    """
    painters: dict[str, Callable[[Study, Namespace], Axes]] = {
        "curve": _curve,
        "optimal": lambda study, given: study.plot_share_optimal(_configurations(given)),
        "sensitivity": _sensitivity,
        "map": _map,
        "violin": partial(_distribution, kind="violin"),
        "ecdf": partial(_distribution, kind="ecdf"),
        "profile": lambda study, given: study.plot_profile(given.metric, missing=given.missing or "keep"),
        "improvement": _improvement,
        "misranking": _misranking,
        "named": _named,
    }
    return painters[kind](study, given)


def _configurations(given: "Namespace") -> list[Any] | None:
    """The configurations named, numbers as numbers."""
    if given.configuration is None:
        return None
    return [int(text) if text.isascii() and text.isdigit() else text for text in given.configuration]


def _curve(study: "Study", given: "Namespace") -> "Axes":
    band = "agents" if given.band is None else None if given.band == "none" else given.band
    return study.plot_curves(_configurations(given), band=band, smooth=1 if given.smooth is None else given.smooth)


def _sensitivity(study: "Study", given: "Namespace") -> "Axes":
    settings = given.setting or []
    if len(settings) > 2:
        msg = f"--setting is there {len(settings)} times; give the one on the axis, and perhaps one with a line a value"
        raise UsageError(msg)
    first, second = (*settings, None, None)[:2]
    return study.plot_sensitivity(first, given.metric, lines=second)


def _map(study: "Study", given: "Namespace") -> "Axes":
    if given.setting is not None and len(given.setting) != 2:
        msg = f"--setting is there {len(given.setting)} time(s); a map needs two, or none: those with most values"
        raise UsageError(msg)
    return study.plot_sensitivity_map(given.setting, given.metric)


def _distribution(study: "Study", given: "Namespace", *, kind: str) -> "Axes":
    return study.plot_distribution(given.metric, _configurations(given), kind=kind)


def _improvement(study: "Study", given: "Namespace") -> "Axes":
    named = _configurations(given) or [None]
    if len(named) > 1:
        msg = f"--configuration is there {len(named)} times; name the one to compare with, or none for all pairs"
        raise UsageError(msg)
    return study.plot_improvement(given.metric, against=named[0], missing=given.missing or "keep")


def _misranking(study: "Study", given: "Namespace") -> "Axes":
    pair = _configurations(given) or [None, None]
    if len(pair) != 2:
        msg = f"--configuration is there {len(pair)} time(s); name the two to compare, or none for the best of all"
        raise UsageError(msg)
    return study.plot_misranking(pair[0], pair[1], given.metric, **_experiments(given), rng=given.rng or 0)


def _named(study: "Study", given: "Namespace") -> "Axes":
    from qfast.plots import named_shares
    from qfast.studies.misrank import fine_grid

    k = fine_grid(study, metric=given.metric, **_experiments(given))
    return named_shares(study.misranking(metric=given.metric, k=k, **_experiments(given), rng=given.rng or 0))


def _experiments(given: "Namespace") -> dict[str, Any]:
    """Which experiments are meant."""
    return {"paired": bool(given.paired), "missing": given.missing or "keep"}
