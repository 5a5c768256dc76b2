"""The report of a study: question, settings, findings, tables and pictures, and how to get it all again."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from qfast.arguments import path_of
from qfast.errors import InvalidInput
from qfast.plots.canvas import matplotlib
from qfast.reports.context import Context
from qfast.reports.frame import head, methods, reproduce, settings
from qfast.reports.html import page
from qfast.reports.results import (
    comparisons,
    curves,
    distributions,
    optimality,
    seeds,
    sensitivities,
    summaries,
    winner,
)
from qfast.stats._check import Missing, Rng, check_missing, check_open_unit, check_rng
from qfast.storage.archive import check_file, replacing
from qfast.studies.select import metric_of
from qfast.text import check_printable

if TYPE_CHECKING:
    from qfast.studies.result import Study

_ENDINGS = (".html", ".htm")


def write_report(
    study: "Study",
    path: str | os.PathLike[str],
    *,
    metric: str | None = None,
    title: str | None = None,
    level: float = 0.95,
    rerun: bool = True,
    missing: Missing = "keep",
    rng: Rng = 0,
) -> Path:
    """Write a study as one HTML page: pictures inside, nothing loaded, readable on a phone and in print.

    Parameters
    ----------
    study : Study
    path : path-like
        The file, ``*.html``; an existing one is replaced.  It is written whole or not at all, and a path that cannot be
        written is refused before any work.
    metric : str, optional
        What configurations are judged by; by default ``"auc"``.
    title : str, optional
        By default the question, made of what was varied.
    level : float, default 0.95
        Confidence level of the intervals, in (0, 1).
    rerun : bool, default True
        Whether to run the winner again on fresh seeds, which takes as long as one configuration took.
    missing : {"keep", "drop"}, default "keep"
        What becomes of agents whose score is undefined: "keep": where they could change an answer there is none, and
        the page says so; "drop": answers are about the others alone, and say how many that are.
    rng : int, SeedSequence, Generator or None, default 0
        Randomness where probabilities are resampled (SPEC 7).

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    InvalidInput
        If the path cannot be written, the metric does not exist, or level is out of range.
    MissingExtra
        If matplotlib is not installed.

    Examples
    --------
    >>> import qfast, tempfile
    >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=200, episodes=50, seed=0, progress=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     text = write_report(study, folder + "/study.html", rerun=False).read_text("utf-8")
    >>> text[:15], "://" in text
    ('<!DOCTYPE html>', False)
    """
    target = check_target(path)
    text = render_report(study, metric=metric, title=title, level=level, rerun=rerun, missing=missing, rng=rng)
    return write_whole(target, text)


def render_report(
    study: "Study",
    *,
    metric: str | None = None,
    title: str | None = None,
    level: float = 0.95,
    rerun: bool = True,
    missing: Missing = "keep",
    rng: Rng = 0,
) -> str:
    """Give the page as text; see `write_report`."""
    check_open_unit(level, "level", 0.95)
    check_missing(missing)
    if title is not None:
        check_printable("title", str(title))
    matplotlib("figure")  # before any work: it may be missing
    context = Context(study, metric_of(study, metric), level, rerun, check_rng(rng), missing)
    parts = [settings(context)]
    for problem in context.problems:
        here = context.within(problem)
        builders = (summaries, curves, sensitivities, distributions, comparisons, winner, seeds, optimality)
        parts += [part for build in builders if (part := build(here)) is not None]
    parts += [methods(context), reproduce(context)]
    heading = context.question if title is None else title
    main = "\n".join(part.html for part in parts)
    return page(heading, f"{head(context, heading, parts)}\n<main>\n{main}\n</main>\n{context.footer}")


def check_target(path: str | os.PathLike[str]) -> Path:
    """Make sure, before any work, that a report can be written.

    >>> check_target("study.pdf")
    Traceback (most recent call last):
    ...
    qfast.errors.InvalidInput: study.pdf does not end in .html or .htm; a report is an HTML page, such as study.html
    """
    matplotlib("figure")
    target = path_of(path)
    if target.suffix.lower() not in _ENDINGS:
        msg = f"{target} does not end in .html or .htm; a report is an HTML page, such as {target.stem or 'study'}.html"
        raise InvalidInput(msg)
    try:
        check_file(target)
        # Writing uses a name that is a little longer; trying it also finds names that are too long.
        trial = f".{target.name}.{os.getpid()}-"
        tempfile.NamedTemporaryFile(dir=target.parent, prefix=trial, suffix=".tmp").close()
    except OSError as error:
        msg = f"{target!s:.80} cannot be written ({error.strerror}); name a file in a folder that you may write to"
        raise InvalidInput(msg) from error
    return target


def write_whole(target: Path, text: str) -> Path:
    """Write a text under another name, then give it its own in one step: readers see the old or the new file."""
    with replacing(target) as stream:
        stream.write(text.encode())
    return target
