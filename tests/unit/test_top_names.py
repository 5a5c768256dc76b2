"""What a program catches and filters is found at the top of the package."""

import pytest

import qfast
from qfast import errors


@pytest.mark.parametrize("name", [n for n in vars(errors) if n.endswith("Warning")])
def test_every_warning_of_qfast_is_a_name_at_the_top(name: str) -> None:
    assert getattr(qfast, name) is getattr(errors, name)
    assert name in qfast.__all__
