# SPDX-License-Identifier: Apache-2.0
"""Plan objects."""

import json
import pickle

import ml_dtypes
import numpy as np
import pytest

import tconv

RNG = np.random.default_rng(2)


def integers(*shape, dtype=np.float32):
    return RNG.integers(-2, 3, shape).astype(dtype)


def test_run_equals_the_function():
    x, f, bias, residual = integers(2, 4, 5, 6), integers(3, 3, 7, 6), integers(7), integers(2, 8, 10, 7)
    plan = tconv.Plan.tensorflow(x.shape, f.shape, None, 2, bias=True, residual=True, activation="relu", device="cpu")
    right = tconv.conv2d_transpose(x, f, None, 2, bias=bias, residual=residual, activation="relu")
    out = np.empty_like(right)
    assert plan.run(x, f, bias, residual, out=out) is out and (out == right).all()
    assert (plan.run(x, plan.pack(f), bias, residual) == right).all()
    assert (plan.run(x.repeat(2, 1)[:, ::2], np.asfortranarray(f), bias, residual) == right).all()


def test_packed_filters_serve_resized_plans():
    x, f = integers(1, 3, 9, 9), integers(3, 4, 3, 3)
    plan = tconv.Plan.pytorch(x.shape, f.shape, 2, 1, device="cpu")
    packed = plan.pack(f)
    for n, h, w in ((1, 9, 9), (3, 4, 7), (1, 30, 2)):
        other, x = plan.resized(n, h, w), integers(n, 3, h, w)
        assert (other.run(x, packed) == tconv.conv_transpose2d(x, f, None, 2, 1)).all()
        assert other.output_shape == (n, 4, 2 * h - 1, 2 * w - 1)
    assert plan.packed_key == packed.key


def test_packed_filters_of_another_plan_are_refused():
    plan = tconv.Plan.pytorch((1, 3, 9, 9), (3, 4, 3, 3), device="cpu")
    other = tconv.Plan.pytorch((1, 3, 9, 9), (3, 5, 3, 3), device="cpu")
    with pytest.raises(ValueError, match="filters: packed"):
        plan.run(integers(1, 3, 9, 9), other.pack(integers(3, 5, 3, 3)))


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_memory_formats(memory_format):
    x, w = integers(1, 3, 5, 5), integers(3, 4, 3, 3)
    plan = tconv.Plan.pytorch(x.shape, w.shape, 2, memory_format=memory_format, device="cpu")
    y = plan.run(x, w)
    assert (y == tconv.conv_transpose2d(x, w, None, 2)).all()
    assert (y.strides[1] == 4) == (memory_format == "channels_last")


def test_types_and_slopes():
    x, f = integers(1, 4, 4, 2, dtype=ml_dtypes.bfloat16), integers(2, 2, 3, 2, dtype=ml_dtypes.bfloat16)
    plan = tconv.Plan.tensorflow(x.shape, f.shape, None, 2, dtype=x.dtype, activation="prelu", device="cpu")
    y = plan.run(x, f, slopes=np.full(3, 0.5, np.float32))
    assert y.dtype == x.dtype
    plain = tconv.conv2d_transpose(x, f, None, 2).astype("f")
    assert (y.astype("f") == np.where(plain < 0, 0.5, 1) * plain).all()
    wide = tconv.Plan.tensorflow(x.shape, f.shape, None, 2, dtype="bfloat16", output_dtype="float32", device="cpu")
    assert (wide.run(x, wide.pack(f)) == plain).all()
    assert wide.run(x, f).dtype == np.float32 and (wide.run(x, f) == plain).all()


def test_saved_and_keyed_plans():
    plan = tconv.Plan.onnx((1, 2, 4, 4), (2, 3, 3, 3), strides=[2, 2], device="cpu")
    x, w = integers(1, 2, 4, 4), integers(2, 3, 3, 3)
    loaded, keyed = tconv.Plan.load(plan.save()), tconv.Plan.from_key(plan.key)
    for other in (loaded, keyed):
        assert other.key == plan.key and (other.run(x, w) == plan.run(x, w)).all()
    assert loaded.kernel == plan.kernel and loaded.tile == plan.tile
    with pytest.raises(ValueError):
        tconv.Plan.load("{}")
    with pytest.raises(ValueError):
        tconv.Plan.from_key("f32:nonsense")
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(plan)


def test_what_a_plan_says():
    plan = tconv.Plan.tensorflow((1, 4, 4, 8), (3, 3, 16, 8), (1, 8, 8, 16), 2, device="cpu")
    for words in ("tconv.Plan", plan.kernel, plan.tile, "float32", "[1, 4, 4, 8]", "[1, 8, 8, 16]"):
        assert words in repr(plan)
    assert plan.kernel in plan.explain()
    assert json.loads(plan.explain("json")) and plan.counters() is not None
    assert "conv2d_transpose" in plan.describe_problem()
    assert (plan.device, plan.dtype) == ("cpu", "float32")
    assert plan.input_shape == (1, 4, 4, 8) and plan.filter_shape == (3, 3, 16, 8)
    with pytest.raises(ValueError, match="format"):
        plan.explain("xml")


def test_a_gpu_that_is_not_here():
    shapes = (8, 64, 64, 64), (4, 4, 64, 64)
    try:
        plan = tconv.Plan.tensorflow(*shapes, None, 2, dtype="float16", device="cuda", device_model="h200")
    except NotImplementedError as error:
        assert "no rows for cuda" in str(error)  # a build without CUDA
        return
    assert plan.device == "cuda" and plan.kernel in plan.explain()
    with pytest.raises((ValueError, NotImplementedError)):
        plan.run(*(np.ones(shape, np.float16) for shape in shapes))


REFUSED = [
    (ValueError, "input", dict(input=integers(1, 4, 4, 7))), (TypeError, "input", dict(input=integers(1, 4, 4, 8, dtype="d"))),
    (ValueError, "filters", dict(filters=integers(3, 3, 8, 8))), (TypeError, "filters", dict(filters=None)),
    (ValueError, "bias", dict(bias=integers(16))), (ValueError, "residual", dict(residual=integers(1, 8, 8, 16))),
    (ValueError, "slopes", dict(slopes=integers(16))), (ValueError, "out", dict(out=integers(1, 8, 8, 15))),
    (TypeError, "out", dict(out=integers(1, 8, 8, 16, dtype="d"))),
    (ValueError, "out", dict(out=integers(1, 8, 8, 32)[..., ::2])),
]


@pytest.mark.parametrize("kind, field, change", REFUSED, ids=lambda value: str(value)[:40])
def test_refusals_name_the_field(kind, field, change):
    plan = tconv.Plan.tensorflow((1, 4, 4, 8), (3, 3, 16, 8), (1, 8, 8, 16), 2, device="cpu")
    with pytest.raises(kind, match=field):
        plan.run(**{**dict(input=integers(1, 4, 4, 8), filters=integers(3, 3, 16, 8)), **change})
