"""Problems and settings for a given variant, chosen by hypothesis."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import qfast
from qfast import MDP
from qfast.model.rates import Rate

N_AGENTS = (1, 2, 7, 31, 64, 65, 200)  # part of a group of lanes, exactly all lanes, and more agents than lanes
RATES = ("alpha", "gamma", "epsilon", "initial_q", "temperature", "lambda_", "c")
SCHEDULES = ("alpha", "epsilon", "temperature", "lambda_")  # what may have one


@dataclass(frozen=True)
class Case:
    """One run to compare: a problem, and the settings that `qfast.train` takes."""

    mdp: MDP
    settings: dict[str, Any]

    def of_agent(self, agent):
        """The settings of one agent, as the oracle takes them: its own value, a number, or one for each episode."""
        mine = self.settings | {"agent": self.settings["first_agent"] + agent}
        for name in RATES:
            rate = mine.get(name)
            if isinstance(rate, Rate) and rate.kind == "visit":
                mine[name], mine["alpha_by_visits"] = 0.0, rate.values
            elif isinstance(rate, Rate):
                mine[name] = rate.values if rate.kind == "episode" else float(rate.values[agent])
            elif name == "initial_q" and np.ndim(rate) == 3:
                mine[name] = rate[agent]
        return {name: value for name, value in mine.items() if name not in ("n_agents", "first_agent")}

    def until(self, episodes):
        """The settings for the first episodes alone."""
        return self.settings | {"episodes": episodes} | self._schedules(slice(0, episodes))

    def from_episode(self, episodes):
        """What `qfast.resume` takes to do the rest."""
        return {"episodes": self.settings["episodes"] - episodes} | self._schedules(slice(episodes, None))

    def _schedules(self, part):
        rates = {name: self.settings.get(name) for name in SCHEDULES}
        return {
            name: qfast.by_episode(rate.values[part])
            for name, rate in rates.items()
            if isinstance(rate, Rate) and rate.kind == "episode"
        }


@st.composite
def cases(draw, variant, *, tables=True):
    """A run of a variant: hypothesis draws what matters one by one, and a seed for the bulk of numbers.

    With `tables` some begin with a table of Q for all agents, or one for each.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="numbers"))
    # The longest episodes are those without a limit, so there are fewer of them.
    n_agents, episodes = draw(st.sampled_from(N_AGENTS)), draw(st.integers(1, 30 if variant.limited else 12))

    def rate(name, choices, low, high, *, schedule=False):
        """One of the choices for all, or numbers between low and high for each agent, or for each episode."""
        if schedule:
            return qfast.by_episode(rng.uniform(low, high, episodes))
        value = draw(st.sampled_from([*choices, None]), label=name)
        return qfast.per_agent(rng.uniform(low, high, n_agents)) if value is None else value

    # Accumulating traces multiply the step size by up to the number of visits in an episode: values would overflow,
    # and where no limit ends an episode, softmax with such values would not either.
    largest_alpha = 0.3 if variant.traces == "accumulating" or (variant.traces and not variant.limited) else 1.0
    settings = {
        "alpha": draw(st.sampled_from(BY_VISITS))
        if variant.alpha == "by_visits"
        else rate("alpha", [0.0, 0.1, largest_alpha / 2, largest_alpha, 2**-30], 0, largest_alpha,
                  schedule=variant.alpha == "by_episode"),
        "gamma": rate("gamma", [0.0, 0.9, 1.0] if variant.limited else [0.0, 0.9], 0.0, 0.9),
        "initial_q": rate("initial_q", [0.0, -0.0, 10.0, -3.0, 1e-40], -5, 5),
    } | exploration(variant, draw, rate)  # fmt: skip
    if variant.reach == "steps":
        settings["n"] = draw(st.sampled_from([2, 3, 4, 7]), label="n")
    if variant.traces:
        longest = 1.0 if variant.limited else 0.5
        settings["traces"] = variant.traces
        settings["lambda_"] = rate(
            "lambda_", [0.0, 0.8 * longest, longest], 0, longest, schedule=variant.lambda_schedule
        )
        settings["trace_cutoff"] = draw(st.sampled_from([0.0, 0.01, 0.5]), label="trace_cutoff")
    settings |= {"n_agents": n_agents, "episodes": episodes, "ties": variant.ties, "dtype": variant.dtype}
    settings |= {
        "rule": variant.rule,
        "seed": draw(st.integers(0, 2**70)),
        "first_agent": draw(st.sampled_from([0, 5, 2**33])),
    }
    mdp = draw(problems(variant, rng))
    each = draw(st.sampled_from([None, None, (), (n_agents,)]), label="tables of Q to start with") if tables else None
    if each is not None:
        settings["initial_q"] = rng.uniform(-5, 5, (*each, mdp.n_states, mdp.n_actions))
    return Case(mdp, settings)


#: Step sizes by visits; the arrays are short, so that later visits have the last one.
BY_VISITS = (
    qfast.by_visits(), qfast.by_visits(power=0.7), qfast.by_visits(c=2.0), qfast.by_visits([0.3]),
    qfast.by_visits([0.3, 0.0, 0.2]),
)  # fmt: skip


def exploration(variant, draw, rate):
    """The settings of a way to explore; without a limit they must make sure that every episode ends."""
    schedule = variant.explore_schedule
    if variant.explore == "ucb":  # a bonus far above all values tries every action over and over
        choices, low = ([0.0, 0.5, 2.0, 1e6], 0.0) if variant.limited else ([100.0, 1e6], 100.0)
        return {"explore": "ucb", "c": rate("c", choices, low, 1e3)}
    if variant.explore == "softmax":
        choices, low = ([1e-6, 0.3, 1.0, 100.0, 1e12], 1e-2) if variant.limited else ([5.0, 1e12], 5.0)
        return {"explore": "softmax", "temperature": rate("temperature", choices, low, 20.0, schedule=schedule)}
    if variant.limited and not schedule and draw(st.integers(0, 7), label="greedy if 0") == 0:
        return {"explore": "greedy"}
    choices, low = ([0.2, 0.5, 1.0, 1 - 2**-25], 0.2)
    if variant.limited:
        choices, low = [*choices, 0.0, 2**-25, 0.1], 0.0
    return {"explore": "epsilon_greedy", "epsilon": rate("epsilon", choices, low, 1.0, schedule=schedule)}


@st.composite
def problems(draw, variant, rng):
    """A problem that selects a variant."""
    # The last state is an end: it is entered by terminated outcomes only, and a mask may allow nothing in it.
    n_actions, fewest = variant.n_actions, 2 + variant.several_starts
    # One outcome a pair and at most 16 pairs are a variant of their own.
    least = 16 // n_actions + 1 if variant.outcomes == "one" else fewest
    most = 16 // n_actions if variant.outcomes == "few" else 8
    least = max(fewest, least)
    n_states = draw(st.integers(least, max(least, min(most, 8))))
    n_outcomes = 1 if variant.outcomes in ("one", "few") else draw(st.integers(2, 4))
    shape = (n_states, n_actions, n_outcomes)
    end = n_states - 1
    next_state = rng.integers(0, n_states, shape)
    terminated = (rng.random(shape) < draw(st.sampled_from([0.05, 0.3, 0.9]))) | (next_state == end)
    reward = _rewards(rng, shape, draw(st.sampled_from(_kinds_of_rewards(variant))))

    probability = np.full(shape, 1 / n_outcomes)
    if variant.outcomes == "alias":
        probability = rng.random(shape) + 0.01
        probability[rng.random(shape) < draw(st.sampled_from([0.0, 0.4]))] = 0  # padding
        probability[..., rng.integers(n_outcomes)] += 0.1
        probability /= probability.sum(axis=-1, keepdims=True)

    allowed = None
    if variant.masked:
        allowed = rng.random((n_states, n_actions)) < 0.6
        allowed[np.arange(n_states), rng.integers(0, n_actions, n_states)] = True
        allowed[end] = False
    # In each state one action may lead on: to the end where there is no limit, elsewhere where there is one (a start
    # from which nothing leads elsewhere is refused).
    for s in range(end):
        a = 0 if allowed is None else np.argmax(allowed[s])
        k = np.argmax(probability[s, a])
        next_state[s, a, k], terminated[s, a, k] = (s + 1, s + 1 == end) if variant.limited else (end, True)

    start = np.zeros(n_states)
    if variant.several_starts:
        n_starts = draw(st.integers(2, end))
        start[rng.choice(end, n_starts, replace=False)] = 1 / n_starts
        if draw(st.booleans(), label="starts differ in probability"):
            start[:end] *= rng.random(end) + 0.1
            start /= start.sum()
    else:
        start[rng.integers(0, end)] = 1
    limit = draw(st.integers(1, 12)) if variant.limited else None
    names = None
    if variant.rule == "article":  # takes the actions' names for numbers
        names = [f"{number:g}" for number in rng.permutation(np.arange(n_actions) / 2 - 1)]
    return MDP(
        next_state, reward, terminated=terminated, probability=probability, start=start, max_episode_steps=limit,
        allowed=allowed, action_names=names,
    )  # fmt: skip


def _kinds_of_rewards(variant):
    """Rewards under which the values stay numbers and every episode ends."""
    if variant.explore != "epsilon_greedy" and not variant.limited:
        return ["few", "zero", "tiny"]
    return ["few", "zero", "any", "tiny", "huge"]


def _rewards(rng, shape, kind):
    """Few different ones make ties; tiny ones are subnormal in float32, where a flush to zero would show."""
    return {
        "few": lambda: rng.integers(-1, 2, shape).astype(float),
        "zero": lambda: np.zeros(shape),
        "any": lambda: rng.normal(size=shape),
        "tiny": lambda: rng.normal(size=shape) * 1e-39,
        "huge": lambda: rng.normal(size=shape) * 1e30,
    }[kind]()
