# SPDX-License-Identifier: Apache-2.0
"""torch.nn.functional.conv_transpose2d on the CPU against `tconv run --convention pytorch`.

Left out: results without an element, which PyTorch refuses ("Output size is too small") and tconv
gives. Padding below 0 is illegal in both; the JAX suite has these geometries.
"""

import numpy as np

import parity
from parity import Call, joined
from scatter import Axis, scatter


def make_call(x, weight, stride, padding, output_padding, dilation, groups, channels_last,
              dtype="f32"):
    arguments = ["--convention", "pytorch", "--strides", joined(stride),
                 "--padding", joined(padding), "--output-padding", joined(output_padding),
                 "--dilations", joined(dilation), "--groups", str(groups),
                 "--memory-format", "channels_last" if channels_last else "contiguous"]
    if dtype != "f32":
        arguments += ["--dtype", dtype]
    oracle = dict(stride=stride, padding=padding, output_padding=output_padding,
                  dilation=dilation, groups=groups, channels_last=channels_last, dtype=dtype)
    return Call(x, weight, arguments, oracle, "float32" if dtype == "f32" else "float64")


def pair(rng, numbers):
    """Two numbers, said as one where they are equal and luck has it."""
    return numbers[:1] if numbers[0] == numbers[1] and rng.random() < 0.5 else numbers


def random_call(rng):
    axes = [parity.random_geometry(rng), parity.random_geometry(rng)]
    ci, co, groups = parity.random_channels(rng)
    padding, output_padding = [], []
    for axis in axes:
        given_back = rng.randint(0, max(axis.stride, axis.dilation) - 1)
        largest = (axis.full + given_back - 1) // 2  # at least one output is left
        padding.append(rng.randint(0, min(largest, axis.extent + 1)))
        output_padding.append(given_back)
    x = parity.integers(rng, [rng.randint(1, 2), ci, axes[0].size, axes[1].size])
    weight = parity.integers(rng, [ci, co // groups, axes[0].kernel, axes[1].kernel])
    return make_call(x, weight, pair(rng, [a.stride for a in axes]), pair(rng, padding),
                     pair(rng, output_padding), pair(rng, [a.dilation for a in axes]), groups,
                     channels_last=rng.random() < 0.5, dtype=rng.choice(["f32", "f32", "f64"]))


class PyTorchTest(parity.ParityTest):
    script = __file__

    @staticmethod
    def load():
        global torch
        import torch
        torch.set_num_threads(1)

    @staticmethod
    def legal_calls(rng):
        while True:
            yield random_call(rng)

    @staticmethod
    def illegal_calls(rng):
        x, weight = parity.integers(rng, [1, 4, 4, 5]), parity.integers(rng, [4, 3, 3, 2])
        usual = dict(stride=[2, 2], padding=[1, 0], output_padding=[0, 1], dilation=[1, 1],
                     groups=1, channels_last=False)
        wrong = [
            dict(stride=[0, 1]), dict(stride=[-2, 1]), dict(stride=[1, 1, 1]),
            dict(padding=[-1, 0]), dict(padding=[5, 5]), dict(padding=[1, 1, 1]),
            dict(output_padding=[2, 0]), dict(output_padding=[0, 2]),
            dict(output_padding=[-1, 0]), dict(output_padding=[0, 0, 0]),
            dict(dilation=[0, 1]), dict(dilation=[-1, 1]), dict(dilation=[1, 1, 1]),
            dict(groups=3), dict(groups=0), dict(groups=-1),
        ]
        calls = [make_call(x, weight, **{**usual, **change}) for change in wrong]
        operands = [
            ([1, 3, 4, 5], [4, 3, 3, 2]),  # channels that do not match
            ([1, 4, 4, 5], [4, 3, 0, 2]), ([1, 4, 4, 5], [4, 3, 3, 0]),  # no taps
            ([4, 5], [4, 3, 3, 2]), ([1, 1, 4, 4, 5], [4, 3, 3, 2]),  # ranks
            ([1, 4, 4, 5], [4, 3, 3]), ([1, 4, 4, 5], [1, 4, 3, 3, 2]),
        ]
        for input_shape, weight_shape in operands:
            calls.append(make_call(parity.integers(rng, input_shape),
                                   parity.integers(rng, weight_shape), **usual))
        while len(calls) < 60:  # output_padding just past what is legal
            call = random_call(rng)
            oracle = dict(call.oracle)
            wide = {name: oracle[name] * 2 if len(oracle[name]) == 1 else list(oracle[name])
                    for name in ("stride", "dilation", "output_padding")}
            axis = rng.randint(0, 1)
            wide["output_padding"][axis] = max(wide["stride"][axis], wide["dilation"][axis])
            calls.append(make_call(call.x, call.filters, **{**oracle, **wide}))
        return calls

    @staticmethod
    def ask(call):
        oracle = dict(call.oracle)
        dtype = {"f32": torch.float32, "f64": torch.float64}[oracle.pop("dtype")]
        channels_last = oracle.pop("channels_last")
        x, weight = torch.from_numpy(call.x).to(dtype), torch.from_numpy(call.filters).to(dtype)
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
            weight = weight.contiguous(memory_format=torch.channels_last)
        return torch.nn.functional.conv_transpose2d(x, weight, **oracle).numpy()

    @staticmethod
    def scattered(call):
        o = call.oracle
        axes = []
        for i in (0, 1):
            stride, padding, more, dilation = (
                o[name][-1 if len(o[name]) == 1 else i]
                for name in ("stride", "padding", "output_padding", "dilation"))
            full = (call.x.shape[2 + i] - 1) * stride + (call.filters.shape[2 + i] - 1) * dilation + 1
            axes.append(Axis(stride, dilation, padding, full - 2 * padding + more))
        y = scatter(np.transpose(call.x, (0, 2, 3, 1)), np.transpose(call.filters, (2, 3, 1, 0)),
                    *axes, o["groups"])
        return np.transpose(y, (0, 3, 1, 2))


if __name__ == "__main__":
    parity.main(PyTorchTest)
