# SPDX-License-Identifier: Apache-2.0
"""PyTorch's transposed convolutions on the CPU against `tconv run --convention pytorch`:
conv_transpose2d and conv_transpose1d, with a batch and without, and output_size of the modules'
forward.

Left out: results without an element, which PyTorch refuses ("Output size is too small") and tconv
gives. Padding below 0 is illegal in both; the JAX suite has these geometries.
"""

import numpy as np

import parity
from parity import Call, joined
from scatter import Axis, scatter


def make_call(x, weight, stride, padding, output_padding, dilation, groups, channels_last,
              dtype="f32", output_size=None):
    arguments = ["--convention", "pytorch", "--strides", joined(stride),
                 "--padding", joined(padding), "--output-padding", joined(output_padding),
                 "--dilations", joined(dilation), "--groups", str(groups),
                 "--memory-format", "channels_last" if channels_last else "contiguous"]
    if output_size is not None:
        arguments += ["--output-size", joined(output_size)]
    if dtype != "f32":
        arguments += ["--dtype", dtype]
    oracle = dict(stride=stride, padding=padding, output_padding=output_padding,
                  dilation=dilation, groups=groups, channels_last=channels_last, dtype=dtype,
                  output_size=output_size)
    return Call(x, weight, arguments, oracle, "float32" if dtype == "f32" else "float64")


def pair(rng, numbers):
    """The numbers of all axes, said as one where they are equal and luck has it."""
    return numbers[:1] if numbers[0] == numbers[-1] and rng.random() < 0.5 else numbers


def random_call(rng, count=2, batched=True):
    """`count`: of spatial axes."""
    axes = [parity.random_geometry(rng) for _ in range(count)]
    ci, co, groups = parity.random_channels(rng)
    padding, output_padding = [], []
    for axis in axes:
        given_back = rng.randint(0, max(axis.stride, axis.dilation) - 1)
        largest = (axis.full + given_back - 1) // 2  # at least one output is left
        padding.append(rng.randint(0, min(largest, axis.extent + 1)))
        output_padding.append(given_back)
    batch = [rng.randint(1, 2)] if batched else []
    x = parity.integers(rng, [*batch, ci, *(a.size for a in axes)])
    weight = parity.integers(rng, [ci, co // groups, *(a.kernel for a in axes)])
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
        channels_last, output_size = oracle.pop("channels_last"), oracle.pop("output_size")
        x, weight = torch.from_numpy(call.x).to(dtype), torch.from_numpy(call.filters).to(dtype)
        if channels_last and x.ndim == 4:
            x = x.contiguous(memory_format=torch.channels_last)
            weight = weight.contiguous(memory_format=torch.channels_last)
        one_axis = weight.ndim == 3
        if output_size is None:
            functional = torch.nn.functional
            function = functional.conv_transpose1d if one_axis else functional.conv_transpose2d
            return function(x, weight, **oracle).numpy()
        make = torch.nn.ConvTranspose1d if one_axis else torch.nn.ConvTranspose2d
        oracle = {name: value * (weight.ndim - 2) if isinstance(value, list) and len(value) == 1
                  else value for name, value in oracle.items()}
        module = make(weight.shape[0], weight.shape[1] * oracle["groups"], tuple(weight.shape[2:]),
                      bias=False, **oracle)
        module.weight = torch.nn.Parameter(weight, requires_grad=False)
        return module(x, output_size=output_size).numpy()

    @staticmethod
    def scattered(call):
        o = call.oracle
        count = call.filters.ndim - 2
        batched = call.x.ndim == count + 2
        x = call.x if batched else call.x[None]
        axes = []
        for i in range(count):
            stride, padding, more, dilation = (
                o[name][-1 if len(o[name]) == 1 else i]
                for name in ("stride", "padding", "output_padding", "dilation"))
            full = (x.shape[2 + i] - 1) * stride + (call.filters.shape[2 + i] - 1) * dilation + 1
            out = full - 2 * padding + more
            if o["output_size"] is not None:
                out = o["output_size"][i - count]
            axes.append(Axis(stride, dilation, padding, out))
        filters = call.filters
        if count == 1:
            x, filters, axes = x[:, :, None], filters[:, :, None], [Axis(1, 1, 0, 1), *axes]
        y = scatter(np.transpose(x, (0, 2, 3, 1)), np.transpose(filters, (2, 3, 1, 0)), *axes,
                    o["groups"])
        y = np.transpose(y, (0, 3, 1, 2))
        y = y[:, :, 0] if count == 1 else y
        return y if batched else y[0]


RANKS = [(1, True), (1, False), (2, False)]  # axes and whether there is a batch


class OtherRanksTest(PyTorchTest):
    """One axis, or no batch: the result has the input's rank."""
    calls = parity.CALLS // 2

    @staticmethod
    def legal_calls(rng):
        while True:
            yield random_call(rng, *rng.choice(RANKS))

    @staticmethod
    def illegal_calls(rng):
        x, weight = parity.integers(rng, [2, 4, 5]), parity.integers(rng, [4, 3, 3])
        usual = dict(stride=[2], padding=[1], output_padding=[1], dilation=[1], groups=1,
                     channels_last=False)
        wrong = [dict(stride=[2, 2]), dict(padding=[1, 0]), dict(output_padding=[1, 0]),
                 dict(dilation=[1, 1]), dict(stride=[0]), dict(padding=[-1]), dict(padding=[7]),
                 dict(output_padding=[2]), dict(dilation=[0]), dict(groups=3)]
        calls = [make_call(x, weight, **{**usual, **change}) for change in wrong]
        operands = [
            ([2, 3, 5], [4, 3, 3]), ([3, 5], [4, 3, 3]), ([4, 5, 5], [4, 3, 0]),  # channels, no taps
            ([5], [4, 3, 3]), ([1, 2, 4, 5], [4, 3, 3]), ([4, 5], [4, 3, 3, 3]),  # ranks
            ([2, 4, 5], [4, 3]), ([2, 4, 5], [4, 3, 3, 3]),
        ]
        for input_shape, weight_shape in operands:
            calls.append(make_call(parity.integers(rng, input_shape),
                                   parity.integers(rng, weight_shape), **usual))
        return calls


def random_output_size(rng, beyond):
    """A call with output_size, which is legal or, along the last axis, `beyond` what is."""
    while True:
        call = random_call(rng, *rng.choice([(2, True), *RANKS]))
        oracle, count = dict(call.oracle), call.filters.ndim - 2
        low, high = [], []
        for i in range(count):
            stride, padding, dilation = (oracle[name][-1 if len(oracle[name]) == 1 else i]
                                         for name in ("stride", "padding", "dilation"))
            taps = (call.filters.shape[2 + i] - 1) * dilation
            low.append((call.x.shape[i - count] - 1) * stride - 2 * padding + taps + 1)
            high.append(low[-1] + stride - 1)
        if min(low) < 1:
            continue
        size = [rng.randint(a, b) for a, b in zip(low, high)]
        if beyond:
            size[-1] = rng.choice([low[-1] - 1, high[-1] + 1])
        leading = [7] * (call.x.ndim - count) if rng.random() < 0.5 else []  # not looked at
        oracle["output_padding"] = [0]  # output_size says it
        oracle["output_size"] = leading + size
        return make_call(call.x, call.filters, **oracle)


class OutputSizeTest(PyTorchTest):
    """output_size of ConvTranspose1d's and ConvTranspose2d's forward."""
    calls = parity.CALLS // 3

    @staticmethod
    def legal_calls(rng):
        while True:
            yield random_output_size(rng, beyond=False)

    @staticmethod
    def illegal_calls(rng):
        calls = [random_output_size(rng, beyond=True) for _ in range(30)]
        usual = dict(stride=[2], padding=[0], output_padding=[0], dilation=[1], groups=1,
                     channels_last=False)
        x, weight = parity.integers(rng, [1, 4, 4, 5]), parity.integers(rng, [4, 3, 3, 2])
        for size in ([9], [9, 10, 1], [3, 9, 10, 1, 1], []):
            calls.append(make_call(x, weight, **usual, output_size=size))
        return calls


if __name__ == "__main__":
    parity.main(PyTorchTest, OtherRanksTest, OutputSizeTest)
