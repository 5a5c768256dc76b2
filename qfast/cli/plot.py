"""``qfast plot`` and ``qfast report``: pictures of a saved run or study, and a page about a study."""

import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qfast.cli.options import UsageError, add_answer, add_subcommand, number, whole
from qfast.cli.output import checked_out, write
from qfast.errors import InvalidInput
from qfast.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qfast.studies import Study

Options = dict[str, Any]


class Kind(NamedTuple):
    """What can be drawn: a line of help, the options that it takes, and what draws it with those that were given."""

    text: str
    options: tuple[str, ...]
    draw: Callable[[Any, Options], "Axes"]


def _with(name: str, **fixed: Any) -> Callable[[Any, Options], "Axes"]:
    """Draw a run with a function of `qfast.plots`, which is imported then."""
    return lambda run, options: getattr(import_module("qfast.plots"), name)(run, **fixed, **options)


def _sensitivity(study: "Study", options: Options) -> "Axes":
    settings = _several(options, "setting", (0, 1, 2), "give the one on the axis, and perhaps one with a line a value")
    first, second = (*settings, None, None)[:2]
    return study.plot_sensitivity(first, options.get("metric"), lines=second)


def _map(study: "Study", options: Options) -> "Axes":
    settings = _several(options, "setting", (0, 2), "a map needs two, or none: those with most values")
    return study.plot_sensitivity_map(settings or None, options.get("metric"))


def _distribution(study: "Study", options: Options, *, kind: str = "violin") -> "Axes":
    return study.plot_distribution(options.get("metric"), options.get("configuration"), kind=kind)


def _improvement(study: "Study", options: Options) -> "Axes":
    named = _several(options, "configuration", (0, 1), "name the one to compare with, or none for all pairs")
    return study.plot_improvement(against=named[0] if named else None, **options)


def _misranking(study: "Study", options: Options) -> "Axes":
    pair = _several(options, "configuration", (0, 2), "name the two to compare, or none for the best of all")
    options.setdefault("rng", 0)
    return study.plot_misranking(*pair, **options)


def _named(study: "Study", options: Options) -> "Axes":
    from qfast.plots import named_shares
    from qfast.studies.misrank import fine_grid

    rng = options.pop("rng", 0)
    return named_shares(study.misranking(k=fine_grid(study, **options), rng=rng, **options))


def _several(options: Options, name: str, allowed: tuple[int, ...], advice: str) -> list[Any]:
    """Take what may be given several times, in one of these numbers, out of the options."""
    values: list[Any] = options.pop(name, [])
    if len(values) not in allowed:
        raise UsageError(f"--{name} is there {len(values)} time{'s' * (len(values) > 1)}; {advice}")
    return values


#: What can be drawn of a run.
KINDS: Final = {
    "curve": Kind("return of the episodes, mean and bands over agents", ("band", "smooth"), _with("learning_curve")),
    "lengths": Kind(
        "the same for the steps of the episodes", ("band", "smooth"), _with("learning_curve", quantity="lengths")
    ),
    "optimal": Kind("share of agents that are optimal (trained with checkpoints)", (), _with("share_optimal")),
    "values": Kind("map of values and policy, of the mean or of one agent", ("agent",), _with("value_map")),
    "disagreement": Kind("map of where agents disagree about what to do", (), _with("disagreement_map")),
    "q": Kind("how Q of one state is distributed over agents, and Q*", ("state", "gamma"), _with("q_distribution")),
    "census": Kind("the distinct greedy policies and their shares", ("gamma", "top"), _with("census_bars")),
}

#: What can be drawn of a study.
STUDY_KINDS: Final = {
    "curve": Kind(
        "learning curves of the configurations",
        ("configuration", "band", "smooth"),
        lambda study, options: study.plot_curves(options.pop("configuration", None), **options),
    ),
    "optimal": Kind(
        "share of agents that are optimal, over episodes",
        ("configuration",),
        lambda study, options: study.plot_share_optimal(options.get("configuration")),
    ),
    "sensitivity": Kind("a metric over one setting, with lines for another", ("metric", "setting"), _sensitivity),
    "map": Kind("a metric over two settings", ("metric", "setting"), _map),
    "violin": Kind("how a metric is distributed over agents", ("metric", "configuration"), _distribution),
    "ecdf": Kind(
        "the same as empirical distribution functions", ("metric", "configuration"), partial(_distribution, kind="ecdf")
    ),
    "profile": Kind(
        "performance profiles: share of agents above every bar",
        ("metric", "missing"),
        lambda study, options: study.plot_profile(**options),
    ),
    "improvement": Kind(
        "how often agents of one configuration do better", ("metric", "configuration", "missing"), _improvement
    ),
    "misranking": Kind(
        "how often few seeds name a wrong winner", ("metric", "configuration", "paired", "missing", "rng"), _misranking
    ),
    "named": Kind("which configuration few seeds name as the best", ("metric", "paired", "missing", "rng"), _named),
}

# What matplotlib writes without further packages.
_FORMATS: Final = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".webp", ".eps", ".tif", ".tiff")


def _listed(kinds: Mapping[str, Kind]) -> str:
    return "\n".join(f"  {name:<13} {kind.text}" for name, kind in kinds.items())


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

_EPILOG_OF_REPORT = """\
The page needs no network and no other file; it can be read on a phone, printed
and sent. The winner is trained again on fresh seeds unless --no-rerun is given.

examples:
  qfast report lake --out lake.html
  qfast report study.nc --metric greedy_return --out study.html
"""


def add_plot(commands: Any) -> None:
    """Add ``qfast plot``."""
    sentence = "draw a picture of a saved run or study"
    parser = add_subcommand(commands, "plot", _plot, sentence=sentence, epilog=_EPILOG)
    parser.add_argument("file", metavar="RUN", help="a run that --out saved, or a study")
    kinds = tuple(dict.fromkeys((*KINDS, *STUDY_KINDS)))
    parser.add_argument("--kind", metavar="KIND", choices=kinds, default="curve", help="what to draw (curve)")
    out = "the picture: .png, .svg, .pdf, …; an existing one is replaced"
    parser.add_argument("--out", metavar="FILE", required=True, help=out)
    parser.add_argument("--dpi", metavar="N", type=whole, default=150, help="dots an inch, 150 by default")
    band = "quantiles or spread of agents, or error of the mean"
    parser.add_argument("--band", choices=("agents", "std", "mean", "none"), help=band)
    parser.add_argument("--smooth", metavar="N", type=whole, help="average over N episodes in a row")
    of_run = parser.add_argument_group("of a run")
    of_run.add_argument("--agent", metavar="N", type=whole, help="one agent, counted from 0, and not the mean")
    of_run.add_argument("--state", metavar="NAME", help="a state, by its name; by default the start")
    of_run.add_argument("--gamma", metavar="G", type=number, help="discount to judge by, by default the run's")
    of_run.add_argument("--top", metavar="N", type=whole, help="policies with a bar of their own, 10 by default")
    of_study = parser.add_argument_group("of a study")
    named = "a configuration, by its label or number; again for several"
    of_study.add_argument("--configuration", metavar="LABEL", type=_configuration, action="append", help=named)
    of_study.add_argument("--setting", metavar="NAME", action="append", help="a setting that varied; again for two")
    paired = "experiments with few seeds share random numbers; by default their seeds are independent"
    of_study.add_argument("--paired", action="store_true", default=None, help=paired)
    add_answer(of_study, "is measured", missing=None, rng=None)


def add_report(commands: Any) -> None:
    """Add ``qfast report``."""
    sentence = "write a page about a study"
    parser = add_subcommand(commands, "report", _report, sentence=sentence, epilog=_EPILOG_OF_REPORT)
    parser.add_argument("file", metavar="STUDY", help="a .nc or .zarr file, or a folder of qfast study --out")
    parser.add_argument("--out", metavar="FILE", required=True, help="the page, .html; an existing one is replaced")
    parser.add_argument("--title", metavar="TEXT", help="by default the question, made of what was varied")
    parser.add_argument("--level", metavar="X", type=number, default=0.95, help="of the confidence intervals (0.95)")
    parser.add_argument("--no-rerun", action="store_true", help="do not train the winner again")
    add_answer(parser, "configurations are judged by")


def _plot(arguments: Namespace) -> None:
    """Load, draw and write."""
    of_study = is_study(arguments.file)
    kinds, thing = (STUDY_KINDS, "study") if of_study else (KINDS, "run")
    options = _options(arguments, kinds, thing)
    out = checked_out(arguments.out, source=arguments.file)
    if out is None or out.suffix.lower() not in _FORMATS:
        raise UsageError(f"--out {arguments.out} has no ending of a picture; use {', '.join(_FORMATS[:3])}")
    if not 10 <= arguments.dpi <= 2400:
        raise UsageError(f"--dpi {arguments.dpi} is outside [10, 2400]; use 150")
    from qfast.plots.canvas import off_screen
    from qfast.storage.archive import replacing

    with off_screen():  # before anything is loaded: matplotlib may be missing
        loaded = _load(arguments.file, of_study=of_study)
        try:
            figure: Any = kinds[arguments.kind].draw(loaded, options).figure
        except InvalidInput as error:  # named as the command line does
            raise InvalidInput(str(error).replace("missing='drop'", "--missing drop")) from error
        with replacing(out) as stream:
            figure.savefig(stream, format=out.suffix[1:].lower(), dpi=arguments.dpi)
    many = _many(loaded, "configuration") if of_study else _many(range(loaded.n_agents), "agent")
    write(f"{arguments.kind} of {many} drawn in {printable(out)}")


def _report(arguments: Namespace) -> None:
    """Load and write."""
    if not is_study(arguments.file):
        raise UsageError(f"{arguments.file} is no study; give a .nc or .zarr file, or a folder of qfast study --out")
    from qfast.plots.canvas import off_screen
    from qfast.reports import check_target

    target = check_target(arguments.out)  # before the study is loaded
    with off_screen():
        study = _load(arguments.file, of_study=True)
        study.report(
            target, metric=arguments.metric, title=arguments.title, level=arguments.level,
            rerun=not arguments.no_rerun, missing=arguments.missing, rng=arguments.rng,
        )  # fmt: skip
    write(f"report of {_many(study, 'configuration')} written to {printable(target)}")


def is_study(path: str) -> bool:
    """Tell a study from a run by its name: a folder, netCDF or zarr."""
    return Path(path).suffix in (".nc", ".zarr") or os.path.isdir(path)  # noqa: PTH112 - a name may be too long for Path


def _load(path: str, *, of_study: bool) -> Any:
    if of_study:
        from qfast.studies import load_study

        return load_study(path)
    from qfast.run_files import load

    return load(path)


def _many(things: Any, name: str) -> str:
    return f"{len(things):,} {name}{'' if len(things) == 1 else 's'}"


def _configuration(text: str) -> int | str:
    """A configuration's number, or its label."""
    return int(text) if text.isascii() and text.isdigit() else text


def _options(arguments: Namespace, kinds: Mapping[str, Kind], thing: str) -> Options:
    """Give the options of a kind, and refuse those of another, and kinds that there are not."""
    if arguments.kind not in kinds:
        raise UsageError(f"--kind {arguments.kind} cannot be drawn of a {thing}; use {', '.join(kinds)}")
    every = dict.fromkeys(name for kind in (*KINDS.values(), *STUDY_KINDS.values()) for name in kind.options)
    given = {name: value for name in every if (value := getattr(arguments, name)) is not None}
    for name in given:
        if name not in kinds[arguments.kind].options:
            homes = [other for other, kind in kinds.items() if name in kind.options]
            where = f"it belongs to {' and '.join(homes)}" if homes else f"a {thing} has none"
            raise UsageError(f"--{name} has no meaning for --kind {arguments.kind}; {where}")
    if given.get("band") == "none":
        given["band"] = None
    return given
