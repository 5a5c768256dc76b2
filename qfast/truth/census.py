"""The census: which greedy policies a population of agents ended with, and what each is worth."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import is_whole, whole
from qfast.errors import InvalidInput
from qfast.model.mdp import MDP
from qfast.text import columns, percent

if TYPE_CHECKING:
    from qfast.run import Run

__all__ = ["Census", "census"]

_ROWS: Final = 10  # of the table that repr shows
_MAPS: Final = 3  # side by side below it
_COLUMNS: Final = 78


@dataclass(frozen=True, eq=False, repr=False)
class Census:
    """The distinct greedy policies of a run's agents, the most frequent first; n of them.

    Two agents have the same policy if they do the same in every state that they meet from the start.

    Attributes
    ----------
    agents : ndarray of int64, shape (n,)
        How many agents have each policy.
    value : ndarray of float64, shape (n,)
        Its exact (discounted) value from the start, in units of reward.
    regret : ndarray of float64, shape (n,)
        What it loses against the best one.
    is_optimal : ndarray of bool, shape (n,)
    expected_return : ndarray of float64, shape (n,)
        Expected undiscounted return of an episode, within the episode limit if there is one.
    success : ndarray of float64, shape (n,)
        Probability that an episode succeeds (see `qfast.exact.success_outcomes`), within the limit if there is one.
    example : ndarray of int64, shape (n,)
        Position of the first agent that has it.
    policy_of : ndarray of int64, shape (n_agents,)
        Which policy each agent has.
    masks : ndarray of unsigned int, shape (n, D, words)
        The actions in the D states of `states`, as bits; `actions` unpacks them.
    states : ndarray of int64, shape (D,)
        The states in which an agent can act, in the order of `masks`.
    gamma, best_value : float
        The discount, and V* of the start.
    resolution : float
        Regret below this, in units of reward, cannot be told from rounding.
    limit : int or None
        The episode limit.
    mdp : MDP
    """

    agents: NDArray[np.int64]
    value: NDArray[np.float64]
    regret: NDArray[np.float64]
    is_optimal: NDArray[np.bool_]
    expected_return: NDArray[np.float64]
    success: NDArray[np.float64]
    example: NDArray[np.int64]
    policy_of: NDArray[np.int64]
    masks: NDArray[Any]
    states: NDArray[np.int64]
    gamma: float
    best_value: float
    resolution: float
    limit: int | None
    mdp: MDP

    def __len__(self) -> int:
        """Count the policies."""
        return int(self.agents.size)

    @property
    def n_agents(self) -> int:
        """Number of agents."""
        return int(self.policy_of.size)

    @property
    def share(self) -> NDArray[np.float64]:
        """Share of the agents that have each policy, shape (n,), in [0, 1]."""
        share: NDArray[np.float64] = self.agents / self.n_agents
        return share

    @property
    def share_optimal(self) -> float:
        """Share of the agents whose policy is optimal, in [0, 1]."""
        return float(self.agents[self.is_optimal].sum() / self.n_agents)

    def actions(self, policy: int) -> NDArray[np.bool_]:
        """Give what a policy does.

        Parameters
        ----------
        policy : int
            Its number, from 0.

        Returns
        -------
        ndarray of bool, shape (S, A)
            The greedy actions, several where they tie at random; none in states that it does not meet.

        Raises
        ------
        InvalidInput
            If there is no such policy.
        """
        from qfast.truth.behaviour import unpack_actions

        chosen = np.zeros((self.mdp.n_states, self.mdp.n_actions), np.bool_)
        chosen[self.states] = unpack_actions(self.masks[self._number(policy)], self.mdp.n_actions)
        return chosen

    def policy(self, policy: int) -> dict[Any, tuple[Any, ...]]:
        """Give what a policy does, in your own words.

        Parameters
        ----------
        policy : int
            Its number, from 0.

        Returns
        -------
        dict
            The greedy actions, several where they tie at random, of each state that the policy meets, as
            ``mdp.actions`` and ``mdp.states`` call them.

        Raises
        ------
        InvalidInput
            If there is no such policy.

        Examples
        --------
        >>> import qfast
        >>> qfast.train(n_agents=9, episodes=99, seed=0, progress=False).census().policy(0)
        {0: (1,), 1: (1,), 2: (1,), 3: (1,)}
        """
        actions, states = self.mdp.actions, self.mdp.states
        chosen = self.actions(policy)
        return {
            states[s]: tuple(actions[a] for a in np.flatnonzero(chosen[s]).tolist())
            for s in np.flatnonzero(chosen.any(axis=1)).tolist()
        }

    def in_names(self, policy: int, columns: int = _COLUMNS) -> str:
        """Give what a policy does as text, state by state, by the names that are printed, cut to some columns."""
        chosen, names = self.actions(policy), self.mdp.action_names
        parts = [
            f"{self.mdp.state_names[s]}: {'/'.join(names[a] for a in np.flatnonzero(chosen[s]))}"
            for s in np.flatnonzero(chosen.any(axis=1))
        ]
        text = ", ".join(parts)
        return text if len(text) <= columns else f"{text[: columns - 1]}…"

    def arrows(self, policy: int, *, ascii_only: bool = False) -> str:
        """Draw a policy, by its number, on the layout of the problem; cells that it does not meet show the layout.

        As `qfast.arrows` does: ``+`` stands for all allowed actions alike, where there are more than two.

        Raises
        ------
        InvalidInput
            If there is no such policy, or the problem has no layout.
        """
        from qfast.problems import arrows

        return arrows(self.mdp, self.actions(policy), ascii_only=ascii_only)

    def _number(self, policy: int) -> int:
        if not is_whole(policy) or not 0 <= policy < len(self):
            msg = f"policy={policy!r:.60} does not exist: there are {len(self):,} of them; use 0 … {len(self) - 1:,}"
            raise InvalidInput(msg)
        return int(policy)

    def regret_text(self, policy: int) -> str:
        """Give a policy's regret to three digits, or say that it is below what can be told from rounding."""
        regret = float(self.regret[policy])
        return f"< {self.resolution:.0e}" if 0 < regret < self.resolution else f"{regret:.3g}"

    def success_text(self, policy: int) -> str:
        """Give a policy's probability of success to four digits, 1 or 0 only if it is certain or impossible."""
        success = float(self.success[policy])
        if 0.99995 <= success < 1 - 1e-12:
            return "> 0.9999"
        return "< 0.0001" if 1e-300 < success < 0.00005 else f"{success:.4f}"

    def sentence(self) -> str:
        """Sum it all up: how many agents, how many policies, and the share of the agents that are optimal."""
        agents = f"{self.n_agents:,} agent{'s' * (self.n_agents > 1)}"
        policies = f"{len(self):,} greedy {'policies' if len(self) > 1 else 'policy'}"
        return f"{agents}, {policies}, {percent(self.share_optimal)} of the agents optimal"

    def table(self, rows: int = _ROWS) -> str:
        """Set the most frequent policies in a table.

        Parameters
        ----------
        rows : int, default 10
            How many.
        """
        whole("rows", rows, fix="use 10")
        header = ("policy", "agents", "share", "value", "regret", "return", "success", "example")
        lines = [
            (
                f"{i}{'*' if self.is_optimal[i] else ' '}", f"{self.agents[i]:,}", percent(self.share[i]),
                f"{self.value[i]:.6g}", self.regret_text(i), f"{self.expected_return[i]:.4g}", self.success_text(i),
                f"{self.example[i]}",
            )
            for i in range(min(rows, len(self)))
        ]  # fmt: skip
        text = [f"  {line}" for line in columns(header, lines, left=0)]
        left = len(self) - rows
        if left > 0:
            others = int(self.agents[rows:].sum())
            text.append(f"  … and {left:,} more with {others:,} agents")
        return "\n".join(text)

    def __repr__(self) -> str:
        """Show the sentence, the table and the most frequent policies on one screen."""
        limit = "without an episode limit" if self.limit is None else f"within {self.limit:,} steps"
        within = f"; return and success {limit}"
        lines = [
            f"Census{f' of {self.mdp.name}' if self.mdp.name else ''}: {self.sentence()}",
            f"  gamma {self.gamma:g}, best value {self.best_value:.6g}; * is optimal{within}",
            self.table(),
        ]
        if self.mdp.layout is not None:
            from qfast.problems.policy_map import side_by_side

            maps = [(f"policy {i}", self.arrows(i)) for i in range(min(_MAPS, len(self)))]
            lines += ["", side_by_side(maps, _COLUMNS)]
        else:
            shown = range(min(_MAPS, len(self)))
            lines += ["", *(f"  policy {i}  {self.in_names(i, _COLUMNS - 12)}" for i in shown)]
        return "\n".join(lines)


def census(run: "Run", *, gamma: float | None = None) -> Census:
    """Count the distinct greedy policies of a run's agents, and compute what each is worth.

    Parameters
    ----------
    run : Run
        With one discount for all agents, unless `gamma` is given.
    gamma : float, optional
        The discount to judge by, in [0, 1]; by default the run's.

    Returns
    -------
    Census

    Raises
    ------
    InvalidInput
        If each agent has its own discount and none is given, or with ``gamma=1`` V* is infinite.
    MissingExtra
        If SciPy is not installed.

    Examples
    --------
    >>> import qfast
    >>> run = qfast.train(n_agents=1000, episodes=20, seed=0, progress=False)
    >>> run.census()
    Census of corridor: 1,000 agents, 1 greedy policy, 100 % of the agents optimal
      gamma 0.9, best value 4.168; * is optimal; return and success without an episode limit
      policy  agents  share  value  regret  return  success  example
          0*   1,000  100 %  4.168       0       5   1.0000        0
    <BLANKLINE>
      policy 0
      →→→→G
    """
    from qfast.run import check_run
    from qfast.truth.behaviour import Behaviour, distinct_policies
    from qfast.truth.measures import make_run_judge

    check_run(run)
    if gamma is None and run.gamma.kind != "constant":
        msg = f"gamma={run.gamma!r}: policies have no common value; give census(gamma=…) to judge them all by"
        raise InvalidInput(msg)
    judge = make_run_judge(run, gamma)
    found = distinct_policies(run, judge.moves, judge.acting)
    each, one = np.arange(len(found.masks)), np.zeros(len(found.masks), np.int64)
    verdict = judge.verdict(Behaviour(found.masks, found.is_optimal, found.is_optimal), each, one)
    value = judge.values(found.masks, each, one)
    expected, success = judge.outcomes(found.masks)
    return Census(
        agents=found.agents, value=value, regret=verdict.regret, is_optimal=verdict.is_optimal,
        expected_return=expected, success=success, example=found.example, policy_of=found.policy_of,
        masks=found.masks, states=judge.moves.states, gamma=float(judge.gammas[0]), best_value=float(judge.best[0]),
        resolution=float(judge.slack[0]),
        limit=run.mdp.max_episode_steps, mdp=run.mdp,
    )  # fmt: skip
