"""Two populations compared: a verdict, p-values corrected for their number, the bias of having chosen the best."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from qfast.arguments import choice
from qfast.errors import InvalidInput
from qfast.stats._check import Floats, Missing, check_bounds, check_open_unit, check_scores, stats
from qfast.stats.difference import RankAnswer, effect_of_pair, mean_difference, rank_answer
from qfast.stats.estimates import estimate_mean, mean_of
from qfast.stats.interval import Estimate, not_defined, noted, z_of
from qfast.stats.scores import Pair, about, check_pair, no_mean_of_pair
from qfast.text import p_text

__all__ = ["Comparison", "SelectionBias", "compare", "correct", "selection_bias"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What :func:`compare` found about populations a and b.

    Parameters
    ----------
    n_a, n_b, n_undefined_a, n_undefined_b : int
        Agents of each whose score is defined (of pairs: both scores), and the others, which have none.
    paired : bool
        Whether agent i of a and agent i of b shared their random numbers.
    difference : Estimate
        mean(a) - mean(b), in the unit of the scores.
    probability_of_improvement : Estimate
        Probability that an agent of a does better than one of b, ties counted half; 0.5 is no difference.
    effect_size : Estimate
        Standardised difference; what it is divided by stands in its interval's method.
    p_value, test : float, str
        Two-sided, not corrected for other comparisons (see :func:`correct`); of equal means, or by ranks where means
        are not defined.
    better, ahead : {"a", "b"} or None
        The verdict at the level of the intervals, and whom the number that decides puts ahead, significantly or not:
        the verdict where a corrected p-value is small enough.
    why : str
        What decided, or why nothing did.
    dropped : bool
        Whether agents without a score were left out of the answer (``missing="drop"``).
    """

    n_a: int
    n_b: int
    paired: bool
    difference: Estimate
    probability_of_improvement: Estimate
    effect_size: Estimate
    p_value: float
    test: str
    better: Literal["a", "b"] | None
    ahead: Literal["a", "b"] | None
    why: str
    n_undefined_a: int = 0
    n_undefined_b: int = 0
    dropped: bool = False

    @property
    def n(self) -> int:
        """Agents whose score is defined; of pairs, pairs in which both are."""
        return self.n_a if self.paired else self.n_a + self.n_b

    @property
    def n_undefined(self) -> int:
        """Agents that ran and have no score; of pairs, pairs in which one has none."""
        return self.n_undefined_a if self.paired else self.n_undefined_a + self.n_undefined_b

    @property
    def about(self) -> str:
        """How many agents the answer is about; empty where it is about all."""
        what = "pairs of agents whose scores are defined" if self.paired else "agents whose score is defined"
        return about(self.n, self.n_undefined, what) if self.dropped else ""

    def __str__(self) -> str:
        """Print a line for each finding."""
        lost = [f", {n:,} undefined" if n else "" for n in (self.n_undefined_a, self.n_undefined_b)]
        sizes = f"a: {self.n_a:,} agents{lost[0]}, b: {self.n_b:,} agents{lost[1]}"
        return "\n".join(
            (
                f"{sizes}, {'paired' if self.paired else 'independent'}",
                f"  mean(a) - mean(b)           {self.difference}",
                f"  probability of improvement  {self.probability_of_improvement}",
                f"  effect size                 {self.effect_size}",
                f"  p {p_text(self.p_value)} ({self.test})",
                f"  better: {self.better or 'no verdict'} ({self.why})",
            )
        )


def compare(
    a: ArrayLike,
    b: ArrayLike,
    *,
    paired: bool,
    higher_is_better: bool = True,
    level: float = 0.95,
    missing: Missing = "keep",
    bounds: tuple[float, float] | None = None,
) -> Comparison:
    """Compare two populations of agents: difference, probability of improvement, effect size, test.

    Parameters
    ----------
    a, b : array_like, (n_agents,)
        In one unit, at least two agents each; the rest as everywhere in :mod:`qfast.stats`.
    paired : bool
        If True, the interval of the difference and the test use the differences of pairs, and the probability of
        improvement is that of one seed.  There is no default, because the wrong choice gives wrong intervals.
    higher_is_better : bool, default True
        It turns the probability of improvement, not the difference.
    missing : {"keep", "drop"}, default "keep"
        With ``"keep"`` and undefined scores there is no difference of means, and a verdict only if it holds whatever
        they are.
    bounds : (float, float), optional
        Numbers that no score can lie outside of; scores that are all at one of the two are yes or no.

    Notes
    -----
    Where a mean is not defined because scores are infinite, or undefined ones are kept, the verdict comes from the
    probability of improvement: its interval excludes 1/2, and so says the test of Brunner and Munzel (paired: the
    sign test).  Two values alone are compared by Fisher's exact test (paired: McNemar's).  Otherwise the test is
    Welch's t-test, which does not assume equal spreads, or the paired t-test; C. Colas et al.,
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
    pair = check_pair(a, b, paired=paired, missing=missing)
    level = check_open_unit(level, "level", 0.95)
    if bounds is not None:
        bounds = check_bounds(bounds, np.concatenate([pair.a, pair.b]))
    elif np.asarray(a).dtype == np.asarray(b).dtype == np.bool_:
        bounds = (0.0, 1.0)
    reason, instead = no_mean_of_pair(pair)
    ranks = rank_answer(pair, higher_is_better=higher_is_better, level=level, tested=bool(reason))
    if reason:
        difference, p_value, test = not_defined(reason, level, instead), ranks.p_value, ranks.test
        lead = ranks.chance.value - 0.5 if ranks.chance.defined else 0.0
    else:
        difference, p_value, test = mean_difference(pair.a, pair.b, paired=paired, level=level, bounds=bounds)
        difference = noted(difference, pair.about)
        # A difference that no float can hold has a sign all the same.
        lead = difference.value if difference.defined else 1.0 if mean_of(pair.a) > mean_of(pair.b) else -1.0
        lead = lead if higher_is_better else -lead
    ahead: Literal["a", "b"] | None = None if lead == 0.0 else "a" if lead > 0 else "b"
    excluded = not reason or not ranks.chance.interval.low <= 0.5 <= ranks.chance.interval.high
    better = ahead if p_value < 1 - level and excluded else None
    return Comparison(
        n_a=pair.a.size,
        n_b=pair.b.size,
        paired=paired,
        difference=difference,
        probability_of_improvement=ranks.chance,
        effect_size=effect_of_pair(pair, level),
        p_value=p_value,
        test=test,
        better=better,
        ahead=ahead,
        why=_why(pair, reason, ranks, p_value, test, level, decided=better is not None),
        n_undefined_a=pair.undefined[0],
        n_undefined_b=pair.undefined[1],
        dropped=not pair.keep,
    )


def _why(pair: Pair, reason: str, ranks: RankAnswer, p_value: float, test: str, level: float, *, decided: bool) -> str:
    """What decided: the test of means, or ranks for the reason given."""
    held = f"{test}, p {p_text(p_value)} {'<' if p_value < 1 - level else '>='} {1 - level:.2g}"
    if pair.lost and not pair.keep:
        held = f"{held}, {pair.about}"
    if not reason:
        return held
    if not ranks.chance.defined:
        return ranks.chance.reason
    low, high = ranks.chance.interval.low, ranks.chance.interval.high
    side = "excludes" if not low <= 0.5 <= high else "holds"
    chance = f"the interval of the probability of improvement [{low:.3g}, {high:.3g}] {side} 1/2"
    if not pair.bounded:
        return f"{held}; {chance}; the difference of means is {reason}"
    if decided:
        return f"{held}; {chance}, whatever the undefined scores are"
    return f"{chance} with undefined scores of any kind; the difference of means is {reason}"


def correct(p_values: Sequence[float] | Floats, *, method: str = "holm") -> Floats:
    r"""Adjust the p-values of several comparisons, so that each may be held against the level as it is.

    Parameters
    ----------
    p_values : array_like, (n_tests,)
        P-values in [0, 1]; nan for a test that could not be made, which stays nan and does not count.
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
    given = check_scores(p_values, "p_values")
    made = ~np.isnan(given)
    p = given[made]
    if ((p < 0) | (p > 1)).any():
        bad = p[(p < 0) | (p > 1)][0]
        raise InvalidInput(f"p_values holds {bad}, which is outside [0, 1]; give p-values as tests return them")
    controls = {"benjamini-hochberg": "bh", "benjamini-yekutieli": "by"}
    choice("method", method, ("holm", *controls))
    out = np.full(given.size, np.nan)
    if p.size == 0:
        return out
    if method in controls:
        out[made] = stats.false_discovery_control(p, method=controls[method])
        return out
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(p.size, 0, -1)))
    out[made] = adjusted
    return out


@dataclass(frozen=True, slots=True)
class SelectionBias:
    """What :func:`selection_bias` found.

    Parameters
    ----------
    selected, fresh : Estimate
        Mean of the agents by which the winner was chosen, too good on average and outside of its interval too often;
        and of agents that had no part in the choice, unbiased and with a valid interval.
    bias : Estimate
        selected - fresh: what the choice alone is estimated to have added.  The best of n equal configurations is
        flattered by about sqrt(2 ln n) standard errors of its mean, which the interval of the difference seldom tells
        from 0: that 0 lies in it is no sign that there is no bias.
    standardised : Estimate
        The same in units of the spread over agents (Cohen's d).
    detectable : float
        The bias, in the unit of the scores, that a comparison of this size finds in four of five cases; or nan.
    n, n_undefined, dropped : int, int, bool
        Agents (of both) whose score is defined, those without one, and whether these were left out.
    """

    selected: Estimate
    fresh: Estimate
    bias: Estimate
    standardised: Estimate
    detectable: float
    n: int
    n_undefined: int
    dropped: bool = False

    @property
    def seen(self) -> bool:
        """Whether the bias is told apart from 0; if not, it may be anything in its interval."""
        return self.bias.defined and 0.0 not in self.bias.interval

    def __str__(self) -> str:
        """Print a line for each number."""
        left_out = f"\n{about(self.n, self.n_undefined)}" if self.n_undefined and self.dropped else ""
        unseen = f"\na bias below {self.detectable:.3g} would be missed by more than one in five comparisons like this"
        unseen = "" if self.seen or not self.bias.defined else unseen
        return (
            f"where it won   {self.selected}\non fresh seeds {self.fresh}\nbias           {self.bias}\n"
            f"in std units   {self.standardised}{unseen}{left_out}"
        )


def selection_bias(
    selected: ArrayLike, fresh: ArrayLike, *, level: float = 0.95, missing: Missing = "keep"
) -> SelectionBias:
    """Put the winner's scores where it won beside its scores on fresh seeds.

    The best of many means is best partly by luck: the larger the choice and the smaller the number of
    agents, the more of it is luck.  Running the winner again with other seeds removes that part.

    Parameters
    ----------
    selected, fresh : array_like, (n_agents,)
        The winner's scores in the study that chose it and in a run with other seeds, at least two agents each;
        ``level`` and ``missing`` as everywhere in :mod:`qfast.stats`.

    Examples
    --------
    >>> selection_bias([5.0, 6.0, 7.0], [4.0, 5.0, 6.0]).bias.value
    1.0
    """
    pair = check_pair(selected, fresh, paired=False, missing=missing)
    first, second = (estimate_mean(x, level=level, missing=missing) for x in (pair.all_a, pair.all_b))
    reason, instead = no_mean_of_pair(pair)
    if reason:
        bias, detectable = not_defined(reason, level, instead), float("nan")
    else:
        bias = mean_difference(pair.a, pair.b, paired=False, level=level)[0]
        z = z_of(level)
        detectable = bias.interval.half_width * (z + float(stats.norm.isf(0.2))) / z
    return SelectionBias(
        selected=first,
        fresh=second,
        bias=bias,
        standardised=effect_of_pair(pair, level),
        detectable=detectable,
        n=pair.n,
        n_undefined=pair.lost,
        dropped=not pair.keep,
    )
