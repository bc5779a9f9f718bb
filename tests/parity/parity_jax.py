# SPDX-License-Identifier: Apache-2.0
"""JAX's lax.conv_general_dilated on the CPU against `tconv run --problem KEY`.

JAX takes any padding, so this suite has what the other conventions cannot say: outputs that start
before the first tap (negative padding) or go on past the last one, padding larger than the filter,
on top of both layouts, dilation and groups. A key is the problem itself, with no convention between.
Illegal for tconv only: filters without taps, of which JAX makes zeros. On some processors JAX aborts
within XLA on some calls with dilation ("Window dimensions do not match RHS shape"); and of two axes whose
stride is 1 it can be wrong where padding is negative (n1 c3, h6 k3 pad_begin 4 out 2, w3 k2 pad_begin 3 out 1),
so there the input is cut before it is asked.
"""

import os

os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np

import parity
from parity import Call, Geometry
from scatter import Axis, scatter


def random_axis(rng):
    """An axis with its padding: (geometry, pad_begin, out)."""
    axis = parity.random_geometry(rng)
    begin = rng.randint(-3, axis.extent + 1)
    end = rng.randint(-3, axis.extent + 1)
    return axis, begin, max(1, axis.full - begin - end)


def key_axis(letter, axis, begin, out):
    return (f"{letter}{axis.size}k{axis.kernel}s{axis.stride}d{axis.dilation}p{begin}o{out}")


def make_call(x, filters, layout, order, channels, axes):
    """`channels`: (input, output, groups); `axes`: of height and width, as random_axis gives."""
    ci, co, groups = channels
    parts = ["f32", layout, f"n{x.shape[0]}", f"c{ci}", f"k{co}", f"g{groups}",
             key_axis("h", *axes[0]), key_axis("w", *axes[1])]
    if order != "hwoi":
        parts.append(order)
    oracle = dict(layout=layout, order=order, groups=groups, axes=axes)
    return Call(x, filters, ["--problem", ":".join(parts)], oracle)


def random_call(rng):
    layout = rng.choice(["nhwc", "nchw"])
    order = rng.choice(["hwoi", "ihwo", "iohw", "ohwi"])
    axes = h, w = random_axis(rng), random_axis(rng)
    channels = ci, co, groups = parity.random_channels(rng)
    sizes = dict(n=rng.randint(1, 2), h=h[0].size, w=w[0].size, c=ci)
    lengths = dict(h=h[0].kernel, w=w[0].kernel, o=co // groups, i=ci)
    x = parity.integers(rng, [sizes[letter] for letter in layout])
    filters = parity.integers(rng, [lengths[letter] for letter in order])
    return make_call(x, filters, layout, order, channels, axes)


class JaxTest(parity.ParityTest):
    script = __file__

    @staticmethod
    def load():
        global lax
        import jax
        from jax import lax
        jax.config.update("jax_platforms", "cpu")

    @staticmethod
    def legal_calls(rng):
        while True:
            yield random_call(rng)

    @staticmethod
    def illegal_calls(rng):
        x, filters = parity.integers(rng, [1, 4, 5, 4]), parity.integers(rng, [3, 3, 2, 4])
        usual = dict(x=x, filters=filters, layout="nhwc", order="hwoi", channels=(4, 2, 1))
        calls = []
        for field, values in dict(stride=(0, -1, -5), dilation=(0, -1, -5)).items():
            for value in values:
                for place in (0, 1):
                    axes = [(Geometry(4, 3, 2, 1), 0, 8), (Geometry(5, 3, 2, 1), 0, 10)]
                    setattr(axes[place][0], field, value)
                    calls.append(make_call(**usual, axes=axes))
        axes = [(Geometry(4, 3, 2, 1), 0, 8), (Geometry(5, 3, 2, 1), 0, 10)]
        calls.append(make_call(**{**usual, "channels": (4, 6, 3)}, axes=axes))  # 3 of 4 channels
        for wrong in (dict(filters=filters[..., :3]),  # channels that do not match
                      dict(x=x[0]), dict(filters=filters[0])):  # ranks
            calls.append(make_call(**{**usual, **wrong}, axes=axes))
        return calls

    @staticmethod
    def ask(call):
        o = call.oracle
        # A transposed convolution is the convolution of the input, spread out by the stride, with
        # the flipped filters [kh, kw, ci/g, co] whose output channels lie group by group.
        hwoi = np.transpose(call.filters, [o["order"].index(letter) for letter in "hwoi"])
        kh, kw, co, ci = hwoi.shape
        grouped = hwoi[::-1, ::-1].reshape(kh, kw, co, o["groups"], ci // o["groups"])
        hwio = grouped.transpose(0, 1, 4, 3, 2).reshape(kh, kw, ci // o["groups"], -1)
        pads = [(axis.extent - 1 - begin, out - axis.full + begin + axis.extent - 1)
                for axis, begin, out in o["axes"]]
        layout = o["layout"].upper()
        x = call.x
        for i, (axis, _, _) in enumerate(o["axes"]):
            before, after = (max(0, -pad) for pad in pads[i])
            if axis.stride == 1 and before + after < axis.size:
                cut = [slice(None)] * 4
                cut[layout.index("HW"[i])] = slice(before, axis.size - after)
                x, pads[i] = x[tuple(cut)], tuple(max(0, pad) for pad in pads[i])
        return lax.conv_general_dilated(
            x, hwio, (1, 1), pads, lhs_dilation=[axis.stride for axis, _, _ in o["axes"]],
            rhs_dilation=[axis.dilation for axis, _, _ in o["axes"]],
            feature_group_count=o["groups"], dimension_numbers=(layout, "HWIO", layout),
            precision=lax.Precision.HIGHEST)

    @staticmethod
    def scattered(call):
        o = call.oracle
        x = np.transpose(call.x, [o["layout"].index(letter) for letter in "nhwc"])
        hwoi = np.transpose(call.filters, [o["order"].index(letter) for letter in "hwoi"])
        h, w = (Axis(axis.stride, axis.dilation, begin, out) for axis, begin, out in o["axes"])
        y = scatter(x, hwoi, h, w, o["groups"])
        return np.transpose(y, ["nhwc".index(letter) for letter in o["layout"]])


if __name__ == "__main__":
    parity.main(JaxTest)
