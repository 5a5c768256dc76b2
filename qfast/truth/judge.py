"""What measures agents: the truth about a problem, in the form in which thousands of Q-tables are compared with it."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qfast.arguments import choice
from qfast.engine.machine import check_compiler
from qfast.errors import InvalidInput
from qfast.exact import Solution, solve
from qfast.exact.chains import Chain, Floats, chain_sum, settle, settled_sum
from qfast.exact.model import build_model, in_parts
from qfast.kernel.policies import (
    Acting,
    Compared,
    Policies,
    Program,
    distances,
    follow_policies,
    value_policies,
)  # fmt: skip
from qfast.kernel.spec import Shape
from qfast.model.mdp import MDP
from qfast.model.rates import Rate, constant
from qfast.truth.behaviour import Behaviour, Moves, behave, distinct_masks, flat, make_acting, no_masks, unpack_actions

__all__ = ["WEIGHTS", "Judge", "Verdict", "make_judge"]

#: What the pairs of a state and an action may be weighted by.
WEIGHTS: Final = ("all", "optimal")

_WIDTH: Final = 8  # policies valued at once: a 512-bit vector of float64
_ANY: Final = Shape(n_actions=1, lanes=_WIDTH, width=_WIDTH)  # where only the width counts
_MOST_GAMMAS: Final = 1000
# More states, or more multiplications for a policy, than this are left to SciPy's sparse solvers.
_MOST_STATES: Final = 1024
_MOST_PRODUCTS: Final = 2**18
# Rows of all of SciPy's chains that are worked on at once: some tens of megabytes.
_ROWS: Final = 500_000
# What is left of an episode's probability when following it further changes no digit.
_ENDED: Final = 1e-18


class Verdict(NamedTuple):
    """What m policies are worth."""

    regret: Floats  # (m,), V* minus the value of the start, at least 0; with gamma = 1 it may be infinite, or NaN
    is_optimal: NDArray[np.bool_]  # (m,)


@dataclass(frozen=True, eq=False)
class Judge:
    """The truth about a problem, for one or several discounts.  Made by `make_judge`; picklable."""

    mdp: MDP
    ties: str  # which of several greedy actions the agents take; "random": each with equal probability
    gammas: Floats  # (G,), the discounts
    group: NDArray[np.int64] | None  # (n_agents,), which of them an agent has; None where there is one for all
    moves: Moves  # the D states in which agents act
    acting: Acting
    program: Program | None  # None where the problem is too large for it
    truth: Floats  # (G, S, A), Q*
    weight: Floats  # (G, S, A), how much each pair counts; sums to 1
    best: Floats  # (G,), V* of the start
    slack: Floats  # (G,), regret up to this, in units of reward, is none

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

    def values(self, masks: NDArray[Any], which: NDArray[np.int64], group: NDArray[np.int64]) -> Floats:
        """Exact values (m,) of the start under the policies masks[which], each with the discount of its group (m,).

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
            at_start[mine] = _Sparse(self).values(distinct, float(self.gammas[g]))[index]
        return at_start

    def outcomes(self, masks: NDArray[Any]) -> tuple[Floats, Floats]:
        """Expected undiscounted return and probability of success (m,), within the episode limit if there is one."""
        moves, limit = self.moves, self.mdp.max_episode_steps
        m = len(masks)
        unsure, totals = np.ones(m, np.bool_), np.zeros((2, m))
        if self.program is None:
            if limit is not None:
                return _Sparse(self).follow(masks, limit)
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
            solver = _Sparse(self)
            totals[0, unsure] = solver.values(masks[unsure], 1.0)
            totals[1, unsure] = solver.values(masks[unsure], 1.0, success=True)
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


class _Sparse:
    """Values of many policies by SciPy's sparse solvers: for large problems, and for loops that may have no end.

    `qfast.kernel.policies` is a hundred times as fast where it can be used.
    """

    def __init__(self, judge: Judge) -> None:
        self.moves = judge.moves
        self.model = build_model(judge.mdp, judge.mdp.decision_states)
        self.order = np.argsort(judge.moves.states)  # in which the model has the D states

    def values(self, masks: NDArray[Any], gamma: float, *, success: bool = False) -> Floats:
        """What policies (m, D, words) are worth from the start, or, with gamma = 1, their probability of success."""
        values = np.empty(len(masks))
        for part, chain in self._chains(masks, success=success):
            found, _, limit = settled_sum(chain, gamma, part.stop - part.start)
            found[limit != 0.0] = limit[limit != 0.0]
            values[part] = self._at_start(found)
        return values

    def follow(self, masks: NDArray[Any], limit: int) -> tuple[Floats, Floats]:
        """Expected return of policies within a limit of steps, and their probability of success; each (m,)."""
        totals = np.zeros((2, len(masks)))
        for number, success in enumerate((False, True)):
            for part, chain in self._chains(masks, success=success):
                value = np.zeros(chain.n_states)
                for _ in range(limit):
                    before, value = value, chain.reward + chain.transition @ value
                    if np.abs(value - before).max() <= _ENDED:
                        break
                totals[number, part] = self._at_start(value)
        return totals[0], totals[1]

    def _chains(self, masks: NDArray[Any], *, success: bool) -> Iterator[tuple[slice, Chain]]:
        """Yield the chains of policies side by side, as many at once as fit in memory."""
        gain = self.moves.success[self.order] if success else None
        for part in in_parts(len(masks), self.model.n_states, _ROWS):
            taken = unpack_actions(masks[part], self.model.n_actions)[:, self.order]
            yield part, self.model.mix(taken / np.maximum(taken.sum(axis=2, keepdims=True), 1), gain)

    def _at_start(self, values: Floats) -> Floats:
        place = np.empty_like(self.order)
        place[self.order] = np.arange(self.order.size)
        with np.errstate(invalid="ignore"):  # infinities of both signs make a NaN, as they should
            found = values.reshape(-1, place.size)[:, place[self.moves.start]] @ self.moves.start_probability
        return np.asarray(found)


def make_judge(mdp: MDP, gamma: Rate | float, ties: str, *, weight: str = "all") -> Judge:
    """Solve a problem, for each discount that the agents have (a constant, or one value an agent).

    `weight` says how much each pair counts in distances, see `qfast.truth.error`.  Too many discounts, values that are
    infinite, and numba's compiler switched off are refused.
    """
    check_compiler()
    choice("weight", weight, WEIGHTS)
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
    r"""How often the optimal policy meets each pair (S, A), in all 1: the on-policy distribution.

    .. math:: \eta(s) = h(s) + \gamma \sum_{\bar s} \eta(\bar s) \sum_a \pi^*(a|\bar s) p(s|\bar s, a)

    (Sutton & Barto 2018, section 9.2).  Where several actions are optimal, each is taken with equal probability; with
    ``gamma=1`` only if such a policy's episodes end, and ``solution.policy`` is followed otherwise.
    """
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


def _groups(sorted_keys: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Where each of n keys begins in a sorted list of them, and where the last one ends."""
    return np.searchsorted(sorted_keys, np.arange(n + 1)).astype(np.int64)


def _elimination_order(moves: Moves) -> tuple[list[int], list[list[int]], list[list[int]]] | None:
    """Find an order that keeps fill-in low: next the state with the fewest ways through it (Markowitz 1957).

    For each of the D states in that order come the states not yet eliminated that lead to it, and that it leads to.
    None if the elimination would take too long.
    """
    n = moves.states.size
    if n > _MOST_STATES:
        return None
    into: list[set[int]] = [set() for _ in range(n)]
    out: list[set[int]] = [set() for _ in range(n)]
    for i, j in zip((moves.pair // moves.allowed.shape[1]).tolist(), moves.onward.tolist(), strict=True):
        if i != j:
            out[i].add(j)
            into[j].add(i)
    queue = [(len(into[k]) * len(out[k]), k) for k in range(n)]
    heapq.heapify(queue)
    gone: set[int] = set()
    order, before, after, products = [], [], [], 0
    while queue:
        ways, k = heapq.heappop(queue)
        if k in gone or ways != len(into[k]) * len(out[k]):
            continue  # it was entered again when it changed
        products += ways
        if products > _MOST_PRODUCTS:
            return None
        gone.add(k)
        order.append(k)
        before.append(sorted(into[k]))
        after.append(sorted(out[k]))
        for i in into[k]:
            out[i] |= out[k]
            out[i] -= {i, k}
        for j in out[k]:
            into[j] |= into[k]
            into[j] -= {j, k}
        for i in into[k] | out[k]:
            heapq.heappush(queue, (len(into[i]) * len(out[i]), i))
    return order, before, after


def ordered_moves(mdp: MDP) -> tuple[Moves, Program | None]:
    """Bring an MDP's decision states into an order that suits elimination; without a program where it has too many."""
    states = np.flatnonzero(mdp.decision_states)
    moves = Moves.of(mdp, states)
    found = _elimination_order(moves)
    if found is None:
        return moves, None
    order, before, after = found
    turn = dict(zip(order, range(len(order)), strict=True))
    moves = Moves.of(mdp, states[order])
    later_before, later_after = ([[turn[i] for i in part] for part in parts] for parts in (before, after))
    return moves, make_program(moves, later_before, later_after)


def make_program(moves: Moves, before: list[list[int]], after: list[list[int]]) -> Program:
    """Write down the elimination, entry by entry.

    For each state, in order, `before` and `after` are the later ones that lead to it and that it leads to in its turn.
    """
    n = moves.states.size
    entries: dict[tuple[int, int], int] = {}

    def place(i: int, j: int) -> int:
        return entries.setdefault((i, j), len(entries))

    n_actions = moves.allowed.shape[1]
    source, action = np.divmod(moves.pair, n_actions)
    order = np.lexsort((action, moves.onward, source))
    rows, way_first = np.unique((source * n + moves.onward)[order], return_index=True)
    direct = [place(i, j) for i, j in zip((rows // n).tolist(), (rows % n).tolist(), strict=True)]
    n_direct = len(entries)
    diagonal = []
    for k in range(n):  # entries that are used together lie together
        diagonal.append(place(k, k))
        for j in after[k]:
            place(k, j)
        for i in before[k]:
            place(i, k)

    def ends(lists: list[list[int]]) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum([len(part) for part in lists])]).astype(np.int64)

    def short(values: Any) -> NDArray[np.int32]:
        return np.array(values, np.int32)

    below = [(i, place(i, k)) for k in range(n) for i in before[k]]
    right = [(j, place(k, j)) for k in range(n) for j in after[k]]
    fill = [place(i, j) for k in range(n) for i in before[k] for j in after[k]]
    return Program(
        row_first=_groups(rows // n, n),
        row_column=short(rows % n),
        row_entry=short(direct),
        way_first=np.append(way_first, order.size),
        way_action=short(action[order]),
        way_probability=moves.probability[order],
        diagonal=short(diagonal),
        below_first=ends(before),
        below_row=short([i for i, _ in below]),
        below_entry=short([entry for _, entry in below]),
        right_first=ends(after),
        right_column=short([j for j, _ in right]),
        right_entry=short([entry for _, entry in right]),
        fill_first=np.concatenate([[0], np.cumsum([len(b) * len(a) for b, a in zip(before, after, strict=True)])]),
        fill=short(fill),
        gain=moves.reward.reshape(-1),
        start=moves.start.astype(np.int32),
        start_probability=moves.start_probability,
        n_entries=len(entries),
        n_direct=n_direct,
        n_gains=1,
        n_actions=n_actions,
    )
