"""Names of problems that builders make."""

import functools
from collections.abc import Callable
from typing import ParamSpec

from qfast.model.mdp import MDP

__all__ = ["titled"]

_P = ParamSpec("_P")


def titled(build: Callable[_P, MDP]) -> Callable[_P, MDP]:
    """Let a builder's problems have the builder's name."""

    @functools.wraps(build)
    def named(*args: _P.args, **kwargs: _P.kwargs) -> MDP:
        return build(*args, **kwargs).with_name(build.__name__)

    return named
