# SPDX-License-Identifier: Apache-2.0
"""tconv: transposed convolution of two axes and one, for arrays of any framework.

    conv2d_transpose, conv1d_transpose    in TensorFlow's words
    conv_transpose2d, conv_transpose1d    in PyTorch's
    onnx_conv_transpose                   in ONNX's
    Plan                                  for repeated calls of the same sizes

An array is whatever speaks DLPack or the buffer protocol: NumPy's, PyTorch's, TensorFlow's, JAX's, CuPy's.
Nothing is copied where the memory's order allows, and results are arrays of the input's framework.
`python -m tconv` is the program.
"""

from tconv import _core
from tconv._call import (conv1d_transpose, conv2d_transpose, conv_transpose1d, conv_transpose2d,
                         onnx_conv_transpose)
from tconv._plan import PackedFilters, Plan, show_config

MismatchError = _core.MismatchError
__version__ = _core.version()
__all__ = ["MismatchError", "PackedFilters", "Plan", "conv1d_transpose", "conv2d_transpose",
           "conv_transpose1d", "conv_transpose2d", "kernels", "onnx_conv_transpose", "show_config"]


def kernels(format: str = "text") -> str:
    """The families of kernels that are built in, and what they take. format: "text", "json"."""
    return _core.kernels(format)
