"""Seed-variance studies: many settings, thousands of agents of each, and what they say about one another."""

from qfast.studies.comparisons import AllComparisons, PairComparison
from qfast.studies.metrics import AgentBlock, Metric
from qfast.studies.misrankings import StudyMisranking
from qfast.studies.profiles import StudyProfile
from qfast.studies.result import Study
from qfast.studies.running import study
from qfast.studies.seeds import SeedTable
from qfast.studies.storage import load_study
from qfast.studies.summaries import StudySummary
from qfast.studies.winners import Winner

__all__ = [
    "AgentBlock",
    "AllComparisons",
    "Metric",
    "PairComparison",
    "SeedTable",
    "Study",
    "StudyMisranking",
    "StudyProfile",
    "StudySummary",
    "Winner",
    "load_study",
    "study",
]
