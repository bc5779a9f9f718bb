# SPDX-License-Identifier: Apache-2.0
"""contenders.py: what is timed: the library, and a rival's call on the same operands.

The operands are made once, in the problem's layout; a rival gets a copy in the layout that it prefers,
made before anything is timed.
"""

import copy

import numpy as np

from rivals import tconv_c

NUMPY_TYPES = {"f16": np.float16, "f32": np.float32, "f64": np.float64}


def numpy_type(dtype):
    if dtype == "bf16":
        import ml_dtypes
        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(NUMPY_TYPES[dtype])


def aligned(size, alignment=256):
    """Uninitialised bytes."""
    memory = np.empty(size + alignment, np.uint8)
    begin = -memory.ctypes.data % alignment
    return memory[begin:begin + size]


def aligned_copy(array):
    """The same values, dense in the array's own order of axes."""
    copy = aligned(array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class Operands:
    """Random normal values, the same for every contender. x and y are NHWC or NCHW as `layout` says."""

    def __init__(self, layer, dtype, layout, filter_order):
        self.layer, self.dtype, self.layout = layer, dtype, layout
        rng = np.random.default_rng(20261130)

        def normal(*shape):
            return rng.standard_normal(shape, np.float32).astype(numpy_type(dtype))
        x = normal(layer.batch, layer.h.size, layer.w.size, layer.in_c)
        self.filters = normal(layer.h.kernel, layer.w.kernel, layer.out_c // layer.groups, layer.in_c)
        self.bias = aligned_copy(normal(layer.out_c)) if layer.bias else None
        self.x = aligned_copy(x if layout == "NHWC" else x.transpose(0, 3, 1, 2))
        axes = {"HWOI": (0, 1, 2, 3), "IHWO": (3, 0, 1, 2), "IOHW": (3, 2, 0, 1), "OHWI": (2, 0, 1, 3)}[filter_order]
        self.ordered_filters = aligned_copy(self.filters.transpose(axes))

    @property
    def nhwc(self):
        return self.x if self.layout == "NHWC" else self.x.transpose(0, 2, 3, 1)

    @property
    def nchw(self):
        return self.x if self.layout == "NCHW" else self.x.transpose(0, 3, 1, 2)

    def in_problem_layout(self, y, order):
        """A rival's output ('NHWC' or 'NCHW') as the problem's layout has it."""
        shape = (self.layer.batch, self.layer.h.out, self.layer.w.out, self.layer.out_c)
        if order == "NCHW":
            y = y.transpose(0, 2, 3, 1)
        if y.shape != shape:
            raise ValueError(f"the output has the shape {y.shape}, not {shape} (NHWC)")
        return aligned_copy(y if self.layout == "NHWC" else y.transpose(0, 3, 1, 2))

    def without_bias(self, layer):
        plain = copy.copy(self)
        plain.layer, plain.bias = layer, None
        return plain

    def is_with_bias(self, y, sums):
        """Whether y is sums plus the bias, in the problem's type."""
        bias = self.bias.astype(np.float32)
        bias = bias if self.layout == "NHWC" else bias[:, None, None]
        return np.array_equal((sums.astype(np.float32) + bias).astype(y.dtype), y)

    def tensors(self, y):
        tensors = tconv_c.Tensors()
        arrays = dict(input=self.x, filters=self.ordered_filters, output=y)
        if self.bias is not None:
            arrays["bias"] = self.bias
        for name, array in arrays.items():
            setattr(tensors, name, array.ctypes.data)
            setattr(tensors, name + "_bytes", array.nbytes)
        return tensors


class Ours:
    """A plan of the library: filters packed once (or at each run), output and workspace given."""

    rival = False

    def __init__(self, problem, operands, family, threads, prepacked):
        self.plan = tconv_c.Plan(problem, family, threads, prepacked)
        self.kernel, self.tile = self.plan.kernel, self.plan.tile
        self.y = aligned(problem.info.output_bytes)
        self.y[...] = 0xFF  # NaN
        self.workspace = aligned(self.plan.workspace_bytes)
        self.tensors = operands.tensors(self.y)
        self.tensors.workspace = self.workspace.ctypes.data
        self.tensors.workspace_bytes = self.workspace.nbytes
        if self.plan.packed_bytes:
            self.packed = aligned(self.plan.packed_bytes)
            self.plan.prepack(self.tensors.filters, self.packed.ctypes.data, self.packed.nbytes)
            self.tensors.filters, self.tensors.filters_bytes = self.packed.ctypes.data, 0
        self.run = self.plan.runner(self.tensors)

    def output(self):
        return self.y


class Rival:
    """A framework's prepared call."""

    rival, tile = True, ""

    def __init__(self, framework, operands):
        self.kernel, self.operands, self.framework = framework.name, operands, framework
        self.run, self.value = framework.prepare(operands)

    def output(self):
        """What one more run gives, in the problem's layout and type."""
        y = self.framework.to_numpy(self.value(self.run()))
        y = np.asarray(y).view(numpy_type(self.operands.dtype))
        return self.operands.in_problem_layout(y, self.framework.order(self.operands))
