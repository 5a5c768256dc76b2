"""One number about one population of agents, with its confidence interval.

Two kinds of numbers live here.  The mean, the interquartile mean and a share say where a population is; the
standard deviation, the quantiles and the tolerance interval say how far its agents lie apart.  Every one is
estimated from finitely many agents, so every one has an interval, and that interval is not the spread.

Where the agents cannot support the level asked (one agent for a mean, three for a 95 % interval of the
median) the interval is unbounded and says so, instead of being narrower than it may be.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, check_count, check_open_unit, check_scores
from qfast.stats._scipy import mstats, stats
from qfast.stats.interval import Estimate, Interval, ToleranceInterval

__all__ = [
    "estimate_iqm",
    "estimate_mean",
    "estimate_quantile",
    "estimate_share",
    "estimate_std",
    "tolerance_interval",
]


def spread(scores: Floats, axis: int = -1) -> Floats:
    """Sample standard deviation (divisor n - 1), exactly 0 where all scores are equal.

    Rounding of the mean would otherwise turn equal scores such as 0.1 into a spread of 1e-17, and a
    ratio to it into nonsense.
    """
    equal = scores.max(axis=axis) == scores.min(axis=axis)
    return np.where(equal, 0.0, scores.std(axis=axis, ddof=1) if scores.shape[axis] > 1 else np.nan)


def mean_of(scores: Floats) -> float:
    """Arithmetic mean, exact where all scores are equal."""
    return float(scores[0]) if scores.min() == scores.max() else float(scores.mean())


def _flat(value: float, level: float, n: int) -> Interval:
    return Interval(value, value, level, f"zero width: all {n} scores are equal")


def _unbounded(level: float, why: str, *, low: float = -math.inf) -> Interval:
    return Interval(low, math.inf, level, f"unbounded: {why}")


def estimate_mean(scores: ArrayLike, *, level: float = 0.95) -> Estimate:
    r"""Mean over agents with Student's t interval.

    .. math:: \bar x \pm t_{n-1,\,(1+\text{level})/2}\; s/\sqrt{n}

    Exact for normal scores, right in the limit of many agents for all scores of finite variance; with fewer
    than about 50 agents and a strong skew its coverage falls below the level.

    Parameters
    ----------
    scores : array_like, (n_agents,)
        One number an agent, any unit.
    level : float, default 0.95
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        The mean, in the unit of the scores, and its interval.

    Raises
    ------
    InvalidInput
        If scores are not finite numbers, one an agent, or level is outside (0, 1).

    Examples
    --------
    >>> print(estimate_mean([4.0, 5.0, 6.0, 5.0]))
    5 [3.70077, 6.29923] (95 %, Student's t)
    """
    x, level = check_scores(scores), check_open_unit(level, "level", 0.95)
    mean = mean_of(x)
    if x.size == 1:
        return Estimate(mean, _unbounded(level, "one agent shows no spread"))
    s = float(spread(x))
    if s == 0.0:
        return Estimate(mean, _flat(mean, level, x.size))
    low, high = stats.t.interval(level, x.size - 1, loc=mean, scale=s / math.sqrt(x.size))
    return Estimate(mean, Interval(float(low), float(high), level, "Student's t"))


def estimate_std(scores: ArrayLike, *, level: float = 0.95) -> Estimate:
    r"""Standard deviation over agents (the spread) with Bonett's interval, which allows for non-normal scores.

    The textbook's :math:`\chi^2` interval is wrong for any number of agents unless the scores are normal.
    Bonett [1]_ puts the estimated kurtosis in its place: with :math:`c = n/(n-z)` and
    :math:`\bar\gamma_4 = n\sum(x_i-m)^4/(\sum(x_i-\bar x)^2)^2`, *m* a trimmed mean,

    .. math:: \exp\bigl(\ln(c\,s^2) \pm z\,c\,\sqrt{(\bar\gamma_4-(n-3)/n)/(n-1)}\bigr)^{1/2}

    Parameters
    ----------
    scores : array_like, (n_agents,)
        One number an agent, any unit.
    level : float, default 0.95
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        The sample standard deviation (divisor n - 1) and its interval; unbounded below five agents.

    Raises
    ------
    InvalidInput
        If scores are not at least two finite numbers, one an agent, or level is outside (0, 1).

    References
    ----------
    .. [1] D. G. Bonett, "Approximate confidence interval for standard deviation of nonnormal distributions",
       Computational Statistics & Data Analysis 50 (2006) 775-782.

    Examples
    --------
    >>> print(estimate_std([4.0, 5.0, 6.0, 5.0, 3.0, 5.0, 8.0, 6.0]))
    1.48805 [0.82239, 3.56621] (95 %, Bonett 2006, kurtosis estimated)
    """
    x, level = check_scores(scores, at_least=2), check_open_unit(level, "level", 0.95)
    n, s = x.size, float(spread(x))
    if s == 0.0:
        return Estimate(s, _flat(s, level, n))
    z = float(stats.norm.isf((1 - level) / 2))
    if n < 5 or n <= z:
        return Estimate(s, _unbounded(level, f"{n} agents are too few", low=0.0))
    # In units of s: fourth powers of large scores would overflow.
    scaled = (x - x.mean()) / s
    centre = stats.trim_mean(scaled, 1 / (2 * math.sqrt(n - 4)))
    kurtosis = n * float(((scaled - centre) ** 4).sum()) / (n - 1) ** 2
    c = n / (n - z)
    log_error = z * c * math.sqrt((kurtosis - (n - 3) / n) / (n - 1))
    low, high = (s * math.exp((math.log(c) + sign * log_error) / 2) for sign in (-1, 1))
    return Estimate(s, Interval(low, high, level, "Bonett 2006, kurtosis estimated"))


def estimate_iqm(scores: ArrayLike, *, level: float = 0.95) -> Estimate:
    r"""Interquartile mean: the mean of the middle half of the agents, with the interval of Tukey and McLaughlin.

    With :math:`g=\lfloor n/4\rfloor` agents cut from either end and :math:`s_w` the standard deviation of the
    winsorised scores (``scipy.stats.mstats.trimmed_mean_ci``) [1]_:

    .. math:: \bar x_{\mathrm{IQM}} \pm t_{n-2g-1}\; s_w / (\tfrac12\sqrt n)

    The IQM is the aggregate of Agarwal et al. [2]_, who bootstrap its interval; the closed form agrees in
    the limit of many agents and costs nothing at 10,000.  Both need a distribution without a jump or a gap
    at its quartiles; where half of the agents share one score the interval has width zero.

    Parameters
    ----------
    scores : array_like, (n_agents,)
        One number an agent, any unit.
    level : float, default 0.95
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        The interquartile mean and its interval.

    Raises
    ------
    InvalidInput
        If scores are not finite numbers, one an agent, or level is outside (0, 1).

    References
    ----------
    .. [1] J. W. Tukey, D. H. McLaughlin, "Less vulnerable confidence and significance procedures for location
       based on a single sample: trimming/winsorization 1", Sankhya A 25 (1963) 331-352.
    .. [2] R. Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice",
       NeurIPS 2021, section 4.3.

    Examples
    --------
    >>> estimate_iqm([0.0, 4.0, 5.0, 5.0, 6.0, 6.0, 7.0, 100.0]).value
    5.5
    """
    x, level = check_scores(scores), check_open_unit(level, "level", 0.95)
    if x.min() == x.max() and x.size > 1:
        return Estimate(float(x[0]), _flat(float(x[0]), level, x.size))
    iqm = float(stats.trim_mean(x, 0.25))
    if x.size == 1:
        return Estimate(iqm, _unbounded(level, "one agent shows no spread"))
    low, high = mstats.trimmed_mean_ci(x, limits=(0.25, 0.25), alpha=1 - level)
    # Rounding must not leave the estimate a hair outside a very narrow interval.
    low, high = min(float(low), iqm), max(float(high), iqm)
    width = "" if low < high else "; zero width: the middle half is one score"
    return Estimate(iqm, Interval(low, high, level, f"Tukey-McLaughlin trimmed t{width}"))


def estimate_quantile(scores: ArrayLike, p: float, *, level: float = 0.95) -> Estimate:
    r"""Quantile over agents with an interval between two order statistics (``p=0.5``: the median).

    The number of agents at or below the true quantile is binomial whatever the distribution, so that
    [x_(l), x_(u)] with *l*, *u* from Binomial(n, p) holds it with at least the level, for every *n* and with
    ties too (W. J. Conover, *Practical Nonparametric Statistics*, 3rd ed., section 3.2;
    ``scipy.stats.quantile_test``).

    Parameters
    ----------
    scores : array_like, (n_agents,)
        One number an agent, any unit.
    p : float
        Which quantile, in (0, 1).
    level : float, default 0.95
        Confidence level in (0, 1); half of the rest on either side.

    Returns
    -------
    Estimate
        The quantile (linear between neighbouring agents) and its interval, whose ends are scores of agents,
        or infinite where there are too few agents on that side.

    Raises
    ------
    InvalidInput
        If scores are not finite numbers, one an agent, or p or level is outside (0, 1).

    Examples
    --------
    >>> print(estimate_quantile(range(1, 101), 0.5))
    50.5 [40, 61] (95 %, order statistics)
    """
    x, level = check_scores(scores), check_open_unit(level, "level", 0.95)
    p = check_open_unit(p, "p", 0.5)
    value = float(np.quantile(x, p))
    found = stats.quantile_test(x, q=value, p=p).confidence_interval(level)
    # SciPy says nan where no order statistic lies far enough out.
    low = -math.inf if math.isnan(found.low) else min(float(found.low), value)
    high = math.inf if math.isnan(found.high) else max(float(found.high), value)
    few = "" if math.isfinite(high - low) else f"; {x.size} agents are too few for both ends"
    return Estimate(value, Interval(low, high, level, f"order statistics{few}"))


def estimate_share(successes: int, n: int, *, level: float = 0.95) -> Estimate:
    r"""Share of agents for which something holds, with Wilson's score interval.

    .. math:: \frac{\hat p + z^2/2n}{1+z^2/n} \pm \frac{z}{1+z^2/n}\sqrt{\frac{\hat p(1-\hat p)}{n}+\frac{z^2}{4n^2}}

    Its coverage swings around the level (at 95 %, between 0.91 and 0.99 for 20 agents or more and shares
    from 0.05 to 0.95), and it does not collapse when none or all succeed (E. B. Wilson, JASA 22 (1927)
    209-212; ``scipy.stats.binomtest``).

    Parameters
    ----------
    successes : int
        Agents for which it holds, in 0..n.
    n : int
        Agents in all, at least 1.
    level : float, default 0.95
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        The share and its interval, both in [0, 1].

    Raises
    ------
    InvalidInput
        If the counts are not whole numbers with 0 <= successes <= n and n >= 1, or level is outside (0, 1).

    Examples
    --------
    >>> print(estimate_share(10_000, 10_000))
    1 [0.999616, 1] (95 %, Wilson)
    """
    agents = check_count(n, "n")
    hits = check_count(successes, "successes", at_least=0)
    level = check_open_unit(level, "level", 0.95)
    if hits > agents:
        raise InvalidInput(f"successes={hits} is above n={agents}; count the successes among the n agents")
    low, high = stats.binomtest(hits, agents).proportion_ci(level, method="wilson")
    return Estimate(hits / agents, Interval(float(low), float(high), level, "Wilson"))


def tolerance_interval(scores: ArrayLike, *, content: float = 0.9, confidence: float = 0.95) -> ToleranceInterval:
    r"""Range that holds at least ``content`` of all agents with probability ``confidence``, for any distribution.

    The range [x_(r), x_(n+1-r)] holds a share of the population that follows Beta(n + 1 - 2r, 2r) when scores
    are continuous, and at least that when they are not; *r* is the largest for which the share exceeds
    ``content`` with the confidence asked (S. S. Wilks, "Determination of sample sizes for setting tolerance
    limits", Annals of Mathematical Statistics 12 (1941) 91-96).

    Parameters
    ----------
    scores : array_like, (n_agents,)
        One number an agent, any unit.
    content : float, default 0.9
        Share of the population, in (0, 1).
    confidence : float, default 0.95
        Probability that the range holds it, in (0, 1).

    Returns
    -------
    ToleranceInterval
        Its ends are scores of agents; infinite where the agents are too few (46 for 0.9 and 0.95).

    Raises
    ------
    InvalidInput
        If scores are not finite numbers, one an agent, or content or confidence is outside (0, 1).

    Examples
    --------
    >>> print(tolerance_interval(range(1, 101)))
    [2, 99] holds 90 % of agents (confidence 95 %, order statistics, Wilks 1941)
    """
    x = np.sort(check_scores(scores))
    content = check_open_unit(content, "content", 0.9)
    confidence = check_open_unit(confidence, "confidence", 0.95)
    # P(share >= content) = P(Binomial(n, content) <= n - 2r), see the reference.
    r = int(x.size - stats.binom.ppf(confidence, x.size, content)) // 2
    if r == 0:
        why = f"unbounded: {x.size} agents are too few"
        return ToleranceInterval(-math.inf, math.inf, content, confidence, why)
    return ToleranceInterval(float(x[r - 1]), float(x[-r]), content, confidence, "order statistics, Wilks 1941")
