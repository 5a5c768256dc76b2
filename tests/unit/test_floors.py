"""Imports point down only: each module stands on a floor and may know what stands below."""

import ast
from pathlib import Path

import pytest
from processes import run_python

import qfast

ROOT = Path(qfast.__file__).parent

# The picture in qfast/README.md, from the ground up.  A folder stands for all that is in it.
FLOORS = [
    {"kernel", "errors", "text", "arguments", "progress"},
    {"storage"},
    {"model"},
    {"problems", "exact", "stats"},
    {"engine"},
    {"run", "run_files", "describe"},
    {"truth"},
    {"training", "training_checks", "execution", "destination", "replays", "rollouts"},
    {"studies"},
    {"plots"},
    {"reports"},
    {"cli"},
]
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}
ABOVE_ALL = {"__init__", "__main__"}

# An MDP, a Run or a Study offers what higher floors make of it, as methods that import inside.
LATE_BINDINGS = {
    ("model", "exact"), ("model", "problems"), ("run", "truth"), ("run_files", "truth"), ("studies", "plots"),
    ("studies", "reports"),
}  # fmt: skip


def modules():
    return sorted(path for path in ROOT.rglob("*.py") if floor_name(path) not in ABOVE_ALL)


def floor_name(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path):
    """The names right below `qfast` that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "qfast":
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names if alias.name[0] != "_"]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("qfast."))


def test_every_module_has_a_floor():
    assert {floor_name(path) for path in modules()} <= set(FLOOR_OF)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    name = floor_name(path)
    above = {
        other
        for other in imported(path)
        if FLOOR_OF.get(other, len(FLOORS)) > FLOOR_OF[name] and (name, other) not in LATE_BINDINGS
    }
    assert not above, f"{path.name} on floor {FLOOR_OF[name]} imports {above} from above"


def test_the_kernel_knows_nothing_above_it():
    for path in (ROOT / "kernel").glob("*.py"):
        assert set(imported(path)) <= {"kernel"}, path.name


@pytest.mark.parametrize("heavy", ["numba", "matplotlib", "gymnasium", "xarray", "dask", "scipy", "rich", "networkx"])
def test_import_qfast_loads_no_heavy_package(heavy):
    run_python("-c", f"import sys, qfast; dir(qfast); sys.exit({heavy!r} in sys.modules)")


def test_training_loads_no_optional_package():
    optional = ["matplotlib", "gymnasium", "xarray", "dask", "rich"]  # numba itself loads scipy where there is one
    code = f"import sys, qfast; qfast.train(n_agents=1, episodes=1); print([m for m in {optional} if m in sys.modules])"
    assert run_python("-c", code) == "[]\n"


def test_every_public_name_can_be_had():
    assert all(getattr(qfast, name) is not None for name in qfast.__all__)
    assert set(qfast.__all__) == set(qfast._MODULE_OF) | set(qfast._PACKAGES)
