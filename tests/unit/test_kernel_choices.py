"""What the kernel's intrinsics look at of a spec: numba asks them once, and helpers are shared by what they look at."""

import ast
import importlib
import inspect

import pytest

from qfast.kernel.spec import SpecType

DERIVED = {"chunk", "row_chunk"}  # from the others


@pytest.mark.parametrize("name", ["lanes", "memory", "policies"])
def test_intrinsics_look_at_nothing_else(name):
    source = ast.parse(inspect.getsource(importlib.import_module(f"qfast.kernel.{name}")))
    compiled = ("inlined", "kernel")
    seen = set()
    for part in source.body:
        if {ast.unparse(each) for each in getattr(part, "decorator_list", ())} & set(compiled):
            continue
        for node in ast.walk(part):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "spec":
                seen.add(node.attr)
    assert seen <= set(SpecType.always) | DERIVED
