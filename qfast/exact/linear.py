r"""The value of a Markov chain, :math:`x = (I - \gamma P)^{-1} b`, by whichever method its graph makes cheap.

- Every row of `P` has at most one entry (a deterministic problem): path doubling, log2 of the length of a path.
- Many small chains side by side: dense LU of all blocks in one LAPACK call.
- A sparse LU whose fill-in is known to be small beforehand (chains, narrow grids, small problems).
- Everything else, above all large random graphs, whose LU fills in completely: BiCGSTAB (van der Vorst 1992),
  or plain sweeps where that breaks down.  It is written out here, since SciPy's takes its dot products from a threaded
  BLAS: on a busy machine those threads wait for each other (a grid of 34,000 states took 37 s and not 1.7 s), and the
  last digits depend on their number.

No method is trusted: callers measure the residual of what they get.
"""

from typing import Any

import numpy as np

from qfast.errors import InvalidInput
from qfast.exact.chains import Chain, Floats, csgraph, linalg, settle, sparse

__all__ = ["chain_sum", "settled_sum", "steps_to_end"]

# Blocks up to this many states are solved densely when there are several.
_DENSE_STATES = 128
# Numbers in one dense batch: 32 MiB of float64.
_DENSE_NUMBERS = 2**22
# Operations of a sparse LU, estimated from above by its envelope. Below the first bound it is the fastest method;
# up to the second it is what to do where an iterative method does not converge (on a grid of 10^5 states the
# envelope says 10^10, and the LU takes half a second; on a random graph of 3,000 states as much and two seconds).
_LU_CHEAP = 2e8
_LU_POSSIBLE = 3e10
# Below this many states an LU is cheap whatever its fill-in.
_LU_STATES = 400
_KRYLOV_STEPS = 100
_MAX_SWEEPS = 20_000


def chain_sum(
    transition: Any, right: Floats, gamma: float, *, n_blocks: int = 1, start: Floats | None = None, atol: float = 0.0
) -> Floats:
    """Solve ``x = right + gamma * transition @ x`` (n,) for `n_blocks` chains of equal size side by side.

    With ``gamma=1`` every state must be able to leave the chain.  An iterative method begins with `start`, and may stop
    at a residual of `atol` (in units of reward; rounding sets a lower limit).  If none converges, which takes
    ``gamma=1`` on a large chain that hardly ever ends, InvalidInput says so.
    """
    n = right.size
    if gamma == 0.0 or transition.nnz == 0:
        return right.copy()
    entries = np.diff(transition.indptr)
    if entries.max() <= 1:
        return _double(transition, entries, right, gamma)
    size = n // n_blocks
    if n_blocks > 1 and size <= _DENSE_STATES:
        return _dense(transition, right, gamma, n_blocks)
    system = sparse.csr_array(sparse.eye_array(n, format="csr") - gamma * transition)
    envelope = 0.0 if size <= _LU_STATES else _envelope(transition)
    if envelope <= _LU_CHEAP:
        return _sparse_lu(system, right)
    total, converged = _krylov(system, right, right if start is None else start, atol)
    if converged:
        return total
    if envelope <= _LU_POSSIBLE:
        return _sparse_lu(system, right)
    return _sweep(transition, system, right, gamma, total, atol)


def settled_sum(chain: Chain, gamma: float, n_blocks: int = 1) -> tuple[Floats, Chain, Floats]:
    """The values of chains side by side; the chains without the states whose value is none; and what these have.

    The last is as `settle` gives it: where it is not 0 it takes the place of the value, which is 0 there.
    """
    limit = np.zeros(chain.n_states)
    if gamma == 1.0:
        limit, quiet = settle(chain)
        chain = chain.stop_in(quiet | (limit != 0.0))
    return chain_sum(chain.transition, chain.reward, gamma, n_blocks=n_blocks), chain, limit


def steps_to_end(chain: Chain, n_blocks: int = 1) -> tuple[float, float]:
    """The most steps that are expected until the end, from any state, and what they are to be divided by for a bound.

    steps = 1 + P steps must hold at least in part: at 0 or below they bound nothing.
    """
    steps = chain_sum(chain.transition, np.ones(chain.n_states), 1.0, n_blocks=n_blocks)
    certain = float((steps - chain.transition @ steps).min(initial=1.0))
    return float(steps.max(initial=0.0)), certain


def _double(transition: Any, entries: Any, right: Floats, gamma: float) -> Floats:
    """Path doubling: the sum over 2^k steps from the sum over 2^(k-1) steps, twice."""
    onward = np.flatnonzero(entries)
    target = np.arange(right.size)
    weight = np.zeros(right.size)
    target[onward] = transition.indices
    weight[onward] = gamma * transition.data
    total = right.copy()
    # 2^64 steps: below that either the path has ended or its weight has.
    for _ in range(64):
        total = total + weight * total[target]
        weight = weight * weight[target]
        target = target[target]
        if weight.max() <= 1e-40:
            break
    return total


def _dense(transition: Any, right: Floats, gamma: float, n_blocks: int) -> Floats:
    """All blocks by LAPACK, in batches of bounded memory."""
    size = right.size // n_blocks
    batch = max(1, _DENSE_NUMBERS // size**2)
    row = np.repeat(np.arange(right.size), np.diff(transition.indptr))
    # Position of each entry in the stack of blocks: block, row and column within the block.
    position = row * size + transition.indices % size
    total = np.empty_like(right)
    for block in range(0, n_blocks, batch):
        count = min(batch, n_blocks - block)
        rows = slice(block * size, (block + count) * size)
        entries = slice(transition.indptr[rows.start], transition.indptr[rows.stop])
        flat = np.bincount(
            position[entries] - rows.start * size,
            weights=transition.data[entries],
            minlength=count * size * size,
        )
        system = -gamma * flat.reshape(count, size, size)
        system[:, np.arange(size), np.arange(size)] += 1.0
        total[rows] = np.linalg.solve(system, right[rows].reshape(count, size, 1)).ravel()
    return total


def _envelope(transition: Any) -> float:
    """Operations of an LU in the order of reverse Cuthill-McKee: the squared distances from the diagonal, added."""
    order = csgraph.reverse_cuthill_mckee(transition, symmetric_mode=False)
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    row = np.repeat(place, np.diff(transition.indptr))
    reach = np.zeros(order.size)
    np.maximum.at(reach, row, np.abs(row - place[transition.indices]))
    return float((reach**2).sum())


def _sparse_lu(system: Any, right: Floats) -> Floats:
    # Rows are diagonally dominant, so that pivots may stay on the diagonal, where a symmetric order keeps fill low.
    factors = linalg.splu(
        sparse.csc_array(system),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.01,
        options={"SymmetricMode": True},
    )
    total: Floats = factors.solve(right)
    total += factors.solve(right - system @ total)  # one step of refinement
    return total


def _krylov(system: Any, right: Floats, start: Floats, atol: float) -> tuple[Floats, bool]:
    """BiCGSTAB, restarted while it gains a digit; with whether the residual is small enough."""
    best, size = start, _residual(system, right, start)
    while size > (goal := max(atol, _floor(right, best))):
        total = _bicgstab(system, right, best, goal)
        after = _residual(system, right, total)
        if not after < 0.1 * size:  # also when it is NaN
            return (total, False) if after < size else (best, False)
        best, size = total, after
    return best, True


def _bicgstab(system: Any, right: Floats, start: Floats, goal: float) -> Floats:
    """Go on until the largest residual is below the goal, at most for some steps (van der Vorst 1992, section 3)."""
    x = start.copy()
    residual = right - system @ x
    shadow = residual.copy()
    direction = residual
    rho = _dot(shadow, residual)
    for _ in range(_KRYLOV_STEPS):
        along = system @ direction
        across = _dot(shadow, along)
        if rho == 0.0 or across == 0.0:  # it broke down
            break
        alpha = rho / across
        half = residual - alpha * along
        onward = system @ half
        length = _dot(onward, onward)
        omega = _dot(onward, half) / length if length > 0.0 else 0.0
        x += alpha * direction + omega * half
        residual = half - omega * onward
        if omega == 0.0 or not np.abs(residual).max() > goal:
            break
        rho, before = _dot(shadow, residual), rho
        direction = residual + (rho / before) * (alpha / omega) * (direction - omega * along)
    return x


def _dot(left: Floats, right: Floats) -> float:
    return float(np.einsum("i,i", left, right))  # no BLAS


def _sweep(transition: Any, system: Any, right: Floats, gamma: float, start: Floats, atol: float) -> Floats:
    """Sweep x = right + gamma P x, which always converges: by gamma a sweep, 60 / (1 - gamma) of them by e^-60."""
    best, size = start, np.inf
    n_sweeps = _MAX_SWEEPS if gamma == 1.0 else int(min(60.0 / (1.0 - gamma), _MAX_SWEEPS))
    for sweep in range(n_sweeps):
        if sweep % 16 == 0:
            size = _residual(system, right, best)
            if size <= max(atol, _floor(right, best)):
                return best
        best = right + gamma * (transition @ best)
    if gamma == 1.0 and size > 1e3 * max(atol, _floor(right, best)):
        msg = f"gamma=1.0: the sum of rewards did not converge (residual {size:.2g}); use gamma below 1 such as 0.999"
        raise InvalidInput(msg)
    return best


def _residual(system: Any, right: Floats, total: Floats) -> float:
    return float(np.abs(right - system @ total).max())


def _floor(right: Floats, total: Floats) -> float:
    """The residual that rounding leaves behind, with a margin."""
    return 64.0 * float(np.finfo(np.float64).eps) * float(np.abs(right).max() + np.abs(total).max())
