"""Exact solutions by dynamic programming: what an agent could have learned, and what its policy is worth.

`solve` and `soft_fixed_point` give the values to which the learning rules converge, `evaluate_policy` and
`evaluate_policies` the value of what was learned, `finite_horizon` and `evaluate_within_limit` what can be and what is
reached within an episode limit, `sampling_error` how wrong values may be that come from samples. Linear systems are
SciPy's: ``pip install "qfast[study]"``.
"""

from qfast.exact.evaluation import (
    evaluate_policies,
    evaluate_policy,
    evaluate_within_limit,
    finite_horizon,
    success_outcomes,
)
from qfast.exact.optimal import best_actions, soft_fixed_point, solve
from qfast.exact.policies import canonical_policies, reached_states
from qfast.exact.results import FiniteHorizon, PolicyValue, PolicyValues, Solution, WithinLimit
from qfast.exact.sampling import SamplingError, sampling_error

__all__ = [
    "FiniteHorizon", "PolicyValue", "PolicyValues", "SamplingError", "Solution", "WithinLimit", "best_actions",
    "canonical_policies", "evaluate_policies", "evaluate_policy", "evaluate_within_limit", "finite_horizon",
    "reached_states", "sampling_error", "soft_fixed_point", "solve", "success_outcomes",
]  # fmt: skip
