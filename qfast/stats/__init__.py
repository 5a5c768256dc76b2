"""Statistics of seed-variance studies: functions on arrays of scores, one axis of which is agents.

One population of agents is described by :func:`summarize`; two are compared by :func:`compare` and
:func:`misranking`; many are put in order by :func:`ranking`; :func:`misranking_of_best` and :func:`selection_bias` are
about the best of many; :func:`seeds_for_width`, :func:`seeds_for_power` and :func:`seeds_for_winner` plan a study, and
:class:`PrecisionRule` stops one.

Arguments are the same everywhere:

``scores``, or ``a`` and ``b``
    One number or boolean an agent, (n_agents,), in any unit.  Infinite scores stay infinite, and leave means
    undefined.  nan is the score of an agent that ran and has none: it might be anything.
``missing``
    With ``"keep"`` what ranks give is bounded for whatever undefined scores are, and a mean is not defined; ``"drop"``
    leaves them out (of pairs: both agents), and the answer says how many agents it is about.
``level``
    Confidence level of an interval, in (0, 1).
``paired``
    Whether agent i of each population shared its random numbers; then their sizes are equal.
``higher_is_better``
    False where lower scores are better, such as regret.

What does not fit raises :class:`qfast.InvalidInput`, which names it.  What is not defined says why.  Every interval
says its level and how it was made, and carries a caution where the scores show that it may hold less often than that;
``qfast/stats/README.md`` has a table of how often each kind holds, measured over ten populations.

Importing this package needs SciPy (``pip install "qfast[study]"``).
"""

from qfast.stats.comparison import Comparison, SelectionBias, compare, correct, selection_bias
from qfast.stats.difference import effect_size, probability_of_improvement
from qfast.stats.estimates import estimate_iqm, estimate_mean, estimate_std
from qfast.stats.interval import Estimate, Interval, ToleranceInterval
from qfast.stats.orders import Profile, estimate_quantile, estimate_share, performance_profile, tolerance_interval
from qfast.stats.rankings import Ranking, ranking, seeds_for_winner, winner
from qfast.stats.sequential import Look, PrecisionRule, anytime_bounded_mean, anytime_mean, anytime_share
from qfast.stats.sizes import SeedsNeeded, seeds_for_power, seeds_for_width
from qfast.stats.summary import Quantile, Summary, summarize
from qfast.stats.wrong_winner import BestMisranking, Misranking, misranking, misranking_of_best

__all__ = [
    "BestMisranking", "Comparison", "Estimate", "Interval", "Look", "Misranking", "PrecisionRule", "Profile",
    "Quantile", "Ranking", "SeedsNeeded", "SelectionBias", "Summary", "ToleranceInterval", "anytime_bounded_mean",
    "anytime_mean", "anytime_share", "compare", "correct", "effect_size", "estimate_iqm", "estimate_mean",
    "estimate_quantile", "estimate_share", "estimate_std", "misranking", "misranking_of_best", "performance_profile",
    "probability_of_improvement", "ranking", "seeds_for_power", "seeds_for_width", "seeds_for_winner",
    "selection_bias", "summarize", "tolerance_interval", "winner",
]  # fmt: skip
