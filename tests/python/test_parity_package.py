# SPDX-License-Identifier: Apache-2.0
"""The suites of tests/parity once more, through the package: 2,000 random problems against each framework
in a full run, and the same illegal arguments refused by both. What is left out, because the two differ on
purpose, is named at the top of each suite."""

import random

import ml_dtypes
import numpy as np
import parity
import parity_jax
import parity_onnxruntime
import parity_pytorch
import parity_tensorflow
import pytest
from parity import Refused

import tconv

DTYPES = {"f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32, "f64": np.float64}
REFUSED = (ValueError, TypeError)


def typed(call, dtype):
    return call.x.astype(DTYPES[dtype]), call.filters.astype(DTYPES[dtype])


def through(function):
    """What a suite does in the place of the program; a refusal of ours is one."""
    def computed(call):
        try:
            result = function(call)
        except REFUSED as error:
            assert str(error).strip(), "refused without a message"
            raise Refused(str(error)) from error
        return np.asarray(result).astype(call.dtype)
    return staticmethod(computed)


def tensorflow(call, **ours):
    arguments = dict(call.oracle)
    x, filters = typed(call, arguments.pop("dtype"))
    function = tconv.conv1d_transpose if filters.ndim == 3 else tconv.conv2d_transpose
    return function(x, filters, **arguments, **ours)


def pytorch(call, **ours):
    arguments = dict(call.oracle)
    x, weight = typed(call, arguments.pop("dtype"))
    if arguments.pop("channels_last") and x.ndim == 4:
        x, weight = (np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
                     for array in (x, weight))
    function = tconv.conv_transpose1d if weight.ndim == 3 else tconv.conv_transpose2d
    return function(x, weight, **arguments, **ours)


def onnx(call, **ours):
    return tconv.onnx_conv_transpose(call.x, call.filters, **call.oracle, **ours)


def by_key(call, **ours):
    return tconv.Plan.from_key(call.arguments[1], **ours).run(call.x, call.filters)


def suite(base, function):
    """`base`, asked through the package. Its process finds it by its name, so that is the same."""
    return type(base.__name__, (base,), {"computed": through(function), "__test__": True})


TestTensorFlow = suite(parity_tensorflow.TensorFlowTest, tensorflow)
TestTensorFlowOneAxis = suite(parity_tensorflow.OneAxisTest, tensorflow)
TestPyTorch = suite(parity_pytorch.PyTorchTest, pytorch)
TestPyTorchOtherRanks = suite(parity_pytorch.OtherRanksTest, pytorch)
TestPyTorchOutputSize = suite(parity_pytorch.OutputSizeTest, pytorch)
TestOnnxRuntime = suite(parity_onnxruntime.OnnxRuntimeTest, onnx)
TestOnnxRuntimeOneAxis = suite(parity_onnxruntime.OneAxisTest, onnx)
TestJax = suite(parity_jax.JaxTest, by_key)


def with_random_data(call, rng):
    """Real numbers in the place of the small integers."""
    return parity.Call(*(rng.standard_normal(a.shape).astype(a.dtype) for a in (call.x, call.filters)),
                       call.arguments, call.oracle, call.dtype)


def test_random_data_stays_within_the_derived_bound():
    """verify=True holds each element against the reference, evaluated exactly; beyond the bound of
    docs/verification.md it raises."""
    rng = np.random.default_rng(5)
    for base, function in ((parity_tensorflow.TensorFlowTest, tensorflow),
                           (parity_pytorch.PyTorchTest, pytorch),
                           (parity_onnxruntime.OnnxRuntimeTest, onnx), (parity_jax.JaxTest, by_key)):
        calls = base.legal_calls(random.Random(6))
        for _ in range(parity.CALLS):
            call = with_random_data(next(calls), rng)
            result = function(call, verify=True)
            assert np.asarray(result).shape == base.scattered(call).shape


def test_a_wrong_result_is_no_result():
    """That the comparison fires: one tap is flipped."""
    def flipped(call):
        return tensorflow(parity.Call(call.x, call.filters[::-1], call.arguments, call.oracle, call.dtype))

    wrong = suite(parity_tensorflow.TensorFlowTest, flipped)
    wrong.calls = 20
    wrong.setUpClass()
    with pytest.raises(AssertionError, match="elements differ"):
        wrong("test_legal_calls_give_equal_results").test_legal_calls_give_equal_results()
