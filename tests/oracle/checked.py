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
from qfast.engine import blocks, plan
from qfast.model.rates import Rate

# By default one of the variants, two tables with all that goes with them, and thirty problems (checks double the time
# that compiling takes; a `long` test has all of them); a number as the first argument chooses how many variants, a
# second one how many problems.
N_VARIANTS, N_PROBLEMS = (*map(int, sys.argv[1:]), 1, 30)[:2] if __name__ == "__main__" else (1, 30)
VARIANTS_TO_CHECK = VARIANTS[9:10] if N_VARIANTS == 1 else VARIANTS[:: -(-len(VARIANTS) // N_VARIANTS)]


def check(variant):
    """Train on problems of a variant; an index outside of a table raises IndexError."""

    @settings(max_examples=N_PROBLEMS, deadline=None, derandomize=True, database=None)
    @given(data=st.data())
    def train(data):
        case = data.draw(cases(variant))
        width, lanes = variant.lanes
        with kernel_with(checked=True, width=width, lanes=lanes, block=192, max_steps=50):
            run = qfast.train(case.mdp, **case.settings, threads=1, record=variant.record, progress=False)
        assert run.n_steps >= run.n_agents * run.episodes

    train()


def check_the_check():
    """Indices outside of tables are noticed, wherever they come from."""
    make_tables, make_lanes, for_agents = plan.make_tables, blocks.make_lanes, Rate.for_agents

    def without_a_state(*arguments, **options):
        tables = make_tables(*arguments, **options)
        tables.model[::2] = 1_000
        return tables

    def without_a_start(*arguments, **options):
        tables = make_tables(*arguments, **options)
        tables.starts[:] = 1_000
        return tables

    def too_few_discounts(rate, first, count, dtype):
        return for_agents(rate, first, count, dtype)[: 1 if float(rate.values) == 0.9 else count]

    def too_few_lanes(*arguments):
        lanes = make_lanes(*arguments)
        return lanes._replace(left=lanes.left[:-1])

    breaks = (
        (plan, "make_tables", without_a_state), (plan, "make_tables", without_a_start),
        (Rate, "for_agents", too_few_discounts), (blocks, "make_lanes", too_few_lanes),
    )  # fmt: skip
    for place, name, broken in breaks:
        with kernel_with(checked=True), mock.patch.object(place, name, broken):
            try:
                qfast.train(n_agents=3, episodes=3, record=None, progress=False)
            except IndexError:
                continue
        raise AssertionError(f"{broken.__name__} went unnoticed")


if __name__ == "__main__":
    check_the_check()
    for one in VARIANTS_TO_CHECK:
        check(one)
    sys.stdout.write("all indices were inside\n")
