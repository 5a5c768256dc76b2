"""The bias of having chosen the best of many: the winner's mean where it won, and on fresh seeds."""

from dataclasses import dataclass

from numpy.typing import ArrayLike

from qfast.stats._check import Missing
from qfast.stats._scipy import stats
from qfast.stats.difference import effect_size, mean_difference
from qfast.stats.estimates import estimate_mean
from qfast.stats.interval import Estimate, not_defined
from qfast.stats.undefined import about, check_pair, no_mean_of_pair

__all__ = ["SelectionBias", "selection_bias"]


@dataclass(frozen=True, slots=True)
class SelectionBias:
    """The winner's mean where it won, and on fresh seeds.

    Parameters
    ----------
    selected : Estimate
        Mean of the agents by which it was chosen: too good on average, and outside of its interval too often.
    fresh : Estimate
        Mean of agents that had no part in the choice: unbiased, with a valid interval.
    bias : Estimate
        selected - fresh; what the choice alone is estimated to have added.  The best of n equal configurations is
        flattered by about sqrt(2 ln n) standard errors of its mean, which the interval of the difference seldom tells
        from 0: that 0 lies in it is no sign that there is no bias.
    standardised : Estimate
        The same in units of the spread over agents (Cohen's d).
    detectable : float
        The bias, in the unit of the scores, that a comparison of this size finds in four of five cases; nan where it is
        not defined.
    n, n_undefined : int
        Agents (of both) whose score is defined, and those that ran and have none.
    dropped : bool
        Whether these were left out.
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
        unseen = (
            ""
            if self.seen or not self.bias.defined
            else (
                f"\na bias below {self.detectable:.3g} would be missed by more than one in five comparisons like this"
            )
        )
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
    selected : array_like, (n_agents,)
        The winner's scores in the study that chose it, at least two agents.
    fresh : array_like, (m_agents,)
        Its scores in a run with other seeds, at least two agents.
    level : float, default 0.95
        Confidence level in (0, 1).
    missing : {"keep", "drop"}, default "keep"
        With ``"keep"`` no mean is defined where scores are undefined (nan); ``"drop"`` leaves them out.

    Returns
    -------
    SelectionBias
        See there.

    Raises
    ------
    InvalidInput
        If scores are not at least two numbers, or level is outside (0, 1).

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
        z = float(stats.norm.isf((1 - level) / 2))
        detectable = bias.interval.half_width * (z + float(stats.norm.isf(0.2))) / z
    return SelectionBias(
        selected=first,
        fresh=second,
        bias=bias,
        standardised=effect_size(pair.all_a, pair.all_b, level=level, missing=missing),
        detectable=detectable,
        n=pair.n,
        n_undefined=pair.lost,
        dropped=not pair.keep,
    )
