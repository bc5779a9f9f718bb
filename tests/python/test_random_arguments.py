# SPDX-License-Identifier: Apache-2.0
"""20,000 random argument tuples: each gives a result, or an error of Python's with a message that names
the argument. A crash ends the test program."""

import random
import re

import ml_dtypes
import numpy as np

import tconv

TUPLES = 20000
HUGE = (2 ** 40, 2 ** 62, 2 ** 63 - 1, 2 ** 63, 2 ** 70, -1, -2 ** 63)
REFUSED = (ValueError, TypeError, NotImplementedError, MemoryError)


class Hostile:
    """Says it is an array, and is not."""
    shape = (1, 4, 4, 2)
    dtype = np.dtype("f")

    def __dlpack__(self, *args, **kwargs):
        raise RuntimeError("freed")

    def __dlpack_device__(self):
        return (1, 0)

    def __index__(self):
        raise ValueError("no number")


def torch_tensors():
    try:
        import torch
    except ImportError:
        return []
    freed = torch.ones(1, 4, 4, 2)
    freed.untyped_storage().resize_(0)
    return [freed, torch.ones(1, 4, 4, 2), torch.ones(3, 3, 2, 2), torch.ones(1, 4, 4, 2, device="meta"),
            torch.ones(1, 4, 4, 2).to_sparse(), torch.ones(1, 4, 4, 2, requires_grad=True),
            torch.ones(1, 4, 4, 2, dtype=torch.complex64)]


ARRAYS = [np.ones(shape, dtype) for dtype in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)
          for shape in ((1, 4, 4, 2), (3, 3, 2, 2), (2, 3, 4, 4), (2, 5), (2, 4, 5), (3, 2, 2), (2,), (), (0, 4, 4, 2))]
ARRAYS += [np.ones((1, 4, 4, 2))[:, ::-1], np.broadcast_to(np.float32(1), (2 ** 20, 2 ** 20, 2, 2)),
           np.broadcast_to(np.float32(1), (2 ** 40, 4, 2 ** 15, 1)), np.ones((1, 4, 4, 2), "i"),
           np.ones((1, 4, 4, 2), ">f4"), np.ones((1, 4, 4, 2), "O"), np.ones((1,) * 9, "f"), np.ma.ones((1, 4, 4, 2)),
           np.frombuffer(b"x" * 129, np.uint8)[1:].view("f").reshape(1, 4, 4, 2), np.zeros(3, "f,f")]
ARRAYS += [None, 3, "abc", [], [[1.0]], object(), Hostile(), b"bytes", memoryview(b"bytes")] + torch_tensors()
NUMBERS = [1, 2, 3, [2, 2], (1, 2), [1, 2, 2, 1], [1, 1, 1], [], None, 0, 2.5, "2", "", [2, None], [[1, 2]], True,
           np.array([1, 2]), np.array(2.0), Hostile(), {1: 2}, range(2), range(10 ** 9), iter([2, 2]), *HUGE,
           [1, HUGE[0]], [HUGE[1]] * 2, float("nan")]
SHAPES = NUMBERS + [(1, 8, 8, 2), (1, 7, 7, 2), (1, 6, 6, 2), [8, 8], (2, 3, 8, 8), (1, 2 ** 40, 8, 2)]
WORDS = ["SAME", "VALID", "EXPLICIT", "same", "NHWC", "NCHW", "NWC", "NOTSET", "SAME_UPPER", "", "\0", "\ud800",
         "é" * 300, None, 3, b"SAME", [[0, 0], [1, 0], [0, 1], [0, 0]], [[0, 0]] * 3, [[0, 2 ** 62]] * 4, [None], [[1]]]
ACTIVATIONS = [None, None, "relu", "gelu", ("clamp", 0, 6), ("clamp", 6, 0), ("leaky_relu", float("nan")), ("prelu", ARRAYS[6]),
               "nothing", 3, (), ("relu", 1), ("clamp", "a", "b"), ["leaky_relu", 0.1]]


class Weird:
    def __init__(self, rng):
        self.rng = rng

    def array(self):
        return self.rng.choice(ARRAYS)

    def ours(self):
        chosen = {}
        values = dict(activation=ACTIVATIONS, residual=ARRAYS, out=ARRAYS, math=["strict", "tf32", "x", None, 3],
                      kernel=[None, "simd", "reference", "none", 7], verify=[False, True, 1, None],
                      threads=[None, 0, 1, 3, -1, 2 ** 40, "1"])
        for name, among in values.items():
            if self.rng.random() < 0.04:
                chosen[name] = self.rng.choice(among)
        return chosen

    def some(self, **values):
        return {name: self.rng.choice(among) for name, among in values.items() if self.rng.random() < 0.25}

    def call(self):
        x, f = self.array(), self.array()
        if self.rng.random() < 0.8:  # so that the rest is looked at
            x, f = self.rng.choice([(ARRAYS[0], ARRAYS[1]), (ARRAYS[4], ARRAYS[5]), (ARRAYS[2], ARRAYS[1])])
        which = self.rng.randrange(5)
        if which < 2:
            function = (tconv.conv2d_transpose, tconv.conv1d_transpose)[which]
            return function, (x, f, self.rng.choice([None, *SHAPES]), self.rng.choice([1, 2, 3, *NUMBERS])), self.some(
                padding=WORDS, data_format=WORDS, dilations=NUMBERS, groups=NUMBERS, bias=ARRAYS, name=WORDS)
        if which < 4:
            function = (tconv.conv_transpose2d, tconv.conv_transpose1d)[which - 2]
            return function, (x, f), self.some(bias=ARRAYS, stride=NUMBERS, padding=NUMBERS, output_padding=NUMBERS,
                                               groups=NUMBERS, dilation=NUMBERS, output_size=SHAPES)
        return tconv.onnx_conv_transpose, (x, f), self.some(
            B=ARRAYS, auto_pad=WORDS, dilations=NUMBERS, group=NUMBERS, kernel_shape=NUMBERS, output_padding=NUMBERS,
            output_shape=SHAPES, pads=NUMBERS + [[1, 1, 1, 1], [1, 1]], strides=NUMBERS)


NAMED = re.compile(r"input|filters?|weight|[XWB]\b|bias|residual|out|strides?|padding|output_padding|output_shape|dilations?"
                   r"|groups?|pads|auto_pad|kernel|activation|slopes|math|verify|threads|name|data_format|channels"
                   r"|gradient|output|std::bad_alloc", re.IGNORECASE)


def test_random_tuples_never_crash():
    rng = random.Random(7)
    weird, results = Weird(rng), 0
    for number in range(TUPLES):
        function, arguments, keywords = weird.call()
        try:
            result = function(*arguments, **keywords, **weird.ours())
        except REFUSED as error:
            message = str(error)
            assert NAMED.search(message) or isinstance(error, MemoryError), (number, function.__name__, keywords, message)
        else:
            assert result is not None
            results += 1
    assert results > TUPLES // 100, "some tuples must be right"


def test_random_plans_never_crash():
    rng = random.Random(8)
    for _ in range(TUPLES // 10):
        make = rng.choice([tconv.Plan.tensorflow, tconv.Plan.pytorch])
        try:
            plan = make(rng.choice(SHAPES), rng.choice(SHAPES + [(3, 3, 2, 2)]), device="cpu")
            plan.run(rng.choice(ARRAYS), rng.choice(ARRAYS))
        except REFUSED as error:
            assert str(error) or isinstance(error, MemoryError)
