"""Pictures of runs and studies: each function takes and returns matplotlib axes, and never shows a window.

Colours can be told apart by people who do not see all of them, lines by their style and markers as well, and every band
says what it is.  ``pip install "qfast[plot]"``; those of studies need ``"qfast[study]"``, too.  Where
that is missing each raises `MissingExtra`.

>>> import qfast
>>> from matplotlib.figure import Figure
>>> run = qfast.train(n_agents=50, episodes=100, seed=0, progress=False)
>>> ax = qfast.plots.learning_curve(run, ax=Figure().add_subplot())
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qfast.plots.curves import learning_curve, share_optimal, study_curves, study_share_optimal
from qfast.plots.populations import census_bars, disagreement_map, q_distribution, value_map

if TYPE_CHECKING:
    from qfast.plots.choices import improvement, misranking_curve, named_shares
    from qfast.plots.scores import performance_profiles, score_distribution
    from qfast.plots.settings import sensitivity, sensitivity_map

__all__ = [
    "census_bars",
    "disagreement_map",
    "improvement",
    "learning_curve",
    "misranking_curve",
    "named_shares",
    "performance_profiles",
    "q_distribution",
    "score_distribution",
    "sensitivity",
    "sensitivity_map",
    "share_optimal",
    "study_curves",
    "study_share_optimal",
    "value_map",
]

# Pictures of studies' answers need SciPy: they are imported when they are first used.
_HOME = {
    "choices": ["improvement", "misranking_curve", "named_shares"],
    "scores": ["performance_profiles", "score_distribution"],
    "settings": ["sensitivity", "sensitivity_map"],
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'qfast.plots' has no attribute {name!r}")
    value = getattr(import_module(f"qfast.plots.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
