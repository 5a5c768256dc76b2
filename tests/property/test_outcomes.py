"""Tables from rows of outcomes, bit for bit against a plain reading of the rules, row for row."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qfast.problems.outcomes import tables_of_rows


def merged(row):
    total = {}
    for p, *key in row:
        if p > 0:
            total[tuple(key)] = total.get(tuple(key), 0.0) + p
    return [(1.0 if len(total) == 1 else p, *key) for key, p in total.items()]


def spread(rows):
    kept = [[outcome for outcome in row if outcome[0] > 0] for row in rows]
    if any(abs(p - 1 / len(row)) > 1e-12 for row in kept for p, *_ in row):
        return None
    k = math.lcm(*map(len, kept))
    if k > max(8, *map(len, kept)):
        return None
    return [[(1 / k, *outcome[1:]) for outcome in row] * (k // len(row)) for row in kept]


def tables(rows):
    """What the rules at the head of the module say."""
    flat = [row for actions in rows for row in actions]
    new = [merged(row) for row in flat]
    if max(map(len, new)) > 1:
        new = spread(new) or spread(flat) or new
    k = max(map(len, new))
    full = [row + [(0.0, *row[-1][1:])] * (k - len(row)) for row in new]
    shape = (len(rows), len(rows[0]), k)
    columns = zip(*(outcome for row in full for outcome in row), strict=True)
    kinds = (np.float64, np.int64, np.float64, np.bool_)
    p, entered, reward, ended = (np.array(c, dtype=d).reshape(shape) for c, d in zip(columns, kinds, strict=True))
    return entered, reward, ended, p


outcome = st.tuples(st.integers(0, 3), st.sampled_from([0.0, 1.0, -0.5]), st.booleans())
even = st.lists(outcome, min_size=1, max_size=6).map(lambda row: [(1 / len(row), *o) for o in row])
weights = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.3, 1.0]), outcome), min_size=1, max_size=5)
uneven = weights.filter(lambda row: sum(w for w, _ in row) > 0).map(
    lambda row: [(w / sum(v for v, _ in row), *o) for w, o in row]
)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.sampled_from([even, uneven, even | uneven]))
def test_the_arrays_are_those_of_the_rules(data, n_states, n_actions, kind):
    actions = st.lists(kind, min_size=n_actions, max_size=n_actions)
    rows = data.draw(st.lists(actions, min_size=n_states, max_size=n_states))
    for got, wanted in zip(tables_of_rows(rows), tables(rows), strict=True):
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        assert got.tobytes() == wanted.tobytes()
