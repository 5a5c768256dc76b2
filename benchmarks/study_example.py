"""README's worked study: how many seeds until the usual comparison becomes trustworthy.

Q-learning and Double Q-learning on Gymnasium's slippery FrozenLake, each with the best of three step sizes, judged by
the exact return of the greedy policy after training.  ``python -m benchmarks.study_example`` runs it, prints what it
found, and draws ``benchmarks/study.svg``; ``--report FILE.html`` writes the study's page, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import qfast

if TYPE_CHECKING:
    from qfast.studies import Study, StudyMisranking

__all__ = ["METRIC", "PICTURE", "best_of_each", "draw", "main", "run_study"]

PICTURE = Path(__file__).with_name("study.svg")
RULES = ("q_learning", "double_q_learning")
ALPHAS = (0.05, 0.1, 0.2)
METRIC = "greedy_return"
# Seeds of the small experiments, close together where the winner becomes trustworthy.
SEEDS = (1, 2, 3, 4, 5, 6, 8, 10, 14, 20, 30, 45, 65, 90, 100, 105, 110, 115, 120, 125, 130, 160, 220, 300, 450)
N_RESAMPLES = 100_000  # the standard error of a probability is at most 0.16 %
_STYLE = {"font.size": 8, "svg.hashsalt": "qfast", "svg.fonttype": "none"}


def run_study(*, n_agents: int = 10_000, episodes: int = 3_000, progress: bool | None = None) -> Study:
    """Train 10,000 agents of each of the six configurations, all in their own right (not paired)."""
    lake = qfast.from_gymnasium("FrozenLake-v1")
    return qfast.study(
        {"FrozenLake-v1": lake}, vary={"rule": RULES, "alpha": ALPHAS}, n_agents=n_agents, episodes=episodes,
        gamma=0.99, epsilon=0.3, seed=0, paired=False, checkpoints=None, progress=progress,
    )  # fmt: skip


def best_of_each(study: Study) -> list[int]:
    """For each rule the configuration with the best mean."""
    return [study.summary(METRIC, where={"rule": rule}).best.configuration for rule in RULES]


def draw(study: Study, found: StudyMisranking, file: Path) -> None:
    """Draw the agents of both rules, and what experiments with fewer seeds would have said."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from qfast.plots import misranking_curve

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.4, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(4, 5))
        study.plot_distribution(METRIC, best_of_each(study), kind="ecdf", ax=left)
        misranking_curve(found, ax=right)
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def main(argv: list[str] | None = None) -> None:
    """Run, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--episodes", type=int, default=3_000)
    parser.add_argument("--out", type=Path, default=PICTURE, help="the picture, .svg or .png")
    parser.add_argument("--report", type=Path, help="a page about the whole study, .html")
    arguments = parser.parse_args(argv)
    study = run_study(n_agents=arguments.agents, episodes=arguments.episodes)
    pair = best_of_each(study)
    print(study.summary(METRIC))
    print(study.compare(*pair, METRIC).sentence)
    found = study.misranking(*pair, METRIC, k=SEEDS, n_resamples=N_RESAMPLES, rng=0)
    print(found)
    print(found.sentence)
    print(study.seeds_needed(*pair, METRIC, rng=0))
    draw(study, found, arguments.out)
    print(f"picture in {arguments.out}")
    if arguments.report is not None:
        study.report(arguments.report, metric=METRIC)


if __name__ == "__main__":
    main()
