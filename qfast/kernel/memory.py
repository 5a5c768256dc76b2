"""How lanes meet memory: arrays as the kernel sees them, vector loads and stores, rows fetched lane by lane, scatter.

An array is an address and a size, and a group of arrays (the problem's tables, the agents, the lanes) one address.
numba hands an array from function to function as seven numbers, and guards every index against being negative.

Rows are fetched with one ordinary load a lane (16 bytes: a whole row of four float32) and transposed in registers.
A hardware gather costs about 0.21 ns an element whatever the element's size (AMD Zen 5); the load and its share of the
transposition cost 0.16 ns for up to 16 bytes, and need no AVX-512.
"""

import math
import operator

import numpy as np
from llvmlite import ir
from numba import int32, types
from numba.core import cgutils
from numba.core.imputils import lower_getattr_generic
from numba.core.registry import cpu_target
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_getattr, models, register_model

from qfast.kernel.lanes import ELEMENT_OF_DTYPE, ELEMENTS, I1, I8, I32, I64, Lanes, concatenate, shuffle, splat

SLACK = 4  # elements that a fetch may read past the last row: allocate them behind every fetched array
SMALL = 16  # pairs of numbers that fit into vector registers: a table of that size is read by permutations
ALIGNMENT = 64  # bytes; the widest vector register
MOST_COUNTED = int32(2**31 - 1)  # counters of 32 bits stay there: visits of a pair, steps of an episode
LONGEST_ON_THE_STACK = 64  # columns of a row


def has_avx512():
    """Whether the processor that is compiled for has scatters, and permutations of 16 lanes."""
    return "+avx512f" in cpu_target.target_context.codegen().magic_tuple()[2]


def aligned(shape, dtype, *, fill=None):
    """A NumPy array that begins on a cache line, so that no vector load or store of the scratch rows crosses one."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize if isinstance(shape, tuple) else shape * dtype.itemsize
    # Of large zeroed memory the system gives pages as they are touched: traces are many, and few of them are used.
    raw = np.zeros(size + ALIGNMENT, np.uint8) if fill == 0 else np.empty(size + ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % ALIGNMENT
    array = raw[begin : begin + size].view(dtype).reshape(shape)
    if fill:
        array[...] = fill
    return array


class Flat(types.Type):
    """The numba type of a flat array of numbers; `checked` arrays raise IndexError instead of leaving their memory."""

    def __init__(self, dtype, checked):
        self.dtype, self.checked = dtype, checked
        super().__init__(name=f"Flat({dtype},{checked})")


class Group(types.Type):
    """The numba type of a named tuple of arrays and numbers, in one piece of memory on the stack: see `flatten`."""

    def __init__(self, group, checked):
        self.checked = checked
        self.names = group.instance_class._fields
        self.members = tuple(Flat(t.dtype, checked) if isinstance(t, types.Array) else t for t in group.types)
        super().__init__(name=f"{group.instance_class.__name__}{self.members}")

    @property
    def mangling_args(self):
        """Its name alone, in names of functions: those are long enough."""
        return self.name.partition("(")[0], ()

    def member(self, name):
        """Place and type of a member."""
        place = self.names.index(name)
        return place, self.members[place]


# Both are the address of 16 bytes, or of as many for each member: of an array its own address and size.
register_model(Flat)(models.OpaqueModel)
register_model(Group)(models.OpaqueModel)


@infer_getattr
class _FlatAttributes(AttributeTemplate):
    key = Flat

    def resolve_size(self, flat):
        return types.intp


@lower_getattr(Flat, "size")
def _size(context, builder, flat, value):
    return part(context, builder, flat, value, "size")


def part(context, builder, flat, value, name):
    """The "data" or "size" of a Flat, in LLVM."""
    if name == "data":
        return builder.load(value, typ=context.get_data_type(flat.dtype).as_pointer())
    return builder.load(builder.gep(value, [I64(8)], source_etype=I8), typ=I64)


@infer_getattr
class _GroupAttributes(AttributeTemplate):
    key = Group

    def generic_resolve(self, group, name):
        return group.member(name)[1] if name in group.names else None


@lower_getattr_generic(Group)
def _member(context, builder, group, value, name):
    place, kind = group.member(name)
    address = builder.gep(value, [I64(16 * place)], source_etype=I8)
    return address if isinstance(kind, Flat) else builder.load(address, typ=context.get_data_type(kind))


def refuse(context, builder, flat, bad):
    """In a checked variant, raise IndexError where `bad`, a bit or a vector of bits, is set."""
    if isinstance(bad.type, ir.VectorType):
        bits = ir.IntType(bad.type.count)
        bad = builder.icmp_unsigned("!=", builder.bitcast(bad, bits), bits(0))
    with builder.if_then(bad, likely=False):
        message = f"the kernel met an index outside of an array of {flat.dtype}"
        context.call_conv.return_user_exc(builder, IndexError, (message,))


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, args, kws):
        array, index = args
        if isinstance(array, Flat) and isinstance(index, types.Integer):
            return signature(array.dtype, array, types.unliteral(index))
        return None


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args, kws):
        array, index, value = args
        number = isinstance(value, (types.Number, types.Boolean))
        if isinstance(array, Flat) and isinstance(index, types.Integer) and number:
            return signature(types.none, array, types.unliteral(index), types.unliteral(value))
        return None


def _element(context, builder, flat, index_type, array, index):
    index = context.cast(builder, index, index_type, types.intp)
    if flat.checked:
        outside = builder.icmp_unsigned(">=", index, part(context, builder, flat, array, "size"))
        refuse(context, builder, flat, outside)
    return builder.gep(part(context, builder, flat, array, "data"), [index])


@lower_builtin(operator.getitem, Flat, types.Integer)
def _get(context, builder, sig, args):
    return builder.load(_element(context, builder, *sig.args, *args))


@lower_builtin(operator.setitem, Flat, types.Integer, types.Any)
def _set(context, builder, sig, args):
    flat, index_type, value_type = sig.args
    value = context.cast(builder, args[2], value_type, flat.dtype)
    builder.store(value, _element(context, builder, flat, index_type, *args[:2]))
    return context.get_dummy_value()


@intrinsic
def flatten(typing_context, spec, group):
    """A NamedTuple of arrays and numbers as a Group of Flats and numbers."""
    result = Group(group, spec.checked)

    def codegen(context, builder, sig, args):
        memory = cgutils.alloca_once(builder, ir.ArrayType(ir.IntType(128), len(group.types)))
        for place, kind in enumerate(group.types):
            value = builder.extract_value(args[1], place)
            if isinstance(kind, types.Array):
                position = context.data_model_manager[kind].get_field_position
                _write(builder, memory, 16 * place, builder.extract_value(value, position("data")))
                _write(builder, memory, 16 * place + 8, builder.extract_value(value, position("nitems")))
            else:
                _write(builder, memory, 16 * place, value)
        return builder.bitcast(memory, I8.as_pointer())

    return result(spec, group), codegen


def _write(builder, memory, offset, value):
    """Store a value so many bytes behind an address."""
    address = builder.gep(memory, [I64(offset)], source_etype=I8)
    address.type = ir.PointerType()
    builder.store(value, address)


@intrinsic
def on_the_stack(typing_context, spec, lanes):
    """Put the `next_row` of a Group of lanes on the stack, where rows are short.

    LLVM then knows that nobody else sees it, keeps it in registers as far as it can and drops the stores: 4-8 %.
    """
    place, flat = lanes.member("next_row")
    columns = (spec.n_actions + 3) * spec.n_tables

    def codegen(context, builder, sig, args):
        if columns <= LONGEST_ON_THE_STACK:
            size = columns * spec.width
            memory = cgutils.alloca_once(builder, ir.ArrayType(context.get_data_type(flat.dtype), size))
            memory.align = 64
            _write(builder, args[1], 16 * place, memory)
            _write(builder, args[1], 16 * place + 8, I64(size))
        return context.get_dummy_value()

    return types.void(spec, lanes), codegen


def _check(context, builder, flat, array, bad_index):
    """In a checked variant, raise IndexError where `bad_index(builder, size)` is set for any lane."""
    if flat.checked:
        refuse(context, builder, flat, bad_index(builder, part(context, builder, flat, array, "size")))


def _vector_pointer(context, builder, signature, args, which, lanes):
    pointer = builder.gep(part(context, builder, signature.args[which], args[which], "data"), [args[which + 1]])
    return builder.bitcast(pointer, lanes.llvm.as_pointer())


def _outside(offset, count):
    """Whether elements offset … offset + count - 1 leave an array of a given size (a negative offset is huge)."""
    return lambda builder, size: builder.icmp_unsigned(">", builder.add(offset, I64(count)), size)


@intrinsic
def load(typing_context, spec, array, offset):
    """Elements offset … offset + width - 1 of a flat array, as Lanes."""
    lanes = Lanes(ELEMENT_OF_DTYPE[array.dtype], spec.width)

    def codegen(context, builder, signature, args):
        _check(context, builder, signature.args[1], args[1], _outside(args[2], spec.width))
        value = builder.load(_vector_pointer(context, builder, signature, args, 1, lanes))
        value.align = array.dtype.bitwidth // 8
        return value

    return lanes(spec, array, types.intp), codegen


@intrinsic
def store(typing_context, spec, array, offset, value):
    """Write Lanes to elements offset … of a flat array."""

    def codegen(context, builder, signature, args):
        _check(context, builder, signature.args[1], args[1], _outside(args[2], spec.width))
        pointer = _vector_pointer(context, builder, signature, args, 1, value)
        builder.store(args[3], pointer).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(spec, array, types.intp, value), codegen


def _transpose(builder, rows):
    """Four-lane (float32) or two-lane (float64) rows of every agent -> one vector a column.

    Works inside 128-bit pieces, as the shuffle units do: four pieces are joined so that piece j of the joined vector
    holds agents 4j … 4j+3 after the classical 4x4 transposition.
    """
    n, columns = len(rows), rows[0].type.count
    per = min(128 // _bits(rows[0].type.element), n)  # agents in a 128-bit piece of the result
    block = min(4 * per, n)  # agents in a 512-bit vector
    result = [[] for _ in range(columns)]
    for first in range(0, n, block):
        if columns == 1:
            pieces = [concatenate(builder, rows[first : first + block])]
        elif columns == per == 4:
            joined = [concatenate(builder, rows[first + k : first + block : 4]) for k in range(4)]
            low, high = [], []
            for x, y in ((joined[0], joined[1]), (joined[2], joined[3])):
                low.append(_interleave(builder, x, y, 0, 1))
                high.append(_interleave(builder, x, y, 2, 1))
            pieces = [_interleave(builder, *pair, k, 2) for pair in (low, high) for k in (0, 2)]
        elif columns == 2 and per == 4:
            pairs = [
                concatenate(builder, [rows[i + d] for i in range(first + 2 * k, first + block, 4) for d in (0, 1)])
                for k in range(2)
            ]
            picks = [[4 * j + k + d + o for j in range(block // 4) for o in (0, block) for d in (0, 2)] for k in (0, 1)]
            pieces = [shuffle(builder, *pairs, p) for p in picks]
        elif columns == per == 2:
            joined = [concatenate(builder, rows[first + k : first + block : 2]) for k in range(2)]
            pieces = [
                shuffle(builder, *joined, [2 * j + k + o for j in range(block // 2) for o in (0, block)])
                for k in (0, 1)
            ]
        else:
            raise NotImplementedError(f"{columns} columns of {rows[0].type.element}")
        for column, piece in zip(result, pieces, strict=True):
            column.append(piece)
    return [concatenate(builder, column) for column in result]


def _interleave(builder, x, y, start, run):
    """In each 128-bit piece: `run` elements of x from `start`, `run` of y, and so on (unpack and move-half)."""
    n, begin = x.type.count, start
    picks = []
    for piece in range(0, n, 4):
        if run == 1:
            picks += [piece + begin, n + piece + begin, piece + begin + 1, n + piece + begin + 1]
        else:
            picks += [piece + begin, piece + begin + 1, n + piece + begin, n + piece + begin + 1]
    return shuffle(builder, x, y, picks)


def _bits(element):
    return {ir.FloatType(): 32, ir.DoubleType(): 64}.get(element) or element.width


def _fetch(columns_of, doc):
    @intrinsic
    def fetch(typing_context, spec, array, indices, offset, ahead):
        lanes = Lanes(ELEMENT_OF_DTYPE[array.dtype], spec.width)
        n = columns_of(spec, lanes)
        result = types.UniTuple(lanes, n)

        def codegen(context, builder, signature, args):
            data = builder.gep(part(context, builder, signature.args[1], args[1], "data"), [args[4]])
            _check(context, builder, signature.args[2], args[2], _outside(args[3], spec.width))
            begin = builder.gep(part(context, builder, signature.args[2], args[2], "data"), [args[3]])
            row = ir.VectorType(ELEMENTS[lanes.element], n)
            rows = []
            for i in range(spec.width):
                index = builder.load(builder.gep(begin, [I64(i)]))
                index.volatile = True
                first = builder.add(builder.zext(index, I64), args[4])
                _check(context, builder, signature.args[1], args[1], _outside(first, 1))
                pointer = builder.gep(data, [builder.zext(index, I64)])
                value = builder.load(builder.bitcast(pointer, row.as_pointer()))
                value.align = array.dtype.bitwidth // 8
                rows.append(value)
            return context.make_tuple(builder, result, _transpose(builder, rows))

        return result(spec, array, indices, types.intp, types.intp), codegen

    fetch.__doc__ = doc
    return fetch


def chunk(n_actions, element):
    """Columns of a row of Q that one load a lane brings: 16 bytes of them, 8 where there are two actions."""
    return 2 if element == "f64" or n_actions <= 2 else 4


# The indices are read from memory one by one with volatile loads: taking them out of a vector register costs two
# instructions each, and LLVM would do just that if it saw the store.
fetch_chunk = _fetch(
    lambda spec, lanes: chunk(spec.n_actions * spec.n_tables, lanes.element),
    "The next `chunk` elements from indices[offset + i] + ahead on for lane i: a tuple of Lanes, one a column.",
)
fetch_visits = _fetch(lambda spec, lanes: chunk(spec.n_actions, lanes.element), "The same for counts, one an action.")
fetch_pair = _fetch(lambda spec, lanes: 2, "Element indices[offset + i] + ahead and the next for lane i: two Lanes.")
fetch_one = _fetch(lambda spec, lanes: 1, "Element indices[offset + i] + ahead for lane i: a tuple of one Lanes.")


def _slots(builder, element, base, index):
    """Pointers base + index for a vector of indices: LLVM folds them into the addressing mode of the scatter.

    llvmlite's `gep` takes scalar indices only, so the instruction's type is set by hand.
    """
    pointers = ir.GEPInstr(builder.block, base, [index], False, "", source_etype=element)
    pointers.type = ir.VectorType(ir.PointerType(element), index.type.count)
    builder._insert(pointers)
    return pointers


@intrinsic
def scatter(typing_context, spec, array, index, value, mask):
    """array[index] = value in the lanes where `mask` is set; no two set lanes may have the same index."""

    def codegen(context, builder, signature, args):
        data = part(context, builder, signature.args[1], args[1], "data")

        def outside(builder, size):
            limit = splat(builder, builder.trunc(size, I32), index.width)
            return builder.and_(args[4], builder.icmp_unsigned(">=", args[2], limit))

        _check(context, builder, signature.args[1], args[1], outside)
        if not has_avx512():
            _store_each(builder, data, *args[2:])
            return context.get_dummy_value()
        pointers = _slots(builder, ELEMENTS[value.element], data, args[2])
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [value.llvm, pointers.type, I32, mask.llvm]),
            f"llvm.masked.scatter.v{index.width}{value.element}.v{index.width}p0",
        )
        builder.call(function, [args[3], pointers, I32(array.dtype.bitwidth // 8), args[4]])
        return context.get_dummy_value()

    return types.void(spec, array, index, value, mask), codegen


def _store_each(builder, data, index, value, mask):
    """One store a lane, in a straight line where all lanes are set.

    LLVM's own substitute for a scatter tests every lane's bit: with AVX2 this is 1.5 times as fast on CliffWalking, 1.3
    on Taxi, 0.9 on the corridor.
    """
    n, whole = index.type.count, ir.IntType(_bits(value.type.element))
    memory = [cgutils.alloca_once(builder, vector.type) for vector in (index, value)]
    for vector, place in zip((index, value), memory, strict=True):
        builder.store(vector, place)
    places, values = (builder.bitcast(at, kind.as_pointer()) for at, kind in zip(memory, (I32, whole), strict=True))
    target = builder.bitcast(data, whole.as_pointer())

    def store_lane(i):
        # Volatile, as in `fetch`: LLVM would take the lanes out of the vector registers again.
        place, what = (builder.load(builder.gep(array, [i])) for array in (places, values))
        place.volatile = what.volatile = True
        builder.store(what, builder.gep(target, [builder.zext(place, I64)]))

    bits = builder.bitcast(mask, ir.IntType(n))
    with builder.if_else(builder.icmp_unsigned("==", bits, bits.type(2**n - 1)), likely=True) as (all_set, some_set):
        with all_set:
            for i in range(n):
                store_lane(I64(i))
        with some_set, cgutils.for_range(builder, I64(n)) as loop:
            wide = bits if n == 64 else builder.zext(bits, I64)
            with builder.if_then(builder.trunc(builder.lshr(wide, loop.index), I1)):
                store_lane(loop.index)


@intrinsic
def pick_pair(typing_context, spec, array, index):
    """Elements 2 index and 2 index + 1 of the first 2 SMALL, for each lane: two Lanes, without touching memory.

    LLVM makes a permutation of one vector register out of the inserts, where there is one (`has_avx512`).
    """
    lanes = Lanes(ELEMENT_OF_DTYPE[array.dtype], spec.width)
    result = types.UniTuple(lanes, 2)

    def codegen(context, builder, signature, args):
        _check(context, builder, signature.args[1], args[1], _outside(I64(0), 2 * SMALL))
        data = part(context, builder, signature.args[1], args[1], "data")
        whole = ir.VectorType(ELEMENTS[lanes.element], 2 * SMALL)
        table = builder.load(builder.bitcast(data, whole.as_pointer()))
        table.align = array.dtype.bitwidth // 8
        places = builder.and_(args[2], ir.Constant(args[2].type, [SMALL - 1] * spec.width))
        columns = []
        for first in (0, 1):
            column = shuffle(builder, table, None, range(first, 2 * SMALL, 2))
            vector = ir.Constant(lanes.llvm, ir.Undefined)
            for i in range(spec.width):
                value = builder.extract_element(column, builder.extract_element(places, I32(i)))
                vector = builder.insert_element(vector, value, I32(i))
            columns.append(vector)
        return context.make_tuple(builder, result, columns)

    return result(spec, array, index), codegen


@intrinsic
def prefetch_to_write(typing_context, array, index):
    """Ask for the cache line of array[index], which will be written soon; any index is safe."""

    def codegen(context, builder, signature, args):
        pointer = builder.gep(part(context, builder, signature.args[0], args[0], "data"), [args[1]])
        pointer = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [pointer.type, I32, I32, I32]), "llvm.prefetch.p0"
        )
        builder.call(function, [pointer, I32(1), I32(3), I32(1)])
        return context.get_dummy_value()

    return types.void(array, types.uint64), codegen


@intrinsic
def read_now(typing_context, array):
    """Element 0 of an array that another thread may write: a volatile load, which LLVM may not move out of a loop."""

    def codegen(context, builder, signature, args):
        value = builder.load(context.make_array(signature.args[0])(context, builder, args[0]).data)
        value.volatile = True
        return value

    return array.dtype(array), codegen
