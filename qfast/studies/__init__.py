"""Seed-variance studies: many settings, thousands of agents of each, and what they say about one another."""

from qfast.studies.outcomes import AgentBlock
from qfast.studies.result import Study
from qfast.studies.running import study
from qfast.studies.storage import load_study

__all__ = ["AgentBlock", "Study", "load_study", "study"]
