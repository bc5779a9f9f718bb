# SPDX-License-Identifier: Apache-2.0
"""torch.nn.functional.conv_transpose2d against `tconv_emulated run --kernel igemm_sm80 --dtype f16`:
PyTorch's own order of the filters, which the kernel does not read, groups and output padding included.

Sums of small integers are exact in f32, and both round them to f16 once.
"""

import os

import numpy as np

import parity
from parity import Call
from parity_pytorch import PyTorchTest


class EmulatedTest(PyTorchTest):
    script = __file__
    calls = int(os.environ.get("TCONV_PARITY_CALLS", "60"))

    @staticmethod
    def on_kernel(call):
        arguments = [*call.arguments, "--kernel", "igemm_sm80", "--dtype", "f16"]
        return Call(call.x, call.filters, arguments, {**call.oracle, "dtype": "f32"}, "float16")

    @staticmethod
    def legal_calls(rng):
        for call in PyTorchTest.legal_calls(rng):
            if "f64" not in call.oracle["dtype"]:
                yield EmulatedTest.on_kernel(call)

    @staticmethod
    def illegal_calls(rng):
        return [EmulatedTest.on_kernel(call) for call in PyTorchTest.illegal_calls(rng)]

    @staticmethod
    def ask(call):
        return PyTorchTest.ask(call).astype(np.float16)

    @staticmethod
    def scattered(call):
        return PyTorchTest.scattered(call).astype(np.float16).astype(np.float64)


if __name__ == "__main__":
    parity.main(EmulatedTest)
