"""An MDP from matrices of probabilities and rewards, as solvers and toolboxes hold it; sparse ones stay sparse."""

from collections.abc import Hashable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qfast.arguments import array_of, choice, first_at, optional
from qfast.errors import InvalidInput
from qfast.model.labels import checked_labels
from qfast.model.mdp import MDP
from qfast.model.mdp_checks import SUM_TOLERANCE
from qfast.problems.naming import start_of, terminal_marks
from qfast.problems.outcomes import Outcomes

__all__ = ["absorbing", "finished", "from_matrices"]

_MOST_PAIRS: Final = 2**28

_AXES: Final = {"ASS": "(A, S, S)", "SAS": "(S, A, S)"}
_SAY: Final = "say axes='ASS' (first the action) or axes='SAS' (first the state)"


class _Entries(NamedTuple):
    """The positive entries of P, each array of shape (n,), sorted by state and action, and the sizes."""

    state: NDArray[np.int64]
    action: NDArray[np.int64]
    next_state: NDArray[np.int64]
    probability: NDArray[np.float64]
    n_states: int
    n_actions: int


def from_matrices(
    P: Any,  # noqa: N803 - P and R are what the matrices are called everywhere
    R: Any,  # noqa: N803
    *,
    s_indices: ArrayLike | None = None,
    a_indices: ArrayLike | None = None,
    axes: str | None = None,
    terminal: Any = None,
    start: Any = None,
    max_episode_steps: int | None = None,
    states: Sequence[Hashable] | None = None,
    actions: Sequence[Hashable] | None = None,
    layout: str | Sequence[str] | None = None,
    name: str | None = None,
) -> MDP:
    """Make an MDP from transition probabilities P and rewards R; with A actions, S states and L pairs of both.

    The layouts are told apart by their shapes. Sparse matrices are never made dense.

    Parameters
    ----------
    P : array_like or sequence of matrices
        ``P[a, s, s']`` of shape (A, S, S); ``P[s, a, s']`` of shape (S, A, S); a list of A matrices (S, S), or of S
        matrices (A, S), which may be SciPy's sparse ones; or, with `s_indices` and `a_indices`, one matrix (L, S), also
        sparse. A row of zeros is an action that is impossible there; a state in which all are is terminal.
    R : array_like or sequence of matrices
        ``R[s]`` of shape (S,); ``R[s, a]`` of shape (S, A); one of the layouts with S x S that P may have; (L,) in
        product form. Rewards are paid for acting in s, not for being in the state that is entered. ``-inf`` marks an
        action that is impossible.
    s_indices, a_indices : array_like of int, shape (L,), optional
        State and action of each row of P, for the product form (as in QuantEcon's DiscreteDP).
    axes : {"ASS", "SAS"}, optional
        The layout of arrays with three axes and of lists. Needed only where S = A, and both fit.
    terminal : "absorbing", state, sequence of states, or array of bool of shape (S,), optional
        States that end the episode on entering; their own rows are not read. ``"absorbing"``: all that every action
        leaves as they are, for no reward. By default only states without an action.
    start : state, dict of state to float, or array_like of float, shape (S,), optional
        The state in which episodes begin, or the probability of each. By default the first state.
    max_episode_steps : int, optional
        Steps after which an episode is truncated. By default there is no limit.
    states, actions : sequence of hashable, optional
        Names, one each; by default numbers.
    layout, name : optional
        A map for printing, and what the problem is called; see `qfast.MDP`.

    Raises
    ------
    InvalidInput
        If a shape fits no layout or two; a row of probabilities does not sum to 1 within 1e-6; a reward is not finite
        or would never be paid because its state is terminal; indices are out of range or repeat a pair; and as
        `qfast.MDP` does.

    Notes
    -----
    The expected reward of a pair is ``sum over s' of P[a, s, s'] * R[a, s, s']`` where R depends on s'. The layouts are
    those of pymdptoolbox (Chadès et al., 2014) and of QuantEcon (Sargent & Stachurski).

    Examples
    --------
    Two states; action 1 moves to the second, which ends the episode and pays 1.

    >>> import numpy as np
    >>> from qfast.problems import from_matrices
    >>> stay, move = np.array([[0.9, 0.1], [0, 1]]), np.array([[0, 1], [0, 1]])
    >>> mdp = from_matrices([stay, move], [[0, 1], [0, 0]], terminal=1)
    >>> mdp.next_state[0].tolist(), mdp.reward[0].tolist()
    ([[0, 1], [1, 1]], [[0.0, 0.0], [1.0, 1.0]])
    """
    axes = None if axes is None else choice("axes", axes, _AXES)
    in_pairs = s_indices is not None or a_indices is not None
    rows = _pair_rows(P, s_indices, a_indices) if in_pairs else None
    entries = rows[0] if rows is not None else _entries(P, axes)
    pair = entries.state * entries.n_actions + entries.action
    shape = (entries.n_states, entries.n_actions)
    if rows is not None:
        table, per_entry = _product_rewards(R, *rows[1:], shape), None
    else:
        table, per_entry = _rewards(R, entries, axes)
    reward = per_entry if per_entry is not None else table.ravel()[pair]
    possible = np.zeros(shape, dtype=np.bool_)
    possible.ravel()[pair] = True
    impossible = _impossible(entries, pair, reward)
    possible.ravel()[impossible] = False
    _check_sums(entries, pair, possible)
    kept = possible.ravel()[pair]
    outcomes = Outcomes.of(
        pair[kept], entries.probability[kept], entries.next_state[kept], reward[kept], np.zeros(int(kept.sum()))
    )
    ends = ~possible.any(axis=1)
    names: Sequence[Hashable] = checked_labels("states", states, shape[0]) or range(shape[0])
    index = {state: i for i, state in enumerate(names)}
    if isinstance(terminal, str) and terminal == "absorbing" and terminal not in index:
        ends |= absorbing(outcomes, shape)
    else:
        ends |= terminal_marks(terminal, index, shape[0])
    if per_entry is None:
        _check_paid(table, ends)
    return finished(
        outcomes, possible, ends, start=0 if start is None else start_of(start, index, shape[0]),
        max_episode_steps=max_episode_steps,
        states=states, actions=actions, layout=layout, name=name,
    )  # fmt: skip


def finished(outcomes: Outcomes, possible: NDArray[np.bool_], ends: NDArray[np.bool_], **options: Any) -> MDP:
    """Make the problem: entering an end (S,) terminates, and its own rows stay there; `possible` is (S, A)."""
    n_states, n_actions = possible.shape
    filled = possible & ~ends[:, None]
    outcomes = outcomes.taken(filled.ravel()[outcomes.pair])
    outcomes = outcomes._replace(terminated=outcomes.terminated | ends[outcomes.next_state])
    holes = np.flatnonzero(~filled.ravel())  # rows that are never read, but a table has no holes
    filler = Outcomes.of(holes, np.ones(holes.size), holes // n_actions, np.zeros(holes.size), np.ones(holes.size))
    whole = outcomes.followed_by(filler)
    allowed = possible | ends[:, None]
    named = {key: value for key, value in options.items() if value is not None}
    return whole.tables(n_states, n_actions).mdp(allowed=allowed, **named)


def _entries(P: Any, axes: str | None) -> _Entries:  # noqa: N803
    """Read P as one array with three axes, or as a matrix for each action."""
    P = _unpacked(P)  # noqa: N806
    matrices = _matrices("P", P, axes)
    if matrices is None:
        array = array_of("P", P, "biuf", "probabilities are numbers in [0, 1]")
        if array.ndim == 2 and array.shape[0] == array.shape[1]:
            raise InvalidInput(
                f"P has shape {array.shape}; give [P] for a single action, one such matrix for each action, or "
                f"s_indices and a_indices if each row belongs to a pair"
            )
        if array.ndim != 3 or 0 in array.shape:
            raise InvalidInput(f"P has shape {array.shape}; give {_AXES['ASS']}, {_AXES['SAS']} or a list of matrices")
        if _layout("P", array.shape, axes) == "SAS":
            array = array.transpose(1, 0, 2)
        matrices = list(array)
    n_states = int(matrices[0].shape[1])
    found = []
    for a, matrix in enumerate(matrices):
        if matrix.shape != (n_states, n_states):
            raise InvalidInput(f"P[{a}] has shape {matrix.shape}; each action's matrix is (S, S), as one of {n_states}")
        source, target, share = _positive(f"P[{a}]", matrix)
        found.append((source, np.full(source.size, a), target, share))
    state, action, next_state, probability = map(np.concatenate, zip(*found, strict=True))
    order = np.lexsort((action, state))
    return _Entries(state[order], action[order], next_state[order], probability[order], n_states, len(matrices))


def _matrices(what: str, given: Any, axes: str | None) -> list[Any] | None:
    """Give the matrices of a list, one for each action; None for anything else, and for what `_layout` can tell."""
    if not isinstance(given, (list, tuple)) or not given:
        return None
    if not all(_is_sparse(m) or (isinstance(m, np.ndarray) and m.ndim == 2) for m in given):
        return None
    rows, columns = given[0].shape
    by_state = axes == "SAS" or rows != columns
    if not any(map(_is_sparse, given)):  # an array as well, also of one matrix (A, S) for each state
        return None if by_state else list(given)
    if not by_state:
        return list(given)
    for k, matrix in enumerate(given):
        if matrix.shape != (rows, columns):
            raise InvalidInput(f"{what}[{k}] has shape {matrix.shape} and {what}[0] {(rows, columns)}; give one shape")
    _layout(what, (len(given), rows, columns), axes)  # no other than (S, A, S) can fit
    stacked = optional("scipy.sparse", "study", "sparse matrices need SciPy").vstack(given).tocsr()
    return [stacked[a::rows] for a in range(rows)]


def _unpacked(given: Any) -> Any:
    """Turn an array of objects, such as sparse matrices, into a list."""
    return list(given) if isinstance(given, np.ndarray) and given.dtype == object and given.ndim == 1 else given


def _is_sparse(value: Any) -> bool:
    return hasattr(value, "tocoo") and hasattr(value, "shape")


def _layout(what: str, shape: tuple[int, ...], axes: str | None) -> str:
    """Tell (A, S, S) from (S, A, S)."""
    fits = [name for name, fit in (("ASS", shape[1] == shape[2]), ("SAS", shape[0] == shape[2])) if fit]
    if axes is not None and axes in fits:
        return axes
    if len(fits) == 1 and axes is None:
        return fits[0]
    if len(fits) == 2:
        raise InvalidInput(f"{what} has shape {shape}, which fits (A, S, S) and (S, A, S); {_SAY}")
    wanted = _AXES[axes] if axes else " or ".join(_AXES.values())
    raise InvalidInput(f"{what} has shape {shape}, which does not fit {wanted}")


def _positive(what: str, matrix: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
    """Give row, column and value of the entries above 0 of a dense or sparse matrix."""
    if _is_sparse(matrix):
        coo = matrix.tocoo(copy=True)
        coo.sum_duplicates()
        row, column, value = coo.row.astype(np.int64), coo.col.astype(np.int64), np.asarray(coo.data, dtype=np.float64)
    else:
        array = array_of(what, matrix, "biuf", "probabilities are numbers in [0, 1]")
        row, column = np.nonzero(array)
        value = array[row, column].astype(np.float64)
    bad = ~(value >= 0) | ~np.isfinite(value)
    if bad.any():
        (k,) = first_at(bad)
        raise InvalidInput(f"{what}[{row[k]}, {column[k]}]={value[k]} is outside [0, 1]; give probabilities")
    kept = value > 0
    return row[kept], column[kept], value[kept]


def _pair_rows(
    P: Any,  # noqa: N803
    s_indices: ArrayLike | None,
    a_indices: ArrayLike | None,
) -> tuple[_Entries, NDArray[np.int64], NDArray[np.int64]]:
    """Read the product form: entries, and the state and action of each of the L rows."""
    if s_indices is None or a_indices is None:
        raise InvalidInput("the product form needs both s_indices and a_indices: state and action of each row of P")
    if not _is_sparse(P):
        P = array_of("P", P, "biuf", "probabilities are numbers in [0, 1]")  # noqa: N806
    if len(P.shape) != 2:
        raise InvalidInput(f"P has shape {P.shape}; with s_indices and a_indices it is (L, S), one row a pair")
    n_rows, n_states = map(int, P.shape)
    if n_rows == 0:
        raise InvalidInput("P has no row; give one for each pair of state and action")
    given = []
    for what, indices, most in (("s_indices", s_indices, n_states - 1), ("a_indices", a_indices, None)):
        array = array_of(what, indices, "iu", "give integers").astype(np.int64)
        if array.shape != (n_rows,):
            raise InvalidInput(f"{what} has shape {array.shape}; P has {n_rows} rows, so give {n_rows} numbers")
        outside = (array < 0) | (array > (array if most is None else most))
        for k in np.flatnonzero(outside)[:1]:
            raise InvalidInput(f"{what}[{k}]={array[k]} is out of range; states and actions are numbered from 0")
        given.append(array)
    s, a = given
    n_actions = int(a.max()) + 1
    if n_states * n_actions > _MOST_PAIRS:
        k = int(a.argmax())
        raise InvalidInput(
            f"a_indices[{k}]={a[k]} makes {n_actions:,} actions of {n_states:,} states, which is too many; number "
            f"actions from 0 without gaps"
        )
    pairs, counts = np.unique(s * n_actions + a, return_counts=True)
    for pair in pairs[counts > 1][:1]:
        msg = f"state {pair // n_actions} and action {pair % n_actions} have two rows in P; give each pair once"
        raise InvalidInput(msg)
    row, target, share = _positive("P", P)
    order = np.lexsort((a[row], s[row]))
    row = row[order]
    return _Entries(s[row], a[row], target[order], share[order], n_states, n_actions), s, a


def _product_rewards(
    R: Any,  # noqa: N803
    s: NDArray[np.int64],
    a: NDArray[np.int64],
    shape: tuple[int, int],
) -> NDArray[np.float64]:
    array = array_of("R", R, "biuf", "rewards are real numbers")
    if array.shape != s.shape:
        raise InvalidInput(f"R has shape {array.shape}; in product form give one reward for each of the {s.size} rows")
    table = np.zeros(shape)
    table[s, a] = array
    return table


def _rewards(
    R: Any,  # noqa: N803
    entries: _Entries,
    axes: str | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Give rewards as a table (S, A), or, where they depend on the next state, one for each entry of P."""
    shape = (entries.n_states, entries.n_actions)
    R = _unpacked(R)  # noqa: N806
    matrices = _matrices("R", R, axes)
    if matrices is None:
        array = array_of("R", R.toarray() if _is_sparse(R) else R, "biuf", "rewards are real numbers")
        if array.shape == shape[:1]:
            return np.repeat(array.astype(np.float64)[:, None], shape[1], axis=1), None
        if array.shape == shape:
            return array.astype(np.float64), None
        full = {"ASS": (shape[1], shape[0], shape[0]), "SAS": (shape[0], shape[1], shape[0])}
        if array.shape not in full.values():
            turned = "; transpose it" * (array.shape == shape[::-1])
            raise InvalidInput(
                f"R has shape {array.shape}{turned}; with {shape[0]} states and {shape[1]} actions give {shape[:1]}, "
                f"{shape}, {full['ASS']} or {full['SAS']}"
            )
        if _layout("R", array.shape, axes) == "SAS":
            array = array.transpose(1, 0, 2)
        matrices = list(array)
    if len(matrices) != shape[1] or any(matrix.shape != (shape[0], shape[0]) for matrix in matrices):
        shapes = sorted({matrix.shape for matrix in matrices})
        raise InvalidInput(
            f"R holds {len(matrices)} matrices of shape {' or '.join(map(str, shapes))}; give one of "
            f"{(shape[0], shape[0])} for each of the {shape[1]} actions"
        )
    reward = np.empty(entries.state.size)
    for a, matrix in enumerate(matrices):
        mine = entries.action == a
        at = (entries.state[mine], entries.next_state[mine])
        values = np.asarray(matrix.tocsr()[at]).ravel() if _is_sparse(matrix) else matrix[at]
        reward[mine] = values
    return np.zeros(shape), reward


def _impossible(entries: _Entries, pair: NDArray[np.int64], reward: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the pairs whose reward is -inf; other rewards must be finite."""
    barred = np.isneginf(reward)
    some: NDArray[np.int64] = np.unique(pair[barred])
    mixed = np.isin(pair, some) & ~barred
    wrong = (~np.isfinite(reward) & ~barred) | mixed
    if wrong.any():
        (k,) = first_at(wrong)
        s, a = int(entries.state[k]), int(entries.action[k])
        if mixed[k]:
            raise InvalidInput(
                f"R is -inf for some next states of state {s} and action {a} and finite for others; "
                f"give -inf for all, where the action is impossible, or a finite reward"
            )
        msg = f"R holds {reward[k]} for state {s} and action {a}; give finite rewards, or -inf for what is impossible"
        raise InvalidInput(msg)
    return some


def _check_sums(entries: _Entries, pair: NDArray[np.int64], possible: NDArray[np.bool_]) -> None:
    total = np.bincount(pair, weights=entries.probability, minlength=possible.size)
    off = (np.abs(total - 1.0) > SUM_TOLERANCE) & possible.ravel()
    for k in np.flatnonzero(off)[:1]:
        raise InvalidInput(
            f"the probabilities of state {k // entries.n_actions} and action {k % entries.n_actions} sum to "
            f"{total[k]:.9g}, not 1; divide the row by its sum, or make it all zeros where the action is impossible"
        )


def absorbing(outcomes: Outcomes, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Mark the states (S,) that every possible action leaves as they are, for no reward."""
    state = outcomes.pair // shape[1]
    moving = (outcomes.next_state != state) | (outcomes.reward != 0)
    marks: NDArray[np.bool_] = np.bincount(state[moving], minlength=shape[0]) == 0
    return marks


def _check_paid(table: NDArray[np.float64], ends: NDArray[np.bool_]) -> None:
    """Refuse rewards for acting in terminal states, which nobody would get."""
    lost = np.isfinite(table) & (table != 0) & ends[:, None]
    if lost.any():
        s, a = first_at(lost)
        raise InvalidInput(
            f"R pays {table[s, a]:g} for acting in state {s}, which is terminal, so nobody would get it; if it is "
            f"meant for entering the state, give R by the next state too: np.broadcast_to(R, (A, S, S)) for R of (S,)"
        )
