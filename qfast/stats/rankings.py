"""Many configurations in the order of their scores, and which of them is the best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, Missing, check_missing, check_scores
from qfast.stats.estimates import mean_of, mean_rounding
from qfast.stats.ranges import power_of_two
from qfast.stats.undefined import about, defined, fill, no_mean

__all__ = ["Ranking", "check_configurations", "ranking", "winner", "with_means"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """What :func:`ranking` found.

    Parameters
    ----------
    order : tuple of int
        The configurations, the best first; equals in the order given.
    by : {"mean", "probability of improvement"}
        What they are ranked by: the second where infinite scores leave no mean.
    values : tuple of float
        That number for each configuration, in the order given; nan where no score is defined.
    winner : int or None
        The best; None where undefined scores could make another the best, or there is none.
    n, n_undefined : int
        Agents whose score is defined, and those that ran and have none.
    reason : str
        Why there is no winner, or why the ranking is not by the mean; else empty.
    """

    order: tuple[int, ...]
    by: str
    values: tuple[float, ...]
    winner: int | None
    n: int
    n_undefined: int
    reason: str = ""


def check_configurations(scores: ArrayLike | Sequence[ArrayLike], *, paired: bool) -> list[Floats]:
    """Scores of several configurations, each as an array; of equal sizes if they are paired."""
    rows = list(scores) if isinstance(scores, Sequence) else list(np.asarray(scores))
    if len(rows) < 2:
        raise InvalidInput(f"scores holds {len(rows)} configurations, fewer than 2; give (configuration, agent)")
    checked = [check_scores(row, f"scores[{i}]", at_least=2) for i, row in enumerate(rows)]
    sizes = sorted({x.size for x in checked})
    if paired and len(sizes) > 1:
        raise InvalidInput(f"scores have {sizes} agents, but paired=True needs agent i in all; use paired=False")
    return checked


def with_means(rows: list[Floats], *, paired: bool, keep: bool) -> tuple[list[Floats], int, int, str]:
    """Populations without undefined scores, agents in and out, and why there are no means."""
    undefined = [np.isnan(row) for row in rows]
    if paired:
        undefined = [np.logical_or.reduce(undefined)] * len(rows)
        n, lost = int((~undefined[0]).sum()), int(undefined[0].sum())
    else:
        n, lost = (sum(int(u.sum()) for u in side) for side in ([~u for u in undefined], undefined))
    reasons = [no_mean(np.where(u, np.nan, row), keep=keep)[0] for row, u in zip(rows, undefined, strict=True)]
    populations = [row[~u] for row, u in zip(rows, undefined, strict=True)]
    reason = next((f"{text} (configuration {i})" for i, text in enumerate(reasons) if text), "")
    if not reason and min(x.size for x in populations) < 2:
        reason = "not defined: fewer than two agents have a defined score"
    return populations, n, lost, reason


def ranking(
    scores: ArrayLike | Sequence[ArrayLike], *, higher_is_better: bool = True, missing: Missing = "keep"
) -> Ranking:
    """Put configurations in the order of their means, or of their ranks where infinite scores leave no mean.

    Ranks: the probability that an agent of one does better than an agent of another configuration drawn at random.

    Parameters
    ----------
    scores : array_like, (n_configurations, n_agents), or a sequence of (n_agents,)
        Scores of at least two configurations, at least two agents each.
    higher_is_better : bool, default True
        False for outcomes such as regret.
    missing : {"keep", "drop"}, default "keep"
        The order is that of the agents whose score is defined.  With ``"keep"`` there is a winner only if it is
        the best whatever the undefined scores (nan) are; ``"drop"`` leaves them out.

    Returns
    -------
    Ranking
        See there.

    Raises
    ------
    InvalidInput
        If there are fewer than two configurations, or scores that are not numbers.

    Examples
    --------
    >>> ranking([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0]]).order
    (1, 2, 0)
    >>> found = ranking([[1.0, np.inf], [3.0, 8.0], [4.0, 5.0]], higher_is_better=False)
    >>> found.order, found.by
    ((0, 1, 2), 'probability of improvement')
    """
    rows = [row if higher_is_better else -row for row in check_configurations(scores, paired=False)]
    keep = check_missing(missing)
    known = [defined(row) for row in rows]
    n = sum(row.size for row in known)
    lost = sum(row.size for row in rows) - n
    infinite = sum(int(np.isinf(row).sum()) for row in known)
    values, by, reason = _by_mean(known), "mean", ""
    if infinite:
        values, by = _by_ranks(known), "probability of improvement"
        reason = "means are not defined: some agents have an infinite score"
    order = np.argsort(np.where(np.isnan(values), np.inf, -values), kind="stable")
    first = None if np.isnan(values[order[0]]) else int(order[0])
    if first is not None and lost and keep and not _holds(rows, first):
        first, reason = None, f"undefined scores could make another the best; the order is {about(n, lost)}"
    elif first is None:
        reason = "no agent has a defined score"
    values = values if higher_is_better or by != "mean" else -values
    return Ranking(tuple(order.tolist()), by, tuple(values.tolist()), first, n, lost, reason)


def _by_mean(rows: list[Floats]) -> Floats:
    """Means, those that rounding alone tells apart made equal."""
    finite = [bool(row.size) and bool(np.isfinite(row).all()) for row in rows]
    unit = power_of_two(*(row for row, yes in zip(rows, finite, strict=True) if yes)) if any(finite) else 1.0
    means = np.array([mean_of(row / unit) if yes else math.nan for row, yes in zip(rows, finite, strict=True)])
    rounding = np.array([mean_rounding(row / unit) if yes else 0.0 for row, yes in zip(rows, finite, strict=True)])
    for i in np.argsort(-means, kind="stable"):
        equal = np.abs(means - means[i]) <= np.maximum(rounding, rounding[i])
        means[equal] = means[i]
    return np.asarray(means * unit)


def _by_ranks(rows: list[Floats]) -> Floats:
    """For each, the mean over all others of the probability to do better than an agent of theirs."""
    values = np.full(len(rows), np.nan)
    some = [i for i, row in enumerate(rows) if row.size]
    if len(some) < 2:
        return values
    # One sorted pool in which every configuration weighs the same; its own part makes exactly one half.
    pool = np.concatenate([rows[i] for i in some])
    weights = np.concatenate([np.full(rows[i].size, 1 / rows[i].size) for i in some])
    order = np.argsort(pool)
    pool, below = pool[order], np.concatenate([[0.0], np.cumsum(weights[order])])
    for i in some:
        places = [below[np.searchsorted(pool, rows[i], side=side)].mean() for side in ("left", "right")]
        # Rounded, so that equals are equal.
        values[i] = round((float(sum(places)) / 2 - 0.5) / (len(some) - 1), 12)
    return values


def _holds(rows: list[Floats], first: int) -> bool:
    """Whether a configuration is best by ranks even if its undefined scores are the worst and others' the best."""
    worst = [fill(row, -math.inf if i == first else math.inf) for i, row in enumerate(rows)]
    values = _by_ranks(worst)
    return bool((np.delete(values, first) < values[first]).all())


def winner(
    scores: ArrayLike | Sequence[ArrayLike], *, higher_is_better: bool = True, missing: Missing = "keep"
) -> int | None:
    """Configuration with the best mean over agents, the first of equals.

    Parameters
    ----------
    scores : array_like, (n_configurations, n_agents), or a sequence of (n_agents,)
        Scores of at least two configurations, at least two agents each.
    higher_is_better : bool, default True
        False for outcomes such as regret.
    missing : {"keep", "drop"}, default "keep"
        As in :func:`ranking`.

    Returns
    -------
    int or None
        Its index; None where undefined scores could make another the best.  Where scores are infinite it is the best
        by the probability of improvement, see :func:`ranking`.

    Raises
    ------
    InvalidInput
        If there are fewer than two configurations, or scores that are not numbers.

    Examples
    --------
    >>> winner([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0]])
    1
    """
    return ranking(scores, higher_is_better=higher_is_better, missing=missing).winner
