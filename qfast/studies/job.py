"""A study that is ready to run: everything is checked, nothing is trained."""

import pickle
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from qfast import __version__
from qfast.arguments import path_of
from qfast.engine.agent_arrays import AgentArrays, why_diverged
from qfast.engine.blocks import block_size
from qfast.engine.curve import LEVELS
from qfast.engine.executors import count_workers
from qfast.engine.footprint import worker_bytes
from qfast.engine.machine import available_memory, default_threads
from qfast.engine.moments import LEAF
from qfast.engine.plan import Plan, make_plan
from qfast.engine.scheduler import WorkersFailed, scheduler
from qfast.errors import DivergedWarning, Interrupted, InvalidInput, PrecisionWarning, Unfinished, warn_caller
from qfast.model.magnitudes import lost_updates
from qfast.model.mdp import MDP
from qfast.model.seeding import Seed, as_seed_sequence, seed_from_json, seed_in_words, seed_of_problem, seed_to_json
from qfast.progress import Reporter
from qfast.storage.work_folder import CannotSave, read_work
from qfast.studies.dataset import as_json, make_dataset
from qfast.studies.describe import default_quantile_episodes, study_code
from qfast.studies.design import PROBLEM, Configuration, Design, make_design
from qfast.studies.folder import KIND, Folder
from qfast.studies.metrics import (
    TRUTH,
    Goal,
    Metric,
    choose_metrics,
    final_window,
    looks,
    make_goal,
    own_metric,
)  # fmt: skip
from qfast.studies.reduce import Curves, Reduction, Totals
from qfast.studies.result import Study
from qfast.studies.settings import encode
from qfast.training_checks import check_problem, largest_that

__all__ = ["Job", "prepare"]

#: Episodes that are recorded before they are summed up, at most.
_STRETCH: Final = 128

#: The default number of checkpoints.
_CHECKPOINTS: Final = 20


@dataclass(frozen=True, eq=False)
class Job:
    """A study that is ready to run; `about` tells it from every other, and `totals` hold what is there already."""

    design: Design
    metrics: tuple[Metric, ...]
    goal: Goal | None
    paired: bool
    plans: tuple[Plan, ...]  # one a configuration
    checkpoints: NDArray[np.int64]  # from 1
    quantile_episodes: NDArray[np.int64]
    about: dict[str, Any]  # as JSON holds it
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
            stopped = self._train(threads=threads, executor=executor, progress=progress)
        except (WorkersFailed, CannotSave) as error:
            complete = len(totals.finished)
            msg = f"{error}; {complete} of {len(self.design)} configurations were complete{again}"
            raise Unfinished(msg, study=self.result() if complete else None) from error.__cause__
        except KeyboardInterrupt as error:  # while the last piece was being written, or a second one
            if self.folder is not None:
                self.folder.flush(totals, now=True)
            whole = len(totals.finished) == len(self.design)  # else something may be half merged
            raise Interrupted(self._stopped(again), study=self.result() if whole else None) from error
        if stopped or len(totals.finished) < len(self.design):
            raise Interrupted(self._stopped(again), study=self.result() if totals.finished else None)
        self._warn_of_divergence()
        return self.result()

    def _train(self, *, threads: int | None, executor: Executor | None, progress: bool | Reporter | None) -> bool:
        """Train what is missing, and put it into the totals; tell whether Ctrl-C was pressed."""
        totals, folder, n_agents = self.totals, self.folder, self.totals.most_agents
        options: dict[str, Any] = {"threads": threads, "executor": executor, "progress": progress}
        try:
            with scheduler(self.plans, totals, n_agents * len(self.plans), **options) as work:
                for until in [n_agents] if self.goal is None else looks(n_agents):
                    todo = [c for c in range(len(self.plans)) if c not in totals.finished]
                    for number, block in work.run([(c, int(totals.done[c]), until) for c in todo]):
                        totals.add(number, block)
                        if folder is not None:  # before it is summed up: a piece that says "complete" holds all
                            folder.add(number, block)
                        if self.goal is None and totals.done[number] == n_agents:
                            totals.finish(number)
                        if folder is not None:
                            folder.flush(totals)
                    if work.stopped:
                        break
                    for number in self._enough(until):
                        totals.finish(number)
                        if folder is not None:
                            folder.finish(number, totals)
                if len(totals.finished) == len(self.plans):
                    work.finish()
                return work.stopped
        finally:
            if folder is not None:
                folder.flush(totals, now=True)

    def _enough(self, until: int) -> list[int]:
        """After a round: the configurations that have enough agents; if they are paired, all of them or none."""
        totals, goal = self.totals, self.goal
        numbers = [c for c in range(len(self.plans)) if c not in totals.finished]
        if goal is None or until >= totals.most_agents:
            return numbers
        narrow = [c for c in numbers if _is_narrow(goal, totals.scores(goal.metric, c, until))]
        return narrow if not self.paired or len(narrow) == len(numbers) else []

    def _stopped(self, again: str) -> str:
        complete, agents = len(self.totals.finished), self.totals.n_agents
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
            quantile_episodes=self.quantile_episodes, checkpoints=self.checkpoints,
            first_agents=np.array([plan.first_agent for plan in self.plans], np.int64),
            attributes=_attributes(self.design, self.totals, self.about),
        )  # fmt: skip
        own = tuple(metric for metric in self.metrics if metric.function is not None)
        return Study(dataset, self.design.problems, own)


def _is_narrow(goal: Goal, scores: NDArray[np.float64]) -> bool:
    """Whether an interval is narrow enough; what is infinite or undefined for some agents has no mean, and never is."""
    return bool(np.isfinite(scores).all()) and goal.rule.look(scores).narrow_enough


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
    firsts = [first_agent + number * (0 if paired else n_agents) for number in range(len(design))]
    seeds = problem_seeds(sequence, list(design.problems))
    plans = tuple(
        _make_plan(
            one, chosen, when, quantile_episodes, seeds[one.problem], first, episodes, curves=curves is not False
        )
        for one, first in zip(design.configurations, firsts, strict=True)
    )
    _check_picklable(chosen, executor)
    _check_memory(plans, n_agents, all_open=goal is not None, executor=executor)
    about = _about(design, chosen, goal, sequence, n_agents=n_agents, episodes=episodes, paired=paired,
                   first_agent=first_agent, checkpoints=when, quantile_episodes=quantile_episodes)  # fmt: skip
    totals = Totals(len(chosen), len(design), n_agents, quantile_episodes.size)
    folder = None
    if out is not None:
        folder = Folder(out, about, design.problems)
    job = Job(design, chosen, goal, paired, plans, np.array(when, np.int64), quantile_episodes, about, totals, folder)
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


def _make_plan(
    configuration: Configuration,
    metrics: tuple[Metric, ...],
    checkpoints: tuple[int, ...],
    quantile_episodes: NDArray[np.int64],
    seed: SeedSequence,
    first_agent: int,
    episodes: int,
    *,
    curves: bool,
) -> Plan:
    mdp, learner = configuration.mdp, configuration.learner
    own = any(metric.function is not None for metric in metrics)
    measurer = None
    if checkpoints or any(metric.name in TRUTH for metric in metrics):
        from qfast.truth.checkpoints import Measurer
        from qfast.truth.judge import make_judge

        try:
            judge = make_judge(mdp, learner.gamma, learner.ties)
        except InvalidInput as error:
            msg = f"{error}; or leave the truth out: metrics=['auc', 'final_return', 'steps'], checkpoints=None"
            raise InvalidInput(msg) from error
        measurer = Measurer(judge, tuple(sorted({*checkpoints, episodes})), ("regret", "optimal", "greedy_return"))
    reduction = Reduction(
        episodes=episodes, last=final_window(episodes), curves=curves,
        quantile_episodes=tuple((quantile_episodes - 1).tolist()), stretches=_stretches(checkpoints, episodes),
        metrics=metrics, checkpoints=checkpoints, settings=configuration.arguments, mdp=mdp if own else None,
    )  # fmt: skip
    # Steps are counted by the random numbers; only functions of the user's own want lengths.
    return make_plan(
        mdp, learner, seed, first_agent=first_agent, episodes=episodes, record="summary", keep_q=False, lengths=own,
        measurer=measurer, reducer=reduction,
    )  # fmt: skip


def _stretches(checkpoints: tuple[int, ...], episodes: int) -> tuple[tuple[int, int], ...]:
    """Divide the episodes into short stretches, whose records stay in the cache; they end at the checkpoints."""
    ends = [0]
    for stop in (*checkpoints, episodes):
        parts = -(-(stop - ends[-1]) // _STRETCH)
        begin = ends[-1]
        ends += [begin + (stop - begin) * (i + 1) // parts for i in range(parts)]
    return tuple(pairwise(ends))


def _check_picklable(metrics: Sequence[Metric], executor: Executor | None) -> None:
    """Refuse functions that another process could not get."""
    if executor is None or isinstance(executor, ThreadPoolExecutor):
        return
    for metric in metrics:
        try:
            pickle.dumps(metric.function)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise InvalidInput(
                f"metrics: {metric.name} cannot be sent to another process ({error}); "
                "define it at the top of a module, or use threads"
            ) from error


def _check_memory(plans: Sequence[Plan], n_agents: int, *, all_open: bool, executor: Executor | None) -> None:
    workers = default_threads() if executor is None else count_workers(executor)
    here = executor is None or isinstance(executor, ThreadPoolExecutor)
    available = available_memory()

    def need(n: int = n_agents, *, plain: bool = False) -> int:
        return memory_needed(plans, n, all_open=all_open, workers=workers, here=here, plain=plain)

    if need() > available:
        most = largest_that(lambda n: need(n) <= available, n_agents)
        ways = ["curves=False"] * (need(plain=True) <= available) + [f"n_agents={most:,}"] * (most > 0)
        fix = f"what would fit: {', or '.join(ways)}" if ways else "use fewer configurations, or smaller problems"
        raise InvalidInput(
            f"{len(plans):,} configurations of {n_agents:,} agents need {need() / 1e9:.3g} GB, and "
            f"{max(available, 0) / 1e9:.3g} GB are free; {fix}"
        )


def memory_needed(
    plans: Sequence[Plan], n_agents: int, *, all_open: bool, workers: int, here: bool = True, plain: bool = False
) -> int:
    """Bytes that a study takes: what is kept of all agents, what is open, and the blocks under way.

    With `all_open` no configuration is summed up before the end; blocks of `here` run in this process; `plain` leaves
    curves out.
    """
    plan, wanted = plans[0], _reduction(plans[0])
    size = block_size(plan, n_agents * len(plans), workers)
    blocks = len(plans) * -(-n_agents // size)
    running = min(workers, blocks)
    quantiles, episodes = len(wanted.quantile_episodes) * (not plain), plan.episodes * (wanted.curves and not plain)
    real = plan.learner.dtype.itemsize
    # Twice: the totals, and the dataset made of them.
    curves = 2 * 8 * (2 * episodes + len(LEVELS) * quantiles + 2 * len(wanted.checkpoints))
    kept = len(plans) * (8 * len(wanted.metrics) * n_agents + curves)
    nodes = 1 + (n_agents // size).bit_count()
    returns = quantiles * n_agents * real
    summing_up = returns + 4 * n_agents * bool(quantiles)
    under_way = (len(plans) if all_open else 1) * (returns + 16 * episodes * nodes) + summing_up
    waiting = min(blocks - running, max(1, workers // 2))
    part = size * (8 * len(wanted.metrics) + quantiles * real) + 16 * episodes
    block = max(_block_bytes(plan, n_agents, min(size, n_agents), plain=plain) for plan in plans)
    return kept + under_way + waiting * part + running * (part + block) * here


def _block_bytes(plan: Plan, n_agents: int, size: int, *, plain: bool) -> int:
    """What a block takes while it is trained and measured."""
    wanted = _reduction(plan)
    need = worker_bytes(plan, n_agents, size) + size * AgentArrays.row_bytes(plan)
    # Moments of each leaf by stretch, and joined.
    need += 2 * 16 * plan.episodes * -(-size // LEAF) * (wanted.curves and not plain)
    if wanted.own:
        need += 2 * size * plan.episodes * (plan.learner.dtype.itemsize + 4)
    return need


def _reduction(plan: Plan) -> Reduction:
    assert isinstance(plan.reducer, Reduction)
    return plan.reducer


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
        "n_steps": totals.n_steps,
        "seconds": float(totals.seconds),
        "settings": as_json(about["settings"]),
        "problems": as_json({name: _in_words(mdp, name) for name, mdp in design.problems.items()}),
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


def _in_words(mdp: MDP, known: str) -> str:
    limit = "no limit" if mdp.max_episode_steps is None else f"limit {mdp.max_episode_steps:,} steps"
    name = f"{mdp.name}, " if mdp.name and mdp.name != known else ""
    return f"{name}{mdp.n_states:,} states, {mdp.n_actions} actions, {limit}"
