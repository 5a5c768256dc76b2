"""Seed-variance studies: many settings, thousands of agents of each, and what they say about one another."""

from qfast.studies.best import Winner
from qfast.studies.compare import AllComparisons, PairComparison
from qfast.studies.metrics import AgentBlock, Metric
from qfast.studies.misrank import StudyMisranking
from qfast.studies.profile import StudyProfile
from qfast.studies.result import Study
from qfast.studies.run import study
from qfast.studies.seeds import SeedTable
from qfast.studies.storage import load_study
from qfast.studies.summary import StudySummary

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
