"""The suite notices a broken kernel: fourteen small mistakes in as many rules and options, one at a time.

Each mistake is made in a copy of the package, and the tests of the oracle that meet the broken part are run on it; at
least one has to fail.  Nothing here is fast: every copy is compiled anew.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What is broken: the kernel's file, the right text, the wrong one, and which tests meet it.
BREAKS = {
    "expected SARSA explores too little": (
        "rules.py", "(1 - epsilon) * best + epsilon * (total / count)", "best", "test_bits and expected_sarsa",
    ),
    "double Q-learning values by its own table": (
        "rules.py", "load(spec, lanes.next_row, pair), load(spec, lanes.next_row, pair + W))\n        value",
        "load(spec, lanes.next_row, pair + W), load(spec, lanes.next_row, pair))\n        value",
        "test_bits and double_q_learning",
    ),
    "the article's rule looks at the first action": (
        "rules.py", "range(1, spec.n_actions):\n        value = where(best", "range(0):\n        value = where(best",
        "test_bits and article",
    ),
    "what lies beyond the end is bootstrapped": (
        "step.py", "return where(terminated, 0, load(spec, lanes.gamma, at) * value)",
        "return load(spec, lanes.gamma, at) * value", "test_bits and q_learning",
    ),
    "an episode has one step more than its limit": (
        "step.py", "return (length >= int32(tables.limit)) & ~terminated",
        "return (length > int32(tables.limit)) & ~terminated", "test_bits and limited",
    ),
    "softmax forgets half of a word": (
        "explore.py", "picked = unit(word) * total", "picked = unit(word >> uint32(1)) * total",
        "test_bits and softmax",
    ),
    "UCB's bonus has no root": (
        "explore.py", "square_root(logarithm / to_f32(columns[c]))", "(logarithm / to_f32(columns[c]))",
        "test_bits and ucb",
    ),
    "the first of equals is the last": (
        "explore.py", "better = value > best", "better = value >= best", "test_bits and first",
    ),
    "ties at a border go to the wrong side": (
        "explore.py", "action = where(ties <= picked, action + int32(1), action)",
        "action = where(ties < picked, action + int32(1), action)", "test_edges and ties",
    ),
    "the alias table is off by one word": (
        "environment.py", "where(part < threshold, slot", "where(part <= threshold, slot", "test_edges and outcomes",
    ),
    "the step size is that of the next visit": (
        "backups.py", "visits = where(visits < last, visits, last) - int32(1)",
        "visits = where(visits < last - int32(1), visits, last - int32(1))", "test_bits and by_visits",
    ),
    "ties cut Watkins's traces": (
        "step.py", "pick(spec, lanes.row, row, a) < highest(spec, lanes.row, row)",
        "pick(spec, lanes.row, row, a) <= highest(spec, lanes.row, row)", "test_bits and q_learning-replacing",
    ),
    "the row that the next action is chosen by is stale": (
        "step.py", "where(same & (move.a == int32(x)), new, value)", "value",
        "test_bits and q_learning",
    ),
    "a schedule begins with its second value": (
        "state.py", "lanes.alpha[i] = tables.alpha[episode]",
        "lanes.alpha[i] = tables.alpha[min(episode + 1, tables.alpha.size - 1)]", "test_bits and by_episode",
    ),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_kernel_is_noticed(name, tmp_path):
    file, right, wrong, which = BREAKS[name]
    for part in ("qfast", "tests/oracle"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("tests/conftest.py", "tests/house.py", "tests/processes.py", "pyproject.toml"):
        shutil.copy(ROOT / part, tmp_path / part)
    kernel = tmp_path / "qfast" / "kernel" / file
    source = kernel.read_text("utf-8")
    assert source.count(right) == 1, f"{file} has {right!r} {source.count(right)} times"
    kernel.write_text(source.replace(right, wrong), "utf-8")

    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONPATH"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "tests/oracle", "-k", which],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed" in done.stdout
    assert "AssertionError" in done.stdout
