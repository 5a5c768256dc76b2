"""exp and log as the kernel has them: the same operations in the same order, each rounded to float32.

Both take a float32 number or an array of them.  The polynomials are those of Cephes (Moshier 1989).
"""

import numpy as np

EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
    2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
LOG2_E, SQRT_HALF = np.float32(1.44269504), np.float32(0.70710678)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
LOWEST = np.float32(-87)
ONE, HALF = np.float32(1), np.float32(0.5)


def exp32(x):
    """e**x for x <= 0, and 0 below -87: x = n ln 2 + r, e**r by a polynomial, times 2**n."""
    x = np.asarray(x, np.float32)
    safe = np.where(x > LOWEST, x, LOWEST)
    n = np.trunc(safe * LOG2_E - HALF)  # a whole number: exact in float32
    r = (safe - n * LN2_HIGH) - n * LN2_LOW
    p = horner(EXP, r)
    p = (p * (r * r) + r) + ONE
    return np.where(x > LOWEST, p * np.ldexp(ONE, n.astype(np.int32)), np.float32(0))


def log32(x):
    """The natural logarithm of x >= 1: x = 2**n m, log m by a polynomial, plus n ln 2."""
    m, n = np.frexp(np.asarray(x, np.float32))  # m in [0.5, 1)
    small = m < SQRT_HALF
    n = np.where(small, n - 1, n).astype(np.float32)
    f = np.where(small, (m + m) - ONE, m - ONE)
    z = f * f
    y = (horner(LOG, f) * f) * z
    y = y + n * LN2_LOW
    y = y - HALF * z
    return (f + y) + n * LN2_HIGH


def horner(coefficients, x):
    """(…(c0 x + c1) x + …) x + c_last, each operation rounded."""
    value = np.float32(coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + np.float32(coefficient)
    return value
