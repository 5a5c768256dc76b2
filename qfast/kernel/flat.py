"""Arrays as the kernel sees them: an address and a size.

numba hands an array from function to function as seven numbers and guards every index against being negative.  The
kernel has sixty arrays and thirty functions; with two numbers each, and plain indices, a variant compiles in a third of
the time and the scalar parts of the loop run faster.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_getattr, models, register_model

LONGEST_ON_THE_STACK = 64  # columns of a row


class Flat(types.Type):
    """The numba type of a flat array of numbers; `checked` arrays raise IndexError instead of leaving their memory."""

    def __init__(self, dtype, checked):
        self.dtype, self.checked = dtype, checked
        super().__init__(name=f"Flat({dtype},{checked})")


@register_model(Flat)
class _FlatModel(models.StructModel):
    def __init__(self, data_model_manager, flat):
        super().__init__(data_model_manager, flat, [("data", types.CPointer(flat.dtype)), ("size", types.intp)])


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
    return getattr(cgutils.create_struct_proxy(flat)(context, builder, value=value), name)


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
    """A NamedTuple of arrays and numbers as one of Flats and numbers."""
    kinds = [Flat(t.dtype, spec.checked) if isinstance(t, types.Array) else t for t in group.types]
    result = types.NamedTuple(kinds, group.instance_class)

    def codegen(context, builder, sig, args):
        values = []
        for k, (before, after) in enumerate(zip(group.types, kinds, strict=True)):
            value = builder.extract_value(args[1], k)
            if isinstance(after, Flat):
                array = context.make_array(before)(context, builder, value)
                flat = cgutils.create_struct_proxy(after)(context, builder)
                flat.data, flat.size = array.data, array.nitems
                value = flat._getvalue()
            values.append(value)
        return context.make_tuple(builder, result, values)

    return result(spec, group), codegen


@intrinsic
def on_the_stack(typing_context, spec, lanes):
    """The lanes' memory with a `next_row` on the stack, of one group, where rows are short.

    LLVM then knows that nobody else sees it, keeps it in registers as far as it can and drops the stores: 4-8 %.
    """
    place = lanes.instance_class._fields.index("next_row")
    flat = lanes.types[place]
    columns = (spec.n_actions + 3) * spec.n_tables

    def codegen(context, builder, sig, args):
        if columns > LONGEST_ON_THE_STACK:
            return args[1]
        memory = cgutils.alloca_once(builder, ir.ArrayType(context.get_data_type(flat.dtype), columns * spec.width))
        memory.align = 64
        own = cgutils.create_struct_proxy(flat)(context, builder)
        own.data = builder.bitcast(memory, context.get_data_type(flat.dtype).as_pointer())
        own.size = ir.Constant(ir.IntType(64), columns * spec.width)
        return builder.insert_value(args[1], own._getvalue(), place)

    return lanes(spec, lanes), codegen
