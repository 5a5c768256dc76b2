"""What measures agents: the truth about a problem, in the form in which thousands of Q-tables are compared with it."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qfast.engine.machine import check_compiler
from qfast.errors import InvalidInput
from qfast.exact import Solution, solve
from qfast.exact.chains import settle
from qfast.exact.model import build_model
from qfast.kernel.policies import (
    Acting,
    Compared,
    Policies,
    Program,
    distances,
    follow_policies,
    value_policies,
)
from qfast.kernel.spec import Shape
from qfast.model.mdp import MDP
from qfast.model.rates import Rate, constant
from qfast.truth.behaviour import Behaviour, behave, distinct_masks, flat, no_masks
from qfast.truth.moves import Moves, make_acting, ordered_moves, unpack_actions
from qfast.truth.sparse import sparse_follow, sparse_values

__all__ = ["WEIGHTS", "Judge", "Verdict", "make_judge"]

#: What the pairs of a state and an action may be weighted by.
WEIGHTS: Final = ("all", "optimal")

_WIDTH: Final = 8  # policies valued at once: a 512-bit vector of float64
_ANY: Final = Shape(n_actions=1, lanes=_WIDTH, width=_WIDTH)  # where only the width counts
_MOST_GAMMAS: Final = 1000

Floats = NDArray[np.float64]


class Verdict(NamedTuple):
    """What m policies are worth.

    Attributes
    ----------
    regret : ndarray of float64, shape (m,)
        V* minus the value of the start, at least 0; with gamma = 1 it may be infinite, or NaN.
    is_optimal : ndarray of bool, shape (m,)
    """

    regret: Floats
    is_optimal: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Judge:
    """The truth about a problem, for one or several discounts.  Made by `make_judge`; picklable.

    Attributes
    ----------
    mdp : MDP
    ties : str
        Which of several greedy actions the agents take; with "random" each of them with equal probability.
    gammas : ndarray of float64, shape (G,)
        The discounts.
    group : ndarray of int64, shape (n_agents,), or None
        Which of them an agent has; None where there is one for all.
    moves : Moves
        The D states in which agents act.
    acting : Acting
    program : Program or None
        None where the problem is too large for it.
    truth, weight : ndarray of float64, shape (G, S, A)
        Q*, and how much each pair counts; the weights sum to 1.
    best : ndarray of float64, shape (G,)
        V* of the start.
    slack : ndarray of float64, shape (G,)
        Regret up to this, in units of reward, is none.
    """

    mdp: MDP
    ties: str
    gammas: Floats
    group: NDArray[np.int64] | None
    moves: Moves
    acting: Acting
    program: Program | None
    truth: Floats
    weight: Floats
    best: Floats
    slack: Floats

    def groups(self, first: int, count: int) -> NDArray[np.int64]:
        """Which discount the agents ``first`` … have, shape (count,)."""
        return np.zeros(count, np.int64) if self.group is None else self.group[first : first + count]

    def no_masks(self, count: int) -> NDArray[Any]:
        """Masks of agents about which nothing is known, shape (count, D, words)."""
        return no_masks(self.moves, count)

    def behave(self, q: NDArray[Any], group: NDArray[np.int64], masks: NDArray[Any]) -> Behaviour:
        """Find what agents (n, S, A) do greedily from the start on; `masks` is compared with and overwritten."""
        return behave(self.moves, self.acting, self.ties, q, group, masks)

    def distances(self, q: NDArray[Any], group: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Sup-norm and root mean square of Q - Q* for each agent (n, S, A)."""
        largest, squares = np.zeros(len(q)), np.zeros(len(q))
        lanes = np.zeros(2 * _WIDTH)
        compared = Compared(flat(q), group, flat(self.truth), flat(self.weight), largest, squares, lanes)
        distances(_ANY, compared)
        return largest, np.sqrt(squares)

    def chosen(self, masks: NDArray[Any]) -> NDArray[np.bool_]:
        """Sets of actions (m, D, A) out of masks (m, D, words)."""
        return unpack_actions(masks, self.mdp.n_actions)

    def values(self, masks: NDArray[Any], which: NDArray[np.int64], group: NDArray[np.int64]) -> Floats:
        """Exact values of the start under the policies masks[which] (m,), each with the discount of its group (m,).

        With gamma = 1 they may be infinite or NaN.
        """
        at_start, unsure = np.zeros(which.size), np.ones(which.size, np.bool_)
        if self.program is not None:
            policies = self._policies(self.program, masks, which, self.gammas[group])
            value_policies(_ANY, self.program, policies)
            at_start, unsure = policies.at_start, policies.flagged.view(np.bool_)
        for g in np.unique(group[unsure]) if unsure.any() else ():
            mine = np.flatnonzero(unsure & (group == g))
            distinct, _, index, _ = distinct_masks(masks[which[mine]])
            found = sparse_values(self.mdp, self.moves, self.chosen(distinct), float(self.gammas[g]))
            at_start[mine] = found[index]
        return at_start

    def outcomes(self, masks: NDArray[Any]) -> tuple[Floats, Floats]:
        """Expected undiscounted return and probability of success (m,), within the episode limit if there is one."""
        mdp, moves, limit = self.mdp, self.moves, self.mdp.max_episode_steps
        m = len(masks)
        if self.program is None:
            if limit is not None:
                return sparse_follow(mdp, moves, self.chosen(masks), limit)
            unsure = np.ones(m, np.bool_)
            totals = np.zeros((2, m))
        else:
            gain = np.concatenate([moves.reward.reshape(-1), moves.success.reshape(-1)])
            program = self.program._replace(gain=gain, n_gains=2)
            policies = self._policies(program, masks, np.arange(m), np.ones(m))
            if limit is not None:
                follow_policies(_ANY, program, policies, limit)
            else:
                value_policies(_ANY, program, policies)
            totals, unsure = policies.at_start.reshape(2, m), policies.flagged.view(np.bool_)
        if unsure.any():
            chosen = self.chosen(masks[unsure])
            totals[0, unsure] = sparse_values(mdp, moves, chosen, 1.0)
            totals[1, unsure] = sparse_values(mdp, moves, chosen, 1.0, success=True)
        return totals[0], np.clip(totals[1], 0.0, 1.0)

    def _policies(self, program: Program, masks: NDArray[Any], which: NDArray[np.int64], gamma: Floats) -> Policies:
        states, words = self.moves.states.size, masks.shape[2]
        return Policies(
            masks=masks.reshape(-1), which=which, gamma=gamma, at_start=np.zeros(program.n_gains * which.size),
            flagged=np.zeros(which.size, np.uint8), bits=np.zeros(states * words * _WIDTH, np.uint32),
            share=np.zeros(self.mdp.n_actions * _WIDTH),
            matrix=np.zeros(program.n_entries * _WIDTH), right=np.zeros(3 * program.n_gains * states * _WIDTH),
        )  # fmt: skip

    def verdict(self, behaviour: Behaviour, which: NDArray[np.int64], group: NDArray[np.int64]) -> Verdict:
        """Judge the policies behaviour.masks[which]: what is lost from the start, and whether that is nothing."""
        fine, group = behaviour.is_optimal[which], group[which]
        lost = np.zeros(which.size)
        # With gamma = 1 an optimal action may be one to take but once: only the value tells.
        look = np.flatnonzero(~fine | (self.gammas[group] == 1.0))
        if look.size:
            values = self.values(behaviour.masks, which[look], group[look])
            lost[look] = np.maximum(self.best[group[look]] - values, 0.0)
            fine = fine & (lost <= self.slack[group])  # where the value is undefined, NaN, nothing is fine
            lost[fine] = 0.0
        return Verdict(lost, fine)


def make_judge(mdp: MDP, gamma: Rate | float, ties: str, *, weight: str = "all") -> Judge:
    """Solve a problem, for each discount that the agents have.

    Parameters
    ----------
    mdp : MDP
    gamma : Rate or float
        A constant, or one value an agent.
    ties : str
        The agents' tie rule.
    weight : {"all", "optimal"}
        How much each pair counts in distances: all pairs that an agent can meet alike, or each as often as the
        optimal policy meets it (see `qfast.truth.error`).

    Returns
    -------
    Judge

    Raises
    ------
    InvalidInput
        If there are too many discounts, a value is infinite, or numba's compiler is switched off.
    MissingExtra
        If SciPy is not installed.
    """
    check_compiler()
    if not isinstance(weight, str) or weight not in WEIGHTS:
        msg = f"weight={weight!r:.60} is unknown; use one of {', '.join(map(repr, WEIGHTS))}"
        raise InvalidInput(msg)
    rate = gamma if isinstance(gamma, Rate) else constant(gamma)
    gammas, group = np.unique(rate.values, return_inverse=True)
    if gammas.size > _MOST_GAMMAS:
        msg = f"the agents have {gammas.size:,} different gammas; give one number as gamma= to judge them all by"
        raise InvalidInput(msg)
    solutions = [solve(mdp, float(g)) for g in gammas]
    moves, program = ordered_moves(mdp)
    met = np.zeros((mdp.n_states, mdp.n_actions), np.bool_)
    met[moves.states] = moves.allowed
    weights = np.stack([met / met.sum() if weight == "all" else optimal_visits(s) for s in solutions])
    # Rows that never count, such as NaN in states that cannot be reached, must not get into sums.
    truth = np.stack([np.where(met, s.q, 0.0) for s in solutions])
    best = np.array([s.start_value for s in solutions])
    return Judge(
        mdp=mdp,
        ties=ties,
        gammas=gammas,
        group=group.reshape(-1).astype(np.int64) if rate.kind == "agent" else None,
        moves=moves,
        acting=make_acting(moves, np.stack([s.optimal_actions for s in solutions])),
        program=program,
        truth=truth,
        weight=weights,
        best=best,
        slack=np.array([2 * s.error_bound + s.tie_tolerance * abs(s.start_value) for s in solutions]),
    )


def optimal_visits(solution: Solution) -> Floats:
    r"""How often the optimal policy meets each pair: the on-policy distribution (Sutton & Barto 2018, section 9.2).

    .. math:: \eta(s) = h(s) + \gamma \sum_{\bar s} \eta(\bar s) \sum_a \pi^*(a|\bar s) p(s|\bar s, a)

    Parameters
    ----------
    solution : Solution

    Returns
    -------
    ndarray of float64, shape (S, A)
        Sums to 1.  Where several actions are optimal, each is taken with equal probability; with ``gamma=1`` only if
        such a policy's episodes end, and ``solution.policy`` is followed otherwise.
    """
    from qfast.exact.linear import chain_sum

    mdp, gamma = solution.mdp, solution.gamma
    model = build_model(mdp, mdp.decision_states)
    rows = solution.optimal_actions / np.maximum(solution.optimal_actions.sum(axis=1, keepdims=True), 1)
    chain = model.mix(rows[model.states])
    if gamma == 1.0:
        limit, quiet = settle(chain)
        if limit.any() or quiet.any():
            rows = np.eye(mdp.n_actions)[solution.policy]
            chain = model.mix(rows[model.states])
            chain = chain.stop_in(settle(chain)[1])
    start = mdp.start[model.states] / mdp.start.sum()
    visits = chain_sum(chain.transition.T.tocsr(), start, gamma)
    met = np.zeros((mdp.n_states, mdp.n_actions))
    met[model.states] = np.maximum(visits, 0.0)[:, None] * rows[model.states]
    weights: Floats = met / met.sum()
    return weights
