# SPDX-License-Identifier: Apache-2.0
"""tf.nn.conv2d_transpose and tf.nn.conv1d_transpose on the CPU against `tconv run`.

What TensorFlow takes on the CPU depends on the processor: without AVX-512 there are no NCHW, no
dilation and no groups. So the suite runs twice, the second time with its oneDNN switched off, which
leaves as little as the oldest processor has.

Left out, because TensorFlow 2.21's CPU does not take it although it is legal:
  - explicit padding with a dilation above 1, or with NCHW ("Current CPU implementations do not yet
    support ..."), and negative explicit padding: the JAX suite has these geometries;
  - f16 and f64 with NCHW or dilation (no kernel), and groups with these types or explicit padding.
Grouped filters [kh, kw, co/g, ci] otherwise go through TensorFlow without a word; tconv wants
--groups. Illegal for tconv only: filters without taps (TensorFlow gives zeros) and a 5-D input
(TensorFlow folds its first two dimensions); of one axis a 4-D input, an output_shape of 4 numbers and
a stride of the batch, which TensorFlow takes by accident.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np

import parity
from parity import Call, joined
from scatter import Axis, scatter

# numpy has no bf16: its files hold f32.
FILE_TYPES = {"f16": np.float16, "bf16": np.float32, "f32": np.float32, "f64": np.float64}


def ordered(data_format, n, h, w, c):
    return [n, h, w, c] if data_format == "NHWC" else [n, c, h, w]


def legal_interval(padding, axis, pads):
    if padding == "SAME":
        return (axis.size - 1) * axis.stride + 1, axis.size * axis.stride
    low = axis.full - sum(pads)
    return low, low + axis.stride - 1


def make_call(x, filters, output_shape, strides, padding, data_format, dilations, groups=None,
              dtype="f32"):
    """`padding` is TensorFlow's word or (top, bottom, left, right)."""
    explicit = not isinstance(padding, str)
    arguments = ["--strides", joined(strides), "--data-format", data_format,
                 "--padding", joined(padding) if explicit else padding]
    if output_shape is not None:
        arguments += ["--output-shape", joined(output_shape)]
    if dilations is not None:
        arguments += ["--dilations", joined(dilations)]
    if groups is not None:
        arguments += ["--groups", str(groups)]
    if dtype != "f32":
        arguments += ["--dtype", dtype]
    if explicit:
        t, b, l, r = padding
        padding = [[0, 0], [t, b], [l, r], [0, 0]]
    oracle = dict(output_shape=output_shape, strides=strides, padding=padding,
                  data_format=data_format, dilations=dilations, groups=groups, dtype=dtype)
    return Call(x, filters, arguments, oracle, FILE_TYPES[dtype])


def random_call(rng):
    data_format = rng.choice(["NHWC", "NCHW"])
    h, w = parity.random_geometry(rng), parity.random_geometry(rng)
    ci, co, groups = parity.random_channels(rng)
    kinds = ["SAME", "VALID"]
    if data_format == "NHWC" and rng.random() < 0.5:
        kinds = ["EXPLICIT"]
    padding = rng.choice(kinds)
    dtype = rng.choice(["f32", "f32", "bf16", "f16", "f64"])
    if padding == "EXPLICIT" or dtype in ("f16", "f64"):
        h.dilation = w.dilation = 1
        co, groups = co // groups, 1
    if dtype in ("f16", "f64"):
        data_format = "NHWC"
    pads = [[0, 0], [0, 0]]
    if padding == "EXPLICIT":
        pads = [[rng.randint(0, axis.kernel), rng.randint(0, axis.kernel)] for axis in (h, w)]
    out = []
    for axis, cut in zip((h, w), pads):
        low, high = legal_interval(padding, axis, cut)
        if high < 1:
            return None
        out.append(rng.randint(max(low, 1), high))
    batch = rng.randint(1, 2)
    # 1-bit operands keep every sum below 256, the last integer that bf16 counts to.
    largest = 1 if dtype in ("bf16", "f16") else 4
    x = parity.integers(rng, ordered(data_format, batch, h.size, w.size, ci), largest)
    filters = parity.integers(rng, [h.kernel, w.kernel, co // groups, ci], largest)
    spatial_only = groups == 1 and rng.random() < 0.25
    output_shape = out if spatial_only else ordered(data_format, batch, *out, co)
    four = rng.random() < 0.25
    return make_call(
        x, filters, output_shape,
        strides=ordered(data_format, 1, h.stride, w.stride, 1) if four else [h.stride, w.stride],
        padding=padding if padding != "EXPLICIT" else [*pads[0], *pads[1]],
        data_format=data_format,
        dilations=ordered(data_format, 1, h.dilation, w.dilation, 1) if four
        else [h.dilation, w.dilation],
        groups=groups if groups > 1 else None, dtype=dtype)


class TensorFlowTest(parity.ParityTest):
    script = __file__
    most_unsupported = 0.6  # half of the calls are NCHW

    @staticmethod
    def load():
        global tf
        import tensorflow as tf
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)

    @staticmethod
    def legal_calls(rng):
        while True:
            call = random_call(rng)
            if call is not None:
                yield call

    @staticmethod
    def illegal_calls(rng):
        x, filters = parity.integers(rng, [1, 4, 5, 2]), parity.integers(rng, [3, 3, 3, 2])
        usual = dict(output_shape=[1, 8, 10, 3], strides=[2, 2], padding="SAME",
                     data_format="NHWC", dilations=None)
        wrong = [
            dict(output_shape=[1, 9, 10, 3]), dict(output_shape=[1, 6, 10, 3]),
            dict(output_shape=[1, 8, 8, 3]), dict(output_shape=[1, 8, 11, 3]),
            dict(output_shape=[2, 8, 10, 3]), dict(output_shape=[1, 8, 10, 2]),
            dict(output_shape=[1, 8, 10, 3], padding="VALID"),
            dict(output_shape=[1, 11, 13, 3], padding="VALID"),
            dict(output_shape=[1, 7, 10, 3], padding=[1, 1, 1, 1], strides=[1, 1]),
            dict(output_shape=[1, 10, 11, 3], padding=[1, 0, 0, 1]),
            dict(output_shape=[1, 8, 10, 3], padding=[-1, 1, 0, 0]),
            dict(output_shape=[1]), dict(output_shape=[1, 8, 10, 3, 1]), dict(output_shape=[]),
            dict(output_shape=[1, 8, 10]),
            dict(output_shape=[2, -2]), dict(output_shape=[1, -8, 10, 3]),
            dict(output_shape=[114078056, 179835296], strides=[10, 10]),
            dict(strides=[0, 2]), dict(strides=[-1, 2]), dict(strides=[2, 2, 2]),
            dict(strides=[1, 2, 2, 2]), dict(strides=[2, 2, 2, 1]),
            dict(dilations=[0, 1]), dict(dilations=[-1, 1]), dict(dilations=[1, 2, 1, 2]),
            dict(padding="same"), dict(padding="FULL"), dict(data_format="NWHC"),
        ]
        calls = [make_call(x, filters, **{**usual, **change}) for change in wrong]
        operands = [
            ([1, 4, 5, 3], [3, 3, 3, 2]),  # channels that do not match
            ([4, 5, 2], [3, 3, 3, 2]),  # ranks
            ([1, 4, 5, 2], [3, 3, 2]), ([1, 4, 5, 2], [1, 3, 3, 3, 2]),
        ]
        for input_shape, filter_shape in operands:
            calls.append(make_call(parity.integers(rng, input_shape),
                                   parity.integers(rng, filter_shape), **usual))
        # Random sizes just outside the legal interval.
        while len(calls) < 60:
            call = random_call(rng)
            if call is None or call.oracle["dtype"] != "f32":
                continue
            oracle = call.oracle
            output_shape = list(oracle["output_shape"])
            if len(output_shape) != 4:
                continue
            axis = 1 if oracle["data_format"] == "NHWC" else 2
            strides = oracle["strides"]
            step = strides[axis] if len(strides) == 4 else strides[0]
            output_shape[axis] += rng.choice([-1, 1]) * step
            if output_shape[axis] < 1:
                continue
            padding = oracle["padding"]
            if not isinstance(padding, str):
                padding = [*padding[1], *padding[2]]
            calls.append(make_call(call.x, call.filters, output_shape, strides, padding,
                                   oracle["data_format"], oracle["dilations"], oracle["groups"]))
        return calls

    @staticmethod
    def ask(call):
        oracle = dict(call.oracle)
        del oracle["groups"]  # TensorFlow tells them from the filters
        dtype = {"f16": tf.float16, "bf16": tf.bfloat16, "f32": tf.float32,
                 "f64": tf.float64}[oracle.pop("dtype")]
        result = tf.nn.conv2d_transpose(tf.cast(call.x, dtype), tf.cast(call.filters, dtype),
                                        **oracle)
        return tf.cast(result, tf.float64).numpy()

    @staticmethod
    def is_unsupported(call, refusal):
        if "could not create a primitive descriptor" in refusal:  # so oneDNN refuses wrong sizes too
            return call.oracle["dtype"] in ("f16", "bf16")
        return any(words in refusal for words in (
            "only supports NHWC", "do not yet support dilation rates larger than 1",
            "Gradients for grouped convolutions are not supported on CPU"))

    @staticmethod
    def must_answer(call):
        o = call.oracle
        return (o["data_format"] == "NHWC" and max(o["dilations"]) == 1 and
                o["dtype"] in ("f32", "f64") and o["groups"] is None)

    @staticmethod
    def scattered(call):
        o = call.oracle
        order = "nhwc" if o["data_format"] == "NHWC" else "nchw"
        x = np.transpose(call.x, [order.index(letter) for letter in "nhwc"])

        def of_axis(numbers, letter):
            return numbers[order.index(letter) if len(numbers) == 4 else "hw".index(letter)]

        axes = []
        for i, letter in enumerate("hw"):
            out = of_axis(o["output_shape"], letter)
            stride, dilation = of_axis(o["strides"], letter), of_axis(o["dilations"], letter)
            begin = 0
            if o["padding"] == "SAME":
                extent = (call.filters.shape[i] - 1) * dilation + 1
                begin = max(0, (x.shape[1 + i] - 1) * stride + extent - out) // 2
            elif o["padding"] != "VALID":
                begin = o["padding"][1 + i][0]
            axes.append(Axis(stride, dilation, begin, out))
        groups = o["groups"] or 1
        y = scatter(x, call.filters, *axes, groups)
        return np.transpose(y, ["nhwc".index(letter) for letter in order])


def without(letter, data_format, numbers):
    """The numbers of all four dimensions without one of them."""
    return [n for n, name in zip(numbers, data_format) if name != letter]


class OneAxisTest(TensorFlowTest):
    """tf.nn.conv1d_transpose: random calls of two axes without their height. It has no explicit
    padding."""
    calls = parity.CALLS // 3

    @staticmethod
    def legal_calls(rng):
        for call in TensorFlowTest.legal_calls(rng):
            o = call.oracle
            if len(o["output_shape"]) != 4 or not isinstance(o["padding"], str):
                continue
            order = o["data_format"]
            strides, dilations = ([o[name][order.index("W") if len(o[name]) == 4 else 1]]
                                  for name in ("strides", "dilations"))
            if rng.random() < 0.25:
                strides, dilations = ([1, strides[0], 1], [1, dilations[0], 1]) \
                    if order == "NHWC" else ([1, 1, strides[0]], [1, 1, dilations[0]])
            x = np.take(call.x, 0, order.index("H"))
            yield make_call(x, call.filters[0], without("H", order, o["output_shape"]), strides,
                            o["padding"], order.replace("H", ""), dilations, o["groups"], o["dtype"])

    @staticmethod
    def illegal_calls(rng):
        x, filters = parity.integers(rng, [1, 5, 2]), parity.integers(rng, [3, 3, 2])
        usual = dict(output_shape=[1, 10, 3], strides=[2], padding="SAME", data_format="NWC",
                     dilations=None)
        wrong = [
            dict(output_shape=[1, 11, 3]), dict(output_shape=[1, 8, 3]),
            dict(output_shape=[2, 10, 3]), dict(output_shape=[1, 10, 2]),
            dict(output_shape=[1, 10, 3], padding="VALID"), dict(output_shape=[]),
            dict(strides=[0]), dict(strides=[2, 2]), dict(strides=[1, 2, 2]), dict(dilations=[0]), dict(padding="same"),
            dict(data_format="NHWC"), dict(data_format="NCHW"),
        ]
        calls = [make_call(x, filters, **{**usual, **change}) for change in wrong]
        operands = [
            ([1, 5, 3], [3, 3, 2]), ([5, 2], [3, 3, 2]), ([1, 5, 2], [3, 2]),
        ]
        for input_shape, filter_shape in operands:
            calls.append(make_call(parity.integers(rng, input_shape),
                                   parity.integers(rng, filter_shape), **usual))
        return calls

    @staticmethod
    def ask(call):
        oracle = dict(call.oracle)
        del oracle["groups"]
        dtype = {"f16": tf.float16, "bf16": tf.bfloat16, "f32": tf.float32,
                 "f64": tf.float64}[oracle.pop("dtype")]
        result = tf.nn.conv1d_transpose(tf.cast(call.x, dtype), tf.cast(call.filters, dtype),
                                        **oracle)
        return tf.cast(result, tf.float64).numpy()

    @staticmethod
    def must_answer(call):
        o = call.oracle
        return (o["data_format"] == "NWC" and max(o["dilations"]) == 1 and
                o["dtype"] in ("f32", "f64") and o["groups"] is None)

    @staticmethod
    def scattered(call):
        """Of the call with a height of 1."""
        o = dict(call.oracle)
        place = 1 if o["data_format"] == "NWC" else 2
        o["data_format"] = "NHWC" if place == 1 else "NCHW"
        o["output_shape"] = np.insert(o["output_shape"], place, 1).tolist()
        for name in ("strides", "dilations"):
            wide = o[name][0] if len(o[name]) == 1 else o[name][place]
            o[name] = [1, wide]
        wide = Call(np.expand_dims(call.x, place), call.filters[None], [], o)
        return np.squeeze(TensorFlowTest.scattered(wide), place)


class WithoutOneDnnTest(TensorFlowTest):
    calls = parity.CALLS // 5
    environment = {"TF_ENABLE_ONEDNN_OPTS": "0"}


if __name__ == "__main__":
    parity.main(TensorFlowTest, OneAxisTest, WithoutOneDnnTest)
