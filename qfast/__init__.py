"""Train thousands of independent tabular Q-learning agents at once.

>>> import qfast
>>> run = qfast.train(n_agents=100, seed=0, progress=False)
>>> qfast.rollout(run, agents=0).states.tolist()
[[0, 1, 2, 3, 4]]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qfast import exact, plots, problems, stats, studies, truth
    from qfast.engine.curve import Curve, Summary
    from qfast.errors import (
        BadFile,
        DamagedPartWarning,
        DivergedWarning,
        HiddenState,
        Interrupted,
        InvalidInput,
        LeftOutWarning,
        MissingExtra,
        MissingLimitWarning,
        PrecisionWarning,
        QfastError,
        Unfinished,
    )
    from qfast.model.mdp import MDP
    from qfast.model.rates import Rate, by_episode, by_visits, constant, exponential, linear, per_agent
    from qfast.problems import (
        arrows,
        corridor,
        discretise,
        from_env,
        from_graph,
        from_gymnasium,
        from_matrices,
        from_P,
        from_step,
        grid,
        read_mdp,
    )
    from qfast.progress import Progress
    from qfast.replays import Replay, replay
    from qfast.rollouts import Evaluation, Rollout, evaluate, rollout
    from qfast.run import Run
    from qfast.run_files import load
    from qfast.studies import Metric, Study, load_study, study
    from qfast.training import resume, train

__version__ = "0.1.0"

# Where each public name lives.  They are imported when they are first used: numba alone takes 0.25 s, and
# `qfast --help` needs none of it.
_HOME = {
    "qfast.engine.curve": ["Curve", "Summary"],
    "qfast.errors": [
        "BadFile", "DamagedPartWarning", "DivergedWarning", "HiddenState", "Interrupted", "InvalidInput",
        "LeftOutWarning", "MissingExtra", "MissingLimitWarning", "PrecisionWarning", "QfastError", "Unfinished",
    ],
    "qfast.model.mdp": ["MDP"],
    "qfast.problems": [
        "arrows", "corridor", "discretise", "from_env", "from_graph", "from_gymnasium", "from_matrices", "from_P",
        "from_step", "grid", "read_mdp",
    ],
    "qfast.progress": ["Progress"],
    "qfast.model.rates": ["Rate", "by_episode", "by_visits", "constant", "exponential", "linear", "per_agent"],
    "qfast.replays": ["Replay", "replay"],
    "qfast.rollouts": ["Evaluation", "Rollout", "evaluate", "rollout"],
    "qfast.run": ["Run"],
    "qfast.run_files": ["load"],
    "qfast.studies": ["Metric", "Study", "load_study", "study"],
    "qfast.training": ["resume", "train"],
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}
_PACKAGES = ["exact", "plots", "problems", "stats", "studies", "truth"]

__all__ = [
    "MDP",
    "BadFile",
    "Curve",
    "DamagedPartWarning",
    "DivergedWarning",
    "Evaluation",
    "HiddenState",
    "Interrupted",
    "InvalidInput",
    "LeftOutWarning",
    "Metric",
    "MissingExtra",
    "MissingLimitWarning",
    "PrecisionWarning",
    "Progress",
    "QfastError",
    "Rate",
    "Replay",
    "Rollout",
    "Run",
    "Study",
    "Summary",
    "Unfinished",
    "arrows",
    "by_episode",
    "by_visits",
    "constant",
    "corridor",
    "discretise",
    "evaluate",
    "exact",
    "exponential",
    "from_P",
    "from_env",
    "from_graph",
    "from_gymnasium",
    "from_matrices",
    "from_step",
    "grid",
    "linear",
    "load",
    "load_study",
    "per_agent",
    "plots",
    "problems",
    "read_mdp",
    "replay",
    "resume",
    "rollout",
    "stats",
    "studies",
    "study",
    "train",
    "truth",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        value = getattr(import_module(_MODULE_OF[name]), name)
    elif name in _PACKAGES:
        value = import_module(f"qfast.{name}")
    else:
        msg = f"module 'qfast' has no attribute {name!r}"
        raise AttributeError(msg)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
