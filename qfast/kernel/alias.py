"""Alias tables: any distribution over K outcomes drawn with one uniform column and one comparison."""

import numpy as np
from numpy.typing import NDArray

from qfast.kernel.jit import kernel


@kernel
def fill_alias(p, own, other, stack):
    """Fill the alias table of each row of `p` (n, K), whose rows have mean 1 (Walker 1977; Vose 1991).

    `own` (n, K) receives the share of a column that is its own outcome's, `other` the outcome that has the rest.
    `p` is used up; `stack` is scratch memory of K int64.  Columns that need nothing from others are their own `other`.
    """
    n, k = p.shape
    for row in range(n):
        small, large = 0, k  # the stack holds columns below 1 from the left, the others from the right
        for x in range(k):
            if p[row, x] < 1:
                stack[small] = x
                small += 1
            else:
                large -= 1
                stack[large] = x
        while small > 0 and large < k:
            small -= 1
            x, giver = stack[small], stack[large]
            own[row, x], other[row, x] = p[row, x], giver
            p[row, giver] -= 1 - p[row, x]
            if p[row, giver] < 1:
                large += 1
                stack[small] = giver
                small += 1
        while small > 0:  # left over by rounding only: their share is 1
            small -= 1
            own[row, stack[small]], other[row, stack[small]] = 1, stack[small]
        while large < k:
            own[row, stack[large]], other[row, stack[large]] = 1, stack[large]
            large += 1


def make_alias(p: NDArray[np.float64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Alias tables of the distributions in the last axis of `p`: (threshold, other).

    As the kernel reads them: outcome j of column j if part < threshold, else `other`.
    """
    k = p.shape[-1]
    rows = np.ascontiguousarray(p, np.float64).reshape(-1, k)
    rows = rows / rows.sum(axis=1, keepdims=True) * k
    own, other = np.empty_like(rows), np.empty(rows.shape, np.int64)
    fill_alias(rows.copy(), own, other, np.empty(k, np.int64))
    # An outcome of probability 0 must never be its column's own, whatever rounding left there.
    own[rows == 0] = 0
    threshold = np.rint(np.clip(own, 0, 1) * 2**32).clip(0, 2**32 - 1).astype(np.uint32)
    return threshold.reshape(p.shape), other.reshape(p.shape)
