"""``qfast plot``: pictures of a saved run or study."""

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qfast.cli.options import UsageError, add_subcommand, number, whole
from qfast.cli.output import checked_out, write
from qfast.cli.plot_study import STUDY_KINDS, as_options, draw_study, is_study
from qfast.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

__all__ = ["KINDS", "add_command"]

#: What can be drawn of a run, and the options that belong to it.
KINDS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "curve": ("return of the episodes, mean and bands over agents", ("band", "smooth")),
    "lengths": ("the same for the steps of the episodes", ("band", "smooth")),
    "optimal": ("share of agents that are optimal (trained with checkpoints)", ()),
    "values": ("map of values and policy, of the mean or of one agent", ("agent",)),
    "disagreement": ("map of where agents disagree about what to do", ()),
    "q": ("how Q of one state is distributed over agents, and Q*", ("state", "gamma")),
    "census": ("the distinct greedy policies and their shares", ("gamma", "top")),
}

# What matplotlib writes without further packages.
_FORMATS: Final = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp", ".eps", ".tif", ".tiff")

_OPTIONS: Final = (
    "band", "smooth", "agent", "state", "gamma", "top", "metric", "configuration", "setting", "paired", "missing",
    "rng",
)  # fmt: skip


def _listed(kinds: dict[str, tuple[str, tuple[str, ...]]]) -> str:
    return "\n".join(f"  {kind:<13} {text}" for kind, (text, _) in kinds.items())


_EPILOG: Final = f"""\
kinds, of a run:
{_listed(KINDS)}

of a study (a .nc or .zarr file, or a folder of qfast study --out):
{_listed(STUDY_KINDS)}

examples:
  qfast plot run.npz --kind curve --smooth 20 --out curve.png
  qfast plot run.npz --kind values --agent 0 --out agent.svg
  qfast plot lake --kind misranking --metric greedy_return --out lake.png
"""


def add_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = add_subcommand(commands, "plot", run, sentence="draw a picture of a saved run or study", epilog=_EPILOG)
    parser.add_argument("file", metavar="RUN", help="a run that --out saved, or a study")
    kinds = tuple(dict.fromkeys((*KINDS, *STUDY_KINDS)))
    parser.add_argument("--kind", metavar="KIND", choices=kinds, default="curve", help="what to draw (curve)")
    out = "the picture: .png, .svg, .pdf, …; an existing one is replaced"
    parser.add_argument("--out", metavar="FILE", required=True, help=out)
    parser.add_argument("--dpi", metavar="N", type=whole, default=150, help="dots an inch, 150 by default")
    parser.add_argument(
        "--band", choices=("agents", "std", "mean", "none"), help="quantiles or spread of agents, or error of the mean"
    )
    parser.add_argument("--smooth", metavar="N", type=whole, help="average over N episodes in a row")
    of_run = parser.add_argument_group("of a run")
    of_run.add_argument("--agent", metavar="N", type=whole, help="one agent, counted from 0, and not the mean")
    of_run.add_argument("--state", metavar="NAME", help="a state, by its name; by default the start")
    of_run.add_argument("--gamma", metavar="G", type=number, help="discount to judge by, by default the run's")
    of_run.add_argument("--top", metavar="N", type=whole, help="policies with a bar of their own, 10 by default")
    of_study = parser.add_argument_group("of a study")
    of_study.add_argument("--metric", metavar="NAME", help="what is measured, auc by default")
    named = "a configuration, by its label or number; again for several"
    of_study.add_argument("--configuration", metavar="LABEL", action="append", help=named)
    of_study.add_argument("--setting", metavar="NAME", action="append", help="a setting that varied; again for two")
    paired = "experiments with few seeds share random numbers; by default their seeds are independent"
    of_study.add_argument("--paired", action="store_true", default=None, help=paired)
    left = "drop: leave agents out whose score is undefined"
    of_study.add_argument("--missing", choices=("keep", "drop"), help=left)
    of_study.add_argument("--rng", metavar="N", type=whole, help="seed of the resampling, 0 by default")


def run(arguments: Namespace) -> None:
    """Load, draw and write."""
    of_study = is_study(arguments.file)
    options = _options(arguments, STUDY_KINDS if of_study else KINDS, "study" if of_study else "run")
    out = checked_out(arguments.out, source=arguments.file)
    if out is None or out.suffix.lower() not in _FORMATS:
        msg = f"--out {arguments.out} has no ending of a picture; use {', '.join(_FORMATS[:3])}"
        raise UsageError(msg)
    if not 10 <= arguments.dpi <= 2400:
        msg = f"--dpi {arguments.dpi} is outside [10, 2400]; use 150"
        raise UsageError(msg)
    from qfast.plots.canvas import off_screen

    if of_study:
        with off_screen():
            from qfast.studies import load_study

            study = load_study(arguments.file)
            with as_options():
                drawn = draw_study(study, arguments.kind, arguments)
            _save(drawn.figure, out, arguments.dpi)
        many = f"{len(study):,} configuration{'' if len(study) == 1 else 's'}"
        write(f"{arguments.kind} of {many} drawn in {printable(out)}")
        return
    with off_screen():  # before the run is loaded: matplotlib may be missing
        from qfast.run_files import load

        loaded = load(arguments.file)
        _save(_painter(arguments.kind)(loaded, **options).figure, out, arguments.dpi)
    agents = f"{loaded.n_agents:,} agent{'' if loaded.n_agents == 1 else 's'}"
    write(f"{arguments.kind} of {agents} drawn in {printable(out)}")


def _painter(kind: str) -> "Callable[..., Axes]":
    """Pick the function that draws a kind."""
    from qfast import plots

    painters: dict[str, Callable[..., Axes]] = {
        "curve": plots.learning_curve,
        "lengths": partial(plots.learning_curve, quantity="lengths"),
        "optimal": plots.share_optimal,
        "values": plots.value_map,
        "disagreement": plots.disagreement_map,
        "q": plots.q_distribution,
        "census": plots.census_bars,
    }
    return painters[kind]


def _save(figure: Any, out: Path, dpi: int) -> None:
    """Write a picture, whole or not at all."""
    from qfast.storage.archive import replacing

    with replacing(out) as stream:
        figure.savefig(stream, format=out.suffix[1:].lower(), dpi=dpi)


def _options(arguments: Namespace, kinds: dict[str, tuple[str, tuple[str, ...]]], thing: str) -> dict[str, Any]:
    """Give the options of a kind, and refuse those of another, and kinds that there are not."""
    if arguments.kind not in kinds:
        msg = f"--kind {arguments.kind} cannot be drawn of a {thing}; use {', '.join(kinds)}"
        raise UsageError(msg)
    given = {name: getattr(arguments, name) for name in _OPTIONS}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in kinds[arguments.kind][1]:
            homes = [kind for kind, (_, options) in kinds.items() if name in options]
            where = f"it belongs to {' and '.join(homes)}" if homes else f"a {thing} has none"
            msg = f"--{name} has no meaning for --kind {arguments.kind}; {where}"
            raise UsageError(msg)
    if given.get("band") == "none":
        given["band"] = None
    return given
