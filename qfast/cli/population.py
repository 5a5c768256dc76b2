"""What there is to say about a run, as one value: computed once, for the screen and for JSON."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qfast.model.mdp import MDP
    from qfast.run import Run

__all__ = ["Population", "Spread", "agent_json", "policy_json", "policy_names", "problem_json", "seed_of"]


@dataclass(frozen=True)
class Spread:
    """A quantity over agents.

    Attributes
    ----------
    mean : float
        The mean.
    std : float or None
        The standard deviation over agents (n - 1), which is not the error of the mean; None for one agent.
    """

    mean: float
    std: float | None

    @classmethod
    def of(cls, values: NDArray[Any]) -> "Spread":
        """Sum up one value an agent."""
        std = float(values.std(ddof=1, dtype=np.float64)) if values.size > 1 else None
        return cls(float(values.mean(dtype=np.float64)), std)


@dataclass(frozen=True)
class Population:
    """A run's agents, summed up.

    Attributes
    ----------
    run : Run
        The run.
    final_return, final_length : Spread or None
        Of every agent's last episode, in units of reward and steps; None if nothing was recorded.
    policy : ndarray of bool, shape (S, A)
        The most frequent greedy policy, as `Run.policies` gives it: no action in states that it does not meet.
    n_same : int
        How many have it.
    n_policies : int
        How many different greedy policies there are.
    majority : ndarray of bool, shape (S, A)
        In each state the greedy action of most of the agents that come there; of actions that tie, each has its part
        of the agent's vote, and of equally many votes the first one counts.
    mean_q : ndarray of float64, shape (S, A)
        Mean Q over agents, in units of reward; -inf where an action is not allowed.
    """

    run: "Run"
    final_return: Spread | None
    final_length: Spread | None
    policy: NDArray[np.bool_]
    n_same: int
    n_policies: int
    majority: NDArray[np.bool_]
    mean_q: NDArray[np.float64]

    @classmethod
    def of(cls, run: "Run") -> "Population":
        """Sum up a run."""
        policies, agents = run.policies()
        with np.errstate(invalid="ignore"):  # of agents that have diverged it is NaN
            mean_q = run.q.mean(axis=0, dtype=np.float64)
        final_return, final_length = _final(run)
        return cls(
            run=run,
            final_return=final_return,
            final_length=final_length,
            policy=policies[0],
            n_same=int(agents[0]),
            n_policies=len(agents),
            majority=_majority(policies, agents),
            mean_q=mean_q,
        )

    @property
    def share(self) -> float:
        """Share of the agents that have the most common policy."""
        return self.n_same / self.run.n_agents

    def to_json(self) -> dict[str, Any]:
        """Everything that the screen shows, and the tables that it may leave out.

        Returns
        -------
        dict
            Ready for `qfast.cli.output.write_json`.
        """
        run, mdp = self.run, self.run.mdp
        words = run.learner.words()
        settings: dict[str, Any] = {name: _value(getattr(run.learner, name), words[name]) for name in words}
        settings["n"] = run.learner.n
        return {
            "problem": problem_json(mdp),
            "settings": {
                "n_agents": run.n_agents,
                "first_agent": run.first_agent,
                "episodes": run.episodes,
                **settings,
                "record": run.record,
            },
            "seed": seed_of(run),
            "n_steps": run.n_steps,
            "n_diverged": run.n_diverged,
            "seconds": run.seconds,
            "steps_per_second": run.steps_per_second,
            "final_return": _spread_json(self.final_return),
            "final_length": _spread_json(self.final_length),
            "policy": {
                "share": self.share,
                "n_agents": self.n_same,
                "n_policies": self.n_policies,
                "actions": policy_json(self.policy),
                "majority": policy_json(self.majority),
            },
            "mean_q": self.mean_q,
        }


def agent_json(run: "Run", agent: int) -> dict[str, Any]:
    """Give what one agent has learned, its table as the article prints it.

    Parameters
    ----------
    run : Run
        The run.
    agent : int
        Position of the agent in it.
    """
    from qfast.truth.behaviour import greedy_sets

    position = run.position(agent)
    recorded = None if run.returns is None or run.lengths is None else (run.returns, run.lengths)
    return {
        "problem": problem_json(run.mdp),
        "agent": run.first_agent + position,
        "seed": seed_of(run),
        "episodes": run.episodes,
        "final_return": recorded and float(recorded[0][position, -1]),
        "final_length": recorded and int(recorded[1][position, -1]),
        "policy": policy_json(greedy_sets(run, position)),
        "q": run.table(position),
    }


def problem_json(mdp: "MDP") -> dict[str, Any]:
    """Say what the problem is: its sizes and its names, which the tables below are in the order of."""
    return {
        "name": mdp.name,
        "n_states": mdp.n_states,
        "n_actions": mdp.n_actions,
        "max_episode_steps": mdp.max_episode_steps,
        "state_names": mdp.state_names,
        "action_names": mdp.action_names,
        "states": mdp.states,
        "actions": mdp.actions,
        "digest": mdp.digest,
    }


def policy_json(policy: NDArray[np.bool_]) -> list[list[int]]:
    """Give the actions in each state, none where the policy does not come."""
    return [np.flatnonzero(row).tolist() for row in policy]


def policy_names(mdp: "MDP", policy: NDArray[np.bool_]) -> list[tuple[str, str]]:
    """Name the states that the policy meets, and what it does there."""
    return [
        (mdp.state_names[s], "/".join(mdp.action_names[a] for a in np.flatnonzero(policy[s])))
        for s in np.flatnonzero(policy.any(axis=1))
    ]


def seed_of(run: "Run") -> Any:
    """Give the number that repeats the run; what is not one number is given with its parts."""
    from qfast.model.seeding import seed_number, seed_to_json

    return seed_number(seed_to_json(run.seed_sequence))


def _final(run: "Run") -> tuple[Spread | None, Spread | None]:
    """Sum up the last episode, from whichever record there is."""
    if run.returns is not None and run.lengths is not None:
        return Spread.of(run.returns[:, -1]), Spread.of(run.lengths[:, -1])
    if run.curve is None:
        return None, None
    both = (run.curve.returns, run.curve.lengths)
    one = run.n_agents == 1
    last = [Spread(float(part.mean[-1]), None if one else float(part.std[-1])) for part in both]
    return last[0], last[1]


def _majority(policies: NDArray[np.bool_], agents: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Count votes for each action, policy by policy to spare memory; the first one wins a tie."""
    votes = np.zeros(policies.shape[1:])
    for policy, n in zip(policies, agents, strict=True):
        votes += n * policy / np.maximum(policy.sum(axis=1, keepdims=True), 1)
    best = np.round(votes, 6) == np.round(votes.max(axis=1, keepdims=True), 6)
    winners: NDArray[np.bool_] = best & (best.cumsum(axis=1) == 1) & votes.any(axis=1, keepdims=True)
    return winners


def _value(setting: Any, words: str) -> Any:
    """Give a rate as a number where it is one, and in words where it varies."""
    if getattr(setting, "kind", "") == "constant":
        return float(setting.values)
    return words


def _spread_json(spread: Spread | None) -> dict[str, float | None] | None:
    return None if spread is None else {"mean": spread.mean, "std": spread.std}
