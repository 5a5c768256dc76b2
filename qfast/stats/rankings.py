"""Many configurations: their order, the best and what is not told from it, and how many seeds name the best.

What the populations' own finiteness leaves open comes from the normal limit of means, which is what errors of errors
need.  There, populations are turned so that higher is better; draws have a fixed seed, so that the same scores give
the same errors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, Ints, Missing, check_missing, check_open_unit, check_scores, special
from qfast.stats.difference import mean_difference
from qfast.stats.estimates import mean_of, mean_rounding, spread
from qfast.stats.scores import TOO_FEW, about, defined, fill, in_range, no_mean, skew_of_mean
from qfast.stats.sizes import SeedsNeeded
from qfast.text import seeds_text

__all__ = [
    "Ranking", "best_of", "check_configurations", "population_errors", "ranking", "rivals_of", "seeds_for_winner",
    "winner", "with_means",
]  # fmt: skip

# Populations that might have been seen instead of those at hand, experiments drawn of each where they are paired,
# and the configurations next to the best that are followed (the others hardly ever win).
_DRAWS, _EXPERIMENTS, _MOST = 200, 2000, 12
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(48)
_LARGEST = 2.0**50
# Skewness of a mean beyond which its normal limit is no good guide.
_ROUGH = 0.3


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
        Agents whose score is defined, and those without one.
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


def with_means(rows: list[Floats], missing: Missing, *, paired: bool) -> tuple[list[Floats], int, int, str]:
    """Populations without undefined scores, agents in and out, and why there are no means."""
    undefined = [np.isnan(row) for row in rows]
    if paired:
        undefined = [np.logical_or.reduce(undefined)] * len(rows)
        n, lost = int((~undefined[0]).sum()), int(undefined[0].sum())
    else:
        n, lost = (sum(int(u.sum()) for u in side) for side in ([~u for u in undefined], undefined))
    reasons = [no_mean(np.where(u, np.nan, row), missing)[0] for row, u in zip(rows, undefined, strict=True)]
    populations = [row[~u] for row, u in zip(rows, undefined, strict=True)]
    reason = next((f"{text} (configuration {i})" for i, text in enumerate(reasons) if text), "")
    if not reason and min(x.size for x in populations) < 2:
        reason = TOO_FEW
    return populations, n, lost, reason


def ranking(
    scores: ArrayLike | Sequence[ArrayLike], *, higher_is_better: bool = True, missing: Missing = "keep"
) -> Ranking:
    """Put configurations in the order of their means.

    Where infinite scores leave no mean, by the probability that an agent of one does better than an agent of another
    configuration drawn at random.

    Parameters
    ----------
    scores : array_like, (n_configurations, n_agents), or a sequence of (n_agents,)
        At least two configurations with at least two agents each; the rest as everywhere in :mod:`qfast.stats`.
    missing : {"keep", "drop"}, default "keep"
        The order is that of the agents whose score is defined.  With ``"keep"`` there is a winner only if it is
        the best whatever the undefined scores are.

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
    if any(np.isinf(row).any() for row in known):
        values, by = _by_ranks(known), "probability of improvement"
        reason = "means are not defined: some agents have an infinite score"
    else:
        values, by, reason = _by_mean(known), "mean", ""
    order = np.argsort(np.where(np.isnan(values), np.inf, -values), kind="stable")
    first = None if np.isnan(values[order[0]]) else int(order[0])
    if first is not None and lost and keep and not _holds(rows, first):
        first, reason = None, f"undefined scores could make another the best; the order is {about(n, lost)}"
    elif first is None:
        reason = "no agent has a defined score"
    values = values if higher_is_better or by != "mean" else -values
    return Ranking(tuple(order.tolist()), by, tuple(values.tolist()), first, n, lost, reason)


def _by_mean(rows: list[Floats]) -> Floats:
    """Means of finite scores, those that rounding alone tells apart made equal."""
    means, rounding = np.full(len(rows), np.nan), np.zeros(len(rows))
    some = [i for i, row in enumerate(rows) if row.size]
    unit, scaled = in_range(*(rows[i] for i in some))
    for i, row in zip(some, scaled, strict=True):
        means[i], rounding[i] = mean_of(row), mean_rounding(row)
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
    """Configuration that comes first in the :func:`ranking`, which has the same arguments.

    Returns
    -------
    int or None
        Its index, the first of equals; None where undefined scores could make another the best.

    Examples
    --------
    >>> winner([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0]])
    1
    """
    return ranking(scores, higher_is_better=higher_is_better, missing=missing).winner


def best_of(populations: list[Floats]) -> Ints:
    """The configurations with the highest mean, those included that rounding alone tells apart."""
    means = np.array([mean_of(x) for x in populations])
    leader = populations[int(means.argmax())]
    rounding = np.array([mean_rounding(x, leader) for x in populations])
    return np.flatnonzero(means >= means.max() - rounding)


def rivals_of(populations: list[Floats], best: Ints, *, paired: bool, level: float = 0.95) -> tuple[int, ...]:
    """Configurations that are not told from the best, at a level that holds for all of them together."""
    winner = int(best[0])
    others = [i for i in range(len(populations)) if i != winner]
    inner = 1 - (1 - level) / len(others)
    found = []
    for i in others:
        difference, p_value, _ = mean_difference(populations[winner], populations[i], paired=paired, level=inner)
        if difference.value <= 0 or p_value >= 1 - inner:
            found.append(i)
    return tuple(found)


class _Limit:
    """Means of k seeds as normals: of the best configuration (the first) and of those that come nearest to it."""

    def __init__(self, populations: list[Floats], best: Ints, *, paired: bool) -> None:
        winner = int(best[0])
        means = np.array([mean_of(x) for x in populations])
        stds = np.array([spread(x) for x in populations])
        # Equals of the best are no wrong answer.
        others = [i for i in range(len(populations)) if i not in best]
        with np.errstate(divide="ignore"):
            order = np.argsort([(means[winner] - means[i]) / np.hypot(stds[winner], stds[i]) for i in others])
        chosen = [winner, *(others[i] for i in order[: _MOST - 1].tolist())]
        self.means = means[chosen]
        # A population without spread is taken for a very narrow one.
        floor = 1e-9 * (float(np.ptp(self.means)) or 1.0)
        self.stds = np.maximum(stds[chosen], floor)
        rng = np.random.default_rng(0)
        sizes = np.array([populations[i].size for i in chosen])
        if paired:
            gaps = np.stack([populations[i] - populations[winner] for i in chosen])
            values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(gaps)))
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            self.experiments: Floats | None = rng.normal(size=(_EXPERIMENTS, len(chosen))) @ root.T
            shifts = rng.normal(size=(_DRAWS, len(chosen))) @ root.T / math.sqrt(int(sizes[0]))
        else:
            self.experiments = None
            shifts = rng.normal(size=(_DRAWS, len(chosen))) * self.stds / np.sqrt(sizes)
        self.drawn = self.means + shifts

    def wrong(self, means: Floats, k: Floats, order: Ints | None = None) -> Floats:
        """P, (n,), that k seeds do not name the first configuration of an order, for many vectors of means."""
        order = np.arange(means.shape[1]) * np.ones((len(means), 1), dtype=np.int64) if order is None else order
        root = np.sqrt(k)[:, None]
        if self.experiments is not None:
            gaps = (means[:, 1:] - means[:, :1]) * root
            noise = self.experiments[:, 1:] - self.experiments[:, :1]
            return np.array([((noise + gap).max(axis=1) > 0).mean() for gap in gaps])
        stds = self.stds[order]
        first = means[:, :1] * root + stds[:, :1] * _NODES
        right = np.ones_like(first)
        for j in range(1, means.shape[1]):
            right *= special.ndtr((first - means[:, j : j + 1] * root) / stds[:, j : j + 1])
        return np.asarray(np.clip(1 - right @ (_WEIGHTS / math.sqrt(2 * math.pi)), 0.0, 1.0))

    def enough(self, means: Floats, risk: float) -> Floats:
        """Smallest k, (n,), that names the best but for that share, for many vectors of means; inf if there is none."""
        # Each vector is held against its own best, which comes first.
        order = np.argsort(-means, axis=1, kind="stable")
        means = np.take_along_axis(means, order, axis=1)
        if self.experiments is not None:
            return np.array([self._enough_of_pairs(row, o, risk) for row, o in zip(means, order, strict=True)])
        low, high = np.zeros(len(means)), np.full(len(means), math.log(_LARGEST))
        possible = self.wrong(means, np.exp(high), order) <= risk
        for _ in range(40):
            middle = (low + high) / 2
            fine = self.wrong(means, np.exp(middle), order) <= risk
            low, high = np.where(fine, low, middle), np.where(fine, middle, high)
        return np.where(possible, np.ceil(np.exp(high) - 1e-6), np.inf)

    def _enough_of_pairs(self, means: Floats, order: Ints, risk: float) -> float:
        """An experiment is right from the k on at which its noise, which falls as 1/sqrt(k), is below every gap."""
        assert self.experiments is not None
        noise = self.experiments[:, order[1:]] - self.experiments[:, order[:1]]
        with np.errstate(divide="ignore", invalid="ignore"):
            turning = np.nan_to_num(np.maximum(noise, 0.0) / (means[0] - means[1:]), nan=0.0).max(axis=1)
        turning = np.minimum(turning, 1e100) ** 2
        k = max(1.0, math.ceil(min(float(np.quantile(turning, 1 - risk)), 2 * _LARGEST)))
        return k if k <= _LARGEST else math.inf


def population_errors(populations: list[Floats], best: Ints, k: Ints, *, paired: bool) -> Floats:
    """Standard error, (n_k,), of the probability not to name the best that comes from the populations."""
    limit = _Limit(populations, best, paired=paired)
    return np.array([limit.wrong(limit.drawn, np.full(_DRAWS, float(m))).std() for m in k.tolist()])


def seeds_for_winner(
    scores: ArrayLike | Sequence[ArrayLike],
    *,
    risk: float = 0.05,
    paired: bool = False,
    higher_is_better: bool = True,
    level: float = 0.95,
    missing: Missing = "keep",
) -> SeedsNeeded:
    """Number of seeds from which on the best mean of several configurations is that of the best one.

    In the normal limit of means, with the means and spreads of the populations at hand; the range comes from means that
    might have been seen instead.  Where the winner itself is in doubt, because another configuration is not told from
    it, no number is large enough to be the upper end.

    Parameters
    ----------
    scores : array_like, (n_configurations, n_agents), or a sequence of (n_agents,)
        At least two configurations with at least two agents each; the rest as everywhere in :mod:`qfast.stats`.
    risk : float, default 0.05
        Probability to name another configuration, in (0, 1).
    paired : bool, default False
        Whether seed i of all configurations will share its random numbers; experiments elsewhere do not.
    level : float, default 0.95
        Of the range.

    Returns
    -------
    SeedsNeeded
        ``n`` is None where all means are equal.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> found = seeds_for_winner([rng.normal(0.2, 1.0, 5000), rng.normal(0.0, 1.0, 5000)])
    >>> found.n_low < 135 < found.n_high  # 2 (1.645 / 0.2)^2
    True
    """
    rows = check_configurations(scores, paired=paired)
    risk, level = check_open_unit(risk, "risk", 0.05), check_open_unit(level, "level", 0.95)
    populations, n, lost, reason = with_means(rows, missing, paired=paired)
    target = f"naming the best of {len(rows):,} in all but {100 * risk:g} % of experiments"
    method = f"normal limit of the means of the populations; {seeds_text(paired=paired)}"
    if lost and not reason:
        method += f"; {about(n, lost)}"
    if reason:
        return SeedsNeeded(None, None, None, target, method, n, lost, reason)
    populations = in_range(*(x if higher_is_better else -x for x in populations))[1]
    best = best_of(populations)
    if best.size == len(populations):
        return SeedsNeeded(None, None, None, target, method, n, lost)
    limit = _Limit(populations, best, paired=paired)
    found = limit.enough(limit.means[None], risk)[0]
    tails = np.quantile(limit.enough(limit.drawn, risk), [(1 - level) / 2, (1 + level) / 2], method="nearest")
    doubt = rivals_of(populations, best, paired=paired, level=level)
    low, middle, high = (None if math.isinf(k) else int(k) for k in (min(tails[0], found), found, max(tails[1], found)))
    caution = ""
    if middle is not None and max(abs(skew_of_mean(x)) * math.sqrt(x.size / middle) for x in populations) > _ROUGH:
        caution = "rough where scores are so skewed and seeds so few; misranking_of_best says what they really do"
    return SeedsNeeded(middle, low, None if doubt else high, target, method, n, lost, caution=caution)
