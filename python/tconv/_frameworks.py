# SPDX-License-Identifier: Apache-2.0
"""Whose array is it? Where its result goes, and whether its framework must see the call."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Callable

from tconv import _core

NUMPY = _core.Target(0)
NUMPY_BF16 = _core.Target(0, True)
TORCH = _core.Target(1)
TENSORFLOW = _core.Target(2)
JAX = _core.Target(3)


class Kind:
    """What holds for all arrays of one type.

    `target`: where results go. `needs_operator`: why the framework must see the call of an array (it
    records a gradient, or traces), or "". `operators`: the package's module whose functions of the same
    names do that.
    """

    def __init__(self, name: str, target: _core.Target, operators: str = "",
                 needs_operator: Callable[[Any], str] | None = None) -> None:
        self.name = name
        self.target = target
        self.operators = operators
        self.needs_operator = needs_operator


_NUMPY_KIND = Kind("numpy", NUMPY)  # ndarray and what derives from it
_BUFFER_KIND = Kind("buffer", NUMPY)
_KINDS: dict[type, Kind] = {}


def _torch_kind(kind: type) -> Kind:
    import torch
    forward = torch.autograd.forward_ad

    def why(tensor: Any) -> str:
        if tensor.requires_grad and torch.is_grad_enabled():
            return "a tensor that requires a gradient (detach() or torch.no_grad() says that none is wanted)"
        if forward._current_level >= 0 and forward.unpack_dual(tensor).tangent is not None:
            return "a tensor with a tangent of forward mode"
        return ""

    plain = kind in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)
    traced = f"a tensor without memory of its own, or of a class of its own ({kind.__name__})"
    return Kind("torch", TORCH, "torch", why if plain else lambda tensor: traced)


def _jax_kind(kind: type) -> Kind:
    import jax
    traced = issubclass(kind, jax.core.Tracer)
    return Kind("jax", JAX, "jax", (lambda array: f"traced ({kind.__name__})") if traced else None)


def _tensorflow_kind(kind: type) -> Kind:
    import tensorflow as tf
    from tensorflow.python.eager import record
    if issubclass(kind, tf.Variable):
        return Kind("tensorflow", TENSORFLOW, "tf", lambda variable: "a tf.Variable")

    def why(tensor: Any) -> str:
        if not hasattr(tensor, "numpy"):
            return "a tensor of a graph that is traced (tf.function)"
        return "watched by a tf.GradientTape" if record.should_record_backprop([tensor]) else ""

    return Kind("tensorflow", TENSORFLOW, "tf", why)


def _cupy_kind(kind: type) -> Kind:
    return Kind("cupy", NUMPY)


_LEARN: dict[str, Callable[[type], Kind]] = {
    "numpy": lambda kind: _NUMPY_KIND if hasattr(kind, "__array_interface__") else _BUFFER_KIND,
    "torch": _torch_kind, "jax": _jax_kind, "jaxlib": _jax_kind, "tensorflow": _tensorflow_kind,
    "keras": _tensorflow_kind, "cupy": _cupy_kind}


def kind_of(array: object) -> Kind:
    """Of an array of any type; what no framework claims counts as NumPy's."""
    kind = type(array)
    known = _KINDS.get(kind)
    if known is None:
        roots = (base.__module__.partition(".")[0] for base in kind.__mro__)
        learn = next((_LEARN[root] for root in roots if root in _LEARN), None)
        known = _KINDS[kind] = learn(kind) if learn else _BUFFER_KIND
    return known


def plain(array: Any) -> bool:
    """Whether it is an array of NumPy's with a type of NumPy's, for which nothing needs to be asked."""
    return _KINDS.get(type(array)) is _NUMPY_KIND and array.dtype.kind == "f"


def operator(name: str, operands: tuple[Any, ...]) -> Callable[..., Any] | None:
    """The framework's own operator for the function `name`, where an operand needs it, or else None.

    tconv.torch, tconv.tf and tconv.jax have functions of the same names and arguments. TypeError where
    there is none: the gradient would be lost in silence.
    """
    for operand in operands:
        if operand is None:
            continue
        kind = _KINDS.get(type(operand)) or kind_of(operand)
        if kind.needs_operator is None:
            continue
        why = kind.needs_operator(operand)
        if not why:
            continue
        module = f"tconv.{kind.operators}"
        found = importlib.util.find_spec(module) and getattr(importlib.import_module(module), name, None)
        if not found:
            raise TypeError(f"{name}: {why}; {module} has no operator for it, and without one its "
                            "gradient would be lost")
        return found  # type: ignore[no-any-return]
    return None


def _is_bf16(array: Any) -> bool:
    return getattr(getattr(array, "dtype", None), "name", "") == "bfloat16"


def _as_bits(array: Any) -> Any:
    """An array of ml_dtypes.bfloat16 as NumPy can hand it over."""
    return array.view("uint16") if array is not None and _is_bf16(array) else array


def _on_gpu(kind: Kind, array: Any) -> Any:
    """The context in which a call runs on the GPU of `array`, and its target; None on the CPU."""
    if kind.name == "torch" and array.is_cuda:
        import torch

        from tconv import _gpu
        return torch.cuda.device(array.device), _core.Target(1, False, _gpu.TorchMemory(array))
    if kind.name == "cupy":
        from tconv import _gpu
        return array.device, _core.Target(0, False, _gpu.CupyMemory(array))
    return None


def call(function: Callable[..., Any], input: Any, filters: Any, others: tuple[Any, ...],
         *arguments: Any) -> Any:
    """`function(target, input, filters, *others, *arguments)` of _core, for arrays of any framework.

    `others` ends with `out`, which is returned where it is given.
    """
    kind = kind_of(input)
    target = kind.target
    out = others[-1]
    if kind is _NUMPY_KIND:
        # ml_dtypes' types are of kind V, like those that have no name in NumPy.
        if input.dtype.kind == "V" and _is_bf16(input):
            result = function(NUMPY_BF16, _as_bits(input), _as_bits(filters),
                              *(_as_bits(other) for other in others), *arguments)
            if out is not None:
                return out
            return result.view(input.dtype) if getattr(result, "dtype", None) == "uint16" else result
    elif (gpu := _on_gpu(kind, input)) is not None:
        context, target = gpu
        with context:
            result = function(target, input, filters, *others, *arguments)
            return result if out is None else out
    result = function(target, input, filters, *others, *arguments)
    return result if out is None else out
