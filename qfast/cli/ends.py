"""How training commands end: complete, or interrupted with a part of the agents."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qfast.cli.output import tell, write_json

if TYPE_CHECKING:
    from qfast.run import Run

__all__ = ["kept", "report_run", "told_when_unsaved"]


@contextlib.contextmanager
def kept(out: Path | None) -> Iterator[None]:
    """Save what is complete when training is interrupted, and say so.

    Parameters
    ----------
    out : pathlib.Path or None
        Where to.

    Raises
    ------
    KeyboardInterrupt
        The interruption, always passed on.
    """
    try:
        yield
    except KeyboardInterrupt as interruption:
        run: Run | None = getattr(interruption, "run", None)
        if run is None:
            tell("interrupted before any agent was complete; nothing is saved")
        elif out is None:
            tell(f"interrupted; {_agents(run)} complete but not saved (--out FILE would keep them)")
        else:
            _keep(run, out)
        raise


def _keep(run: "Run", out: Path) -> None:
    """Save what is complete of an interrupted training, and say so."""
    goes_on = out.is_dir() or out.with_name(f"{out.name}.parts").is_dir()
    more = "; the same command goes on from there" * goes_on
    older = out.is_file() and not run.work  # a complete run: what was interrupted must not take its place
    if not older and not run.work and not out.is_dir():
        try:
            run.save(out)
        except KeyboardInterrupt:  # once more
            tell(f"interrupted; {_agents(run)} complete, and {out} is not written{more}")
            raise
    saved = f"complete; {out} is left as it was" if older else f"complete and saved in {out}"
    tell(f"interrupted; {_agents(run)} {saved}{more}")


@contextlib.contextmanager
def told_when_unsaved(name: str, *, as_json: bool, threads: int | None) -> Iterator[None]:
    """Sum up a run that is complete but could not be saved, before the error is passed on."""
    from qfast.errors import Unfinished

    try:
        yield
    except Unfinished as error:
        run: Run | None = getattr(error, "run", None)
        if run is not None and run.work:  # all agents are complete
            _show(run, None, name, threads, as_json=as_json)
        raise


def _agents(run: "Run") -> str:
    return f"{run.n_agents:,} agents are" if run.n_agents > 1 else "1 agent is"


def report_run(
    run: "Run",
    *,
    out: Path | None,
    name: str | None,
    as_json: bool,
    threads: int | None = None,
    saved: bool = False,
) -> None:
    """Save a run, unless it is, and sum it up on standard output.

    Parameters
    ----------
    run : Run
        The run.
    out : pathlib.Path or None
        Where to save it.
    name : str or None
        The problem's name, if it is known.
    as_json : bool
        Whether to write JSON.
    threads : int or None
        Threads asked for.
    saved : bool
        Whether it is saved already.

    Raises
    ------
    OSError
        If the run cannot be saved after all; it is summed up nevertheless.
    """
    failure: OSError | None = None
    if out is not None and not saved:
        try:
            run.save(out)  # first of all: what comes after may fail at a closed pipe
        except KeyboardInterrupt:
            tell(f"interrupted while {_agents(run)} complete and being saved; {out} is not written")
            raise
        except OSError as error:  # show at least what was learned
            out, failure = None, error
    _show(run, out, name, threads, as_json=as_json)
    if failure is not None:
        raise failure


def _show(run: "Run", out: Path | None, name: str | None, threads: int | None, *, as_json: bool) -> None:
    from qfast.cli.population import Population

    people = Population.of(run)
    if as_json:
        write_json({"out": None if out is None else str(out), **people.to_json()})
        return
    from qfast.cli.pages import population_page, problem_title
    from qfast.cli.screen import Line, show

    saved = "not saved; --out run.npz keeps it" if out is None else f'saved in {out}; "qfast show {out}" shows more'
    page = population_page(people, title=problem_title(run.mdp, name), threads=threads)
    show([*page, Line(saved)])
