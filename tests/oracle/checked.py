"""Train with every index checked before it is used; ``python -m oracle.checked`` says so if all were inside.

Run with ``NUMBA_BOUNDSCHECK=1`` and a cache directory of its own, since numba does not keep such code apart.
"""

import sys
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

import qfast
from oracle.cases import cases
from oracle.kernels import kernel_with
from oracle.variants import VARIANTS
from qfast import training

VARIANTS_TO_CHECK = VARIANTS[:: -(-len(VARIANTS) // 6)]  # six of them: checks double the time that compiling takes


def check(variant):
    """Train on problems of a variant; an index outside of a table raises IndexError."""

    @settings(max_examples=30, deadline=None, derandomize=True, database=None)
    @given(data=st.data())
    def train(data):
        case = data.draw(cases(variant))
        width, lanes = variant.lanes
        with kernel_with(checked=True, width=width, lanes=lanes, block=192, max_steps=50):
            run = qfast.train(case.mdp, **case.settings, threads=1, record=variant.record, progress=False)
        assert run.n_steps >= run.n_agents * run.episodes

    train()


def check_the_check():
    """An index outside of a table is noticed: the corridor's tables with a state that does not exist."""
    make_tables = training.make_tables

    def broken(*arguments, **options):
        tables = make_tables(*arguments, **options)
        tables.model[::2] = 1_000
        return tables

    with kernel_with(checked=True), mock.patch.object(training, "make_tables", broken):
        try:
            qfast.train(n_agents=3, episodes=3, record=None, progress=False)
        except IndexError:
            return
    raise AssertionError("state 1000 of 5 was read unnoticed")


if __name__ == "__main__":
    check_the_check()
    for one in VARIANTS_TO_CHECK:
        check(one)
    sys.stdout.write("all indices were inside\n")
