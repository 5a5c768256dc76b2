"""Two populations of agents: which is better, by how much, and how sure is that."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qfast.errors import InvalidInput
from qfast.stats._check import Floats, check_open_unit, check_scores
from qfast.stats._scipy import special, stats
from qfast.stats.estimates import mean_of, spread
from qfast.stats.interval import Estimate, Interval

__all__ = ["Comparison", "compare", "correct", "effect_size", "probability_of_improvement"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What :func:`compare` found about populations a and b.

    Parameters
    ----------
    n_a, n_b : int
        Agents of each.
    paired : bool
        Whether agent i of a and agent i of b shared their random numbers.
    difference : Estimate
        mean(a) - mean(b), in the unit of the scores.
    probability_of_improvement : Estimate
        Probability that an agent of a does better than one of b, ties counted half; 0.5 is no difference.
    effect_size : Estimate
        Standardised difference; what it is divided by stands in its interval's method.
    p_value : float
        Two-sided p-value of ``test``; not corrected for other comparisons, see :func:`correct`.
    test : str
        Name of the test of equal means.
    """

    n_a: int
    n_b: int
    paired: bool
    difference: Estimate
    probability_of_improvement: Estimate
    effect_size: Estimate
    p_value: float
    test: str

    def __str__(self) -> str:
        """Five lines, one for each finding."""
        return "\n".join(
            (
                f"a: {self.n_a:,} agents, b: {self.n_b:,} agents, {'paired' if self.paired else 'independent'}",
                f"  mean(a) - mean(b)           {self.difference}",
                f"  probability of improvement  {self.probability_of_improvement}",
                f"  effect size                 {self.effect_size}",
                f"  p = {self.p_value:.3g} ({self.test})",
            )
        )


def check_pair(a: ArrayLike, b: ArrayLike, *, paired: bool) -> tuple[Floats, Floats]:
    """Two populations with at least two agents each, of equal size if they are paired."""
    x, y = check_scores(a, "a", at_least=2), check_scores(b, "b", at_least=2)
    if paired and x.size != y.size:
        raise InvalidInput(
            f"a has {x.size} agents and b {y.size}, but paired=True needs agent i in both; "
            "run them with equal n_agents and one seed, or use paired=False"
        )
    return x, y


def mean_difference(x: Floats, y: Floats, *, paired: bool, level: float) -> tuple[Estimate, float, str]:
    """Estimate of mean(x) - mean(y), p-value and name of the t-test that belongs to its interval.

    Written out because ``scipy.stats.ttest_ind`` warns of precision loss where a population has no spread,
    which a population of learners that all found the optimum has.
    """
    if paired:
        difference, variance, freedom = mean_of(x - y), float(spread(x - y)) ** 2 / x.size, x.size - 1.0
        test, name = "paired t-test", "Student's t of the pairs"
    else:
        parts = float(spread(x)) ** 2 / x.size, float(spread(y)) ** 2 / y.size
        difference, variance, test, name = mean_of(x) - mean_of(y), sum(parts), "Welch's t-test", "Welch's t"
        freedom = variance**2 / (parts[0] ** 2 / (x.size - 1) + parts[1] ** 2 / (y.size - 1)) if variance else 1.0
    if variance == 0.0:
        # The limit of the p-value is 1 for equal means and 0 for others.
        flat = Interval(difference, difference, level, f"{name}; zero width: no spread over agents")
        return Estimate(difference, flat), 1.0 if difference == 0.0 else 0.0, test
    error = math.sqrt(variance)
    half = float(special.stdtrit(freedom, (1 + level) / 2)) * error
    p_value = 2 * float(special.stdtr(freedom, -abs(difference) / error))
    return Estimate(difference, Interval(difference - half, difference + half, level, name)), p_value, test


def effect_size(a: ArrayLike, b: ArrayLike, *, paired: bool = False, level: float = 0.95) -> Estimate:
    r"""Cohen's d with the average variance of both populations.

    .. math:: d = \frac{\bar a-\bar b}{\sqrt{(s_a^2+s_b^2)/2}}

    It measures how far the populations lie apart in units of the spread over agents, so that it does not
    depend on whether agents were paired; only its interval does.  The interval is the delta method's, with
    the fourth moments of the scores in place of those of a normal distribution (the estimator and its
    variance for normal scores: D. G. Bonett, Psychological Methods 13 (2008) 99-109).

    Parameters
    ----------
    a, b : array_like, (n_agents,)
        Scores of two populations, at least two agents each.
    paired : bool, default False
        Whether agent i of both shared its random numbers.
    level : float, default 0.95
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        d, positive where a has the higher mean; infinite where the means differ and no agent does.

    Raises
    ------
    InvalidInput
        If scores are not finite numbers, sizes differ though paired, or level is outside (0, 1).

    Examples
    --------
    >>> round(effect_size([2.0, 4.0, 6.0], [1.0, 3.0, 5.0]).value, 6)
    0.5
    """
    x, y = check_pair(a, b, paired=paired)
    level = check_open_unit(level, "level", 0.95)
    difference = mean_of(x) - mean_of(y)
    sigma = math.sqrt((float(spread(x)) ** 2 + float(spread(y)) ** 2) / 2)
    name = "Cohen's d, average variance"
    if sigma == 0.0:
        value = math.copysign(math.inf, difference) if difference else 0.0
        return Estimate(value, Interval(value, value, level, f"{name}; no spread over agents"))
    d = difference / sigma
    # Influence of each agent on d: on the mean in the numerator and on its variance in the denominator.
    u, v = (x - x.mean()) / sigma, (y - y.mean()) / sigma
    influence_a = u - d / 4 * (u**2 - u.var())
    influence_b = -v - d / 4 * (v**2 - v.var())
    if paired:
        variance = float((influence_a + influence_b).var(ddof=1)) / x.size
    else:
        variance = float(influence_a.var(ddof=1)) / x.size + float(influence_b.var(ddof=1)) / y.size
    half = float(stats.norm.isf((1 - level) / 2)) * math.sqrt(variance)
    return Estimate(d, Interval(d - half, d + half, level, f"{name}; delta method"))


def probability_of_improvement(
    a: ArrayLike, b: ArrayLike, *, paired: bool = False, higher_is_better: bool = True, level: float = 0.95
) -> Estimate:
    r"""Probability that an agent of a does better than an agent of b, a tie counted half.

    .. math:: P(A > B) + \tfrac12 P(A = B)

    Not paired, *A* and *B* are independent: the estimate is the Mann-Whitney statistic over
    :math:`n_a n_b` (Agarwal et al., NeurIPS 2021, section 4.3).  Its standard error comes from the
    placements of DeLong, DeLong and Clarke-Pearson (Biometrics 44 (1988) 837-845), the degrees of freedom
    from Brunner and Munzel (Biometrical Journal 42 (2000) 17-25), and the interval is made on the logit
    scale, so that it stays in [0, 1].  When no agent of one population reaches the other, that error is
    zero; then the far end is :math:`(\alpha/2)^{1/\min(n_a,n_b)}` from 1, because the same would have to
    hold for that many disjoint pairs.

    Paired, *A* and *B* shared their random numbers, which is another quantity: the share of seeds on which
    a wins.  Its interval is Wilson's score interval with the variance :math:`p(1-p)-q/4` of a win that
    counts 1, a tie 1/2 (*q*: the share of ties, shrunk to :math:`n_{ties}/(n+z^2)`).

    Parameters
    ----------
    a, b : array_like, (n_agents,)
        Scores of two populations, at least two agents each.
    paired : bool, default False
        Compare agent i of a with agent i of b only.
    higher_is_better : bool, default True
        False for outcomes such as regret.
    level : float, default 0.95
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        The probability and its interval, in [0, 1].

    Raises
    ------
    InvalidInput
        If scores are not finite numbers, sizes differ though paired, or level is outside (0, 1).

    Examples
    --------
    >>> probability_of_improvement([1.0, 2.0, 3.0, 3.0], [1.0, 2.0, 2.0, 2.0]).value
    0.6875
    >>> probability_of_improvement([1.0, 2.0, 3.0, 3.0], [1.0, 2.0, 2.0, 2.0], paired=True).value
    0.75
    """
    x, y = check_pair(a, b, paired=paired)
    level = check_open_unit(level, "level", 0.95)
    if not higher_is_better:
        x, y = -x, -y
    return _same_seed(x, y, level) if paired else _independent(x, y, level)


def _same_seed(x: Floats, y: Floats, level: float) -> Estimate:
    n, ties = x.size, int((x == y).sum())
    p = (float((x > y).sum()) + ties / 2) / n
    c = float(stats.norm.isf((1 - level) / 2)) ** 2 / n
    # Solves (p - P)^2 = c (P (1 - P) - q / 4) for P with q = ties / (n + z^2); the radicand is never
    # negative, and never zero, so that the interval does not collapse even if all pairs are ties.
    centre, half = 2 * p + c, math.sqrt(c * (4 * p * (1 - p) - ties / n + c))
    low, high = ((centre + sign * half) / (2 * (1 + c)) for sign in (-1, 1))
    return Estimate(p, Interval(min(max(low, 0.0), p), max(min(high, 1.0), p), level, "same seed; Wilson, ties half"))


def _independent(x: Floats, y: Floats, level: float) -> Estimate:
    placed_x, placed_y = placements(x, y), 1 - placements(y, x)
    p = float(placed_x.mean())
    tail = (1 - level) / 2
    far = tail ** (1 / min(x.size, y.size))
    if p in (0.0, 1.0):
        low, high = (0.0, 1 - far) if p == 0.0 else (far, 1.0)
        return Estimate(p, Interval(low, high, level, "independent agents; exact bound for separated populations"))
    parts = float(placed_x.var(ddof=1)) / x.size, float(placed_y.var(ddof=1)) / y.size
    variance = sum(parts)
    if variance == 0.0:
        # All of a tie with all of b: nothing is known but that ties are common, as in the case above.
        return Estimate(p, Interval(far / 2, 1 - far / 2, level, "independent agents; exact bound for all ties"))
    freedom = variance**2 / (parts[0] ** 2 / (x.size - 1) + parts[1] ** 2 / (y.size - 1))
    half = float(stats.t.isf(tail, freedom)) * math.sqrt(variance) / (p * (1 - p))
    logit = math.log(p / (1 - p))
    # expit is written with tanh, which does not overflow.
    low, high = ((1 + math.tanh((logit + sign * half) / 2)) / 2 for sign in (-1, 1))
    return Estimate(p, Interval(low, high, level, "independent agents; DeLong, logit, Brunner-Munzel df"))


def placements(x: Floats, y: Floats) -> Floats:
    """For each of x, the share of y below it plus half the share equal to it."""
    y = np.sort(y)
    below, up_to = np.searchsorted(y, x, side="left"), np.searchsorted(y, x, side="right")
    return (below + up_to) / (2 * y.size)


def compare(
    a: ArrayLike, b: ArrayLike, *, paired: bool, higher_is_better: bool = True, level: float = 0.95
) -> Comparison:
    """Compare two populations of agents: difference, probability of improvement, effect size, test.

    Parameters
    ----------
    a, b : array_like, (n_agents,)
        Scores of two populations in one unit, at least two agents each.
    paired : bool
        True if agent i of a and agent i of b shared their random numbers: then the interval of the
        difference and the test use the differences of pairs, and the probability of improvement is that of
        one seed.  There is no default, because the wrong choice gives wrong intervals.
    higher_is_better : bool, default True
        False for outcomes such as regret; it turns the probability of improvement, not the difference.
    level : float, default 0.95
        Confidence level of each interval, in (0, 1).

    Returns
    -------
    Comparison
        See there.

    Raises
    ------
    InvalidInput
        If scores are not finite numbers, sizes differ though paired, or level is outside (0, 1).

    Notes
    -----
    The test is Welch's t-test, which does not assume equal spreads, or the paired t-test; C. Colas et al.,
    "A hitchhiker's guide to statistical comparisons of reinforcement learning algorithms" (2019), find
    Welch's the most robust for scores of learners.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> result = compare(rng.normal(1.0, 1.0, 400), rng.normal(0.8, 2.0, 400), paired=False)
    >>> result.test, result.p_value < 0.05
    ("Welch's t-test", True)
    """
    x, y = check_pair(a, b, paired=paired)
    level = check_open_unit(level, "level", 0.95)
    difference, p_value, test = mean_difference(x, y, paired=paired, level=level)
    return Comparison(
        n_a=x.size,
        n_b=y.size,
        paired=paired,
        difference=difference,
        probability_of_improvement=probability_of_improvement(
            x, y, paired=paired, higher_is_better=higher_is_better, level=level
        ),
        effect_size=effect_size(x, y, paired=paired, level=level),
        p_value=p_value,
        test=test,
    )


def correct(p_values: Sequence[float] | Floats, *, method: str = "holm") -> Floats:
    r"""Adjust the p-values of several comparisons, so that each may be held against the level as it is.

    Parameters
    ----------
    p_values : array_like, (n_tests,)
        P-values in [0, 1].
    method : {"holm", "benjamini-hochberg", "benjamini-yekutieli"}, default "holm"
        ``"holm"`` bounds the probability of any false finding, whatever the dependence (S. Holm,
        Scandinavian Journal of Statistics 6 (1979) 65-70): the i-th smallest of m becomes
        :math:`\max_{j\le i}\min(1,(m-j+1)\,p_{(j)})`.  The other two bound the expected share of false
        findings among all findings, for independent or positively dependent tests and for any
        (``scipy.stats.false_discovery_control``).

    Returns
    -------
    ndarray, float64 (n_tests,)
        Adjusted p-values in the order given.

    Raises
    ------
    InvalidInput
        If a p-value is not in [0, 1] or the method is unknown.

    Examples
    --------
    >>> correct([0.01, 0.04, 0.03]).round(10).tolist()
    [0.03, 0.06, 0.06]
    """
    p = check_scores(p_values, "p_values")
    if ((p < 0) | (p > 1)).any():
        bad = p[(p < 0) | (p > 1)][0]
        raise InvalidInput(f"p_values holds {bad}, which is outside [0, 1]; give p-values as tests return them")
    controls = {"benjamini-hochberg": "bh", "benjamini-yekutieli": "by"}
    if method in controls:
        return np.asarray(stats.false_discovery_control(p, method=controls[method]), dtype=np.float64)
    if method != "holm":
        raise InvalidInput(f"method={method!r} is unknown; use 'holm', " + " or ".join(map(repr, controls)))
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, p[order] * np.arange(p.size, 0, -1))
    out = np.empty_like(p)
    out[order] = np.maximum.accumulate(steps)
    return out
