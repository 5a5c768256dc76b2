"""What of qfast is measured: every learning rule, way to explore and option, on the suite's workloads.

A `Variant` is a set of options of `qfast.train`; `train` measures it, `check` holds the outcome against what an
independent learner got (`benchmarks.references`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import qfast
from benchmarks.workloads import BUILDERS, Expected, Spread, Workload, check, workload

__all__ = [
    "DEFAULT",
    "FEW_EPISODES",
    "VARIANTS",
    "Trained",
    "Variant",
    "cases",
    "check_trained",
    "expected_of",
    "problem",
    "train",
]

REFERENCES = Path(__file__).with_name("references.json")
EVERYWHERE, BOTH, ARTICLE = tuple(BUILDERS), ("W1", "W3"), ("W1",)
#: For what would take minutes more to compile everywhere: short episodes, long ones, large tables.
THREE = ("W1", "W3", "W4")
#: Episodes for those that are slow, where only a glance is wanted.
FEW_EPISODES = {"W3": 10, "W4": 5, "W5": 5}
TEMPERATURE, VISITS_POWER, LAMBDA, N_STEPS = 0.1, 0.6, 0.8, 4
#: Options whose default is epsilon, and that exclude it.
_WITHOUT_EPSILON = ("softmax", "ucb")


@dataclass(frozen=True)
class Variant:
    """One way to train.

    Attributes
    ----------
    name, title : str
        For JSON, and a few words for tables and figures.
    options : mapping
        What `qfast.train` gets beside the workload's settings.  A callable value is called with the workload.
    workloads : tuple of str
        Where it is measured.
    reference : str or None
        Whose answer it must give, by `benchmarks.references`; None for its own.  Options that change no answer
        (``record``, ``dtype``) have ``"q_learning"``.
    least : float or None
        Throughput that was asked for, as a share of plain Q-learning's on the same workload.
    note : str
        Why it costs what it costs, where that is more than a third of Q-learning.
    masked : bool
        Give the problem one more action, which is not allowed anywhere.
    """

    name: str
    title: str
    options: Mapping[str, Any]
    workloads: tuple[str, ...] = BOTH
    reference: str | None = None
    least: float | None = None
    note: str = ""
    masked: bool = False

    @property
    def answer(self) -> str:
        """The reference that its outcome is compared with."""
        return self.reference or self.name


def _by_episode(value: str) -> Callable[[Workload], Any]:
    return lambda problem: qfast.by_episode(np.full(problem.episodes, getattr(problem, value)))


def _by_visits(_: Workload) -> Any:
    return qfast.by_visits(power=VISITS_POWER)


_TRACES = "the pairs with a trace are updated one lane at a time, since no two lanes share a place"
_WALKS_BACK = "what an episode leaves at its end is updated one lane at a time; on W1 that is nearly everything"
_LOGARITHM = "a logarithm, a square root and a division for each action, and a second row, of counts, to fetch"

VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("q_learning", "Q-learning", {}, EVERYWHERE),
        Variant("sarsa", "SARSA", {"rule": "sarsa"}, EVERYWHERE, least=0.7),
        Variant("expected_sarsa", "Expected SARSA", {"rule": "expected_sarsa"}, EVERYWHERE, least=0.7),
        Variant("double_q_learning", "Double Q-learning", {"rule": "double_q_learning"}, EVERYWHERE, least=0.5),
        Variant("article", "the article's rule", {"rule": "article"}, ARTICLE),
        Variant("n_step_q", "n-step Q-learning, n=4", {"n": N_STEPS}, THREE, least=0.4, note=_WALKS_BACK),
        Variant(
            "n_step_sarsa", "n-step SARSA, n=4", {"rule": "sarsa", "n": N_STEPS}, least=0.4, note=_WALKS_BACK
        ),
        Variant(
            "n_step_expected_sarsa", "n-step Expected SARSA, n=4", {"rule": "expected_sarsa", "n": N_STEPS},
            least=0.4, note=_WALKS_BACK,
        ),
        Variant("softmax", "softmax", {"explore": "softmax", "temperature": TEMPERATURE}, THREE, least=0.5),
        Variant("ucb", "UCB", {"explore": "ucb", "c": 2.0}, THREE, least=0.4, note=_LOGARITHM),
        Variant("by_visits", "alpha by visits", {"alpha": _by_visits}, THREE, least=0.6),
        Variant("q_replacing", "Q(lambda), replacing", {"traces": "replacing", "lambda_": LAMBDA}, note=_TRACES),
        Variant(
            "q_accumulating", "Q(lambda), accumulating", {"traces": "accumulating", "lambda_": LAMBDA},
            note=_TRACES,
        ),
        Variant(
            "sarsa_replacing", "SARSA(lambda), replacing",
            {"rule": "sarsa", "traces": "replacing", "lambda_": LAMBDA}, note=_TRACES,
        ),
        Variant(
            "sarsa_accumulating", "SARSA(lambda), accumulating",
            {"rule": "sarsa", "traces": "accumulating", "lambda_": LAMBDA}, note=_TRACES,
        ),
        Variant("ties_first", "ties: first", {"ties": "first"}),
        Variant("ties_last", "ties: last", {"ties": "last"}),
        Variant("ties_random", "ties: random", {"ties": "random"}),
        Variant("float64", "float64", {"dtype": "float64"}, reference="q_learning"),
        Variant("returns", 'record="returns"', {"record": "returns"}, reference="q_learning"),
        Variant("summary", 'record="summary"', {"record": "summary"}, reference="q_learning"),
        Variant(
            "schedules", "alpha and epsilon by episode",
            {"alpha": _by_episode("alpha"), "epsilon": _by_episode("epsilon")}, reference="q_learning",
        ),
        Variant("masked", "one more action, not allowed", {}, reference="q_learning", masked=True),
    )
}  # fmt: skip
DEFAULT = VARIANTS["q_learning"]


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained population and what it took.

    Attributes
    ----------
    run : qfast.Run
    n_agents, agent_steps : int
    seconds : float
        Wall time of the training, without compilation.
    """

    run: qfast.Run
    n_agents: int
    agent_steps: int
    seconds: float

    @property
    def steps_per_second(self) -> float:
        """Agent-steps a second."""
        return self.agent_steps / self.seconds


def cases(*, everywhere: bool = True) -> list[tuple[str, str]]:
    """(workload, variant) of all that is measured; unless `everywhere`, rules on W1 and W3 alone."""
    return [
        (name, variant.name)
        for name in BUILDERS
        for variant in VARIANTS.values()
        if name in variant.workloads and (everywhere or name in BOTH or variant is DEFAULT)
    ]


@cache
def problem(name: str, *, masked: bool = False) -> qfast.MDP:
    """Build the workload called `name` as qfast's users do: from its lookup arrays.

    Parameters
    ----------
    name : str
        ``"W1"`` to ``"W5"``.
    masked : bool
        Add an action that is not allowed in any state; the agents must not notice.
    """
    given = workload(name)
    next_state, reward, terminated = given.next_state.astype(np.int64), given.reward, given.terminated
    names, allowed = ["-1", "1"] if name == "W1" else [str(a) for a in range(given.n_actions)], None
    if masked:
        next_state, reward, terminated = (np.append(x, x[:, :1], axis=1) for x in (next_state, reward, terminated))
        allowed = np.arange(given.n_actions + 1) < np.full((given.n_states, 1), given.n_actions)
        names.append("none")
    return qfast.MDP(
        next_state,
        reward,
        terminated=terminated,
        start=given.start_distribution,
        max_episode_steps=given.limit,
        allowed=allowed,
        action_names=names,
    )


def train(
    given: Workload, variant: Variant = DEFAULT, *, n_agents: int, threads: int = 1, seed: int = 1, **options: Any
) -> Trained:
    """Train `n_agents` agents with the workload's settings and the variant's options.

    `options` go to `qfast.train` as they are.  The first call of a variant compiles it, outside the time measured.
    """
    settings: dict[str, Any] = {"alpha": given.alpha, "gamma": given.gamma, "ties": given.ties, "record": None}
    settings |= {key: value(given) if callable(value) else value for key, value in variant.options.items()}
    if settings.get("explore") not in _WITHOUT_EPSILON:
        settings.setdefault("epsilon", given.epsilon)
    settings |= {"episodes": given.episodes, "n_agents": n_agents, "threads": threads, "seed": seed}
    run = qfast.train(problem(given.name, masked=variant.masked), progress=False, **settings | options)
    return Trained(run, n_agents, run.n_steps, run.seconds)


@cache
def _references() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(REFERENCES.read_text("utf-8"))
    return found


def reference_key(given: Workload, answer: str) -> str:
    """Name an entry of ``references.json``: workload, episodes, whose answer.

    >>> reference_key(workload("W1"), "sarsa")
    'W1, 1000 episodes, sarsa'
    """
    return f"{given.name}, {given.episodes} episodes, {answer}"


def expected_of(given: Workload, answer: str = "q_learning") -> Expected:
    """What a right answer looks like, by the independent learner of `benchmarks.references`."""
    key = reference_key(given, answer)
    try:
        found = _references()[key]
    except KeyError:
        raise LookupError(f"no reference for {key!r}; add it there and run python -m benchmarks.references") from None
    return Expected(**{what: Spread(*found[what]) for what in ("start_value", "steps", "greedy_return")})


def check_trained(given: Workload, variant: Variant, q: NDArray[np.floating], agent_steps: int) -> dict[str, float]:
    """Refuse a population that the variant would not give; see `benchmarks.workloads.check`.

    Raises
    ------
    benchmarks.workloads.WrongAnswer
    """
    expected = {given.ties: expected_of(given, variant.answer)}
    return check(replace(given, expected=expected), q, agent_steps)
