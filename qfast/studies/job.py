"""A study that is ready to run: everything is checked, nothing is trained."""

import time
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from qfast import __version__
from qfast.arguments import path_of
from qfast.engine.curve import LEVELS
from qfast.engine.divergence import why_diverged
from qfast.engine.machine import available_memory, default_threads
from qfast.engine.progress import Reporter
from qfast.engine.remote import count_workers
from qfast.errors import DivergedWarning, Interrupted, InvalidInput, PrecisionWarning, Unfinished, warn_caller
from qfast.execution import make_plan
from qfast.model.magnitudes import lost_updates
from qfast.model.mdp import MDP
from qfast.model.seeding import Seed, as_seed_sequence, seed_from_json, seed_in_words, seed_of_problem, seed_to_json
from qfast.storage.work_folder import read_work
from qfast.studies.dataset import as_json, make_dataset
from qfast.studies.describe import default_quantile_episodes, study_code
from qfast.studies.design import PROBLEM, Configuration, Design, make_design
from qfast.studies.engine import check_picklable, execute, memory_needed
from qfast.studies.folder import KIND, Folder
from qfast.studies.measure import Watch
from qfast.studies.metrics import TRUTH, Metric, choose_metrics, final_window, own_metric
from qfast.studies.part import Records, Task, Wanted
from qfast.studies.precision import Goal, make_goal
from qfast.studies.result import Study
from qfast.studies.settings import encode
from qfast.studies.totals import Curves, Totals
from qfast.training_checks import check_problem, largest_that

__all__ = ["Job", "prepare"]

#: Episodes that are recorded before they are summed up, at most.
_STRETCH: Final = 128

#: The default number of checkpoints.
_CHECKPOINTS: Final = 20


@dataclass(frozen=True)
class Job:
    """A study that is ready to run.

    Attributes
    ----------
    design : Design
    metrics : tuple of Metric
    goal : Goal or None
    paired : bool
    tasks : tuple of Task
        One a configuration.
    first_agents : ndarray of int64, shape (C,)
    checkpoints, quantile_episodes : ndarray of int64
        From 1.
    about : dict
        What tells the study from every other, as JSON holds it.
    totals : Totals
        What is there already.
    folder : Folder or None
    """

    design: Design
    metrics: tuple[Metric, ...]
    goal: Goal | None
    paired: bool
    tasks: tuple[Task, ...]
    first_agents: NDArray[np.int64]
    checkpoints: NDArray[np.int64]
    quantile_episodes: NDArray[np.int64]
    about: dict[str, Any]
    totals: Totals
    folder: Folder | None

    @property
    def shapes(self) -> Curves:
        """Arrays of the shapes that a configuration's curves have."""
        over = np.zeros(self.about["episodes"] if self.about["curves"] else 0)
        checkpoints = np.zeros(self.checkpoints.size)
        quantiles = np.zeros((len(LEVELS), self.quantile_episodes.size))
        return Curves(over, over, quantiles, checkpoints, checkpoints)

    def run(
        self, *, threads: int | None = None, executor: Executor | None = None, progress: bool | Reporter | None = None
    ) -> Study:
        """Train what is missing; see `qfast.study`."""
        try:
            return self._run(threads=threads, executor=executor, progress=progress)
        finally:
            if self.folder is not None:
                self.folder.close()

    def _run(
        self, *, threads: int | None, executor: Executor | None, progress: bool | Reporter | None
    ) -> Study:
        totals = self.totals
        self._warn_of_lost_updates()
        again = f"; the same call with out={str(self.folder.path)!r} goes on" if self.folder is not None else ""
        try:
            cut_short = execute(
                self.tasks, totals, goal=self.goal, paired=self.paired, folder=self.folder, threads=threads,
                executor=executor, progress=progress,
            )  # fmt: skip
        except (BrokenExecutor, CancelledError, OSError) as error:  # a worker died, the connection, the disk
            complete, what = len(totals.finished), f"{type(error).__name__}: {error}"
            msg = f"{what}; {complete} of {len(self.design)} configurations were complete{again}"
            raise Unfinished(msg, study=self.result() if complete else None) from error
        except KeyboardInterrupt as error:  # while the last piece was being written, or a second one
            if self.folder is not None:
                self.folder.flush(totals, totals.seconds, now=True)
            whole = len(totals.finished) == len(self.design)  # else something may be half merged
            raise Interrupted(self._stopped(again), study=self.result() if whole else None) from error
        if cut_short:
            raise Interrupted(self._stopped(again), study=self.result() if totals.finished else None)
        self._warn_of_divergence()
        return self.result()

    def _stopped(self, again: str) -> str:
        complete, agents = len(self.totals.finished), int(self.totals.done.sum())
        return f"stopped; {complete} of {len(self.design)} configurations ({agents:,} agents) were complete{again}"

    def _warn_of_lost_updates(self) -> None:
        """Say which configurations have step sizes that are too small for their values."""
        texts = [(one.label, lost_updates(one.mdp, one.learner)) for one in self.design.configurations]
        found = [f"{label}: {text}" for label, text in texts if text is not None]
        if found:
            more = f" (and so in {len(found) - 1} more configurations)" if len(found) > 1 else ""
            warn_caller(f"{found[0]}{more}", PrecisionWarning)

    def _warn_of_divergence(self) -> None:
        """Say which configurations have agents that diverged, and how many."""
        diverged, done = self.totals.n_diverged, self.totals.done
        found = np.flatnonzero(diverged)
        if found.size:
            shown = "; ".join(
                f"{self.design.configurations[c].label}: {diverged[c]:,} of {done[c]:,} agents" for c in found[:3]
            )
            more = f"; and {found.size - 3} more configurations" if found.size > 3 else ""
            why = why_diverged(self.design.configurations[found[0]].learner)
            text = f"agents have diverged ({shown}{more}): {why} (dataset['agents_diverged'] counts them)"
            warn_caller(text, DivergedWarning)

    def result(self) -> Study:
        """Name what has come in."""
        for number in range(len(self.design)):
            if not self.totals.done[number]:  # the study was cut short
                self.totals.finished[number] = self.shapes.unknown()
            self.totals.finish(number)
        dataset = make_dataset(
            self.design.configurations, self.design.names, self.metrics, self.totals, episodes=self.about["episodes"],
            quantile_episodes=self.quantile_episodes, checkpoints=self.checkpoints, first_agents=self.first_agents,
            attributes=_attributes(self.design, self.totals, self.about),
        )  # fmt: skip
        own = tuple(metric for metric in self.metrics if metric.function is not None)
        return Study(dataset, self.design.problems, own)


def prepare(
    mdp: Any,
    vary: Any,
    fixed: dict[str, Any],
    *,
    n_agents: int,
    episodes: int,
    seed: Seed,
    first_agent: int,
    paired: bool,
    metrics: Any,
    checkpoints: Any,
    curves: Any,
    precision: Any,
    out: Any,
    executor: Executor | None,
) -> Job:
    """Check everything and put it together; parameters and errors as in `qfast.study`."""
    out = None if out is None else path_of(out, "out")
    design = make_design(mdp, vary, fixed, n_agents=n_agents, episodes=episodes)
    for configuration in design.configurations:
        check_problem(configuration.mdp, configuration.learner)
    chosen = choose_metrics(metrics, design.names)
    goal = make_goal(precision, chosen)
    when = _checkpoints(checkpoints, episodes)
    quantile_episodes = _quantile_episodes(curves, episodes)
    sequence = _seed(seed, out)
    firsts = first_agent + np.arange(len(design), dtype=np.int64) * (0 if paired else n_agents)
    seeds = problem_seeds(sequence, list(design.problems))
    tasks = tuple(
        _task(one, chosen, when, quantile_episodes, seeds[one.problem], int(first), episodes,
              curves=curves is not False)
        for one, first in zip(design.configurations, firsts, strict=True)
    )
    check_picklable(tasks, executor)
    _check_memory(tasks, n_agents, all_open=goal is not None, executor=executor)
    about = _about(design, chosen, goal, sequence, n_agents=n_agents, episodes=episodes, paired=paired,
                   first_agent=first_agent, checkpoints=when, quantile_episodes=quantile_episodes)  # fmt: skip
    totals = Totals(len(chosen), len(design), n_agents, quantile_episodes.size)
    folder = None
    if out is not None:
        folder = Folder(out, about, design.problems)
    job = Job(
        design, chosen, goal, paired, tasks, firsts, np.array(when, np.int64), quantile_episodes, about, totals, folder
    )
    if folder is not None:
        try:
            folder.load(totals, job.shapes)
        except BaseException:
            folder.close()
            raise
    return job


def _seed(seed: Seed, out: Any) -> SeedSequence:
    """The seed; if none is given, that of the study in the folder."""
    begun = None if seed is not None or out is None else read_work(out, KIND)
    return as_seed_sequence(seed) if begun is None else seed_from_json(begun["seed"])


def problem_seeds(seed: SeedSequence, names: Sequence[str]) -> dict[str, SeedSequence]:
    """The seed of each problem: of one alone the study's; of several each its own, since agents are paired within one.

    Shared streams would make similar problems alike, and what is averaged over them less certain than it looks.
    """
    if len(names) == 1:
        return {names[0]: seed}
    return {name: as_seed_sequence(seed_of_problem(seed, name)) for name in names}


def _checkpoints(checkpoints: Any, episodes: int) -> tuple[int, ...]:
    if checkpoints is None:
        return ()
    from qfast.truth.checkpoints import checkpoint_episodes

    if isinstance(checkpoints, int) and checkpoints == _CHECKPOINTS > episodes:
        checkpoints = episodes  # the default must not refuse a short study
    return checkpoint_episodes(checkpoints, episodes)


def _quantile_episodes(curves: Any, episodes: int) -> Any:
    """The episodes that quantiles are kept for, from 1."""
    if curves is True:
        count = default_quantile_episodes(episodes)
    elif curves is False:
        count = 0
    elif isinstance(curves, str) and curves == "all":
        count = episodes
    elif isinstance(curves, (int, np.integer)) and curves >= 1:
        count = min(int(curves), episodes)
    else:
        msg = f"curves={curves!r:.40} is unknown; use True, False, 'all', or how many episodes get quantiles, as in 100"
        raise InvalidInput(msg)
    return np.unique(np.linspace(1, episodes, count).round().astype(np.int64))


def _task(
    configuration: Configuration,
    metrics: tuple[Metric, ...],
    checkpoints: tuple[int, ...],
    quantile_episodes: Any,
    seed: SeedSequence,
    first_agent: int,
    episodes: int,
    *,
    curves: bool,
) -> Task:
    wanted = Wanted(
        last=final_window(episodes),
        curves=curves,
        quantile_episodes=tuple((quantile_episodes - 1).tolist()),
        keep=any(metric.function is not None for metric in metrics),
    )
    plan = make_plan(
        configuration.mdp, configuration.learner, seed, first_agent=first_agent, episodes=episodes, record="summary"
    )
    if not wanted.keep:  # steps are counted by the random numbers; only functions of the user's own want lengths
        plan = replace(plan, spec=replace(plan.spec, records="returns"))
    stretches = _stretches(checkpoints, episodes)
    plan = replace(plan, recorder=partial(Records, wanted=wanted, stretches=stretches), stretches=stretches)
    if checkpoints or any(metric.name in TRUTH for metric in metrics):
        from qfast.truth.judge import make_judge

        try:
            judge = make_judge(configuration.mdp, configuration.learner.gamma, configuration.learner.ties)
        except InvalidInput as error:
            msg = f"{error}; or leave the truth out: metrics=['auc', 'final_return', 'steps'], checkpoints=None"
            raise InvalidInput(msg) from error
        plan = replace(plan, checks=Watch(judge, tuple(sorted({*checkpoints, episodes}))))
    return Task(plan, wanted, metrics, checkpoints, configuration.arguments, configuration.mdp)


def _stretches(checkpoints: tuple[int, ...], episodes: int) -> tuple[tuple[int, int], ...]:
    """Divide the episodes into short stretches, whose records stay in the cache; they end at the checkpoints."""
    ends = [0]
    for stop in (*checkpoints, episodes):
        parts = -(-(stop - ends[-1]) // _STRETCH)
        begin = ends[-1]
        ends += [begin + (stop - begin) * (i + 1) // parts for i in range(parts)]
    return tuple(pairwise(ends))


def _check_memory(tasks: Sequence[Task], n_agents: int, *, all_open: bool, executor: Executor | None) -> None:
    workers = default_threads() if executor is None else count_workers(executor)
    here = executor is None or isinstance(executor, ThreadPoolExecutor)
    available = available_memory()

    def need(n: int = n_agents, tasks: Sequence[Task] = tasks) -> int:
        return memory_needed(tasks, n, all_open=all_open, workers=workers, here=here)

    if need() > available:
        plain = [replace(task, wanted=replace(task.wanted, curves=False, quantile_episodes=())) for task in tasks]
        most = largest_that(lambda n: need(n) <= available, n_agents)
        ways = ["curves=False"] * (need(tasks=plain) <= available) + [f"n_agents={most:,}"] * (most > 0)
        fix = f"what would fit: {', or '.join(ways)}" if ways else "use fewer configurations, or smaller problems"
        msg = (
            f"{len(tasks):,} configurations of {n_agents:,} agents need {need() / 1e9:.3g} GB, and "
            f"{max(available, 0) / 1e9:.3g} GB are free; {fix}"
        )
        raise InvalidInput(msg)


def _about(
    design: Design,
    metrics: tuple[Metric, ...],
    goal: Goal | None,
    seed: SeedSequence,
    *,
    n_agents: int,
    episodes: int,
    paired: bool,
    first_agent: int,
    checkpoints: tuple[int, ...],
    quantile_episodes: Any,
) -> dict[str, Any]:
    """What tells a study from every other, as JSON holds it."""
    return {
        "qfast_version": __version__,
        "problems": {name: mdp.digest for name, mdp in design.problems.items()},
        "vary": design.vary,
        "settings": design.fixed,
        "seed": seed_to_json(seed),
        "n_agents": int(n_agents),
        "episodes": int(episodes),
        "first_agent": int(first_agent),
        "paired": paired,
        "metrics": [metric.name for metric in metrics],
        "own_metrics": {metric.name: own_metric(metric) for metric in metrics if metric.function is not None},
        "checkpoints": list(checkpoints),
        "curves": int(quantile_episodes.size),  # episodes that have quantiles; 0 is no curve at all
        "precision": None if goal is None else goal.described(),
    }


def _attributes(design: Design, totals: Totals, about: dict[str, Any]) -> dict[str, Any]:
    """What the dataset says about the whole: numbers and texts, as netCDF holds them."""
    seeds = problem_seeds(seed_from_json(about["seed"]), list(design.problems))
    return {
        "qfast_version": __version__,
        "seed": seed_in_words(about["seed"]),
        "seed_sequence": as_json(about["seed"]),
        "problem_seeds": as_json({name: seed_to_json(seed) for name, seed in seeds.items()}),
        "paired": int(about["paired"]),
        "n_agents": about["n_agents"],
        "episodes": about["episodes"],
        "n_steps": int(totals.n_steps.sum()),
        "seconds": float(totals.seconds),
        "settings": as_json(about["settings"]),
        "problems": as_json({name: _in_words(mdp) for name, mdp in design.problems.items()}),
        "vary": as_json(design.vary[0] if len(design.vary) == 1 else design.vary),
        "configurations": as_json([
            {name: encode(value) for name, value in one.values.items() if name != PROBLEM}
            for one in design.configurations
        ]),
        "varied": as_json(list(design.names)),
        "metrics": as_json(about["metrics"]),
        "precision": as_json(about["precision"]),
        "command": study_code(
            design.problems, design.vary, design.fixed, about, list(_checkpoints(_CHECKPOINTS, about["episodes"]))
        ),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _in_words(mdp: MDP) -> str:
    limit = "no limit" if mdp.max_episode_steps is None else f"limit {mdp.max_episode_steps:,} steps"
    return f"{mdp.n_states:,} states, {mdp.n_actions} actions, {limit}"
