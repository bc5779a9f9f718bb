# SPDX-License-Identifier: Apache-2.0
"""frameworks.py: the rivals. Each prepares a call that does nothing but the operation: operands in its
own layout and type, filters as constants where it can pack them, its threads set.

What it cannot do it refuses with an exception; the text is the reason that is reported.
"""

import numpy as np


class Unable(Exception):
    """The framework has no call for this problem."""


class Framework:
    """`prepare(operands)` gives (run, value): `value(run())` is the output's handle."""

    name = ""
    adds_bias_apart = False

    def order(self, operands):
        """The layout of its output."""
        return operands.layout

    @staticmethod
    def to_numpy(value):
        return np.asarray(value)


def same(value):
    return value


def pytorch_geometry(axis):
    """padding and output_padding that cover the wanted outputs, and which of them those are.

    PyTorch pads both sides alike; where the problem does not, the rest is cut off by a view, which
    costs nothing."""
    limit = max(axis.stride, axis.dilation) - 1
    padding = axis.pad_begin
    beyond = axis.pad_begin + axis.out - axis.full + padding
    if beyond > limit:
        padding -= beyond - limit
        beyond = limit
    if padding < 0:
        raise Unable(f"conv_transpose2d cannot pad {axis.pad_begin} and {axis.pad_end}")
    begin = axis.pad_begin - padding
    return padding, max(0, beyond), slice(begin, begin + axis.out)


class PyTorch(Framework):
    """The eager call, in the problem's layout: channels_last for NHWC."""

    name = "pytorch"

    def __init__(self, threads):
        import torch
        self.torch, self.version = torch, torch.__version__
        torch.set_num_threads(threads)

    def tensor(self, array):
        if array.dtype.itemsize == 2 and array.dtype.kind != "f":  # numpy's own types have kind f
            return self.torch.from_numpy(array.view(np.uint16)).view(self.torch.bfloat16)
        return self.torch.from_numpy(array)

    def operands(self, operands):
        torch, order = self.torch, operands.layout
        memory = torch.channels_last if order == "NHWC" else torch.contiguous_format
        x = self.tensor(operands.x)
        x = x.permute(0, 3, 1, 2) if order == "NHWC" else x
        weight = self.tensor(operands.filters).permute(3, 2, 0, 1).contiguous(memory_format=memory)
        bias = None if operands.bias is None else self.tensor(operands.bias)
        return x, weight, bias

    def geometry(self, operands):
        layer = operands.layer
        axes = [pytorch_geometry(axis) for axis in layer.axes]
        rows, columns = (axis[2] for axis in axes)

        def value(y):
            return y[:, :, rows, columns]
        return ([a.stride for a in layer.axes], [a[0] for a in axes], [a[1] for a in axes],
                [a.dilation for a in layer.axes], value)

    def prepare(self, operands):
        x, weight, bias = self.operands(operands)
        stride, padding, output_padding, dilation, value = self.geometry(operands)
        call, groups, mode = self.torch.nn.functional.conv_transpose2d, operands.layer.groups, self.torch.inference_mode

        def run():
            with mode():
                return call(x, weight, bias, stride, padding, output_padding, groups, dilation)
        return run, value

    def order(self, operands):
        return "NCHW"  # the axes' order; the memory's is channels_last's

    def to_numpy(self, value):
        if value.dtype == self.torch.bfloat16:
            return value.contiguous().view(self.torch.uint16).numpy()
        return value.contiguous().numpy()


class PyTorchPacked(PyTorch):
    """What torch.compile makes of the call where weights are frozen: oneDNN with packed weights."""

    name = "pytorch_packed"

    def prepare(self, operands):
        torch = self.torch
        x, weight, bias = self.operands(operands)
        stride, padding, output_padding, dilation, value = self.geometry(operands)
        ops, groups = torch.ops.mkldnn, operands.layer.groups
        with torch.inference_mode():
            packed = ops._reorder_convolution_transpose_weight.default(
                weight, padding, output_padding, stride, dilation, groups, list(x.shape))
        call, mode = ops._convolution_transpose_pointwise.default, torch.inference_mode

        def run():
            with mode():
                return call(x, packed, bias, padding, output_padding, stride, dilation, groups,
                            "none", [], "")
        return run, value


class TensorFlow(Framework):
    """tf.nn.conv2d_transpose in a tf.function, always NHWC, the only order of its CPU kernels."""

    name = "tensorflow"
    adds_bias_apart = True

    def __init__(self, threads):
        import tensorflow as tf
        self.tf, self.version = tf, tf.__version__
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)

    def order(self, operands):
        return "NHWC"

    @staticmethod
    def padding(axes):
        def is_same(axis):
            total = max(0, (axis.kernel - 1) * axis.dilation + 1 - axis.stride)
            return axis.out == axis.size * axis.stride and axis.pad_begin == total // 2
        if all(is_same(axis) for axis in axes):
            return "SAME"
        pads = [[axis.pad_begin, axis.pad_end] for axis in axes]
        return [[0, 0], *pads, [0, 0]] if any(sum(pads, [])) else "VALID"

    def prepare(self, operands):
        tf, layer = self.tf, operands.layer
        x, filters = tf.constant(np.ascontiguousarray(operands.nhwc)), tf.constant(operands.filters)
        bias = None if operands.bias is None else tf.constant(operands.bias)
        strides, dilations = [a.stride for a in layer.axes], [a.dilation for a in layer.axes]
        shape, padding = [layer.batch, layer.h.out, layer.w.out, layer.out_c], self.padding(layer.axes)
        depthwise = layer.groups == layer.in_c == layer.out_c > 1
        if depthwise:
            filters = tf.transpose(filters, (0, 1, 3, 2))

        def transposed(x):
            if depthwise:
                return tf.nn.depthwise_conv2d_backprop_input(
                    shape, filters, x, [1, *strides, 1], padding, "NHWC", [1, *dilations, 1])
            return tf.nn.conv2d_transpose(x, filters, shape, strides, padding, "NHWC", dilations)

        @tf.function
        def whole(x):
            y = transposed(x)
            return y if bias is None else tf.nn.bias_add(y, bias)
        call = whole.get_concrete_function(x)
        return lambda: call(x), same

    def to_numpy(self, value):
        return value.numpy()


class OnnxRuntime(Framework):
    """A session with one ConvTranspose, always NCHW, bound to memory that it allocated."""

    name = "onnxruntime"

    def __init__(self, threads):
        import onnx
        import onnxruntime
        self.onnx, self.runtime, self.version = onnx, onnxruntime, onnxruntime.__version__
        self.threads = threads
        onnxruntime.set_default_logger_severity(4)

    def order(self, operands):
        return "NCHW"

    def model(self, operands):
        from onnx import TensorProto, helper, numpy_helper
        layer = operands.layer
        types = {"f16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16, "f32": TensorProto.FLOAT,
                 "f64": TensorProto.DOUBLE}
        h, w = layer.axes
        if min(h.pad_begin, h.pad_end, w.pad_begin, w.pad_end) < 0:
            raise Unable("ConvTranspose cannot pad by less than 0")
        constants = {"w": np.ascontiguousarray(operands.filters.transpose(3, 2, 0, 1))}
        if operands.bias is not None:
            constants["b"] = operands.bias
        node = helper.make_node(
            "ConvTranspose", ["x", *constants], ["y"], group=layer.groups,
            strides=[h.stride, w.stride], dilations=[h.dilation, w.dilation],
            pads=[h.pad_begin, w.pad_begin, h.pad_end, w.pad_end], output_padding=[h.out_pad, w.out_pad])
        kind = types[operands.dtype]
        ends = [helper.make_tensor_value_info(*end) for end in (
            ("x", kind, [layer.batch, layer.in_c, h.size, w.size]),
            ("y", kind, [layer.batch, layer.out_c, h.out, w.out]))]
        graph = helper.make_graph([node], "g", ends[:1], ends[1:], [
            numpy_helper.from_array(array, name) for name, array in constants.items()])
        opset = 22 if operands.dtype == "bf16" else 17
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)

    def prepare(self, operands):
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        session = self.runtime.InferenceSession(
            self.model(operands).SerializeToString(), options, providers=["CPUExecutionProvider"])
        layer, value = operands.layer, self.runtime.OrtValue
        x = value.ortvalue_from_numpy(np.ascontiguousarray(operands.nchw))
        y = value.ortvalue_from_shape_and_type(
            [layer.batch, layer.out_c, layer.h.out, layer.w.out], operands.x.dtype)
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", x)
        binding.bind_ortvalue_output("y", y)
        return (lambda: session.run_with_iobinding(binding)), lambda _: y.numpy()


class Jax(Framework):
    """lax.conv_general_dilated, compiled, always NHWC; the filters are flipped before."""

    name = "jax"
    adds_bias_apart = True

    def __init__(self, threads):
        import jax
        self.jax, self.version = jax, jax.__version__
        jax.config.update("jax_enable_x64", True)

    def order(self, operands):
        return "NHWC"

    def prepare(self, operands):
        jax, layer = self.jax, operands.layer
        groups, pads = layer.groups, []
        for axis in layer.axes:
            reach = (axis.kernel - 1) * axis.dilation
            pads.append((reach - axis.pad_begin, axis.out - axis.full + axis.pad_begin + reach))
        filters = operands.filters[::-1, ::-1]  # [kh][kw][co / g][ci]
        kh, kw, co, ci = filters.shape
        filters = filters.reshape(kh, kw, co, groups, ci // groups).transpose(0, 1, 4, 3, 2)
        filters = np.ascontiguousarray(filters.reshape(kh, kw, ci // groups, groups * co))
        arrays = [np.ascontiguousarray(operands.nhwc), filters]
        if operands.bias is not None:
            arrays.append(operands.bias)

        def transposed(x, filters, bias=None):
            y = jax.lax.conv_general_dilated(
                x, filters, (1, 1), pads, lhs_dilation=[a.stride for a in layer.axes],
                rhs_dilation=[a.dilation for a in layer.axes], feature_group_count=groups,
                dimension_numbers=("NHWC", "HWIO", "NHWC"))
            return y if bias is None else y + bias
        arrays = [jax.device_put(array) for array in arrays]
        call = jax.jit(transposed).lower(*arrays).compile()
        return lambda: call(*arrays).block_until_ready(), same


FRAMEWORKS = {kind.name: kind for kind in (PyTorch, PyTorchPacked, TensorFlow, OnnxRuntime, Jax)}
