"""A vector of lanes as a numba type: one agent a lane.

`Lanes(element, width)` is an LLVM vector.  Python's operators, comparisons and `where` work on it, a scalar is spread
over all lanes where it meets one.  LLVM lowers the vector to whatever the machine has (AVX-512, AVX2, SSE, NEON); what
a lane computes does not depend on that, on the width, or on the other lanes: no contraction into FMA, no reduction over
lanes, no fast-math.
"""

import operator

from llvmlite import ir
from numba import float32, int32, types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from qfast.kernel.jit import inlined

I1, I8, I32, I64 = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64)
ELEMENTS = {"i32": I32, "u32": I32, "f32": ir.FloatType(), "f64": ir.DoubleType(), "mask": I1}
SCALARS = {"i32": types.int32, "u32": types.uint32, "f32": types.float32, "f64": types.float64, "mask": types.boolean}
ELEMENT_OF_DTYPE = {scalar: element for element, scalar in SCALARS.items()}


class Lanes(types.Type):
    """The numba type of `width` lanes of one element: "i32", "u32", "f32", "f64" or "mask" (one bit a lane)."""

    def __init__(self, element, width):
        self.element, self.width = element, width
        super().__init__(name=f"Lanes({element}x{width})")

    @property
    def llvm(self):
        """The LLVM type."""
        return ir.VectorType(ELEMENTS[self.element], self.width)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, data_model_manager, lanes):
        super().__init__(data_model_manager, lanes, lanes.llvm)


def shuffle(builder, x, y, picks):
    """Lanes `picks` of x followed by y (y may be None)."""
    other = ir.Constant(x.type, ir.Undefined) if y is None else y
    return builder.shuffle_vector(x, other, ir.Constant(ir.VectorType(I32, len(picks)), list(picks)))


def concatenate(builder, parts):
    """One vector out of a power of two of equally long ones."""
    while len(parts) > 1:
        picks = range(2 * parts[0].type.count)
        parts = [shuffle(builder, x, y, picks) for x, y in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def splat(builder, value, width):
    vector = ir.Constant(ir.VectorType(value.type, width), ir.Undefined)
    return shuffle(builder, builder.insert_element(vector, value, I32(0)), None, [0] * width)


def spread(context, builder, typ, value, lanes):
    """`value` as `lanes`: itself if it is one already, else the scalar in every lane."""
    if isinstance(typ, Lanes):
        return value
    return splat(builder, context.cast(builder, value, typ, SCALARS[lanes.element]), lanes.width)


def _binary(python_operator, emit, *, compares=False):
    """Give `python_operator` a meaning where at least one side is Lanes.

    Typed and lowered directly: as an `@overload` each use would compile a function of its own, 10 ms apiece.
    """

    @infer_global(python_operator)
    class Typing(AbstractTemplate):
        def generic(self, args, kws):
            lanes = [t for t in args if isinstance(t, Lanes)]
            if not lanes or len(set(lanes)) > 1 or not all(isinstance(t, (Lanes, types.Number)) for t in args):
                return None
            return signature(Lanes("mask", lanes[0].width) if compares else lanes[0], *map(types.unliteral, args))

    def codegen(context, builder, signature, args):
        lanes = next(t for t in signature.args if isinstance(t, Lanes))
        left, right = (spread(context, builder, t, v, lanes) for t, v in zip(signature.args, args, strict=True))
        return emit(builder, lanes.element, left, right)

    lower_builtin(python_operator, Lanes, types.Any)(codegen)
    lower_builtin(python_operator, types.Number, Lanes)(codegen)


def _arithmetic(floating, signed, unsigned=None):
    names = {"f32": floating, "f64": floating, "i32": signed, "u32": unsigned or signed, "mask": signed}
    return lambda builder, element, x, y: getattr(builder, names[element])(x, y)


def _comparison(sign):
    def emit(builder, element, x, y):
        if element in ("f32", "f64"):
            return builder.fcmp_ordered(sign, x, y)
        return (builder.icmp_signed if element == "i32" else builder.icmp_unsigned)(sign, x, y)

    return emit


for _operator, _names in {
    operator.add: ("fadd", "add"),
    operator.sub: ("fsub", "sub"),
    operator.mul: ("fmul", "mul"),
    operator.truediv: ("fdiv", None),
    operator.and_: (None, "and_"),
    operator.or_: (None, "or_"),
    operator.xor: (None, "xor"),
    operator.lshift: (None, "shl"),
    operator.rshift: (None, "ashr", "lshr"),
}.items():
    _binary(_operator, _arithmetic(*_names))
for _operator, _sign in {
    operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=", operator.eq: "==", operator.ne: "!=",
}.items():  # fmt: skip
    _binary(_operator, _comparison(_sign), compares=True)


@infer_global(operator.invert)
class _InvertTyping(AbstractTemplate):
    def generic(self, args, kws):
        return signature(args[0], args[0]) if isinstance(args[0], Lanes) else None


@lower_builtin(operator.invert, Lanes)
def _invert(context, builder, signature, args):
    return builder.not_(args[0])


@intrinsic
def where(typing_context, mask, x, y):
    """X in the lanes where `mask` is set, y in the others; no branch."""
    lanes = x if isinstance(x, Lanes) else y

    def codegen(context, builder, signature, args):
        left, right = (spread(context, builder, t, v, lanes) for t, v in zip(signature.args[1:], args[1:], strict=True))
        return builder.select(args[0], left, right)

    return lanes(mask, x, y), codegen


def _conversion(target, instruction):
    @intrinsic
    def convert(typing_context, x):
        result = Lanes(target, x.width)
        return result(x), lambda context, builder, signature, args: getattr(builder, instruction)(args[0], result.llvm)

    return convert


to_f32 = _conversion("f32", "sitofp")  # i32 -> nearest float32
to_i32 = _conversion("i32", "fptosi")  # towards zero; the value must fit
bits_as_f32, bits_as_i32, bits_as_u32 = (_conversion(e, "bitcast") for e in ("f32", "i32", "u32"))


def _zero(element):
    @intrinsic
    def zero(typing_context, like):
        lanes = Lanes(element, like.width)
        return lanes(like), lambda context, builder, signature, args: ir.Constant(lanes.llvm, None)

    return zero


zero_i32, zero_f32 = _zero("i32"), _zero("f32")  # zero in every lane, as many as `like` has


@intrinsic
def as_real(typing_context, array, x):
    """Float lanes with the element type of `array`: widened, rounded to nearest, or as they are."""
    result = Lanes(ELEMENT_OF_DTYPE[array.dtype], x.width)

    def codegen(context, builder, signature, args):
        if result.element == x.element:
            return args[1]
        return (builder.fpext if result.element == "f64" else builder.fptrunc)(args[1], result.llvm)

    return result(array, x), codegen


@intrinsic
def square_root(typing_context, x):
    """Square root, correctly rounded."""

    def codegen(context, builder, signature, args):
        name = f"llvm.sqrt.v{x.width}{x.element}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(x.llvm, [x.llvm]), name)
        return builder.call(function, args)

    return x(x), codegen


@intrinsic
def full(typing_context, spec, array, value):
    """`value` in every lane, with the element type of `array`."""
    lanes = Lanes(ELEMENT_OF_DTYPE[array.dtype], spec.width)

    def codegen(context, builder, signature, args):
        return spread(context, builder, signature.args[2], args[2], lanes)

    return lanes(spec, array, value), codegen


@intrinsic
def multiply_high(typing_context, x, n):
    """The high and low words of the 64-bit product x * n: floor(x n / 2**32) and its fraction (Lemire 2019)."""
    result = types.UniTuple(x, 2)

    def codegen(context, builder, signature, args):
        factor = spread(context, builder, signature.args[1], args[1], x)
        wide = ir.VectorType(I64, x.width)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(factor, wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, [32] * x.width)), x.llvm)
        return context.make_tuple(builder, result, [high, builder.mul(args[0], factor)])

    return result(x, n), codegen


@intrinsic
def lanes_set(typing_context, mask):
    """The mask as the low bits of a uint64: lane i is bit i."""

    def codegen(context, builder, signature, args):
        bits = builder.bitcast(args[0], ir.IntType(mask.width))
        return bits if mask.width == 64 else builder.zext(bits, I64)

    return types.uint64(mask), codegen


@intrinsic
def set_lanes(typing_context, spec, bits):
    """The inverse of `lanes_set`: the mask of the lanes whose bit is set."""
    mask = Lanes("mask", spec.width)

    def codegen(context, builder, signature, args):
        low = args[1] if spec.width == 64 else builder.trunc(args[1], ir.IntType(spec.width))
        return builder.bitcast(low, mask.llvm)

    return mask(spec, types.uint64), codegen


@intrinsic
def first_lane(typing_context, bits):
    """The number of the lowest set bit; `bits` must not be 0."""

    def codegen(context, builder, signature, args):
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(I64, [I64, I1]), "llvm.cttz.i64")
        return builder.call(function, [args[0], I1(1)])

    return types.intp(types.uint64), codegen


# exp and log are the project's own, because a C library's differ from machine to machine.  Only additions,
# multiplications and bit operations in a fixed order, each rounded, so every machine gives the same bits.  The error
# bounds were found by trying every float32 in the domain against float64; a ulp is the distance of the true value's
# float32 from the next one.  `tests/oracle/test_functions.py` tries every 97th.
LOG2_E = float32(1.44269504)
LN2_HIGH = float32(0.693359375)  # 9 bits: n * LN2_HIGH is exact for the n that occur
LN2_LOW = float32(-2.12194440e-4)
LOWEST = float32(-87.0)  # below it exp is 0 here; exp(-87) = 1.6e-38 is the last normal number
SQRT_HALF = float32(0.70710678)


@inlined
def exp(x):
    """e**x for x <= 0; 0 from -87 down.  Above, error at most 0.99 ulp.

    x = n ln 2 + r with |r| <= ln 2 / 2; e**r by the polynomial of Cephes (Moshier 1989), times 2**n.
    """
    safe = where(x > LOWEST, x, LOWEST)
    n = to_i32(safe * LOG2_E - float32(0.5))
    n_real = to_f32(n)
    r = (safe - n_real * LN2_HIGH) - n_real * LN2_LOW
    p = float32(1.9875691500e-4) * r + float32(1.3981999507e-3)
    p = p * r + float32(8.3334519073e-3)
    p = p * r + float32(4.1665795894e-2)
    p = p * r + float32(1.6666665459e-1)
    p = p * r + float32(5.0000001201e-1)
    p = (p * (r * r) + r) + float32(1)
    power = bits_as_f32((n + int32(127)) << int32(23))
    return where(x > LOWEST, p * power, float32(0))


@inlined
def log(x):
    """Natural logarithm for finite x >= 1; error at most 0.83 ulp.

    x = 2**n m with sqrt(1/2) <= m < sqrt(2); log(m) by the polynomial of Cephes (Moshier 1989), plus n ln 2.
    """
    bits = bits_as_i32(x)
    n = (bits >> int32(23)) - int32(126)
    m = bits_as_f32((bits & int32(0x007FFFFF)) | int32(0x3F000000))  # in [0.5, 1)
    small = m < SQRT_HALF
    n = where(small, n - int32(1), n)
    f = where(small, (m + m) - float32(1), m - float32(1))
    z = f * f
    p = float32(7.0376836292e-2) * f + float32(-1.1514610310e-1)
    p = p * f + float32(1.1676998740e-1)
    p = p * f + float32(-1.2420140846e-1)
    p = p * f + float32(1.4249322787e-1)
    p = p * f + float32(-1.6668057665e-1)
    p = p * f + float32(2.0000714765e-1)
    p = p * f + float32(-2.4999993993e-1)
    p = p * f + float32(3.3333331174e-1)
    n_real = to_f32(n)
    y = (p * f) * z
    y = y + n_real * LN2_LOW
    y = y - float32(0.5) * z
    return (f + y) + n_real * LN2_HIGH
