"""The chapters beside the code name files that exist, and name all of a room's files."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(path for top in ("qfast", "tests", "benchmarks") for path in (ROOT / top).rglob("README.md"))
#: Rooms whose chapter has a table of all modules.
WHOLE = ["qfast/kernel", "qfast/engine", "qfast/studies"]


def named(chapter):
    """The Python files that a chapter names, with stars for several."""
    return set(re.findall(r"`([\w/*]+\.py)`", chapter.read_text("utf-8")))


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_files_that_are_named_exist(chapter):
    assert len(named(chapter)) > 1
    for name in named(chapter):
        assert any(any(place.glob(name)) for place in (chapter.parent, ROOT)), name


@pytest.mark.parametrize("room", WHOLE)
def test_every_module_is_named(room):
    modules = {path.name for path in (ROOT / room).glob("*.py")} - {"__init__.py"}
    assert modules <= {Path(name).name for name in named(ROOT / room / "README.md")}


def test_the_steps_to_add_a_rule_name_code_that_is_there():
    steps = (ROOT / "qfast/kernel/README.md").read_text("utf-8").split("## To add a rule")[1]
    for path, text in (
        ("qfast/kernel/rules.py", "RULES = {"),
        ("qfast/model/settings.py", '"rule", "q_learning", "choice"'),
        ("tests/oracle/rules.py", "RULES = {"),
        ("tests/oracle/variants.py", '"learner": ('),
    ):
        assert Path(path).name in steps
        assert text in (ROOT / path).read_text("utf-8"), path
