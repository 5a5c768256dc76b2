"""Three ways to a study: `qfast.study`, one of its configurations again, and its folder."""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import SeedSequence

from qfast.arguments import explained, optional, path_of
from qfast.errors import BadFile, InvalidInput
from qfast.model.mdp import MDP
from qfast.model.seeding import Seed, seed_from_json
from qfast.model.settings import DEFAULT_EPSILON, DEFAULTS, meaningful, settings_in
from qfast.progress import Reporter
from qfast.studies.design import PROBLEM
from qfast.studies.folder import read_begun, read_problems, take_pieces
from qfast.studies.job import prepare
from qfast.studies.metrics import BUILT_IN, AgentBlock, Metric
from qfast.studies.result import Study
from qfast.studies.settings import decode
from qfast.training_checks import MOST_AGENTS, MOST_EPISODES, check_count, check_options

__all__ = ["problem_of", "read_folder", "rerun", "seed_of", "settings_of", "study"]


@explained
def study(
    mdp: MDP | Mapping[str, MDP] | None = None,
    *,
    vary: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]],
    n_agents: int = 10_000,
    episodes: int = 1_000,
    alpha: Any = 0.1,
    gamma: Any = 0.9,
    epsilon: Any = DEFAULT_EPSILON,
    initial_q: Any = 0.0,
    ties: str = "random",
    dtype: Any = "float32",
    rule: str = "q_learning",
    n: int = 1,
    traces: str | None = None,
    lambda_: Any = None,
    trace_cutoff: float = 0.0,
    explore: str = "epsilon_greedy",
    temperature: Any = None,
    c: Any = None,
    seed: Seed = None,
    first_agent: int = 0,
    paired: bool = True,
    metrics: Any = None,
    checkpoints: Any = 20,
    curves: bool | int | str = True,
    precision: Any = None,
    out: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    executor: Executor | None = None,
    progress: bool | Reporter | None = None,
) -> Study:
    """Train thousands of agents with each of several settings, and keep what tells the settings apart.

    Parameters
    ----------
    mdp : MDP, or mapping of str to MDP, optional
        The problem, by default the corridor; or several by name, which makes "problem" something that varies.
    vary : mapping of str to sequence, or sequence of such mappings
        What varies, and its values: any of alpha, gamma, epsilon, initial_q, rule, n, traces, lambda_, trace_cutoff,
        explore, temperature, c, ties, dtype; numbers, names, schedules such as ``qfast.linear(1, 0)``.  The study has
        one configuration for each combination.  Several mappings are several grids, one behind the other.
    n_agents : int, default 10_000
        Agents of each configuration; with ``precision`` the most that one may have.
    episodes, alpha, gamma, epsilon, initial_q, ties, dtype, rule, n, traces, lambda_, trace_cutoff, explore, \
temperature, c
        The settings that do not vary, as in `qfast.train`.  One that belongs to some ways of learning only, such as
        epsilon, is used in those configurations that have it.
    seed : int, sequence of int or numpy.random.SeedSequence, optional
        As in `qfast.train`; by default fresh, or that of the study in ``out``.
    first_agent : int, default 0
        Number of the first agent in the seed.
    paired : bool, default True
        True: agent i has the same random stream in every configuration of a problem, so that two configurations can be
        compared agent by agent; of several problems each has streams of its own, from the seed and its name.  False:
        configuration c has agents of its own, from number ``first_agent + c * n_agents`` on, the ``first_agent``
        coordinate of the dataset.  `Study.seed_sequence` shows how `qfast.train` makes any agent again, bit for bit.
    metrics : str, Metric, sequence of them, or mapping of str to Metric, optional
        What is measured of every agent.  By default ``auc``, ``final_return``, ``greedy_return``, ``regret``,
        ``optimal``, ``first_optimal`` and ``steps``.  A mapping of names to `qfast.Metric` adds to them, names and
        metrics alone or in a sequence are all that is measured.  A bare function is refused: nothing would say which
        direction is good.
    checkpoints : sequence of int, int, "log" or None, default 20
        After how many episodes agents are measured against the truth, as in `qfast.train`.
    curves : bool, int or "all", default True
        Whether to keep mean and standard deviation over agents for each episode, and quantiles for 50 episodes evenly
        spaced from the first to the last, or so many, or "all".
    precision : float, qfast.stats.PrecisionRule, or mapping of str to one of them, optional
        Add agents until the interval of the mean (of a share for ``optimal``) of one metric, ``auc`` unless it is
        named, has at most this half-width, or there are ``n_agents``.  The interval is valid although it is looked at
        repeatedly, at numbers of agents that are fixed beforehand; its level holds for each configuration by itself.
        Paired configurations go on together until the last one is known well enough; unpaired ones stop one by one.
    out : path-like, optional
        A folder in which everything complete is kept while the study runs.  The same call goes on after an
        interruption, and gives the same bits.
    threads, executor, progress
        As in `qfast.train`.

    Returns
    -------
    Study

    Raises
    ------
    InvalidInput
        If anything is out of range, unknown or without meaning, or ``out`` holds another study; before any work.
    MissingExtra
        If xarray or SciPy is not installed.
    Interrupted
        On Ctrl-C, within a second; its ``study`` holds what was complete.
    Unfinished
        If a worker of the executor died, its connection was lost, or ``out`` cannot be written any more; with what was
        complete.
    BadFile
        If what ``out`` has of an unfinished study is damaged.

    Warns
    -----
    DivergedWarning
        If Q of some agents came to inf or NaN: ``dataset["agents_diverged"]`` counts them.
    PrecisionWarning
        If a step size is so small for the size of the values that updates will be lost to rounding.
    DamagedPartWarning
        If a piece of ``out`` was damaged, and is made again.

    Examples
    --------
    >>> import qfast
    >>> study = qfast.study(vary={"alpha": [0.1, 0.5]}, n_agents=128, episodes=100, seed=0, progress=False)
    >>> study.labels, study.scores("optimal").mean(axis=1).tolist()
    (['alpha=0.1', 'alpha=0.5'], [1.0, 1.0])
    >>> one = qfast.train(alpha=0.5, episodes=100, seed=0, first_agent=7, n_agents=1, record="returns", progress=False)
    >>> float(one.lengths.sum()) == float(study.scores("steps", "alpha=0.5")[7])
    True
    """
    fixed = settings_in(locals())
    n_agents = check_count("n_agents", n_agents, most=MOST_AGENTS)
    episodes = check_count("episodes", episodes, most=MOST_EPISODES)
    first_agent = check_count("first_agent", first_agent, least=0, most=MOST_AGENTS)
    check_options(threads, executor, None)
    if not isinstance(paired, (bool, np.bool_)):
        msg = f"paired={paired!r:.40} is neither True nor False; use True to give agent i the same stream everywhere"
        raise InvalidInput(msg)
    if out is not None:
        out = path_of(out, "out")
    optional("xarray", "study", "a study needs it")
    optional("scipy", "study", "a study needs it")
    job = prepare(
        mdp, vary, fixed, n_agents=n_agents, episodes=episodes, seed=seed, first_agent=first_agent, paired=bool(paired),
        metrics=metrics, checkpoints=checkpoints, curves=curves, precision=precision, out=out, executor=executor,
    )  # fmt: skip
    return job.run(threads=threads, executor=executor, progress=progress)


def settings_of(study: Study, number: int) -> dict[str, Any]:
    """The settings of a configuration, as `qfast.train` takes them."""
    attributes = study.dataset.attrs
    fixed = {name: decode(value) for name, value in json.loads(attributes["settings"]).items()}
    own: dict[str, Any] = json.loads(attributes["configurations"])[number]
    return meaningful(DEFAULTS | fixed | {name: decode(value) for name, value in own.items()})


def problem_of(study: Study, number: int) -> str:
    """The name of a configuration's problem."""
    if PROBLEM in study.varied:
        return str(study.dataset[PROBLEM].to_numpy()[number])
    names = list(json.loads(study.dataset.attrs["problems"]))
    return str(names[0])


def seed_of(study: Study, number: int) -> SeedSequence:
    """The seed of a configuration's agents: that of its problem."""
    return seed_from_json(json.loads(study.dataset.attrs["problem_seeds"])[problem_of(study, number)])


def rerun(
    study: Study,
    configuration: Any,
    n_agents: int | None,
    seed: Any,
    *,
    threads: int | None,
    executor: Executor | None,
    progress: Any,
) -> Study:
    """Train a configuration again; see `qfast.Study.rerun`."""
    number = study.find(configuration)
    name = problem_of(study, number)
    if name not in study.problems:
        raise InvalidInput(f"the study does not hold the problem {name!r}; run it again with qfast.study")
    count = study.n_agents if n_agents is None else n_agents
    check_count("n_agents", count)
    check_options(threads, executor, None)
    first = 0
    if seed is None:
        seed = seed_of(study, number)
        first = int(study.dataset["first_agent"].max()) + study.n_agents
    settings = settings_of(study, number)
    varied = {key: [settings[key]] for key in study.varied if key != PROBLEM}
    known = {metric.name: metric for metric in study.functions} | BUILT_IN
    job = prepare(
        {name: study.problems[name]}, varied, settings, n_agents=count, episodes=study.episodes, seed=seed,
        first_agent=first, paired=True, metrics=[known[key] for key in study.metrics if key in known],
        checkpoints=study.dataset["checkpoint"].to_numpy().tolist() if "checkpoint" in study.dataset else None,
        curves=study.n_quantile_episodes or False, precision=None, out=None, executor=executor,
    )  # fmt: skip
    return job.run(threads=threads, executor=executor, progress=progress)

def read_folder(path: Path) -> Study:
    """Read a study from its folder; see `qfast.load_study`."""
    optional("xarray", "study", "a study needs it")
    if (path / "study.json").is_file():
        msg = f"{path} was written by an earlier state of qfast, whose studies cannot be read; run the study again"
        raise BadFile(msg)
    there = read_begun(path)
    try:
        problems = read_problems(path, there)
        vary = [{name: [decode(v) for v in values] for name, values in grid.items()} for grid in there["vary"]]
        fixed = DEFAULTS | {name: decode(value) for name, value in there["settings"].items()}
        seed = seed_from_json(there["seed"])
        metrics = [
            Metric(_not_kept, name, **there["own_metrics"][name])
            if name in there["own_metrics"]
            else BUILT_IN[name]
            for name in there["metrics"]
        ]
        job = prepare(
            problems, vary, fixed, n_agents=check_count("n_agents", there["n_agents"], most=MOST_AGENTS),
            episodes=check_count("episodes", there["episodes"], most=MOST_EPISODES), seed=seed,
            first_agent=check_count("first_agent", there["first_agent"], least=0, most=MOST_AGENTS),
            paired=there["paired"], metrics=metrics,
            checkpoints=there["checkpoints"] or None, curves=there["curves"] or False, precision=None, out=None,
            executor=None,
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, OSError, ValueError) as error:
        raise BadFile(f"{path} does not hold a whole study ({error}); run it again") from error
    job.about["precision"] = there["precision"]
    try:
        take_pieces(path, there, job.totals, job.shapes)
    except BadFile as error:
        raise BadFile(f"{error} (or run the study again with out={str(path)!r})") from error
    left = len(job.design) - len(job.totals.finished)
    if left:
        msg = f"{path}: {left:,} of {len(job.design):,} configurations are not complete; run the same study again"
        raise BadFile(msg)
    return replace(job.result(), functions=())


def _not_kept(block: AgentBlock) -> Any:
    """Stand for a function of the user's own, which a folder does not hold."""
    raise InvalidInput(f"metrics of one's own are not kept with a study; {len(block.agents)} agents cannot be measured")

