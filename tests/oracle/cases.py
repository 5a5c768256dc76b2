"""Problems and settings for a given variant, chosen by hypothesis."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

import qfast
from qfast import MDP
from qfast.rates import Rate

N_AGENTS = (1, 2, 7, 31, 64, 65, 200)  # part of a group of lanes, exactly all lanes, and more agents than lanes


@dataclass(frozen=True)
class Case:
    """One run to compare: a problem, and the settings that `qfast.train` takes."""

    mdp: MDP
    settings: dict[str, Any]

    def of_agent(self, agent):
        """The settings of one agent, as the oracle takes them: its own value, a number, or one for each episode."""
        mine = self.settings | {"agent": self.settings["first_agent"] + agent}
        for name in ("alpha", "gamma", "epsilon", "initial_q"):
            if isinstance(mine[name], Rate):
                mine[name] = mine[name].values if mine[name].kind == "episode" else float(mine[name].values[agent])
        return {name: value for name, value in mine.items() if name not in ("n_agents", "first_agent")}


@st.composite
def cases(draw, variant):
    """A run of a variant: hypothesis draws what matters one by one, and a seed for the bulk of numbers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="numbers"))
    n_agents, episodes = draw(st.sampled_from(N_AGENTS)), draw(st.integers(1, 30))
    # Without a limit an agent must explore, or its episodes may never end.
    lowest = 0.0 if variant.limited else 0.2
    values = {
        "alpha": draw(st.sampled_from([0.0, 0.1, 0.5, 1.0, 2**-30, None])),
        "gamma": draw(st.sampled_from([0.0, 0.9, 1.0, None])),
        "epsilon": draw(st.sampled_from([0.2, 0.5, 1.0, 1 - 2**-25, None] + [0.0, 2**-25, 0.1] * variant.limited)),
        "initial_q": draw(st.sampled_from([0.0, -0.0, 10.0, -3.0, 1e-40, None])),
    }
    settings = {}
    for name, value in values.items():
        low, high = {"initial_q": (-5.0, 5.0), "epsilon": (lowest, 1.0)}.get(name, (0.0, 1.0))
        if (name == "alpha" and variant.alpha_schedule) or (name == "epsilon" and variant.epsilon_schedule):
            settings[name] = qfast.by_episode(rng.uniform(low, high, episodes))
        elif value is None:
            settings[name] = qfast.per_agent(rng.uniform(low, high, n_agents))
        else:
            settings[name] = value
    settings |= {"n_agents": n_agents, "episodes": episodes, "ties": variant.ties, "dtype": variant.dtype}
    settings |= {"seed": draw(st.integers(0, 2**70)), "first_agent": draw(st.sampled_from([0, 5, 2**33]))}
    return Case(draw(problems(variant, rng)), settings)


@st.composite
def problems(draw, variant, rng):
    """A problem that selects a variant."""
    # The last state is an end: it is entered by terminated outcomes only, and a mask may allow nothing in it.
    n_states, n_actions = draw(st.integers(2 + variant.several_starts, 8)), variant.n_actions
    n_outcomes = 1 if variant.outcomes == "one" else draw(st.integers(2, 4))
    shape = (n_states, n_actions, n_outcomes)
    end = n_states - 1
    next_state = rng.integers(0, n_states, shape)
    terminated = (rng.random(shape) < draw(st.sampled_from([0.05, 0.3, 0.9]))) | (next_state == end)
    reward = _rewards(rng, shape, draw(st.sampled_from(["few", "zero", "any", "tiny", "huge"])))

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
    return MDP(
        next_state, reward, terminated=terminated, probability=probability, start=start, max_episode_steps=limit,
        allowed=allowed,
    )  # fmt: skip


def _rewards(rng, shape, kind):
    """Few different ones make ties; tiny ones are subnormal in float32, where a flush to zero would show."""
    return {
        "few": lambda: rng.integers(-1, 2, shape).astype(float),
        "zero": lambda: np.zeros(shape),
        "any": lambda: rng.normal(size=shape),
        "tiny": lambda: rng.normal(size=shape) * 1e-39,
        "huge": lambda: rng.normal(size=shape) * 1e30,
    }[kind]()
