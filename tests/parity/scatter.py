# SPDX-License-Identifier: Apache-2.0
"""scatter.py: the transposed convolution by its definition.

Every input pixel is multiplied with every tap and added to the output that the tap reaches:

    y[n, h * stride - begin + r * dilation, w * ... , k] += x[n, h, w, c] * filters[r, s, k, c]

It answers a call that a framework cannot answer, and is compared with every answer that a framework
gives. Sums are f64: exact for the small integers of these suites.
"""

from dataclasses import dataclass

import numpy as np


@dataclass
class Axis:
    """One axis; `begin` is the padding before the first output, `out` the number of outputs."""

    stride: int
    dilation: int
    begin: int
    out: int


def landings(axis, size, taps):
    """Yields (input pixel, tap, output) for all that lie within the output."""
    for tap in range(taps):
        for pixel in range(size):
            output = pixel * axis.stride - axis.begin + tap * axis.dilation
            if 0 <= output < axis.out:
                yield pixel, tap, output


def scatter(x, filters, h, w, groups=1):
    """`x` [n, h, w, c], `filters` [r, s, k / groups, c]; gives [n, p, q, k]. The channels of a group
    lie together, of the input and of the output."""
    x, filters = x.astype(np.float64), filters.astype(np.float64)
    kernel_h, kernel_w, group_out, in_c = filters.shape
    group_in = in_c // groups
    y = np.zeros([x.shape[0], h.out, w.out, group_out * groups])
    for row, r, p in landings(h, x.shape[1], kernel_h):
        for column, s, q in landings(w, x.shape[2], kernel_w):
            for group in range(groups):
                c = slice(group * group_in, (group + 1) * group_in)
                k = slice(group * group_out, (group + 1) * group_out)
                y[:, p, q, k] += x[:, row, column, c] @ filters[r, s, :, c].T
    return y
