# SPDX-License-Identifier: Apache-2.0
"""Plans: for repeated calls of the same sizes."""

from __future__ import annotations

import os
from typing import Any

from tconv import _core
from tconv._call import _options
from tconv._frameworks import NUMPY, call, operator, plain

PackedFilters = _core.PackedFilters


def _promise(dtype: Any, output_dtype: Any, bias: Any, bias_dtype: Any, residual: Any, activation: Any,
             device: Any, device_model: Any) -> _core.Promise:
    name = getattr(dtype, "__name__", None) or getattr(dtype, "name", None) or str(dtype)
    return _core.Promise(name.removeprefix("torch."), output_dtype, bool(bias), bias_dtype, bool(residual),
                         activation, device, device_model)


class Plan:
    """The kernel that was chosen for a problem, and all that is prepared for it.

    Made by Plan.tensorflow, Plan.pytorch and Plan.onnx from shapes (no array is needed), by
    Plan.from_key and Plan.load. run() takes arrays of exactly these shapes and types, from any thread,
    several at once. Filters may be packed once for all runs.

    What the three have in common, by name alone:
      dtype: of input and filters; output_dtype, bias_dtype: where they are not the same.
      bias, residual: whether run() will be given one.
      activation: as in the functions, but "prelu" alone, whose slopes run() is given.
      device: "auto" (a GPU if there is one and this build can use it), "cpu" or "cuda".
      device_model: plan for a GPU that is not here ("h200", "a100", ...): it can be explained, not run.
      math, kernel, verify, threads: as in the functions.

    >>> import numpy as np
    >>> plan = Plan.tensorflow((1, 4, 4, 8), (3, 3, 16, 8), (1, 8, 8, 16), 2, device="cpu")
    >>> plan.output_shape
    (1, 8, 8, 16)
    >>> x, f = np.ones((1, 4, 4, 8), "f"), np.ones((3, 3, 16, 8), "f")
    >>> packed = plan.pack(f)
    >>> bool((plan.run(x, packed) == plan.run(x, f)).all())
    True
    >>> plan.resized(2, 5, 5).run(np.ones((2, 5, 5, 8), "f"), packed).shape
    (2, 10, 10, 16)
    """

    __slots__ = ("_plan",)

    def __init__(self, plan: _core.Plan) -> None:
        if not isinstance(plan, _core.Plan):
            raise TypeError("Plan: made by Plan.tensorflow, Plan.pytorch, Plan.onnx, Plan.from_key or Plan.load")
        self._plan = plan

    @classmethod
    def tensorflow(cls, input_shape: Any, filter_shape: Any, output_shape: Any = None, strides: Any = 1,
                   padding: Any = "SAME", data_format: str | None = None, dilations: Any = None, *,
                   groups: int | None = None, dtype: Any = "float32", output_dtype: str | None = None,
                   bias: bool = False, bias_dtype: str | None = None, residual: bool = False,
                   activation: Any = None, device: str = "auto", device_model: str | None = None,
                   math: str = "strict", kernel: str | None = None, verify: bool = False,
                   threads: int | None = None) -> Plan:
        """From the arguments of conv2d_transpose, or with a filter_shape of 3 of conv1d_transpose."""
        promise = _promise(dtype, output_dtype, bias, bias_dtype, residual, activation, device, device_model)
        return cls(_core.plan_tensorflow(promise, _options(math, kernel, verify, threads), input_shape,
                                         filter_shape, _axes(filter_shape), output_shape, strides,
                                         padding, data_format, dilations, groups))

    @classmethod
    def pytorch(cls, input_shape: Any, weight_shape: Any, stride: Any = 1, padding: Any = 0,
                output_padding: Any = 0, groups: int = 1, dilation: Any = 1, *, output_size: Any = None,
                memory_format: str = "contiguous", dtype: Any = "float32",
                output_dtype: str | None = None, bias: bool = False, bias_dtype: str | None = None,
                residual: bool = False, activation: Any = None, device: str = "auto",
                device_model: str | None = None, math: str = "strict", kernel: str | None = None,
                verify: bool = False, threads: int | None = None) -> Plan:
        """From the arguments of conv_transpose2d, or with a weight_shape of 3 of conv_transpose1d.

        memory_format: "contiguous" or "channels_last", of all tensors.
        """
        promise = _promise(dtype, output_dtype, bias, bias_dtype, residual, activation, device, device_model)
        return cls(_core.plan_pytorch(promise, _options(math, kernel, verify, threads), input_shape,
                                      weight_shape, _axes(weight_shape), stride, padding,
                                      output_padding, groups, dilation, output_size, memory_format))

    @classmethod
    def onnx(cls, x_shape: Any, w_shape: Any, *, auto_pad: str = "NOTSET", dilations: Any = None,
             group: int = 1, kernel_shape: Any = None, output_padding: Any = None, output_shape: Any = None,
             pads: Any = None, strides: Any = None, dtype: Any = "float32",
             output_dtype: str | None = None, bias: bool = False, bias_dtype: str | None = None,
             residual: bool = False, activation: Any = None, device: str = "auto",
             device_model: str | None = None, math: str = "strict", kernel: str | None = None,
             verify: bool = False, threads: int | None = None) -> Plan:
        """From the attributes of an ONNX ConvTranspose."""
        promise = _promise(dtype, output_dtype, bias, bias_dtype, residual, activation, device, device_model)
        return cls(_core.plan_onnx(promise, _options(math, kernel, verify, threads), x_shape, w_shape,
                                   auto_pad, dilations, group, kernel_shape, output_padding,
                                   output_shape, pads, strides))

    @classmethod
    def from_key(cls, key: str, *, math: str = "strict", kernel: str | None = None, verify: bool = False,
                 threads: int | None = None) -> Plan:
        """From the line that `key` gives. Shapes are N H W C or N C H W, as the key says."""
        return cls(_core.plan_from_key(key, _options(math, kernel, verify, threads)))

    @classmethod
    def load(cls, text: str) -> Plan:
        """The plan that save() wrote, without a choice. NotImplementedError: it is stale, and why."""
        return cls(_core.plan_from_saved(text))

    def run(self, input: Any, filters: Any, bias: Any = None, residual: Any = None, slopes: Any = None,
            out: Any = None) -> Any:
        """Runs on arrays of the plan's shapes and types; filters also as pack() made them.

        Returns `out`, or a new array of the input's framework. On a GPU it is enqueued on the framework's
        current stream and does not wait. ValueError, TypeError: an array is not what the plan is for.
        """
        if plain(input) and (type(filters) is PackedFilters or plain(filters)) and bias is None and residual is None:
            result = self._plan.run(NUMPY, input, filters, None, None, slopes, out)
            return result if out is None else out
        if operator("Plan.run", (input, filters, bias, residual)) is not None:
            raise TypeError("Plan.run: records no gradient and cannot be traced")
        return call(self._plan.run, input, filters, (bias, residual, slopes, out))

    def pack(self, filters: Any) -> PackedFilters:
        """Filters in the order of the plan's family, for run() of this plan and its resized ones."""
        return call(self._pack, filters, None, (None,))  # type: ignore[no-any-return]

    def _pack(self, target: _core.Target, filters: Any, *nothing: Any) -> PackedFilters:
        return self._plan.pack(target, filters)

    def resized(self, n: int, h: int, w: int) -> Plan:
        """The same family, packed filters and pads for `n` inputs of `h` x `w`. Takes microseconds."""
        return Plan(self._plan.resized(n, h, w))

    def explain(self, format: str = "text") -> str:
        """The whole decision: the family chosen, and every other one's reason. format: "text", "json"."""
        return self._plan.explain(format)

    def counters(self, format: str = "text") -> str:
        """What a run will do, as far as the family predicts it."""
        return self._plan.counters(format)

    def describe_problem(self, format: str = "text") -> str:
        """The problem in the words of TensorFlow, PyTorch and ONNX."""
        return self._plan.describe_problem(format)

    def save(self) -> str:
        """The decision as text, for load()."""
        return self._plan.save()

    @property
    def input_shape(self) -> tuple[int, ...]:
        return tuple(self._plan.input_shape())

    @property
    def filter_shape(self) -> tuple[int, ...]:
        return tuple(self._plan.filter_shape())

    @property
    def output_shape(self) -> tuple[int, ...]:
        return tuple(self._plan.output_shape())

    @property
    def dtype(self) -> str:
        """Of input and filters."""
        return self._plan.dtype()

    @property
    def key(self) -> str:
        """One line that says everything about the problem."""
        return self._plan.key()

    @property
    def kernel(self) -> str:
        """The family."""
        return self._plan.kernel()

    @property
    def tile(self) -> str:
        return self._plan.tile()

    @property
    def device(self) -> str:
        return self._plan.device()

    @property
    def estimate_us(self) -> float:
        """Model time in microseconds: its order matters, not its value. 0: the family knows none."""
        return self._plan.estimate_us()

    @property
    def workspace_bytes(self) -> int:
        return self._plan.workspace_bytes()

    @property
    def packed_key(self) -> str:
        """Plans with the same key take each other's packed filters."""
        return self._plan.packed_key()

    def __repr__(self) -> str:
        return self._plan.describe()

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("Plan: cannot be pickled; Plan.load(plan.save()) makes it again")


def _axes(filter_shape: Any) -> int:
    return 1 if hasattr(filter_shape, "__len__") and len(filter_shape) == 3 else 2


def show_config() -> None:
    """Prints what this build can do, and what it finds here.

    >>> show_config()  # doctest: +ELLIPSIS
    tconv ...
    """
    library = os.path.dirname(os.path.abspath(__file__))
    print(f"tconv {_core.version()}, in {library}\n")
    print(_core.kernels("text").rstrip() + "\n")
    print(_core.devices("text").rstrip())
