"""What a training refuses before it begins: counts, options, problems that do not end, too little memory."""

import warnings
from concurrent.futures import Executor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput, MissingLimitWarning
from qfast.learner import Learner
from qfast.machine import available_memory, check_compiler, default_threads
from qfast.magnitudes import check_magnitudes
from qfast.mdp import MDP
from qfast.rates import Rate
from qfast.tables import explore_threshold

__all__ = [
    "MOST_AGENTS", "MOST_EPISODES", "RECORDS", "check_count", "check_keep_q", "check_memory", "check_options",
    "check_problem", "memory_needed",
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
        msg = f"record={record!r:.60} is unknown; use one of {', '.join(map(repr, RECORDS))}"
        raise InvalidInput(msg)


def check_keep_q(keep_q: Any, checkpoint_q: Any) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(keep_q, (bool, np.bool_)):
        msg = f"keep_q={keep_q!r:.40} is neither True nor False; to keep Q on the disk, use out='folder'"
        raise InvalidInput(msg)
    if not isinstance(checkpoint_q, (bool, np.bool_)):
        msg = f"checkpoint_q={checkpoint_q!r:.40} is neither True nor False; use one of them"
        raise InvalidInput(msg)
    if checkpoint_q and not keep_q:
        msg = "checkpoint_q=True and keep_q=False contradict each other; leave one of them out"
        raise InvalidInput(msg)


def check_problem(mdp: MDP, learner: Learner, record: str | None = None) -> None:
    """Refuse problems that the kernel cannot hold, and those whose episodes would not end."""
    largest = 2**31 - 1
    tables = 2 if learner.rule == "double_q_learning" else 1
    biggest = max(64 * mdp.n_states * mdp.n_actions * tables, 2 * mdp.next_state.size)
    if biggest > largest:
        msg = (
            f"{mdp.n_states:,} states with {mdp.n_actions} actions of {mdp.n_outcomes} outcomes are too many: "
            f"64 tables of Q, or the outcomes twice, must stay below 2**31 entries; use a smaller problem"
        )
        raise InvalidInput(msg)
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
