"""The execution of a training: a plan for the kernel, its blocks on an executor, and what comes of them."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from qfast.destination import Destination
from qfast.engine.agent_arrays import AgentArrays
from qfast.engine.blocks import block_size, compile_plan, run_blocks
from qfast.engine.collector import CannotSave, Collector
from qfast.engine.divergence import forbidden_pairs
from qfast.engine.machine import default_threads
from qfast.engine.plan import Plan
from qfast.engine.progress import Progress, Reporter, default_reporter
from qfast.engine.remote import WorkersFailed, run_batches
from qfast.engine.tables import goal_reward, make_tables, outcome_kind
from qfast.errors import Interrupted, QfastError, Unfinished
from qfast.kernel.memory import SMALL
from qfast.kernel.spec import Spec
from qfast.model.learner import Learner
from qfast.model.mdp import MDP
from qfast.run import NotKept, Run
from qfast.training_checks import check_memory

if TYPE_CHECKING:
    from qfast.truth.checkpoints import Checks

__all__ = ["collect", "ctrl_c", "make_plan", "run_training"]

# The rates that may have a schedule: the kernel's name, and ours.
_SCHEDULES: Final = (
    ("alpha", "alpha"),
    ("explore", "epsilon"),
    ("temperature", "temperature"),
    ("trace_decay", "lambda_"),
)

_MOST_TRACES: Final = 2**28  # bytes of a thread's traces


def make_plan(
    mdp: MDP,
    learner: Learner,
    seed: SeedSequence,
    *,
    first_agent: int,
    episodes: int,
    record: str | None,
    learns: bool = True,
    goal: float | None = None,
) -> Plan:
    """Choose the kernel's variant and make its tables."""
    spec = Spec(
        n_actions=mdp.n_actions,
        dtype=learner.dtype.name,
        rule=learner.rule,
        many_steps=learner.n > 1,
        traces=learner.traces or "none",
        explore="epsilon_greedy" if learner.explore == "greedy" else learner.explore,
        ties=learner.ties,
        outcomes=outcome_kind(mdp),
        small=mdp.n_outcomes == 1 and mdp.next_state.size <= SMALL and learner.dtype == np.float32,
        draws_start=mdp.start_state is None,
        limited=mdp.max_episode_steps is not None,
        masked=mdp.allowed is not None,
        schedules=tuple(kind for kind, name in _SCHEDULES if getattr(learner, name).kind == "episode"),
        alpha_by_visits=learner.alpha.kind == "visit",
        records={None: "nothing", "score": "score"}.get(record, "episodes"),
        learns=learns,
        **_lanes(mdp, learner),
    )
    tables = make_tables(mdp, learner, goal=goal_reward(mdp) if goal is None else goal)
    shape = (mdp.n_states, mdp.n_actions)
    return Plan(spec, tables, learner, seed, first_agent, shape, episodes, record, forbidden_pairs(mdp))


def _lanes(mdp: MDP, learner: Learner) -> dict[str, Any]:
    """Few lanes where the traces of many would take the memory; traces are followed one lane at a time anyway."""
    lane = mdp.n_states * mdp.n_actions * (8 + learner.dtype.itemsize)
    few = learner.traces is not None and 64 * lane > _MOST_TRACES
    return {"lanes": 8, "width": 8} if few else {}


@dataclass
class _Watch:
    """Ctrl-C, and the steps done by blocks that are not complete yet."""

    stop: NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    steps: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, steps: int) -> None:
        with self._lock:
            self.steps += steps


@contextmanager
def ctrl_c(stop: NDArray[np.int64]) -> Iterator[None]:
    """Turn the first Ctrl-C into a flag, so that it never tears a half-merged result; a second one works as usual."""
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return

    def note(_number: int, _frame: Any) -> None:
        signal.signal(signal.SIGINT, usual)
        stop[0] = 1

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def collect(
    plan: Plan,
    n_agents: int,
    *,
    threads: int | None,
    executor: Executor | None,
    progress: bool | Reporter | None,
    before: AgentArrays | None,
    keeping: Collector | None = None,
) -> tuple[Collector, bool]:
    """Run a plan's blocks and put them together: what came in, and whether Ctrl-C cut it short.

    Raises
    ------
    WorkersFailed, CannotSave
        If the blocks, or what they gave, are lost; what had come in before is in `keeping`.
    """
    workers = threads or default_threads()
    watch = _Watch()
    with default_reporter(progress) as report:
        result = Collector(plan, n_agents) if keeping is None else keeping
        report(Progress("compiling", 0, n_agents, 0, 0.0))
        if executor is None and result.n_agents < n_agents:
            compile_plan(plan)
        result.begin()
        earlier = result.n_steps

        def tick() -> None:
            steps = max(earlier + watch.steps, result.n_steps)
            report(Progress("training", result.n_agents, n_agents, steps, result.look_at_clock()))

        options: dict[str, Any] = {
            "begin": result.n_agents, "before": before, "tick": tick, "stopped": lambda: bool(watch.stop[0])
        }  # fmt: skip
        pool: Executor | None = None
        if executor is None:
            size = block_size(plan, n_agents, workers)
            pool = ThreadPoolExecutor(min(workers, -(-n_agents // size)), thread_name_prefix="qfast")
            here: dict[str, Any] = {"into": result.into, "stop": watch.stop, "report": watch.add}
            blocks = run_blocks(
                plan, n_agents, pool, size=size, ahead=4 * workers, keep=result.keep_q, **options, **here
            )
        else:
            blocks = run_batches(plan, n_agents, executor, keep=result.keep_q, **options)
        try:
            with ctrl_c(watch.stop):
                for block in blocks:
                    result.take(block)
                    tick()
                if result.on_disk or result.n_agents < n_agents:  # else the whole run is saved next
                    result.commit()
        finally:
            watch.stop[0] = 1  # whatever ends the run ends the blocks under way
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)
        result.look_at_clock()
        if result.n_agents == n_agents:
            report(Progress("done", n_agents, n_agents, result.n_steps, result.seconds))
    return result, result.n_agents < n_agents


def run_training(
    mdp: MDP,
    learner: Learner,
    seed: SeedSequence,
    *,
    n_agents: int,
    first_agent: int,
    episodes: int,
    record: str | None,
    threads: int | None,
    executor: Executor | None,
    progress: bool | Reporter | None,
    before: AgentArrays | None,
    checks: "Checks | None" = None,
    keep_q: bool = True,
    output: Destination | None = None,
    joined: Callable[[Plan], int] = lambda _plan: 0,
) -> Run:
    """Train agents whose settings have been checked; parameters as in `qfast.train`.

    `joined` tells what it takes, in bytes, to put the records behind those of an earlier training.
    """
    on_disk = output is not None and output.on_disk
    plan = make_plan(mdp, learner, seed, first_agent=first_agent, episodes=episodes, record=record)
    plan = replace(plan, checks=checks)
    check_memory(
        plan, n_agents, threads=threads, executor=executor, keep_q=keep_q, on_disk=on_disk, saved=output is not None,
        goes_on=before is not None, joined=joined,
    )  # fmt: skip
    if output is not None:
        work = output.describe(mdp, plan, n_agents=n_agents, keep_q=keep_q)
        complete = output.complete(work)
        if complete is not None:
            return complete
    store = None if output is None else output.open(plan, n_agents, keep_q=keep_q)
    try:
        keeping = Collector(plan, n_agents, keep_q=keep_q, store=store, on_disk=on_disk)
        failure: QfastError | None = None
        try:
            collect(
                plan, n_agents, threads=threads, executor=executor, progress=progress, before=before, keeping=keeping
            )
        except (WorkersFailed, CannotSave) as error:
            failure = error
            _commit_anyway(keeping)
        unreadable = on_disk and isinstance(failure, CannotSave)  # what is vouched for is in the folder
        stop = np.zeros(1, np.int64)
        with ctrl_c(stop):
            run = None if unreadable else _as_run(keeping, plan, mdp, n_agents, checks)
        if stop[0]:
            _commit_anyway(keeping)
        elif failure is None and run is not None and keeping.n_agents == n_agents:
            return run if output is None else _finish(output, run, keeping)
        where = "" if output is None else output.where_to_go_on()
        done = f"{keeping.n_agents:,} of {n_agents:,} agents were complete"
        if failure is not None:
            msg = f"{failure}; {done}{where}"
            raise Unfinished(msg, run) from failure.__cause__
        msg = f"stopped before any of {n_agents:,} agents was complete" if run is None else f"stopped; {done}{where}"
        raise Interrupted(msg, run)
    finally:
        if store is not None:
            store.close()


def _finish(output: Destination, run: Run, keeping: Collector) -> Run:
    """Save a run that is complete, and tidy up behind it; Ctrl-C loses nothing of it."""
    try:
        run = output.save(run)
    except KeyboardInterrupt as error:
        _commit_anyway(keeping)
        msg = f"stopped while the run was being saved; all {run.n_agents:,} agents are complete"
        raise Interrupted(msg + output.where_to_go_on(), run) from error
    stop = np.zeros(1, np.int64)
    with ctrl_c(stop):
        output.tidy_up()
    if stop[0]:
        msg = f"stopped; all {run.n_agents:,} agents are complete and saved in {output.path}"
        raise Interrupted(msg, run)
    return run


def _commit_anyway(keeping: Collector) -> None:
    """Keep what came in before workers died, or before it was saved."""
    with suppress(CannotSave):
        keeping.commit()


def _as_run(keeping: Collector, plan: Plan, mdp: MDP, n_agents: int, checks: "Checks | None") -> Run | None:
    """The agents that are complete as a run; None if there are none."""
    n = keeping.n_agents
    if n == 0:
        return None
    arrays = keeping.arrays()
    none: Any = NotKept(n)
    q = arrays.get("mean", arrays.get("q", none))
    recorded = plan.record == "returns"
    empty = np.empty((n, 0, *plan.shape), plan.learner.dtype)
    return Run(
        q=q,
        q_tables=np.moveaxis(arrays["q"], -1, 1) if "mean" in arrays else None,
        visits=arrays.get("visits") if plan.spec.counts_visits else None,
        returns=arrays["returns"] if recorded else None,
        lengths=arrays["lengths"] if recorded else None,
        curve=None if keeping.summary is None else keeping.summary.curve(),
        mdp=mdp,
        learner=plan.learner if n == n_agents else plan.learner.first(n),
        seed_sequence=plan.seed,
        first_agent=plan.first_agent,
        episodes=plan.episodes,
        record=plan.record,
        n_steps=keeping.n_steps,
        n_diverged=keeping.n_diverged,
        seconds=keeping.seconds,
        rng=arrays.get("rng", none),
        state=arrays.get("state", none),
        checkpoints=None if checks is None else checks.results(arrays["checks"], arrays.get("kept", empty)),
    )
