"""Intervals that may be looked at after every block of agents, and the stopping rule built on them.

An ordinary 95 % interval holds the truth in 95 % of studies that look once.  Who looks again and again and stops when
the interval is narrow, or excludes something, is misled more often.  A *confidence sequence* holds the truth at all
looks at once, so that one may stop at any of them, for any reason.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import (
    check_bounds,
    check_count,
    check_half_width,
    check_hits,
    check_open_unit,
    check_scores,
    check_share,
    special,
)
from qfast.stats.estimates import mean_of, spread
from qfast.stats.interval import Estimate, Interval, around, not_defined, noted, unbounded
from qfast.stats.scores import (
    NO_SCORES,
    WHATEVER,
    defined,
    fill,
    in_range,
    no_mean,
    rescaled,
    skew_caution,
    skew_of_mean,
)

__all__ = ["Look", "PrecisionRule", "anytime_bounded_mean", "anytime_mean", "anytime_share"]

# The mixture needs a spread to go by; before this many agents the limit theorem has not set in.
_FIRST_LOOK = 100


def anytime_mean(
    scores: ArrayLike, *, level: float = 0.95, first_look: int = _FIRST_LOOK, tune_at: int = 10_000
) -> Estimate:
    r"""Mean with an asymptotic confidence sequence: valid under repeated looking, for any finite variance.

    .. math:: \bar x_n \pm s_n\sqrt{\frac{2(n\rho^2+1)}{n^2\rho^2}\ln\frac{\sqrt{n\rho^2+1}}{\alpha}},
              \qquad \rho^2 = \frac{-W_{-1}(-\alpha^2/e)-1}{n_{tune}}

    Robbins's normal mixture with the estimated spread: I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy,
    A. Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics
    52 (2024), arXiv:2103.06476 (*W*: the lower branch of Lambert's function).  Like the normal interval it is
    right in the limit, here of a late first look.  At 10,000 agents it is 1.55 times as wide as the interval
    for one look only.

    Parameters
    ----------
    scores : array_like, (n_agents,)
        All agents seen so far, in any order, any unit.
    level : float, default 0.95
        Probability that the interval holds the mean at every look from ``first_look`` on, in (0, 1).
    first_look : int, default 100
        Below this many agents the interval is unbounded.  Fix it before the first look.
    tune_at : int, default 10_000
        Number of agents for which the interval is made narrowest.  Valid for any; with ten times as many
        agents it is 7 % wider than it could be, with a tenth 26 %.  Fix it before the first look.

    Returns
    -------
    Estimate
        Unbounded, too, while all scores are equal, because scores without any spread give nothing to go by
        (``anytime_bounded_mean`` does, with bounds).  Not defined while scores are infinite or undefined.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.random.default_rng(7).normal(5.0, 2.0, size=10_000)
    >>> print(anytime_mean(scores))
    4.97536 [4.91501, 5.03572] (95 %, asymptotic confidence sequence, tuned at 10000)
    """
    x, level = check_scores(scores), check_open_unit(level, "level", 0.95)
    reason, instead = no_mean(x, "keep")
    if reason:
        return not_defined(reason, level, instead)
    unit, (x,) = in_range(x)
    start = check_count(first_look, "first_look", at_least=2)
    tuned = check_count(tune_at, "tune_at")
    n, mean, alpha, s = x.size, mean_of(x), 1 - level, spread(x)
    if n < start or s == 0.0:
        why = f"{n} agents, first look at {start}" if n < start else f"all {n} scores are equal"
        return rescaled(unbounded(mean, level, why), unit)
    rho2 = (-float(special.lambertw(-(alpha**2) / math.e, -1).real) - 1) / tuned
    # log of sqrt(n rho^2 + 1) / alpha.
    excess = math.log1p(n * rho2) / 2 - math.log(alpha)
    half = s * math.sqrt(2 * (n * rho2 + 1) / (n * n * rho2) * excess)
    method = f"asymptotic confidence sequence, tuned at {tuned}"
    caution = skew_caution(skew_of_mean(x), n, "mean")
    return rescaled(Estimate(mean, Interval(mean - half, mean + half, level, method, caution)), unit)


def anytime_share(successes: int, n: int, *, level: float = 0.95, undefined: int = 0) -> Estimate:
    r"""Share with an exact confidence sequence: valid under repeated looking, for every number of agents.

    All *p* against which the bet mixed over Beta(1/2, 1/2) has not won :math:`1/\alpha`:

    .. math:: \Bigl\{p : \frac{B(k+\frac12,\,n-k+\frac12)}{B(\frac12,\frac12)\;p^k(1-p)^{n-k}} < \frac1\alpha\Bigr\}

    By Ville's inequality it holds the truth at all *n* at once (H. Robbins, "Statistical methods related to
    the law of the iterated logarithm", Annals of Mathematical Statistics 41 (1970) 1397-1409; S. R. Howard
    et al., "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49 (2021)
    1055-1080).

    Parameters
    ----------
    successes, n, undefined : int
        Of the agents seen so far, as in :func:`estimate_share`.
    level : float, default 0.95
        Probability that the interval holds the share at every look, in (0, 1).

    Returns
    -------
    Estimate
        The share and its interval, both in [0, 1].

    Examples
    --------
    >>> print(anytime_share(9_000, 10_000))
    0.9 [0.887714, 0.911451] (95 %, exact confidence sequence, beta mixture)
    """
    hits, agents, unknown = check_hits(successes, n, undefined)
    level = check_open_unit(level, "level", 0.95)
    low, high = (_share_end(k, agents + unknown, level, end) for k, end in ((hits, 0.0), (hits + unknown, 1.0)))
    interval = Interval(low, high, level, "exact confidence sequence, beta mixture")
    return noted(Estimate(hits / agents, interval), WHATEVER if unknown else "")


def _share_end(hits: int, n: int, level: float, end: float) -> float:
    """Lower (``end=0``) or upper (``end=1``) end of the sequence for a share."""
    share = hits / n
    if share == end:
        return end
    # The log-likelihood may fall this far below; it is concave in p with its maximum at the share.
    floor = float(special.betaln(hits + 0.5, n - hits + 0.5) - special.betaln(0.5, 0.5)) + math.log(1 - level)

    # Bisect between the end, outside, and the share, inside; what is outside is returned, to be on the safe side.
    outer, inner = end, share
    for _ in range(60):
        middle = (outer + inner) / 2
        inside = float(special.xlogy(hits, middle) + special.xlog1py(n - hits, -middle)) > floor
        outer, inner = (outer, middle) if inside else (middle, inner)
    return outer


def anytime_bounded_mean(scores: ArrayLike, bounds: tuple[float, float], *, level: float = 0.95) -> Estimate:
    r"""Mean of scores with known bounds, with an exact confidence sequence (empirical Bernstein).

    With scores scaled to [0, 1], running mean and variance :math:`\hat\mu_i, \hat\sigma_i^2` (started at 1/2
    and 1/4), :math:`\lambda_i=\min\bigl(\tfrac12,\sqrt{2\ln(2/\alpha)/(\hat\sigma_{i-1}^2\,i\ln(1+i))}\bigr)`
    and :math:`\psi(\lambda)=-\ln(1-\lambda)-\lambda`,

    .. math:: \frac{\sum\lambda_i x_i}{\sum\lambda_i} \pm
              \frac{\ln(2/\alpha)+\sum (x_i-\hat\mu_{i-1})^2\psi(\lambda_i)}{\sum\lambda_i}

    (I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", Journal of the
    Royal Statistical Society B 86 (2024) 1-27: the predictable plug-in empirical Bernstein sequence).  It
    holds for every number of agents and also while all scores are equal; it is wider than
    :func:`anytime_mean`.

    Parameters
    ----------
    scores : array_like, (n_agents,)
        All agents seen so far in the order in which they were run; the order matters.
    bounds : (float, float)
        Two finite numbers that no score can lie outside of, by the problem's definition, not by what was seen.
    level : float, default 0.95
        Probability that the interval holds the mean at every look, in (0, 1).

    Returns
    -------
    Estimate
        The mean of the scores and the interval, both within the bounds.

    Examples
    --------
    >>> print(anytime_bounded_mean([6.0] * 1_000, (0.0, 10.0)))
    6 [5.92616, 6.07384] (95 %, exact confidence sequence, empirical Bernstein)
    """
    x, level = check_scores(scores), check_open_unit(level, "level", 0.95)
    low, high = check_bounds(bounds, x)
    known = defined(x)
    if known.size == 0:
        return not_defined(NO_SCORES, level)
    if known.size < x.size:
        # Undefined scores lie within the bounds, too.
        first, last = (anytime_bounded_mean(fill(x, end), bounds, level=level).interval for end in (low, high))
        method = f"{first.method}; {WHATEVER}"
        return Estimate(mean_of(known), Interval(first.low, last.high, level, method))
    # Halves: the width of bounds near 1e308 is no float.
    y = (x / 2 - low / 2) / (high / 2 - low / 2)
    i = np.arange(1, y.size + 1)
    stake = math.log(2 / (1 - level))
    mean = (0.5 + np.cumsum(y)) / (i + 1)
    # What is known before each agent: nothing of agent i itself may enter its bet.
    mean_before = np.concatenate(([0.5], mean[:-1]))
    variance = (0.25 + np.cumsum((y - mean) ** 2)) / (i + 1)
    variance_before = np.concatenate(([0.25], variance[:-1]))
    bet = np.minimum(0.5, np.sqrt(2 * stake / (variance_before * i * np.log1p(i))))
    cost = (y - mean_before) ** 2 * (-np.log1p(-bet) - bet)
    total = float(bet.sum())
    centre, half = float((bet * y).sum()) / total, (stake + float(cost.sum())) / total
    shares = [min(max(centre + sign * half, 0.0), 1.0) for sign in (-1, 1)]
    ends = [low * (1 - share) + high * share for share in shares]
    # The centre is a weighted mean; the plain one is reported and kept inside, which only widens.
    return around(mean_of(x), ends[0], ends[1], level, "exact confidence sequence, empirical Bernstein")


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the agents run so far.

    Parameters
    ----------
    n, n_undefined : int
        Agents seen whose score is defined, and those without one.
    estimate : Estimate
        The quantity with its interval, valid although one looks repeatedly.
    narrow_enough : bool
        Whether its half-width is at most the one asked for.
    """

    n: int
    estimate: Estimate
    narrow_enough: bool
    n_undefined: int = 0


@dataclass(frozen=True, slots=True)
class PrecisionRule:
    """Run agents until the interval of a quantity is narrow enough, looking as often as one likes.

    Parameters
    ----------
    half_width : float
        Half-width to reach, in the unit of the scores, above 0.
    quantity : {"mean", "share"}, default "mean"
        ``"share"`` needs scores of 0 and 1.
    level : float, default 0.95
        Probability that the interval holds the truth at every look, the last one included.
    bounds : (float, float), optional
        Known bounds of the scores of a mean: exact for every number of agents (:func:`anytime_bounded_mean`),
        and able to stop when all agents score the same.  Without them :func:`anytime_mean` is used.
    first_look, tune_at : int
        See :func:`anytime_mean`; used for a mean without bounds only.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> rule, scores = PrecisionRule(half_width=0.1), np.empty(0)
    >>> while not scores.size or not look.narrow_enough:
    ...     scores = np.append(scores, rng.normal(5.0, 2.0, size=1_000))
    ...     look = rule.look(scores)
    >>> look.n, round(look.estimate.value, 2)
    (4000, 4.96)
    """

    half_width: float
    quantity: str = "mean"
    level: float = 0.95
    bounds: tuple[float, float] | None = None
    first_look: int = _FIRST_LOOK
    tune_at: int = 10_000

    def __post_init__(self) -> None:
        """Refuse options that are out of their range."""
        check_half_width(self.half_width)
        share = check_share(self.quantity)
        check_open_unit(self.level, "level", 0.95)
        check_count(self.first_look, "first_look", at_least=2)
        check_count(self.tune_at, "tune_at")
        if self.bounds is not None:
            check_bounds(self.bounds)
            if share:
                raise InvalidInput(f"bounds={self.bounds!r} are given, but a share lies in (0, 1); leave them out")

    def look(self, scores: ArrayLike) -> Look:
        """Look at all agents run so far, (n_agents,) in the order in which they were run."""
        x = check_scores(scores)
        known = defined(x)
        lost = x.size - known.size
        if check_share(self.quantity, known):
            estimate = not_defined(NO_SCORES, self.level)
            if known.size:
                estimate = anytime_share(int(known.sum()), known.size, level=self.level, undefined=lost)
        elif self.bounds is not None:
            estimate = anytime_bounded_mean(x, self.bounds, level=self.level)
        else:
            estimate = anytime_mean(x, level=self.level, first_look=self.first_look, tune_at=self.tune_at)
        return Look(known.size, estimate, estimate.interval.half_width <= self.half_width, lost)
