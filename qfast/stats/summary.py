"""All that the scores of one population of agents say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Missing, check_missing, check_open_unit, check_scores
from qfast.stats.estimates import estimate_iqm, estimate_mean, estimate_std
from qfast.stats.interval import Estimate, ToleranceInterval, not_defined
from qfast.stats.orders import estimate_quantile, estimate_share, tolerance_interval
from qfast.stats.scores import NO_SCORES, about, defined

__all__ = ["Quantile", "Summary", "summarize"]


@dataclass(frozen=True, slots=True)
class Quantile:
    """The score that a share ``p`` of the agents do not exceed, with its confidence interval."""

    p: float
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Summary:
    """What :func:`summarize` found.

    ``std``, ``quantiles`` and ``tolerance`` are the spread over agents.  The ``interval`` of each estimate, and
    ``standard_error`` for the mean, are its uncertainty, near zero with 10,000 agents.

    Parameters
    ----------
    n, n_undefined : int
        Agents whose score is defined, which all numbers describe, and those without one.
    mean, std, median, iqm : Estimate
        Mean, standard deviation over agents (divisor n - 1), median, interquartile mean.
    standard_error : float
        Standard error of the mean, ``std / sqrt(n)``.
    quantiles : tuple of Quantile
        The quantiles asked for, in the order asked.
    tolerance : ToleranceInterval
        A range that holds most agents.
    at_least, share : float or None, Estimate or None
        A bar in the unit of the scores, and the share of agents that reach it; None when there is no bar.
    dropped : bool
        Whether the intervals of quantiles, share and tolerance leave undefined scores out; if not, they hold whatever
        these are.
    """

    n: int
    mean: Estimate
    std: Estimate
    standard_error: float
    median: Estimate
    iqm: Estimate
    quantiles: tuple[Quantile, ...]
    tolerance: ToleranceInterval
    at_least: float | None
    share: Estimate | None
    n_undefined: int = 0
    dropped: bool = False

    def as_dict(self) -> dict[str, float]:
        """Flat names and numbers for a table: ``mean``, ``mean_low``, ``mean_high``, and so on.

        Examples
        --------
        >>> row = summarize([True, False, True, True]).as_dict()
        >>> row["n"], row["mean"], round(row["share_low"], 3)
        (4.0, 0.75, 0.194)
        """
        estimates = {"mean": self.mean, "std": self.std, "median": self.median, "iqm": self.iqm}
        estimates |= {f"q{100 * quantile.p:g}": quantile.estimate for quantile in self.quantiles}
        if self.share is not None:
            estimates["share"] = self.share
        row = {"n": float(self.n), "n_undefined": float(self.n_undefined), "standard_error": self.standard_error}
        for name, estimate in estimates.items():
            row[name] = estimate.value
            row[f"{name}_low"], row[f"{name}_high"] = estimate.interval.low, estimate.interval.high
        row["tolerance_low"], row["tolerance_high"] = self.tolerance.low, self.tolerance.high
        return row

    @property
    def about(self) -> str:
        """How many agents the numbers are about."""
        if not self.n_undefined:
            return f"{self.n:,} agents"
        more = "" if self.dropped else "; intervals of quantiles and shares hold whatever the others' are"
        return f"{about(self.n, self.n_undefined)}{more}"

    def __str__(self) -> str:
        """One line for each estimate, the uncertainty of a number apart from the spread over agents."""
        lines = [
            self.about,
            f"  mean            {self.mean}",
            f"  median          {self.median}",
            f"  IQM             {self.iqm}",
            "spread over agents",
            f"  std             {self.std}",
            *(f"  {100 * quantile.p:4g} % quantile {quantile.estimate}" for quantile in self.quantiles),
            f"  tolerance       {self.tolerance}",
        ]
        if self.share is not None:
            lines.append(f"share with a score >= {self.at_least:g}: {self.share}")
        return "\n".join(lines)


def summarize(
    scores: ArrayLike,
    *,
    level: float = 0.95,
    quantiles: Sequence[float] = (0.05, 0.25, 0.75, 0.95),
    content: float = 0.9,
    at_least: float | None = None,
    missing: Missing = "keep",
    bounds: tuple[float, float] | None = None,
) -> Summary:
    """Describe one population of agents, with the uncertainty of every number.

    Parameters
    ----------
    scores : array_like, (n_agents,)
        At least two; this and ``missing`` and ``bounds`` as in :func:`estimate_mean`.
    level : float, default 0.95
        Confidence level of every interval by itself, and the confidence of the tolerance interval, in (0, 1).
    quantiles : sequence of float
        Which quantiles besides the median, each in (0, 1).
    content : float, default 0.9
        Share of agents that the tolerance interval holds, in (0, 1).
    at_least : float, optional
        Report the share of agents whose score reaches this bar, finite.  Without it, scores that are all 0 or 1
        (or boolean) get the share of ones, others none.
    missing : {"keep", "drop"}, default "keep"
        Whether the intervals of quantiles, shares and the tolerance interval allow for whatever undefined scores
        are.  All other numbers describe the agents whose score is defined; the text says how many that are.

    Returns
    -------
    Summary
        How each interval is made stands at :func:`estimate_mean`, :func:`estimate_quantile` and the others.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.random.default_rng(7).normal(5.0, 2.0, size=10_000)
    >>> summary = summarize(scores, at_least=3.0)
    >>> print(summary.mean)
    4.97536 [4.93638, 5.01435] (95 %, Student's t)
    >>> round(summary.std.value, 2), round(summary.standard_error, 2)
    (1.99, 0.02)
    """
    x, level = check_scores(scores, at_least=2), check_open_unit(level, "level", 0.95)
    shares = tuple(check_open_unit(p, "quantiles", 0.25) for p in quantiles)
    if at_least is not None and not np.isfinite(at_least):
        raise InvalidInput(f"at_least={at_least} is not finite; use a bar in the unit of the scores")
    keep = check_missing(missing)
    if bounds is None and np.asarray(scores).dtype == np.bool_:
        bounds = (0.0, 1.0)
    # Sorted once, so that the result does not depend on the order of the agents in its last bit.
    x = np.sort(x)
    known = defined(x)
    lost = x.size - known.size
    if at_least is None and known.size and np.isin(known, (0.0, 1.0)).all():
        at_least = 1.0
    mean = std = iqm = not_defined(NO_SCORES, level)
    share = None if at_least is None else mean
    if known.size:
        mean, iqm = estimate_mean(known, level=level, bounds=bounds), estimate_iqm(known, level=level)
        std = estimate_std(x, level=level, missing="drop")
        if at_least is not None:
            hits = int((known >= at_least).sum())
            share = estimate_share(hits, known.size, level=level, undefined=lost if keep else 0)
    return Summary(
        n=known.size,
        mean=mean,
        std=std,
        standard_error=std.value / known.size**0.5 if std.defined else std.value,
        median=estimate_quantile(x, 0.5, level=level, missing=missing),
        iqm=iqm,
        quantiles=tuple(Quantile(p, estimate_quantile(x, p, level=level, missing=missing)) for p in shares),
        tolerance=tolerance_interval(x, content=content, confidence=level, missing=missing),
        at_least=at_least,
        share=share,
        n_undefined=lost,
        dropped=not keep,
    )
