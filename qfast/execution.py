"""The execution of a training: its plan on the scheduler, and what comes of it."""

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from qfast.destination import Destination
from qfast.engine.agent_arrays import AgentArrays
from qfast.engine.journal import Collector
from qfast.engine.plan import Plan
from qfast.engine.scheduler import WorkersFailed, ctrl_c, scheduler
from qfast.errors import Interrupted, QfastError, Unfinished
from qfast.model.mdp import MDP
from qfast.progress import Reporter
from qfast.run import NotKept, Run
from qfast.storage.work_folder import CannotSave
from qfast.training_checks import check_memory

if TYPE_CHECKING:
    from qfast.truth.checkpoints import Measurer

__all__ = ["collect", "run_training"]


def collect(
    collector: Collector,
    n_agents: int,
    *,
    threads: int | None,
    executor: Executor | None,
    progress: bool | Reporter | None,
    before: AgentArrays | None,
) -> bool:
    """Train what is missing of a plan's agents; tell whether Ctrl-C was pressed, maybe when all were complete.

    Raises WorkersFailed or CannotSave if the agents, or what they gave, are lost; what came in before is there.
    """
    options: dict[str, Any] = {"threads": threads, "executor": executor, "progress": progress}
    with scheduler([collector.plan], collector, n_agents, **options) as work:
        into = None if executor is not None else collector.into
        for _, block in work.run([(0, collector.n_agents, n_agents)], before=before, into=into):
            collector.take(block)
        if collector.on_disk or collector.n_agents < n_agents:  # else the whole run is saved next
            collector.commit()
        if collector.n_agents == n_agents:
            work.finish()
        return work.stopped


def run_training(
    mdp: MDP,
    plan: Plan,
    n_agents: int,
    *,
    threads: int | None,
    executor: Executor | None,
    progress: bool | Reporter | None,
    before: AgentArrays | None = None,
    output: Destination | None = None,
    joined: Callable[[Plan], int] = lambda _plan: 0,
) -> Run:
    """Train the agents of a plan; parameters as in `qfast.train`.

    `joined` tells what it takes, in bytes, to put the records behind those of an earlier training.
    """
    on_disk = output is not None and output.on_disk
    check_memory(
        plan, n_agents, threads=threads, executor=executor, on_disk=on_disk, saved=output is not None,
        goes_on=before is not None, joined=joined,
    )  # fmt: skip
    if output is not None:
        complete = output.complete(output.describe(mdp, plan, n_agents))
        if complete is not None:
            return complete
    journal = None if output is None else output.open(plan, n_agents)
    try:
        collector = Collector(plan, n_agents, journal=journal, on_disk=on_disk)
        failure: QfastError | None = None
        stop = np.zeros(1, np.int64)
        try:
            stop[0] = collect(collector, n_agents, threads=threads, executor=executor, progress=progress, before=before)
        except (WorkersFailed, CannotSave) as error:
            failure = error
            _commit_anyway(collector)
        unreadable = on_disk and isinstance(failure, CannotSave)  # what is vouched for is in the folder
        with ctrl_c(stop):
            run = None if unreadable else _as_run(collector, mdp, n_agents)
        if stop[0]:
            _commit_anyway(collector)
        elif failure is None and run is not None and collector.n_agents == n_agents:
            return run if output is None else _finish(output, run, collector)
        where = "" if output is None else output.where_to_go_on(collector.n_agents)
        done = f"{collector.n_agents:,} of {n_agents:,} agents were complete"
        if failure is not None:
            raise Unfinished(f"{failure}; {done}{where}", run) from failure.__cause__
        msg = f"stopped before any of {n_agents:,} agents was complete" if run is None else f"stopped; {done}{where}"
        raise Interrupted(msg, run)
    finally:
        if journal is not None:
            journal.close()


def _finish(output: Destination, run: Run, collector: Collector) -> Run:
    """Save a run that is complete, and tidy up behind it; Ctrl-C loses nothing of it."""
    try:
        run = output.save(run)
    except KeyboardInterrupt as error:
        _commit_anyway(collector)
        msg = f"stopped while the run was being saved; all {run.n_agents:,} agents are complete"
        raise Interrupted(msg + output.where_to_go_on(), run) from error
    stop = np.zeros(1, np.int64)
    with ctrl_c(stop):
        output.tidy_up()
    if stop[0]:
        raise Interrupted(f"stopped; all {run.n_agents:,} agents are complete and saved in {output.path}", run)
    return run


def _commit_anyway(collector: Collector) -> None:
    """Keep what came in before workers died, or before it was saved."""
    with suppress(CannotSave):
        collector.commit()


def _as_run(collector: Collector, mdp: MDP, n_agents: int) -> Run | None:
    """The agents that are complete as a run; None if there are none."""
    n, plan = collector.n_agents, collector.plan
    if n == 0:
        return None
    arrays = collector.arrays()
    none: Any = NotKept(n)
    q = arrays.get("mean", arrays.get("q", none))
    recorded = plan.record == "returns"
    measurer: Measurer | None = plan.measurer  # type: ignore[assignment]  # that of a training
    return Run(
        q=q,
        q_tables=np.moveaxis(arrays["q"], -1, 1) if "mean" in arrays else None,
        visits=arrays.get("visits") if plan.spec.counts_visits else None,
        returns=arrays["returns"] if recorded else None,
        lengths=arrays["lengths"] if recorded else None,
        curve=None if collector.summary is None else collector.summary.curve(),
        mdp=mdp,
        learner=plan.learner if n == n_agents else plan.learner.first(n),
        seed_sequence=plan.seed,
        first_agent=plan.first_agent,
        episodes=plan.episodes,
        record=plan.record,
        n_steps=collector.n_steps,
        n_diverged=collector.n_diverged,
        seconds=collector.seconds,
        rng=arrays.get("rng", none),
        state=arrays.get("state", none),
        checkpoints=None if measurer is None else measurer.results(arrays["measures"], arrays.get("kept")),
    )
