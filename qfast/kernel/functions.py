"""exp and log of float32 lanes: the project's own, because a C library's differ from machine to machine.

Only additions, multiplications and bit operations in a fixed order, each rounded, so every machine gives the same
bits.  The error bounds were found by trying every float32 in the domain against float64; a ulp is the distance of the
true value's float32 from the next one.  `tests/oracle/test_functions.py` tries every 97th.
"""

from numba import float32, int32

from qfast.kernel.jit import inlined
from qfast.kernel.lanes import bits_as_f32, bits_as_i32, to_f32, to_i32, where

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
