# SPDX-License-Identifier: Apache-2.0
"""tconv: transposed convolution of two axes and one, for arrays of any framework."""

from tconv import _core

__version__ = _core.version()
_OPTIONS = _core.Options("strict", None, False, None)
_NUMPY = _core.Target(0)


def conv2d_transpose(input, filters, output_shape, strides, padding="SAME", data_format="NHWC",
                     dilations=None, name=None):
    return _core.tensorflow(_NUMPY, input, filters, output_shape, strides, padding, data_format,
                            dilations, None, None, None, None, None, _OPTIONS)
