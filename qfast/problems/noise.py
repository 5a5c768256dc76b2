"""Random rewards as lookup arrays: a distribution cut into K equally likely outcomes.

The range of the distribution is cut at its quantiles 1/K, 2/K, … into K bins of probability 1/K each, and every bin
is replaced by its mean. What this keeps and loses:

- The mean is exact, up to rounding. So are Q* and every other fixed point of learning, because they depend on the
  mean of the rewards alone.
- The variance is too small by what varied inside the bins, most of it in the two outer ones. For a normal
  distribution the ratio of variances is 0.637, 0.861, 0.945, 0.978, 0.991 and 0.996 for K = 2, 4, 8, 16, 32 and 64:
  the error falls a little faster than 1/K.
- Rewards are bounded by the means of the outer bins: for a normal distribution and K = 64, within about 2.5 standard
  deviations.
"""

import math
from statistics import NormalDist
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from qfast.errors import InvalidInput
from qfast.problems.number_checks import finite, whole

__all__ = ["FrozenDistribution", "equally_likely", "normal"]


@runtime_checkable
class FrozenDistribution(Protocol):
    """What `equally_likely` needs of a frozen distribution of ``scipy.stats``."""

    def ppf(self, q: float) -> float:
        """Quantile function."""

    def cdf(self, x: float) -> float:
        """Distribution function."""

    def mean(self) -> float:
        """Mean."""

    def expect(self, func: object = None, *, lb: float | None = None, ub: float | None = None) -> float:
        """Integral of x over [lb, ub] under the distribution."""


def normal(mean: float, std: float) -> NormalDist:
    """Give a normal distribution without SciPy, for `equally_likely`.

    Parameters
    ----------
    mean : float
        Its mean.
    std : float
        Its standard deviation, at least 0.

    Returns
    -------
    statistics.NormalDist
        The distribution.

    Raises
    ------
    InvalidInput
        If a number is not finite or `std` is negative.

    Examples
    --------
    >>> from qfast.problems import normal
    >>> normal(-0.1, 1.0)
    NormalDist(mu=-0.1, sigma=1.0)
    """
    if finite("std", std) < 0:
        raise InvalidInput(f"std={std} is negative; a standard deviation is at least 0")
    return NormalDist(finite("mean", mean), float(std))


def equally_likely(distribution: NormalDist | FrozenDistribution, k: int) -> NDArray[np.float64]:
    """Turn a distribution into K equally likely outcomes with the same mean.

    Outcome i is the mean of the distribution between its quantiles i/K and (i + 1)/K,
    ``K * integral of F^-1(u) du from i/K to (i + 1)/K``. The mean of the outcomes is that of the distribution; their
    variance is smaller, see `qfast.problems.noise`.

    Parameters
    ----------
    distribution : statistics.NormalDist or frozen distribution of scipy.stats
        `normal` gives the first, which needs no SciPy; ``scipy.stats.expon(scale=2)`` is an example of the second.
        It may be discrete; it must have a finite mean.
    k : int
        Number of outcomes, at least 1.

    Returns
    -------
    ndarray of float64, shape (k,)
        The outcomes, in ascending order, each with probability 1/k.

    Raises
    ------
    InvalidInput
        If `k` is below 1, the distribution is of another kind, has several dimensions, or has no finite mean.

    Examples
    --------
    >>> from qfast.problems import equally_likely, normal
    >>> equally_likely(normal(0.0, 1.0), 4).round(3)
    array([-1.271, -0.325,  0.325,  1.271])
    """
    k = whole("k", k, at_least=1)
    if isinstance(distribution, NormalDist):
        return distribution.mean + distribution.stdev * _standard_normal(k)
    if not isinstance(distribution, FrozenDistribution):
        raise InvalidInput(
            f"distribution={distribution!r} is no statistics.NormalDist and no frozen distribution of scipy.stats; "
            f"use normal(mean, std), or install SciPy (pip install 'qfast[study]') and give scipy.stats.expon(), say"
        )
    return _by_quantiles(distribution, k)


def _standard_normal(k: int) -> NDArray[np.float64]:
    """Bin means of the standard normal: k (phi(z_i) - phi(z_i+1)), since x phi(x) is the derivative of -phi(x)."""
    standard = NormalDist()
    density = [0.0, *(standard.pdf(standard.inv_cdf(i / k)) for i in range(1, k)), 0.0]
    means = -k * np.diff(density)
    return (means - means[::-1]) / 2  # symmetric to the last bit, so that the mean is exactly 0


def _by_quantiles(distribution: FrozenDistribution, k: int) -> NDArray[np.float64]:
    """Bin means from differences of G(u), the integral of the quantile function from 0 to u.

    With q = F^-1(u), ``G(u) = E[X; X <= q] - q (F(q) - u)``: the second term takes back the part of an atom at q that
    belongs to later bins, and is 0 where the distribution is continuous.
    """
    mean = np.asarray(distribution.mean())
    if mean.ndim > 0 or not math.isfinite(mean):
        raise InvalidInput(f"the distribution has the mean {mean}; give one of one dimension with a finite mean")
    integral = [0.0]
    for i in range(1, k):
        q = float(distribution.ppf(i / k))
        integral.append(float(distribution.expect(ub=q)) - q * (float(distribution.cdf(q)) - i / k))
    integral.append(float(mean))
    return k * np.diff(integral)
