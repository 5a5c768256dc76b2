"""Training: settings are checked, divided into blocks of agents, run on an executor, and put together."""

import os
import signal
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.random import SeedSequence
from numpy.typing import NDArray

from qfast.batches import WorkersFailed, run_batches
from qfast.blocks import Memory, Plan, available_memory, block_size, compile_plan, default_threads, run_blocks
from qfast.errors import Interrupted, InvalidInput, MissingLimitWarning, QfastError, Unfinished
from qfast.keeping import CannotSave, Keeping
from qfast.kernel.memory import SMALL
from qfast.kernel.spec import Spec
from qfast.learner import DEFAULT_EPSILON, Learner, make_learner
from qfast.mdp import MDP
from qfast.outputs import Output
from qfast.problems import corridor
from qfast.progress import Progress, Reporter, default_reporter
from qfast.rates import Rate
from qfast.run import NotKept, Run
from qfast.seeding import Seed, as_seed_sequence
from qfast.tables import explore_threshold, goal_reward, make_tables, outcome_kind

if TYPE_CHECKING:
    from qfast.truth.checkpoints import Checks

__all__ = ["RECORDS", "check_count", "check_options", "collect", "ctrl_c", "make_plan", "resume", "train"]

#: What `record` may be.
RECORDS: Final = (None, "returns", "summary")

_MOST_AGENTS: Final = 2**62  # numbers of agents are 64 bits wide, with one bit to spare for a sum of two
_MOST_EPISODES: Final = 2**31 - 2  # the kernel counts the episodes that are left in 32 bits

# The rates that may have a schedule: the kernel's name, and ours.
_SCHEDULES: Final = (
    ("alpha", "alpha"),
    ("explore", "epsilon"),
    ("temperature", "temperature"),
    ("trace_decay", "lambda_"),
)

# Softmax at this share of the largest reward: of two values that are a hundredth of it apart it takes the lower one
# with probability e^-100, which is never.
_COLDEST: Final = 1e-4


def train(
    mdp: MDP | None = None,
    *,
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
    threads: int | None = None,
    executor: Executor | None = None,
    record: str | None = "summary",
    keep_q: bool = True,
    out: str | os.PathLike[str] | None = None,
    checkpoints: Any = None,
    checkpoint_q: bool = False,
    progress: bool | Reporter | None = None,
) -> Run:
    r"""Train independent tabular Q-learning agents, all at once.

    Each agent has a table Q, a random stream of its own, and learns from its own steps alone:

    .. math:: Q(s, a) \leftarrow Q(s, a) + \alpha\,[r + \gamma \max_{a'} Q(s', a') - Q(s, a)]

    (Watkins 1989; Sutton & Barto 2018, eq. 6.8), acting epsilon-greedily, or another rule and another way to explore.
    Nothing is bootstrapped beyond an outcome that terminates the episode; an episode cut by ``max_episode_steps``
    bootstraps as usual.

    Parameters
    ----------
    mdp : MDP, optional
        The problem; by default the five-state corridor, `qfast.corridor()`.
    n_agents : int, default 10_000
        Number of agents, at least 1.
    episodes : int, default 1_000
        Episodes of each agent, at least 1.
    alpha : float, array_like or schedule, default 0.1
        Step size in [0, 1]: a number, one value an agent (shape ``(n_agents,)``), one an episode (shape
        ``(episodes,)``, or ``qfast.linear(…)``, ``qfast.exponential(…)``), or one a visit to the pair (s, a)
        (``qfast.by_visits(…)``).
    gamma : float or array_like, default 0.9
        Discount in [0, 1]: a number or one value an agent.
    epsilon : float, array_like or schedule, default 0.1
        Probability of a random action, the greedy one among them, in [0, 1]; given like alpha.  Rounded to 24 bits.
    initial_q : float or array_like, default 0.0
        What Q starts with, in units of reward: a number or one value an agent.
    ties : {"random", "first", "last"}, default "random"
        Which of several greedy actions is taken.
    dtype : {"float32", "float64"}, default "float32"
        Element type of Q and of all arithmetic on it.
    rule : {"q_learning", "sarsa", "expected_sarsa", "double_q_learning", "article"}, default "q_learning"
        What the target bootstraps from: max Q(s', a) (Watkins 1989); Q(s', a') of the action taken (Rummery &
        Niranjan 1994); the mean of Q(s', a) under the policy (van Seijen et al. 2009); a second table's value of the
        first one's best action, by a fair coin, acting on their sum (van Hasselt 2010); or, as the article has it,
        the number of the best action itself, so that its table can be shown beside the right one.
    n : int, default 1
        Steps that an update looks ahead, for the first three rules (S&B 2018, chapter 7; without importance sampling).
    traces : {"accumulating", "replacing"}, optional
        Eligibility traces: Watkins's Q(lambda), where an exploratory action cuts them, or SARSA(lambda).
    lambda_ : float, array_like or schedule, optional
        Decay of the traces in [0, 1]; given like epsilon.
    trace_cutoff : float, default 0.0
        Traces below it are dropped; 0 keeps all, which is exact.
    explore : {"epsilon_greedy", "greedy", "softmax", "ucb"}, default "epsilon_greedy"
        How actions are chosen; "greedy" explores only by an optimistic ``initial_q``.
    temperature : float, array_like or schedule, optional
        Of the softmax policy, exp(Q / temperature), above 0; 1 by default, in units of reward.
    c : float or array_like, optional
        Of UCB, the weight of the bonus sqrt(ln N(s) / N(s, a)); 2 by default, in units of reward.
    seed : int, sequence of int or numpy.random.SeedSequence, optional
        The agents' random streams come from it; by default from fresh entropy, which ``run.seed`` remembers.
    first_agent : int, default 0
        Number of the first agent, to make agents of a larger run again: agent i depends on the seed and i alone.
    threads : int, optional
        Threads of the default executor; by default as many as there are processors.
    executor : concurrent.futures.Executor, optional
        Where the blocks of agents are run: a process pool, or a cluster such as Dask's, with
        ``client.get_executor()``.  By default a thread pool.  What is executed, and where, changes no bit.
    record : {"summary", "returns", None}, default "summary"
        "summary": ``run.curve``, mean, standard deviation, extremes and quantiles over agents for each episode, in
        memory that does not grow with the agents.  "returns": ``run.returns`` and ``run.lengths`` of every agent
        and episode, 8 bytes each (12 with float64).
    keep_q : bool, default True
        Whether every agent's Q is kept.  Without it, and with ``record="summary"``, memory does not grow with the
        agents: ``run.curve`` is what remains, and using ``run.q`` raises InvalidInput.
    out : path-like, optional
        Where to keep the run, and what is complete of it on the way.  A name that ends in ``.npz`` becomes one file at
        the end, as `Run.save` writes it; until then there is a folder ``FILE.parts``.  Any other name is a folder, in
        which the arrays of all agents are written as ``.npy`` files as they are made, and stay there memory-mapped:
        for populations larger than memory.  A training that was killed goes on from there when it is started again
        with the same settings (without a ``seed``, with the one that it had), to the same bits; one that is complete
        is read.  What belongs to other settings is refused before any work; a complete ``.npz`` is replaced.
    checkpoints : sequence of int, int or "log", optional
        After how many episodes each agent is measured against the truth on its way, for ``run.checkpoints`` and
        ``run.first_optimal()``: a list of them, how many (evenly spaced up to the end), or 1, 2, 5, 10, 20, … and the
        end.  Needs SciPy, and changes no result.
    checkpoint_q : bool, default False
        Whether to keep Q at every checkpoint, too: ``run.checkpoints.q``.
    progress : bool or callable, optional
        Whether to show progress on standard error (by default if it is a terminal), or what to call with it.

    Returns
    -------
    Run

    Raises
    ------
    InvalidInput
        If a setting is out of range or unknown, the problem cannot end, the result would not fit in memory or on the
        disk, or ``out`` belongs to another run.
    Interrupted
        On Ctrl-C, within a second, with the agents that were complete; a KeyboardInterrupt.
    Unfinished
        If a worker of the executor died, its connection was lost, or ``out`` cannot be written any more; with the
        agents that were complete.
    BadFile
        If what ``out`` has of an unfinished run is damaged.

    Examples
    --------
    >>> import qfast
    >>> run = qfast.train(n_agents=100, episodes=500, seed=0, progress=False)
    >>> run.q.shape, [f"{value:.2f}" for value in run.q.mean(axis=0)[:, 1]]
    ((100, 5, 2), ['4.17', '3.52', '2.80', '2.00', '0.00'])
    """
    problem = corridor() if mdp is None else mdp
    if not isinstance(problem, MDP):
        makers = "qfast.corridor(), qfast.grid(…), qfast.from_gymnasium(…) or qfast.MDP(…)"
        msg = f"mdp={mdp!r:.60} is not an MDP; use {makers}"
        raise InvalidInput(msg)
    n_agents = check_count("n_agents", n_agents, most=_MOST_AGENTS)
    episodes = check_count("episodes", episodes, most=_MOST_EPISODES)
    first_agent = check_count("first_agent", first_agent, least=0, most=_MOST_AGENTS)
    check_options(threads, executor, record)
    learner = make_learner(
        n_agents=n_agents, episodes=episodes, alpha=alpha, gamma=gamma, epsilon=epsilon, initial_q=initial_q,
        ties=ties, dtype=dtype, rule=rule, n=n, traces=traces, lambda_=lambda_, trace_cutoff=trace_cutoff,
        explore=explore, temperature=temperature, c=c,
    )  # fmt: skip
    check_problem(problem, learner)
    _check_keep_q(keep_q, checkpoint_q)
    checks = _plan_checks(problem, learner, checkpoints, episodes, 0, keep_q=checkpoint_q)
    output = None if out is None else Output(out)
    if seed is None and output is not None:
        seed = output.unfinished_seed()
    return _run(
        problem, learner, as_seed_sequence(seed), n_agents=n_agents, first_agent=first_agent, episodes=episodes,
        record=record, threads=threads, executor=executor, progress=progress, before=None, checks=checks,
        keep_q=keep_q, output=output,
    )  # fmt: skip


def resume(
    run: Run,
    *,
    episodes: int = 1_000,
    alpha: Any = None,
    epsilon: Any = None,
    temperature: Any = None,
    lambda_: Any = None,
    threads: int | None = None,
    executor: Executor | None = None,
    checkpoints: Any = None,
    progress: bool | Reporter | None = None,
) -> Run:
    """Train the agents of a run on: 400 episodes and then 600 give the same bits as 1,000 at once.

    Parameters
    ----------
    run : Run
        The agents; it is not changed.
    episodes : int, default 1_000
        Further episodes of each agent.
    alpha, epsilon, temperature, lambda_ : float, array_like or schedule, optional
        New rates; by default those of the run.  A schedule over episodes has come to its end, so it must be given
        anew, for the further episodes.
    checkpoints : sequence of int, int or "log", optional
        As in `train`, among the further episodes, but counted from the very first one; by default none.  They are added
        to those of the run, and keep Q if those do.
    threads, executor, progress
        See `train`.

    Returns
    -------
    Run
        Of all episodes together.

    Raises
    ------
    InvalidInput, Interrupted
        See `train`.

    Examples
    --------
    >>> import qfast
    >>> at_once = qfast.train(n_agents=10, episodes=100, seed=0, progress=False)
    >>> begun = qfast.train(n_agents=10, episodes=40, seed=0, progress=False)
    >>> in_two = qfast.resume(begun, episodes=60, progress=False)
    >>> bool((at_once.q == in_two.q).all())
    True
    """
    if not isinstance(run, Run):
        msg = f"run={run!r:.60} is not a Run; use what qfast.train or qfast.load gave"
        raise InvalidInput(msg)
    episodes = check_count("episodes", episodes, most=_MOST_EPISODES)
    check_options(threads, executor, run.record)
    old = run.learner
    given = {"alpha": alpha, "epsilon": epsilon, "temperature": temperature, "lambda_": lambda_}
    for name in ("alpha", *old.shown):
        if given.get(name) is None and getattr(old, name).kind == "episode":
            msg = (
                f"{name}={getattr(old, name)!r} ended with episode {run.episodes:,}; "
                f"give {name}= for the further episodes"
            )
            raise InvalidInput(msg)
    for name in old.shown:
        if given.get(name, 0) is None:
            given[name] = getattr(old, name)
    learner = make_learner(
        n_agents=run.n_agents, episodes=episodes, alpha=given["alpha"], gamma=old.gamma, initial_q=old.initial_q,
        epsilon=DEFAULT_EPSILON if given["epsilon"] is None else given["epsilon"], ties=old.ties, dtype=old.dtype,
        rule=old.rule, n=old.n, traces=old.traces, lambda_=given["lambda_"], trace_cutoff=old.trace_cutoff,
        explore=old.explore, temperature=given["temperature"], c=old.c if old.explore == "ucb" else None,
    )  # fmt: skip
    check_problem(run.mdp, learner)
    keep_q = run.checkpoints is not None and run.checkpoints.q is not None
    checks = _plan_checks(run.mdp, learner, checkpoints, episodes, run.episodes, keep_q=keep_q)
    nothing = np.empty((run.n_agents, 0), np.int32)
    tables = run.q if run.q_tables is None else np.moveaxis(run.q_tables, 1, -1)
    visits = np.empty((run.n_agents, 0, 0), np.int32) if run.visits is None else run.visits
    before = Memory(tables, visits, run.rng, run.state, nothing, nothing, np.empty((3, 0)))
    more = _run(
        run.mdp, learner, run.seed_sequence, n_agents=run.n_agents, first_agent=run.first_agent, episodes=episodes,
        record=run.record, threads=threads, executor=executor, progress=progress, before=before, checks=checks,
    )  # fmt: skip
    return _join(run, more)


def _join(run: Run, more: Run) -> Run:
    """One run out of two stretches of episodes of the same agents."""

    def behind(first: NDArray[Any] | None, second: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if first is None or second is None else np.concatenate([first, second], axis=1)

    return Run(
        q=more.q, q_tables=more.q_tables, visits=more.visits,
        returns=behind(run.returns, more.returns), lengths=behind(run.lengths, more.lengths),
        curve=run.curve.extended(more.curve) if run.curve and more.curve else None,
        checkpoints=run.checkpoints.extended(more.checkpoints)
        if run.checkpoints and more.checkpoints
        else run.checkpoints or more.checkpoints,
        mdp=run.mdp, learner=more.learner, seed_sequence=run.seed_sequence, first_agent=run.first_agent,
        episodes=run.episodes + more.episodes, record=run.record, n_steps=run.n_steps + more.n_steps,
        seconds=run.seconds + more.seconds, rng=more.rng, state=more.state,
    )  # fmt: skip


def _plan_checks(
    mdp: MDP, learner: Learner, checkpoints: Any, episodes: int, done: int, *, keep_q: bool
) -> "Checks | None":
    if checkpoints is None:
        if keep_q and not done:
            msg = "checkpoint_q=True has no meaning without checkpoints; add checkpoints=20, a list, or 'log'"
            raise InvalidInput(msg)
        return None
    from qfast.truth.checkpoints import plan_checks

    return plan_checks(mdp, learner, checkpoints, episodes, done, keep_q=keep_q)


# ---------------------------------------------------------------------------------------------------------- checks
def check_count(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """Refuse what is not a whole number from `least` to `most`; give it as Python's, which never overflows."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    if not whole or value < least:
        example = max(least, 1000)
        msg = f"{name}={value!r:.60} is not a whole number of at least {least}; use a number such as {example:,}"
        raise InvalidInput(msg)
    if most is not None and value > most:
        msg = f"{name}={value!r:.60} is above {most:,}; use a smaller number"
        raise InvalidInput(msg)
    return int(value)


def check_options(threads: Any, executor: Any, record: Any) -> None:
    """Refuse threads, executors and records that cannot be."""
    if threads is not None:
        check_count("threads", threads, most=2**16)
    if executor is not None and not isinstance(executor, Executor):
        msg = f"executor={executor!r:.60} is not a concurrent.futures.Executor; use a pool, or None for threads"
        raise InvalidInput(msg)
    if executor is not None and threads is not None:
        msg = f"threads={threads} has no meaning beside executor=; the executor has workers of its own, leave one out"
        raise InvalidInput(msg)
    if not (record is None or isinstance(record, str)) or record not in RECORDS:
        msg = f"record={record!r:.60} is unknown; use one of {', '.join(map(repr, RECORDS))}"
        raise InvalidInput(msg)


def _check_keep_q(keep_q: Any, checkpoint_q: Any) -> None:
    if not isinstance(keep_q, (bool, np.bool_)):
        msg = f"keep_q={keep_q!r:.40} is neither True nor False; to keep Q on the disk, use out='folder'"
        raise InvalidInput(msg)
    if not isinstance(checkpoint_q, (bool, np.bool_)):
        msg = f"checkpoint_q={checkpoint_q!r:.40} is neither True nor False; use one of them"
        raise InvalidInput(msg)
    if checkpoint_q and not keep_q:
        msg = "checkpoint_q=True and keep_q=False contradict each other; leave one of them out"
        raise InvalidInput(msg)


def check_problem(mdp: MDP, learner: Learner) -> None:
    """Refuse problems that the kernel cannot hold, and those whose episodes would not end."""
    largest = 2**31 - 1
    biggest = max(64 * mdp.n_states * mdp.n_actions, 2 * mdp.next_state.size)
    if biggest > largest:
        msg = (
            f"{mdp.n_states:,} states with {mdp.n_actions} actions of {mdp.n_outcomes} outcomes are too many: "
            f"64 tables of Q, or the outcomes twice, must stay below 2**31 entries; use a smaller problem"
        )
        raise InvalidInput(msg)
    if learner.dtype == np.float32 and np.abs(mdp.reward).max() > np.finfo(np.float32).max:
        msg = f"a reward of {mdp.reward.flat[np.abs(mdp.reward).argmax()]:g} does not fit float32; use dtype='float64'"
        raise InvalidInput(msg)
    if mdp.max_episode_steps is None:
        mdp.check_ends()
        if learner.explore in ("epsilon_greedy", "greedy"):
            never = explore_threshold(learner.epsilon.values) == 0  # rounded, as the kernel has it
            _check_exploring("epsilon", learner.epsilon, never, "0", "an epsilon of at least 1e-7")
        elif learner.explore == "softmax":
            least = _COLDEST * float(np.abs(mdp.reward).max())
            never = learner.temperature.values < least
            _check_exploring(
                "temperature", learner.temperature, never, f"less than {least:g}, too little for rewards of that size",
                f"a temperature of at least {least:g}, which is {_COLDEST:g} of the largest reward",
            )  # fmt: skip
        elif learner.explore == "ucb" and learner.c.lowest == 0:
            msg = (
                "c=0 without max_episode_steps may go round in circles for ever; use mdp.with_limit(…), or c above 0"
            )
            raise InvalidInput(msg)


def _check_exploring(name: str, rate: Rate, never: NDArray[np.bool_], low: str, fix: str) -> None:
    """An agent that is always greedy may go round in circles for ever where there is no episode limit."""
    never = never.reshape(-1)
    if never[0] or (rate.kind == "agent" and never.any()):
        msg = (
            f"{name}={rate!r} without max_episode_steps may go round in circles for ever; "
            f"use mdp.with_limit(…), or {fix}"
        )
        raise InvalidInput(msg)
    if never.any():
        episode = int(np.flatnonzero(never)[0])
        text = (
            f"{name} reaches {low} in episode {episode:,}, and there is no max_episode_steps: an agent that has not "
            "found the end by then may go round in circles for ever; use mdp.with_limit(…)"
        )
        warnings.warn(text, MissingLimitWarning, stacklevel=4)


def memory_needed(
    mdp: MDP, dtype: np.dtype[Any], n_agents: int, episodes: int, record: str | None, tables: float = 1
) -> int:
    """Estimate the bytes that a run takes."""
    agents = n_agents * (mdp.n_states * mdp.n_actions * dtype.itemsize * tables + 20 * (tables > 0))
    records = {
        None: 0,
        "score": 24 * n_agents,
        "returns": n_agents * episodes * (dtype.itemsize + 4),
        "summary": episodes * 2000,  # a table of counts of some 200 bins each for returns and lengths, and the curve
    }
    return int(agents + records[record])


def check_memory(
    mdp: MDP,
    dtype: np.dtype[Any],
    *,
    n_agents: int,
    episodes: int,
    record: str | None,
    tables: int = 1,
    keep_q: bool = True,
    on_disk: bool = False,
) -> None:
    """Refuse a run that would not fit in memory, and say what would."""
    available = available_memory()
    if not keep_q:
        tables = 0
    if on_disk:
        n_agents = min(n_agents, 8 * 1024 * default_threads())  # only the blocks under way
    need = memory_needed(mdp, dtype, n_agents, episodes, record, tables)
    if need <= available:
        return
    sizes = {choice: memory_needed(mdp, dtype, n_agents, episodes, choice, tables) for choice in RECORDS}
    fitting = [f"record={choice!r} ({size / 1e9:.3g} GB)" for choice, size in sizes.items() if size <= available]
    if fitting:
        fix = " or ".join(fitting) + " would fit"
    else:
        most = max(1, int(available / max(1, need / n_agents)))
        disk = ", out='folder' (Q stays on the disk), keep_q=False (a summary is all)" * (tables > 0 and not on_disk)
        fix = f"not even record=None would fit; use fewer agents (about {most:,}), or fewer episodes{disk}"
    msg = (
        f"n_agents={n_agents:,} with record={record!r} needs {need / 1e9:.3g} GB, "
        f"and {max(available, 0) / 1e9:.3g} GB are free; {fix}"
    )
    raise InvalidInput(msg)


# -------------------------------------------------------------------------------------------------------- execution
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
    )
    tables = make_tables(mdp, learner, goal=goal_reward(mdp) if goal is None else goal)
    # Rows without any allowed action belong to states that no agent acts in; they keep finite values.
    forbidden = None if mdp.allowed is None else ~mdp.allowed & mdp.allowed.any(axis=1, keepdims=True)
    return Plan(
        spec, tables, learner, seed, first_agent, (mdp.n_states, mdp.n_actions), episodes, record, forbidden
    )


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
    before: Memory | None,
    keeping: Keeping | None = None,
) -> tuple[Keeping, bool]:
    """Run a plan's blocks and put them together: what came in, and whether Ctrl-C cut it short.

    Raises
    ------
    WorkersFailed, CannotSave
        If the blocks, or what they gave, are lost; what had come in before is in `keeping`.
    """
    workers = threads or default_threads()
    watch = _Watch()
    with default_reporter(progress) as report:
        result = Keeping(plan, n_agents) if keeping is None else keeping
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
            blocks = run_blocks(plan, n_agents, pool, size=size, ahead=4 * workers, **options, **here)
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


def _run(
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
    before: Memory | None,
    checks: "Checks | None" = None,
    keep_q: bool = True,
    output: Output | None = None,
) -> Run:
    # Double Q-learning keeps two tables and their mean, counts of visits are as large as a float32 table.
    counts = learner.explore == "ucb" or learner.alpha.kind == "visit"
    tables = (3 if learner.rule == "double_q_learning" else 1) + counts
    if checks is not None and checks.keep_q:
        tables += len(checks.episodes)
    on_disk = output is not None and output.on_disk
    check_memory(
        mdp, learner.dtype, n_agents=n_agents, episodes=episodes, record=record, tables=tables, keep_q=keep_q,
        on_disk=on_disk,
    )  # fmt: skip
    plan = make_plan(mdp, learner, seed, first_agent=first_agent, episodes=episodes, record=record)
    plan = replace(plan, checks=checks)
    if output is not None:
        work = output.describe(mdp, plan, n_agents=n_agents, keep_q=keep_q)
        complete = output.complete(work)
        if complete is not None:
            return complete
    store = None if output is None else output.open(plan, n_agents, keep_q=keep_q)
    try:
        keeping = Keeping(plan, n_agents, keep_q=keep_q, store=store, on_disk=on_disk)
        failure: QfastError | None = None
        try:
            collect(
                plan, n_agents, threads=threads, executor=executor, progress=progress, before=before, keeping=keeping
            )
        except (WorkersFailed, CannotSave) as error:
            failure = error
            _commit_anyway(keeping)
        unreadable = on_disk and isinstance(failure, CannotSave)  # what is vouched for is in the folder
        run = None if unreadable else _as_run(keeping, plan, mdp, n_agents, checks)
        if failure is None and run is not None and keeping.n_agents == n_agents:
            return run if output is None else output.finish(run)
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


def _commit_anyway(keeping: Keeping) -> None:
    """Keep what came in before workers died."""
    with suppress(CannotSave):
        keeping.commit()


def _as_run(keeping: Keeping, plan: Plan, mdp: MDP, n_agents: int, checks: "Checks | None") -> Run | None:
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
        seconds=keeping.seconds,
        rng=arrays.get("rng", none),
        state=arrays.get("state", none),
        checkpoints=None if checks is None else checks.results(arrays["checks"], arrays.get("kept", empty)),
    )
