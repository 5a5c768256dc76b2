"""Arrays as the kernel sees them: an address and a size.

numba hands an array from function to function as seven numbers and guards every index against being negative.  The
kernel has sixty arrays and thirty functions; with two numbers each, and plain indices, a variant compiles in a third of
the time and the scalar parts of the loop run faster.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_getattr, models, register_model

I8, I64 = ir.IntType(8), ir.IntType(64)

LONGEST_ON_THE_STACK = 64  # columns of a row


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
