# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's ConvTranspose on the CPU against `tconv run --convention onnx`.

Left out: f16 and f64 (ONNX Runtime's CPU has no such kernel), results without an element, and
SAME_UPPER or SAME_LOWER where the dilated kernel and output_padding together are smaller than the
stride: there ONNX's text and its reference say input * stride, as tconv does, and ONNX Runtime
gives less. Likewise output_padding from the stride up to the dilation, which ONNX Runtime refuses;
the PyTorch suite has it.
"""

import numpy as np

import parity
from parity import Call, joined
from scatter import Axis, scatter

OPSET = 17


def make_call(x, w, **attributes):
    """`attributes` as ONNX names them; what is not named is not given."""
    options = dict(strides="--strides", pads="--pads", output_padding="--output-padding",
                   output_shape="--output-shape", dilations="--dilations",
                   auto_pad="--auto-pad", group="--groups")
    arguments = ["--convention", "onnx"]
    for name, value in attributes.items():
        arguments += [options[name], joined(value) if isinstance(value, list) else str(value)]
    return Call(x, w, arguments, attributes)


def random_call(rng):
    axes = [parity.random_geometry(rng), parity.random_geometry(rng)]
    ci, co, groups = parity.random_channels(rng)
    attributes = dict(strides=[a.stride for a in axes])
    if rng.random() < 0.7:
        attributes["dilations"] = [a.dilation for a in axes]
    else:
        for axis in axes:
            axis.dilation = 1
    if groups > 1 or rng.random() < 0.5:
        attributes["group"] = groups
    given_back = [0, 0]
    if rng.random() < 0.5:
        given_back = [rng.randint(0, a.stride - 1) for a in axes]
        attributes["output_padding"] = given_back
    auto_pad = rng.choice(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])
    if any(a.extent + more < a.stride for a, more in zip(axes, given_back)):
        auto_pad = "NOTSET"
    if auto_pad != "NOTSET" or rng.random() < 0.3:
        attributes["auto_pad"] = auto_pad
    if rng.random() < 0.35:
        attributes["output_shape"] = [rng.randint(max(1, a.full - a.extent), a.full + a.stride - 1)
                                      for a in axes]
    elif auto_pad == "NOTSET" and rng.random() < 0.8:
        begin, end = [], []
        for axis, more in zip(axes, given_back):
            b = rng.randint(0, axis.extent)
            e = rng.randint(0, axis.extent)
            while axis.full + more - b - e < 1:
                b, e = b // 2, e // 2
            begin.append(b)
            end.append(e)
        attributes["pads"] = begin + end
    x = parity.integers(rng, [rng.randint(1, 2), ci, axes[0].size, axes[1].size])
    w = parity.integers(rng, [ci, co // groups, axes[0].kernel, axes[1].kernel])
    return make_call(x, w, **attributes)


class OnnxRuntimeTest(parity.ParityTest):
    script = __file__

    @staticmethod
    def load():
        global onnxruntime, TensorProto, helper
        import onnxruntime
        from onnx import TensorProto, helper

    @staticmethod
    def legal_calls(rng):
        while True:
            yield random_call(rng)

    @staticmethod
    def illegal_calls(rng):
        x, w = parity.integers(rng, [1, 4, 4, 5]), parity.integers(rng, [4, 3, 3, 2])
        usual = dict(strides=[2, 2])
        wrong = [
            dict(strides=[0, 1]), dict(strides=[-2, 1]), dict(strides=[1, 1, 1]),
            dict(dilations=[0, 1]), dict(dilations=[-1, 1]),
            dict(pads=[20, 0, 20, 0]),
            dict(output_shape=[11, 10]), dict(output_shape=[9, 12]),
            dict(output_shape=[1, 1, 1]),
            dict(group=3), dict(auto_pad="SAME"),
        ]
        calls = [make_call(x, w, **{**usual, **change}) for change in wrong]
        operands = [
            ([1, 3, 4, 5], [4, 3, 3, 2]),  # channels that do not match
            ([1, 4, 4], [4, 3, 3, 2]), ([1, 4, 4, 5], [4, 3, 3]),  # ranks
            ([1, 1, 4, 4, 5], [4, 3, 3, 2]),
        ]
        for x_shape, w_shape in operands:
            calls.append(make_call(parity.integers(rng, x_shape), parity.integers(rng, w_shape),
                                   **usual))
        while len(calls) < 60:  # output_shape just past what any pads give
            axes = [parity.random_geometry(rng), parity.random_geometry(rng)]
            shape = [a.full for a in axes]
            axis = rng.randint(0, 1)
            shape[axis] += axes[axis].stride
            x = parity.integers(rng, [1, 2, axes[0].size, axes[1].size])
            w = parity.integers(rng, [2, 1, axes[0].kernel, axes[1].kernel])
            calls.append(make_call(x, w, strides=[a.stride for a in axes], output_shape=shape,
                                   dilations=[a.dilation for a in axes]))
        return calls

    @staticmethod
    def ask(call):
        node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], **call.oracle)
        inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)
                  for name, array in (("x", call.x), ("w", call.filters))]
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        graph = helper.make_graph([node], "call", inputs, [output])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                  ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                               providers=["CPUExecutionProvider"])
        return session.run(None, {"x": call.x, "w": call.filters})[0]

    @staticmethod
    def scattered(call):
        o = call.oracle
        axes = []
        for i in (0, 1):
            size, stride = call.x.shape[2 + i], o["strides"][i]
            dilation = o.get("dilations", [1, 1])[i]
            full = ((size - 1) * stride + (call.filters.shape[2 + i] - 1) * dilation + 1 +
                    o.get("output_padding", [0, 0])[i])
            auto_pad = o.get("auto_pad", "NOTSET")
            pads = o.get("pads", [0, 0, 0, 0])
            begin, out = pads[i], full - pads[i] - pads[2 + i]
            if "output_shape" in o or auto_pad.startswith("SAME"):
                out = o["output_shape"][i] if "output_shape" in o else size * stride
                total = max(0, full - out)
                begin = total // 2 if auto_pad == "SAME_UPPER" else total - total // 2
            axes.append(Axis(stride, dilation, begin, out))
        y = scatter(np.transpose(call.x, (0, 2, 3, 1)), np.transpose(call.filters, (2, 3, 1, 0)),
                    *axes, o.get("group", 1))
        return np.transpose(y, (0, 3, 1, 2))


def one_axis(call):
    """The same call without its height."""
    halves = {name: [value[1], value[3]] if name == "pads" else value[1:]
              for name, value in call.oracle.items() if isinstance(value, list)}
    return make_call(call.x[:, :, 0], call.filters[:, :, 0], **{**call.oracle, **halves})


class OneAxisTest(OnnxRuntimeTest):
    """X and W of rank 3."""
    calls = parity.CALLS // 3

    @staticmethod
    def legal_calls(rng):
        while True:
            yield one_axis(random_call(rng))

    @staticmethod
    def illegal_calls(rng):
        x, w = parity.integers(rng, [1, 4, 5]), parity.integers(rng, [4, 3, 2])
        wrong = [
            dict(strides=[2, 2]), dict(strides=[0]), dict(dilations=[0]), dict(dilations=[1, 1]),
            dict(pads=[20, 20]), dict(pads=[1, 1, 1, 1]), dict(output_shape=[12]), dict(group=3),
        ]
        calls = [make_call(x, w, **{**dict(strides=[2]), **change}) for change in wrong]
        for x_shape, w_shape in [([1, 3, 5], [4, 3, 2]), ([4, 5], [4, 3, 2]), ([1, 4, 5], [4, 3])]:
            calls.append(make_call(parity.integers(rng, x_shape), parity.integers(rng, w_shape),
                                   strides=[2]))
        return calls

    @staticmethod
    def scattered(call):
        """Of the call with a height of 1."""
        neutral = dict(strides=1, dilations=1, output_padding=0, output_shape=1)
        o = {name: [neutral[name], *value] if name in neutral else value
             for name, value in call.oracle.items()}
        if "pads" in o:
            o["pads"] = [0, o["pads"][0], 0, o["pads"][1]]
        wide = Call(call.x[:, :, None], call.filters[:, :, None], [], o)
        return OnnxRuntimeTest.scattered(wide)[:, :, 0]


if __name__ == "__main__":
    parity.main(OnnxRuntimeTest, OneAxisTest)
