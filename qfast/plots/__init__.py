"""Pictures of runs: each function takes and returns matplotlib axes, and never shows a window.

Colours can be told apart by people who do not see all of them, and every band says what it is.  ``pip install
"qfast[plot]"``.

>>> import qfast
>>> from matplotlib.figure import Figure
>>> run = qfast.train(n_agents=50, episodes=100, seed=0, progress=False)
>>> ax = qfast.plots.learning_curve(run, ax=Figure().add_subplot())
"""

from qfast.plots.curves import learning_curve, share_optimal
from qfast.plots.maps import disagreement_map, value_map
from qfast.plots.spread import census_bars, q_distribution

__all__ = [
    "census_bars",
    "disagreement_map",
    "learning_curve",
    "q_distribution",
    "share_optimal",
    "value_map",
]
