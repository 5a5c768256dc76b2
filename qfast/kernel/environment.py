"""One step of the environment: the outcome of (s, a), and where the next episode begins."""

from numba import int32, int64, uint32, uint64

from qfast.kernel.jit import by_variant, inlined
from qfast.kernel.lanes import bits_as_f32, bits_as_i32, multiply_high, where
from qfast.kernel.memory import fetch_one, fetch_pair, has_avx512, pick_pair, store


@by_variant
def outcome_slot(spec, tables, lanes, at, pair, word):
    """Where the outcome of a pair stands in the tables: the only one, one of K equally likely, or by alias table.

    word * K = column * 2**32 + part: the column is uniform, and `part` decides between the column's two outcomes.
    """

    def one(spec, tables, lanes, at, pair, word):
        return pair

    def equal(spec, tables, lanes, at, pair, word):
        column, _ = multiply_high(word, uint32(tables.n_outcomes))
        return pair * int32(tables.n_outcomes) + bits_as_i32(column)

    def alias(spec, tables, lanes, at, pair, word):
        column, part = multiply_high(word, uint32(tables.n_outcomes))
        first = pair * int32(tables.n_outcomes)
        slot = first + bits_as_i32(column)
        store(spec, lanes.indices, at, slot + slot)
        threshold, other = fetch_pair(spec, tables.alias, lanes.indices, at, 0)
        return where(part < threshold, slot, first + bits_as_i32(other))

    return {"one": one, "equal": equal, "alias": alias}[spec.outcomes]


@by_variant
def next_state_and_reward(spec, tables, lanes, at, slot):
    """Next state (-1 - s where the outcome terminates the episode) and reward."""

    def in_registers(spec, tables, lanes, at, slot):
        state, bits = pick_pair(spec, tables.model, slot)
        return state, bits_as_f32(bits)

    def packed(spec, tables, lanes, at, slot):
        store(spec, lanes.indices, at, slot + slot)
        state, bits = fetch_pair(spec, tables.model, lanes.indices, at, 0)
        return state, bits_as_f32(bits)

    def apart(spec, tables, lanes, at, slot):
        store(spec, lanes.indices, at, slot + slot)
        state = fetch_one(spec, tables.model, lanes.indices, at, 0)[0]
        store(spec, lanes.indices, at, slot)
        return state, fetch_one(spec, tables.reward, lanes.indices, at, 0)[0]

    if spec.dtype == "float64":
        return apart
    return in_registers if spec.small and has_avx512() else packed


@inlined
def start_state(spec, tables, word):
    """The state that an episode begins in; the same draw as for outcomes, for one lane."""
    product = uint64(word) * uint64(tables.starts.size)
    column = int64(product >> uint64(32))
    if tables.start_alias.size > 0 and uint32(product) >= tables.start_alias[2 * column]:
        column = int64(tables.start_alias[2 * column + 1])
    return tables.starts[column]
