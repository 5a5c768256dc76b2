"""Values of many policies by SciPy's sparse solvers: for large problems, and for loops that may have no end.

`qfast.kernel.policies` is a hundred times as fast where it can be used.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qfast.exact.chains import Chain, settle
from qfast.exact.linear import chain_sum
from qfast.exact.model import Model, build_model
from qfast.exact.scipy_extra import sparse
from qfast.model.mdp import MDP
from qfast.truth.moves import Moves

__all__ = ["sparse_follow", "sparse_values"]

Floats = NDArray[np.float64]

# Rows of all chains that are worked on at once: some tens of megabytes.
_ROWS = 500_000
# What is left of an episode's probability when following it further changes no digit.
_ENDED = 1e-18


def sparse_values(mdp: MDP, moves: Moves, chosen: NDArray[np.bool_], gamma: float, *, success: bool = False) -> Floats:
    """Compute what policies are worth from the start.

    Parameters
    ----------
    mdp : MDP
    moves : Moves
        In any order.
    chosen : ndarray of bool, shape (m, D, A)
        The actions taken, with equal probability; none in states that are not met.
    gamma : float
    success : bool
        Whether to give the probability of success in place of the value (with ``gamma=1``).

    Returns
    -------
    ndarray of float64, shape (m,)
        With ``gamma=1`` infinite where rewards add up without bound, NaN where their sum never settles.
    """
    values = np.empty(len(chosen))
    model, order = _model(mdp, moves)
    for part, chain in _chains(model, chosen[:, order], moves.success[order] if success else None):
        if gamma == 1.0:
            limit, quiet = settle(chain)
            chain = chain.stop_in(quiet | (limit != 0.0))  # noqa: PLW2901 -- the same chain, without what never ends
            found = chain_sum(chain.transition, chain.reward, gamma, n_blocks=part.stop - part.start)
            found[limit != 0.0] = limit[limit != 0.0]
        else:
            found = chain_sum(chain.transition, chain.reward, gamma, n_blocks=part.stop - part.start)
        values[part] = _at_start(found, moves, order)
    return values


def sparse_follow(mdp: MDP, moves: Moves, chosen: NDArray[np.bool_], limit: int) -> tuple[Floats, Floats]:
    """Compute the expected return of policies within a limit of steps, and their probability of success; each (m,)."""
    totals = np.zeros((2, len(chosen)))
    model, order = _model(mdp, moves)
    for number, success in enumerate((None, moves.success[order])):
        for part, chain in _chains(model, chosen[:, order], success):
            value = np.zeros(chain.n_states)
            for _ in range(limit):
                before, value = value, chain.reward + chain.transition @ value
                if np.abs(value - before).max() <= _ENDED:
                    break
            totals[number, part] = _at_start(value, moves, order)
    return totals[0], totals[1]


def _model(mdp: MDP, moves: Moves) -> tuple[Model, NDArray[np.int64]]:
    """Build the exact solvers' model, and the order in which it has the D states."""
    return build_model(mdp, mdp.decision_states), np.argsort(moves.states)


def _at_start(values: Floats, moves: Moves, order: NDArray[np.int64]) -> Floats:
    by_policy = values.reshape(-1, order.size)
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    with np.errstate(invalid="ignore"):  # infinities of both signs make a NaN, as they should
        return np.asarray(by_policy[:, place[moves.start]] @ moves.start_probability)


def _chains(model: Model, chosen: NDArray[np.bool_], gain: Floats | None) -> Iterator[tuple[slice, Chain]]:
    """Yield the chains of policies (m, n, A) side by side, as many at once as fit in memory."""
    n, n_actions = chosen.shape[1:]
    count = max(1, _ROWS // n)
    reward = model.reward if gain is None else gain
    low, high = (model.low, model.high) if gain is None else (gain, gain)
    for begin in range(0, len(chosen), count):
        taken = chosen[begin : begin + count].reshape(-1, n_actions)
        m = len(taken) // n
        share = taken / np.maximum(taken.sum(axis=1, keepdims=True), 1)
        row, action = np.nonzero(taken)
        first = np.concatenate([[0], np.cumsum(taken.sum(axis=1))])
        weights = sparse.csr_array(
            (share[row, action], row % n * n_actions + action, first), shape=(m * n, n * n_actions)
        )
        block = sparse.csr_array(weights @ model.transition)
        shift = np.repeat(np.arange(m * n) // n * n, np.diff(block.indptr))
        sets, shares = taken.reshape(m, n, n_actions), share.reshape(m, n, n_actions)
        chain = Chain(
            sparse.csr_array((block.data, block.indices + shift, block.indptr), shape=(m * n, m * n)),
            (shares * reward).sum(axis=2).reshape(-1),
            np.where(sets, low, np.inf).min(axis=2).reshape(-1),
            np.where(sets, high, -np.inf).max(axis=2).reshape(-1),
            # A state that is not met has no actions: it ends the episode.
            (np.any(sets & model.ending, axis=2) | ~sets.any(axis=2)).reshape(-1),
        )
        yield slice(begin, begin + m), chain
