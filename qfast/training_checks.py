"""What a training refuses before it begins: counts, options, problems that do not end, too little memory."""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import whole
from qfast.engine.blocks import block_size
from qfast.engine.executors import count_workers
from qfast.engine.footprint import Footprint, memory_needed
from qfast.engine.machine import available_memory, check_compiler, default_threads
from qfast.engine.plan import Plan
from qfast.engine.tables import explore_threshold
from qfast.errors import InvalidInput, MissingLimitWarning, warn_caller
from qfast.model.learner import Learner
from qfast.model.magnitudes import check_magnitudes
from qfast.model.mdp import MDP
from qfast.model.rates import Rate

__all__ = [
    "MOST_AGENTS", "MOST_EPISODES", "RECORDS", "check_count", "check_keep_q", "check_memory", "check_options",
    "check_problem", "largest_that",
]  # fmt: skip

#: What `record` may be.
RECORDS: Final = (None, "returns", "summary")
#: Numbers of agents are 64 bits wide, with one bit to spare for a sum of two.
MOST_AGENTS: Final = 2**62
#: The kernel counts the episodes that are left in 32 bits.
MOST_EPISODES: Final = 2**31 - 2

# Softmax at this share of the largest reward: of two values that are a hundredth of it apart it takes the lower one
# with probability e^-100, which is never.
_COLDEST: Final = 1e-4

# What a message advises for a count.
_EXAMPLES: Final = {"first_agent": 0, "max_steps": 200, "n_agents": 10_000, "top": 10}


def check_count(name: str, value: Any, least: int = 1, most: int = MOST_AGENTS) -> int:
    """Refuse what is not a whole number from `least` to `most`; give it as Python's."""
    fix = f"use a number such as {max(least, _EXAMPLES.get(name, 1000)):,}"
    return whole(name, value, least, most, fix="use None for as many as processors" if name == "threads" else fix)


def check_options(threads: Any, executor: Any, record: Any) -> None:
    """Refuse threads, executors and records that cannot be."""
    check_compiler()
    if threads is not None:
        check_count("threads", threads, most=2**16)
    if executor is not None and not isinstance(executor, Executor):
        msg = f"executor={executor!r:.60} is not a concurrent.futures.Executor; use a pool, or None for threads"
        raise InvalidInput(msg)
    if executor is not None and threads is not None:
        msg = f"threads={threads} has no meaning beside executor=; the executor has workers of its own, leave one out"
        raise InvalidInput(msg)
    if not (record is None or isinstance(record, str)) or record not in RECORDS:
        raise InvalidInput(f"record={record!r:.60} is unknown; use one of {', '.join(map(repr, RECORDS))}")


def check_keep_q(keep_q: Any, checkpoint_q: Any) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(keep_q, (bool, np.bool_)):
        raise InvalidInput(f"keep_q={keep_q!r:.40} is neither True nor False; to keep Q on the disk, use out='folder'")
    if not isinstance(checkpoint_q, (bool, np.bool_)):
        raise InvalidInput(f"checkpoint_q={checkpoint_q!r:.40} is neither True nor False; use one of them")
    if checkpoint_q and not keep_q:
        raise InvalidInput("checkpoint_q=True and keep_q=False contradict each other; leave one of them out")


def check_problem(mdp: MDP, learner: Learner, record: str | None = None) -> None:
    """Refuse problems that the kernel cannot hold, and those whose episodes would not end."""
    largest = 2**31 - 1
    tables = 2 if learner.rule == "double_q_learning" else 1
    biggest = max(64 * mdp.n_states * mdp.n_actions * tables, 2 * mdp.next_state.size)
    if biggest > largest:
        raise InvalidInput(
            f"{mdp.n_states:,} states with {mdp.n_actions} actions of {mdp.n_outcomes} outcomes are too many: "
            f"64 tables of Q, or the outcomes twice, must stay below 2**31 entries; use a smaller problem"
        )
    check_magnitudes(mdp, learner, record)
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
            raise InvalidInput(
                "c=0 without max_episode_steps may go round in circles for ever; use mdp.with_limit(…), or c above 0"
            )


def _check_exploring(name: str, rate: Rate, never: NDArray[np.bool_], low: str, fix: str) -> None:
    """An agent that is always greedy may go round in circles for ever where there is no episode limit."""
    never = never.reshape(-1)
    if never[0] or (rate.kind == "agent" and never.any()):
        raise InvalidInput(
            f"{name}={rate!r} without max_episode_steps may go round in circles for ever; "
            f"use mdp.with_limit(…), or {fix}"
        )
    if never.any():
        episode = int(np.flatnonzero(never)[0])
        text = (
            f"{name} reaches {low} in episode {episode:,}, and there is no max_episode_steps: an agent that has not "
            "found the end by then may go round in circles for ever; use mdp.with_limit(…)"
        )
        warn_caller(text, MissingLimitWarning)


def check_memory(
    plan: Plan,
    n_agents: int,
    *,
    threads: int | None,
    executor: Executor | None,
    on_disk: bool = False,
    saved: bool = False,
    goes_on: bool = False,
    joined: Callable[[Plan], int] = lambda _plan: 0,
) -> None:
    """Refuse a run that would not fit in memory, and say what would.

    With `goes_on` the agents are those of a run, so that neither they nor their records can be other ones; `joined` is
    what it takes to put the records together.
    """
    available = available_memory()

    def need(plan: Plan = plan, n: int = n_agents, workers: int | None = None, **changes: bool) -> int:
        count = workers or threads or (default_threads() if executor is None else count_workers(executor))
        how = Footprint(
            count, block_size(plan, n, count), keep_q=plan.keep_q, on_disk=on_disk, saved=saved,
            elsewhere=not (executor is None or isinstance(executor, ThreadPoolExecutor)),
        )  # fmt: skip
        return memory_needed(plan, n, replace(how, **changes)) + joined(plan)

    here = need()
    if here <= available:
        return
    measurer = plan.measurer
    ways: list[tuple[str, int]] = []
    if executor is None and (threads or default_threads()) > 1:
        ways.append(("threads=1", need(workers=1)))
    if measurer is not None:
        ways.append(("no checkpoints", need(replace(plan, measurer=None))))
    if not goes_on:
        ways += [
            (f"record={choice!r}", need(replace(plan, record=choice)))
            for choice in RECORDS
            if choice != plan.record != "score"
        ]
        if plan.keep_q and not on_disk:
            ways.append(("out='folder' (Q stays on the disk)", need(on_disk=True, saved=True)))
            if measurer is None or not measurer.keep_q:
                ways.append(("keep_q=False (Q is dropped)", need(keep_q=False)))
        most = largest_that(lambda n: need(n=n) <= available, n_agents)
        if most:
            ways.append((f"n_agents={most:,}", 0))
    most = largest_that(lambda n: need(replace(plan, episodes=n)) <= available, plan.episodes)
    if most and plan.record != "score" and measurer is None:
        ways.append((f"episodes={most:,}", 0))
    fitting = [f"{text} ({size / 1e9:.3g} GB)" if size else text for text, size in ways if size <= available]
    recorded = "" if plan.record == "score" else f" with record={plan.record!r}"
    msg = (
        f"n_agents={n_agents:,}{recorded} needs {here / 1e9:.3g} GB, "
        f"and {max(available, 0) / 1e9:.3g} GB are free; "
    )
    if fitting:
        msg += f"what would fit: {', or '.join(fitting)}"
    else:
        msg += "no smaller number of agents or episodes would fit; use a smaller problem, or free memory"
    raise InvalidInput(msg)


def largest_that(fits: Callable[[int], bool], above: int) -> int:
    """The largest number below `above` that fits, to two digits; 0 if not even 1 does."""
    low = 0
    while above - low > 1:
        middle = (low + above) // 2
        low, above = (middle, above) if fits(middle) else (low, middle)
    digits = 10 ** max(0, len(str(low)) - 2)
    low = low // digits * digits
    return low if low and fits(low) else 0
