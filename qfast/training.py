"""Training: settings are checked, and the agents trained."""

import os
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import explained
from qfast.destination import Destination
from qfast.engine.agent_arrays import AgentArrays, warn_of_divergence
from qfast.engine.plan import Plan, make_plan
from qfast.errors import InvalidInput
from qfast.execution import run_training
from qfast.model.learner import Learner, make_learner
from qfast.model.magnitudes import warn_of_lost_updates
from qfast.model.mdp import MDP, check_mdp
from qfast.model.seeding import Seed, as_seed_sequence
from qfast.model.settings import DEFAULT_EPSILON, settings_in
from qfast.problems import corridor
from qfast.progress import Reporter
from qfast.run import Run, check_run
from qfast.training_checks import (
    MOST_AGENTS,
    MOST_EPISODES,
    check_count,
    check_keep_q,
    check_options,
    check_problem,
)

if TYPE_CHECKING:
    from qfast.truth.checkpoints import Measurer

__all__ = ["resume", "train"]


@explained
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
        What Q starts with, in units of reward: a number, one value an agent, one for each state and action (shape
        ``(S, A)``), or for each agent, state and action (``(n_agents, S, A)``).  Values of actions that are not allowed
        are ignored, so that another run's Q or `qfast.exact`'s will do.
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
        memory that does not grow with the agents: at most 2,048 counts an episode (see `qfast.Summary`).  "returns":
        ``run.returns`` and ``run.lengths`` of every agent and episode, 8 bytes both (12 with float64).
    keep_q : bool, default True
        Whether every agent's Q is kept.  Without it, and with ``record="summary"`` and no ``checkpoints``, memory does
        not grow with the agents: ``run.curve`` is what remains, and using ``run.q`` raises InvalidInput.
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
        What is measured is kept of each agent, whatever ``keep_q`` is: 33 bytes an agent and checkpoint.
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

    Warns
    -----
    DivergedWarning
        If Q of some agents came to inf or NaN: ``run.diverged`` tells which.
    PrecisionWarning
        If a step size is so small for the size of the values that updates will be lost to rounding.

    Examples
    --------
    >>> import qfast
    >>> run = qfast.train(n_agents=100, episodes=500, seed=0, progress=False)
    >>> run.q.shape, [f"{value:.2f}" for value in run.q.mean(axis=0)[:, 1]]
    ((100, 5, 2), ['4.17', '3.52', '2.80', '2.00', '0.00'])
    """
    settings = settings_in(locals())
    problem = corridor() if mdp is None else check_mdp(mdp)
    n_agents = check_count("n_agents", n_agents, most=MOST_AGENTS)
    episodes = check_count("episodes", episodes, most=MOST_EPISODES)
    first_agent = check_count("first_agent", first_agent, least=0, most=MOST_AGENTS)
    check_options(threads, executor, record)
    learner = make_learner(n_agents=n_agents, episodes=episodes, mdp=problem, **settings)
    check_problem(problem, learner, record)
    warn_of_lost_updates(problem, learner)
    check_keep_q(keep_q, checkpoint_q)
    measurer = _measurer(problem, learner, checkpoints, episodes, 0, keep_q=checkpoint_q)
    output = None if out is None else Destination(out)
    if seed is None and output is not None:
        seed = output.unfinished_seed()
    plan = make_plan(
        problem, learner, as_seed_sequence(seed), first_agent=first_agent, episodes=episodes, record=record,
        keep_q=keep_q, measurer=measurer,
    )  # fmt: skip
    run = run_training(
        problem, plan, n_agents, threads=threads, executor=executor, progress=progress, output=output
    )
    warn_of_divergence(run.n_diverged, run.n_agents, learner)
    return run


@explained
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
    settings = settings_in(locals())
    check_run(run)
    episodes = check_count("episodes", episodes, most=MOST_EPISODES)
    check_options(threads, executor, run.record)
    old = run.learner
    given = {name: value for name, value in settings.items() if value is not None}
    for name in old.shown:
        if name not in given and getattr(old, name).kind == "episode":
            msg = (
                f"{name}={getattr(old, name)!r} ended with episode {run.episodes:,}; "
                f"give {name}= for the further episodes"
            )
            raise InvalidInput(msg)
    learner = make_learner(n_agents=run.n_agents, episodes=episodes, mdp=run.mdp, **old.given() | given)
    check_problem(run.mdp, learner, run.record)
    warn_of_lost_updates(run.mdp, learner)
    keep_q = run.checkpoints is not None and run.checkpoints.q is not None
    measurer = _measurer(run.mdp, learner, checkpoints, episodes, run.episodes, keep_q=keep_q)
    tables = run.q if run.q_tables is None else np.moveaxis(run.q_tables, 1, -1)
    plan = make_plan(
        run.mdp, learner, run.seed_sequence, first_agent=run.first_agent, episodes=episodes, record=run.record,
        measurer=measurer,
    )  # fmt: skip
    more = run_training(
        run.mdp, plan, run.n_agents, threads=threads, executor=executor, progress=progress,
        before=AgentArrays.learned(tables, run.visits, run.rng, run.state), joined=partial(_joined_bytes, run),
    )  # fmt: skip
    warn_of_divergence(more.n_diverged, more.n_agents, learner)
    return _join(run, more)


def _joined_bytes(run: Run, plan: Plan) -> int:
    """What `_join` allocates: records and checkpoints of both stretches, in one piece."""
    each = 0 if run.returns is None else (run.returns.itemsize + 4) * (run.episodes + plan.episodes)
    old = run.checkpoints
    if old is not None and plan.measurer is not None:
        each += (25 + (0 if old.q is None else run.q[0].nbytes)) * (old.episodes.size + len(plan.checkpoints))
    return run.n_agents * each


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
        seconds=run.seconds + more.seconds, rng=more.rng, state=more.state, n_diverged=more.n_diverged,
    )  # fmt: skip


def _measurer(
    mdp: MDP, learner: Learner, checkpoints: Any, episodes: int, done: int, *, keep_q: bool
) -> "Measurer | None":
    if checkpoints is None:
        if keep_q and not done:
            msg = "checkpoint_q=True has no meaning without checkpoints; add checkpoints=20, a list, or 'log'"
            raise InvalidInput(msg)
        return None
    from qfast.truth.checkpoints import checkpoint_measurer

    return checkpoint_measurer(mdp, learner, checkpoints, episodes, done, keep_q=keep_q)
