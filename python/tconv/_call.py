# SPDX-License-Identifier: Apache-2.0
"""The functions, each in its framework's words."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, TypeVar

from tconv import _core
from tconv._frameworks import call, operator

Array = TypeVar("Array")
Function = TypeVar("Function", bound=Callable[..., Any])


@lru_cache(maxsize=64)
def options(math: str, kernel: str | None, verify: bool, threads: int | None) -> _core.Options:
    return _core.Options(math, kernel, verify, threads)


_DEFAULT = _core.Options("strict", None, False, None)


def _options(math: Any, kernel: Any, verify: Any, threads: Any) -> _core.Options:
    if math == "strict" and kernel is None and verify is False and threads is None:
        return _DEFAULT
    if not isinstance(math, str):
        raise TypeError(f"math: one of strict, tf32, 3xtf32, not {math!r}")
    if kernel is not None and not isinstance(kernel, str):
        raise TypeError(f"kernel: a name, or names with commas between them, not {kernel!r}")
    if not isinstance(verify, bool):
        raise TypeError(f"verify: True or False, not {verify!r}")
    if threads is not None and not isinstance(threads, int):
        raise TypeError(f"threads: a whole number, not {threads!r}")
    return options(math, kernel, verify, threads)


# What every function adds to the framework's arguments, by name alone. In the docstrings under {ours}.
_OURS = """
    By name alone:
      activation: None, "relu", "sigmoid", "tanh", "gelu", "gelu_tanh", "silu", ("leaky_relu", slope),
        ("clamp", low, high) or ("prelu", slopes) with an array of one slope per output channel.
      residual: an array like the output, added before the activation; it may be `out` itself.
      math: what products of f32 may be made of: "strict", "tf32" or "3xtf32" (on GPUs).
      kernel: only these families of kernels, "name" or "name,name"; tconv.kernels() lists them.
      verify: compare the result with the reference; MismatchError where it is outside the bound.
      out: the array that is written and returned; its type is the result's.
      threads: on the CPU; None: one per core.

    Returns:
      A new array of the input's framework, type and device, or `out`. activation(sum + bias + residual),
      rounded once.

    Types: float16, bfloat16, float32, float64, the same for input and filters; bias also float32. Strided
    arrays are read in place where the innermost dimension of their memory has stride 1, others are copied
    (on a GPU refused). Arrays on a GPU: the call is enqueued on the framework's current stream and does
    not wait; on the CPU it computes, without Python's lock.

    Raises:
      ValueError, TypeError: an argument is wrong; with its name, its value and what is legal, before
        anything is computed.
      NotImplementedError: no kernel takes it; with the reason of each.
      MismatchError: see `verify`."""


def _documented(function: Function) -> Function:
    if function.__doc__ is not None:  # not under python -OO
        function.__doc__ = function.__doc__.replace("{ours}", _OURS.strip())
    return function


@_documented
def conv2d_transpose(input: Array, filters: Any, output_shape: Any, strides: Any, padding: Any = "SAME",
                     data_format: str | None = "NHWC", dilations: Any = None, name: str | None = None, *,
                     groups: int | None = None, bias: Any = None, activation: Any = None,
                     residual: Any = None, math: str = "strict", kernel: str | None = None,
                     verify: bool = False, out: Any = None, threads: int | None = None) -> Array:
    """Transposed convolution of two axes, as tf.nn.conv2d_transpose.

    Args:
      input: [batch, height, width, in_channels] ("NCHW": [batch, in_channels, height, width]).
      filters: [height, width, out_channels / groups, in_channels].
      output_shape: 4 numbers in the order of data_format, or 2 (height, width); None: the largest with
        "SAME", the one without outputs beyond the last tap otherwise.
      strides, dilations: an int, or 1, 2 or 4 of them (4: in the order of data_format).
      padding: "SAME", "VALID", or a pair (before, after) for each dimension in the order of data_format.
      data_format: "NHWC" or "NCHW".
      name: labels log lines.
      groups, bias: groups of channels, which TensorFlow tells from the filters in silence; an array
        [out_channels] that is added.

    {ours}

    >>> import numpy as np
    >>> x, f = np.ones((1, 4, 4, 1), "f"), np.ones((3, 3, 1, 1), "f")
    >>> conv2d_transpose(x, f, (1, 8, 8, 1), 2).shape
    (1, 8, 8, 1)
    >>> conv2d_transpose(x, f, (1, 12, 8, 1), 2)
    Traceback (most recent call last):
    ...
    ValueError: output_shape[1] = 12, but for input height 4, kernel 3, stride 2 and SAME padding it must be in [7, 8]
    """
    own = operator("conv2d_transpose", (input, filters, bias, residual))
    if own is not None:
        return own(input, filters, output_shape, strides, padding, data_format,  # type: ignore[no-any-return]
                   dilations, name, groups=groups, bias=bias, activation=activation, residual=residual,
                   math=math, kernel=kernel, verify=verify, out=out, threads=threads)
    return call(_core.tensorflow, input, filters, (bias, activation, residual, out),  # type: ignore[no-any-return]
                _options(math, kernel, verify, threads), 2, output_shape, strides, padding, data_format,
                dilations, groups, name)


@_documented
def conv1d_transpose(input: Array, filters: Any, output_shape: Any, strides: Any, padding: Any = "SAME",
                     data_format: str | None = "NWC", dilations: Any = None, name: str | None = None, *,
                     groups: int | None = None, bias: Any = None, activation: Any = None,
                     residual: Any = None, math: str = "strict", kernel: str | None = None,
                     verify: bool = False, out: Any = None, threads: int | None = None) -> Array:
    """Transposed convolution of one axis, as tf.nn.conv1d_transpose.

    Args:
      input: [batch, width, in_channels] ("NCW": [batch, in_channels, width]).
      filters: [width, out_channels / groups, in_channels].
      output_shape: 3 numbers in the order of data_format, or the width; None: as in conv2d_transpose.
      strides, dilations: an int, or 1 or 3 of them (3: in the order of data_format).
      padding: "SAME", "VALID", or a pair (before, after) for each dimension in the order of data_format.
      data_format: "NWC" or "NCW".
      name, groups, bias: as in conv2d_transpose.

    {ours}

    >>> import numpy as np
    >>> conv1d_transpose(np.ones((1, 3, 1), "f"), np.ones((2, 1, 1), "f"), (1, 6, 1), 2)[0, :, 0].tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    own = operator("conv1d_transpose", (input, filters, bias, residual))
    if own is not None:
        return own(input, filters, output_shape, strides, padding, data_format,  # type: ignore[no-any-return]
                   dilations, name, groups=groups, bias=bias, activation=activation, residual=residual,
                   math=math, kernel=kernel, verify=verify, out=out, threads=threads)
    return call(_core.tensorflow, input, filters, (bias, activation, residual, out),  # type: ignore[no-any-return]
                _options(math, kernel, verify, threads), 1, output_shape, strides, padding, data_format,
                dilations, groups, name)


@_documented
def conv_transpose2d(input: Array, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1, *,
                     output_size: Any = None, activation: Any = None, residual: Any = None,
                     math: str = "strict", kernel: str | None = None, verify: bool = False,
                     out: Any = None, threads: int | None = None) -> Array:
    """Transposed convolution of two axes, as torch.nn.functional.conv_transpose2d.

    Args:
      input: [batch, in_channels, height, width], or without a batch. In memory the channels may be
        innermost (channels_last); then they are in the result, too.
      weight: [in_channels, out_channels / groups, height, width].
      bias: [out_channels], or None.
      stride, padding, output_padding, dilation: an int, or 1 or 2 of them.
      groups: groups of channels.
      output_size: as in a module's forward, in the place of output_padding: 2 numbers, or all of them.

    {ours}

    >>> import numpy as np
    >>> conv_transpose2d(np.ones((1, 2, 4, 4), "f"), np.ones((2, 3, 4, 4), "f"), stride=2, padding=1).shape
    (1, 3, 8, 8)
    """
    own = operator("conv_transpose2d", (input, weight, bias, residual))
    if own is not None:
        return own(input, weight, bias, stride, padding, output_padding,  # type: ignore[no-any-return]
                   groups, dilation, output_size=output_size, activation=activation, residual=residual,
                   math=math, kernel=kernel, verify=verify, out=out, threads=threads)
    return call(_core.pytorch, input, weight, (bias, activation, residual, out),  # type: ignore[no-any-return]
                _options(math, kernel, verify, threads), 2, stride, padding, output_padding, groups,
                dilation, output_size)


@_documented
def conv_transpose1d(input: Array, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1, *,
                     output_size: Any = None, activation: Any = None, residual: Any = None,
                     math: str = "strict", kernel: str | None = None, verify: bool = False,
                     out: Any = None, threads: int | None = None) -> Array:
    """Transposed convolution of one axis, as torch.nn.functional.conv_transpose1d.

    Args:
      input: [batch, in_channels, length], or without a batch.
      weight: [in_channels, out_channels / groups, length].
      bias, groups, output_size: as in conv_transpose2d.
      stride, padding, output_padding, dilation: an int, or a list of one.

    {ours}

    >>> import numpy as np
    >>> conv_transpose1d(np.ones((2, 5), "f"), np.ones((2, 3, 4), "f"), stride=2).shape
    (3, 12)
    """
    own = operator("conv_transpose1d", (input, weight, bias, residual))
    if own is not None:
        return own(input, weight, bias, stride, padding, output_padding,  # type: ignore[no-any-return]
                   groups, dilation, output_size=output_size, activation=activation, residual=residual,
                   math=math, kernel=kernel, verify=verify, out=out, threads=threads)
    return call(_core.pytorch, input, weight, (bias, activation, residual, out),  # type: ignore[no-any-return]
                _options(math, kernel, verify, threads), 1, stride, padding, output_padding, groups,
                dilation, output_size)


@_documented
def onnx_conv_transpose(X: Array, W: Any, B: Any = None, *, auto_pad: str = "NOTSET", dilations: Any = None,
                        group: int = 1, kernel_shape: Any = None, output_padding: Any = None,
                        output_shape: Any = None, pads: Any = None, strides: Any = None,
                        activation: Any = None, residual: Any = None, math: str = "strict",
                        kernel: str | None = None, verify: bool = False, out: Any = None,
                        threads: int | None = None) -> Array:
    """Transposed convolution as the ONNX operator ConvTranspose (opset 11 and later), of one axis or two.

    Args:
      X: [batch, in_channels, height, width] or [batch, in_channels, length].
      W: [in_channels, out_channels / group, height, width], likewise.
      B: [out_channels], or None.
      auto_pad, dilations, group, kernel_shape, output_padding, output_shape, pads, strides: the node's
        attributes; None: not there.

    {ours}

    >>> import numpy as np
    >>> onnx_conv_transpose(np.ones((1, 2, 4, 4), "f"), np.ones((2, 3, 3, 3), "f"), strides=[2, 2],
    ...                     auto_pad="SAME_UPPER").shape
    (1, 3, 8, 8)
    """
    own = operator("onnx_conv_transpose", (X, W, B, residual))
    if own is not None:
        return own(X, W, B, auto_pad=auto_pad, dilations=dilations, group=group,  # type: ignore[no-any-return]
                   kernel_shape=kernel_shape, output_padding=output_padding, output_shape=output_shape,
                   pads=pads, strides=strides, activation=activation, residual=residual, math=math,
                   kernel=kernel, verify=verify, out=out, threads=threads)
    return call(_core.onnx, X, W, (B, activation, residual, out),  # type: ignore[no-any-return]
                _options(math, kernel, verify, threads), auto_pad, dilations, group, kernel_shape,
                output_padding, output_shape, pads, strides)
