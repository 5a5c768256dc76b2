"""Every agent against the truth: distance to Q*, regret, optimality, a census of policies, checkpoints.

`qfast.Run` offers all of it as methods.  Exact values are SciPy's and the kernel's: ``pip install "qfast[study]"``.
"""

from qfast.truth.census import Census, census
from qfast.truth.checkpoints import Checkpoints
from qfast.truth.measures import Distance, error, is_optimal, regret
from qfast.truth.survival import FirstOptimal, first_optimal

__all__ = [
    "Census", "Checkpoints", "Distance", "FirstOptimal", "census", "error", "first_optimal", "is_optimal", "regret",
]  # fmt: skip
