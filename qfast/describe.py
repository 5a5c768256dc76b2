"""Runs in words: what a person reads first."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qfast.model.seeding import seed_in_words, seed_to_json
from qfast.run import NotKept, Run
from qfast.text import percent

__all__ = ["describe_run", "final_returns", "learner_in_words"]

_LAST = 100  # episodes that count as the end of training


def final_returns(run: Run) -> dict[str, Any] | None:
    """Sum up the returns at the end of training, over agents; None where nothing was recorded."""
    last = min(_LAST, run.episodes)
    if run.returns is not None:
        means = run.returns[:, -last:].mean(axis=1, dtype=np.float64)
        spread = float(means.std(ddof=1)) if run.n_agents > 1 else float("nan")
        return {"episodes": last, "mean": float(means.mean()), "std": spread, "of": "each agent's mean"}
    if run.curve is not None:
        returns = run.curve.returns
        return {
            "episodes": last,
            "mean": float(returns.mean[-last:].mean()),
            "std": float(returns.std[-1]),
            "of": "single episodes",
        }
    return None


def learner_in_words(run: Run) -> str:
    """The rule, what it looks at, and how actions are chosen."""
    learner = run.learner
    parts = [learner.rule] + [f"n={learner.n}"] * (learner.n > 1)
    return ", ".join(parts + [f"{learner.traces} traces"] * bool(learner.traces) + [learner.explore])


def describe_run(run: Run, agents: NDArray[np.int64] | None) -> str:
    """Describe a run on one screen; `agents` have each of its greedy policies, None where Q was not kept."""
    mdp, steps = run.mdp, run.n_steps
    limit = "no limit" if mdp.max_episode_steps is None else f"limit {mdp.max_episode_steps:,} steps"
    speed = f", {run.steps_per_second / 1e6:,.0f} million a second" if run.seconds > 0 else ""
    kept = not isinstance(run.q, NotKept)
    shape = run.q.shape if kept else "not kept"
    seed = seed_in_words(seed_to_json(run.seed_sequence))
    name = f"{mdp.name}, " if mdp.name else ""
    lines = [
        f"Run of {run.n_agents:,} agents, {run.episodes:,} episodes each",
        f"  problem    {name}{mdp.n_states:,} states, {mdp.n_actions} actions, {limit}",
        f"  learner    {learner_in_words(run)}",
        f"  rates      {', '.join(f'{name}={getattr(run.learner, name)!r}' for name in run.learner.shown)}",
        f"  Q          {run.dtype.name} {shape}, started at {run.initial_q!r}, ties {run.ties}",
        f"  seed       {seed}" + (f", first agent {run.first_agent:,}" if run.first_agent else ""),
        f"  steps      {steps:,} in {run.seconds:.3g} s{speed}",
    ]
    if run.n_diverged:
        have = "1 agent has" if run.n_diverged == 1 else f"{run.n_diverged:,} agents have"
        lines.append(f"  diverged   {have} inf or NaN in Q, and what they do means nothing")
    final = final_returns(run)
    if final is not None:
        spread = "" if np.isnan(final["std"]) else f"; standard deviation of {final['of']} {final['std']:.4g}"
        lines.append(f"  return     {final['mean']:.4g} on average over the last {final['episodes']} episodes{spread}")
    if agents is None:
        return "\n".join(lines)
    count = "1 greedy policy" if len(agents) == 1 else f"{len(agents):,} greedy policies"
    share = percent(int(agents[0]), run.n_agents)
    lines.append(f"  policies   {count}; the most frequent one has {share} of the agents")
    return "\n".join(lines)
