"""One step of the environment: the outcome of (s, a), and where the next episode begins."""

from numba import int32, int64, uint32, uint64
from numba.extending import overload

from qfast.kernel.jit import INLINED, inlined
from qfast.kernel.lanes import bits_as_f32, bits_as_i32, multiply_high, where
from qfast.kernel.memory import fetch_one, fetch_pair, store
from qfast.kernel.rng import draw


@inlined
def outcome_slot(spec, tables, lanes, at, pair):
    """Where the outcome of a pair stands in the tables: the only one, one of K equally likely, or by alias table.

    word * K = column * 2**32 + part: the column is uniform, and `part` decides between the column's two outcomes.
    """
    if not spec.many_outcomes:
        return pair
    column, part = multiply_high(draw(spec, lanes, at), uint32(tables.n_outcomes))
    slot = pair * int32(tables.n_outcomes) + bits_as_i32(column)
    if spec.alias:
        store(spec, lanes.index, at, slot + slot)
        threshold, other = fetch_pair(spec, tables.alias, lanes.index, at, 0)
        slot = where(part < threshold, slot, pair * int32(tables.n_outcomes) + bits_as_i32(other))
    return slot


def next_state_and_reward(spec, tables, lanes, at, slot):
    """Next state (-1 - s where the outcome terminates the episode) and reward."""
    raise NotImplementedError


@overload(next_state_and_reward, jit_options=INLINED)
def _next_state_and_reward(spec, tables, lanes, at, slot):
    def packed(spec, tables, lanes, at, slot):
        store(spec, lanes.index, at, slot + slot)
        state, bits = fetch_pair(spec, tables.model, lanes.index, at, 0)
        return state, bits_as_f32(bits)

    def apart(spec, tables, lanes, at, slot):
        store(spec, lanes.index, at, slot + slot)
        state = fetch_one(spec, tables.model, lanes.index, at, 0)[0]
        store(spec, lanes.index, at, slot)
        return state, fetch_one(spec, tables.reward, lanes.index, at, 0)[0]

    return packed if spec.dtype == "float32" else apart


@inlined
def start_state(spec, tables, word):
    """The state that an episode begins in; the same draw as for outcomes, for one lane."""
    product = uint64(word) * uint64(tables.starts.shape[0])
    column = int64(product >> uint64(32))
    if tables.start_alias.shape[0] > 0 and uint32(product) >= tables.start_alias[2 * column]:
        column = int64(tables.start_alias[2 * column + 1])
    return tables.starts[column]
