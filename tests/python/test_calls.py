# SPDX-License-Identifier: Apache-2.0
"""The functions: forms of arguments, memory, types, epilogues, frameworks and refusals."""

import ml_dtypes
import numpy as np
import pytest

import tconv

RNG = np.random.default_rng(1)


def integers(*shape, dtype=np.float32):
    return RNG.integers(-3, 4, shape).astype(dtype)


X, F = integers(2, 4, 5, 6), integers(3, 3, 7, 6)
OUT = (2, 8, 10, 7)
RIGHT = tconv.conv2d_transpose(X, F, OUT, 2, verify=True)


def test_issue_example():
    y = tconv.conv2d_transpose(np.ones((1, 4, 4, 1), "f"), np.ones((3, 3, 1, 1), "f"), (1, 8, 8, 1), 2)
    assert type(y) is np.ndarray and y.shape == (1, 8, 8, 1) and y.dtype == np.float32


@pytest.mark.parametrize("strides", [2, [2], (2, 2), [1, 2, 2, 1], np.int64(2), np.array([2, 2]), np.array(2)])
def test_strides_in_every_form(strides):
    assert (tconv.conv2d_transpose(X, F, OUT, strides) == RIGHT).all()


@pytest.mark.parametrize("shape", [list(OUT), np.array(OUT), OUT[1:3], None])
def test_output_shape_in_every_form(shape):
    assert (tconv.conv2d_transpose(X, F, shape, 2) == RIGHT).all()


def test_positional_order_is_tensorflows():
    y = tconv.conv2d_transpose(X, F, OUT, (2, 2), "SAME", "NHWC", (1, 1), "name")
    assert (y == RIGHT).all()
    first = tconv.conv2d_transpose(np.ascontiguousarray(X.transpose(0, 3, 1, 2)), F, (2, 7, 8, 10), 2, "SAME", "NCHW")
    assert (first.transpose(0, 2, 3, 1) == RIGHT).all()


def test_explicit_padding_is_same_padding():
    # SAME cuts (3 - 2) of 9 x 11, nothing before.
    assert (tconv.conv2d_transpose(X, F, OUT, 2, [[0, 0], [0, 1], [0, 1], [0, 0]]) == RIGHT).all()


def test_the_three_conventions_agree():
    x, w = X.transpose(0, 3, 1, 2), F.transpose(3, 2, 0, 1)
    torch_like = tconv.conv_transpose2d(x, w, None, 2, 0, 0, 1, 1)
    assert (torch_like[:, :, :8, :10].transpose(0, 2, 3, 1) == RIGHT).all()
    onnx = tconv.onnx_conv_transpose(x, w, strides=[2, 2], pads=[0, 0, 1, 1], kernel_shape=[3, 3])
    assert (onnx.transpose(0, 2, 3, 1) == RIGHT).all()
    assert torch_like.strides[1] == 4, "channels_last in, channels_last out"


VIEWS = {
    "every second row": lambda a: a.repeat(2, 1)[:, ::2],
    "every second channel": lambda a: a.repeat(2, 3)[..., ::2],
    "backwards": lambda a: a[:, ::-1].copy()[:, ::-1],
    "Fortran's order": np.asfortranarray,
    "part of a wider one": lambda a: np.pad(a, ((0, 0), (1, 1), (2, 2), (4, 4)))[:, 1:-1, 2:-2, 4:-4],
    "misaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "read only": lambda a: np.lib.stride_tricks.as_strided(a, writeable=False),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views(name):
    view = VIEWS[name]
    assert (tconv.conv2d_transpose(view(X), F, OUT, 2) == RIGHT).all()
    assert (tconv.conv2d_transpose(X, view(F), OUT, 2) == RIGHT).all()
    residual = view(RIGHT)
    assert (tconv.conv2d_transpose(X, F, OUT, 2, residual=residual) == 2 * RIGHT).all()


def test_expanded_input_is_read_in_place():
    one = integers(1, 4, 5, 6)
    wide = np.broadcast_to(one, X.shape)
    assert (tconv.conv2d_transpose(wide, F, OUT, 2) == tconv.conv2d_transpose(wide.copy(), F, OUT, 2)).all()


def test_out_is_written_in_place():
    out = np.full(OUT, np.nan, np.float32)
    assert tconv.conv2d_transpose(X, F, OUT, 2, out=out) is out and (out == RIGHT).all()
    wide = np.zeros((2, 8, 10, 12), np.float32)
    tconv.conv2d_transpose(X, F, OUT, 2, out=wide[..., 2:9])
    assert (wide[..., 2:9] == RIGHT).all() and not wide[..., :2].any() and not wide[..., 9:].any()
    halves = X.astype(np.float16), F.astype(np.float16)
    wider = np.empty(OUT, np.float32)
    assert (tconv.conv2d_transpose(*halves, OUT, 2, out=wider) == RIGHT).all()


def test_epilogue():
    bias, residual = integers(7), integers(*OUT)
    sums = RIGHT + bias + residual
    y = tconv.conv2d_transpose(X, F, OUT, 2, bias=bias, residual=residual, activation="relu")
    assert (y == np.maximum(sums, 0)).all()
    y = tconv.conv2d_transpose(X, F, OUT, 2, bias=bias[::-1], activation=("leaky_relu", 0.5))
    assert (y == np.where(RIGHT + bias[::-1] < 0, 0.5, 1) * (RIGHT + bias[::-1])).all()
    slopes = np.arange(7, dtype=np.float32)
    y = tconv.conv2d_transpose(X, F, OUT, 2, activation=("prelu", slopes))
    assert (y == np.where(RIGHT < 0, slopes, 1) * RIGHT).all()
    y = tconv.conv2d_transpose(X, F, OUT, 2, activation=("clamp", -2, 3))
    assert (y == RIGHT.clip(-2, 3)).all()
    kept = residual.copy()
    assert (tconv.conv2d_transpose(X, F, OUT, 2, residual=kept, out=kept) == RIGHT + residual).all()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_types(dtype):
    x, f = (RNG.integers(-1, 2, s).astype(dtype) for s in ((1, 3, 3, 4), (2, 2, 5, 4)))
    y = tconv.conv2d_transpose(x, f, None, 2, bias=np.ones(5, dtype))
    assert y.dtype == dtype
    single = tconv.conv2d_transpose(x.astype("f"), f.astype("f"), None, 2, bias=np.ones(5, "f"))
    assert (y.astype("f") == single).all()
    out = np.empty((1, 6, 6, 5), dtype)
    assert tconv.conv2d_transpose(x, f, None, 2, bias=np.ones(5, dtype), out=out) is out and (out == y).all()


def test_groups_and_empty_batches():
    y = tconv.conv2d_transpose(X, integers(3, 3, 2, 6), (2, 8, 10, 4), 2, groups=2)
    assert y.shape == (2, 8, 10, 4)
    assert tconv.conv2d_transpose(X[:0], F, (0, 8, 10, 7), 2).shape == (0, 8, 10, 7)


def test_options():
    for options in (dict(threads=1), dict(kernel="reference"), dict(verify=True), dict(math="tf32")):
        assert (tconv.conv2d_transpose(X, F, OUT, 2, **options) == RIGHT).all()


REFUSED = [
    (ValueError, "output_shape", dict(output_shape=(2, 12, 10, 7))),
    (ValueError, "strides", dict(strides=[2, 2, 2])), (ValueError, "stride", dict(strides=0)),
    (ValueError, "strides", dict(strides=2 ** 70)), (TypeError, "strides", dict(strides=2.0)),
    (TypeError, "strides", dict(strides=True)), (TypeError, "strides", dict(strides=None)),
    (TypeError, "strides", dict(strides="2")), (TypeError, "output_shape", dict(output_shape=[2, 8.5, 10, 7])),
    (ValueError, "padding", dict(padding="same")), (ValueError, "padding", dict(padding="EXPLICIT")),
    (ValueError, "padding", dict(padding=[[0, 0]])), (TypeError, "padding", dict(padding=3)),
    (ValueError, "data_format", dict(data_format="NWHC")), (TypeError, "data_format", dict(data_format=1)),
    (TypeError, "name", dict(name=3)), (ValueError, "groups", dict(groups=0)),
    (TypeError, "bias", dict(bias=[1.0] * 7)), (ValueError, "bias", dict(bias=np.ones(6, "f"))),
    (ValueError, "bias", dict(bias=np.ones((7, 1), "f"))),
    (ValueError, "residual", dict(residual=np.ones((2, 8, 10, 6), "f"))),
    (TypeError, "residual", dict(residual=np.ones(OUT))),
    (ValueError, "activation", dict(activation="softmax")), (TypeError, "activation", dict(activation=3)),
    (ValueError, "activation", dict(activation=("clamp", 1))), (ValueError, "activation", dict(activation=())),
    (TypeError, "slopes", dict(activation=("prelu", 0.1))),
    (TypeError, "slopes", dict(activation=("prelu", np.ones(7)))),
    (ValueError, "math", dict(math="fast")), (ValueError, "kernel", dict(kernel="cudnn9")),
    (ValueError, "threads", dict(threads=-1)), (TypeError, "threads", dict(threads=1.5)),
    (TypeError, "verify", dict(verify="yes")),
    (ValueError, "out", dict(out=np.empty((2, 8, 10, 8), "f"))), (TypeError, "out", dict(out=[])),
    (ValueError, "out", dict(out=np.empty((7, 8, 10, 2), "f").T)),
    (TypeError, "out", dict(out=np.lib.stride_tricks.as_strided(np.empty(OUT, "f"), writeable=False))),
    (ValueError, "out", dict(out=np.lib.stride_tricks.as_strided(np.empty(7, "f"), OUT, (0, 0, 0, 4)))),
    (TypeError, "filters", dict(filters=F.astype(np.float64))), (ValueError, "filters", dict(filters=F[0])),
    (TypeError, "filters", dict(filters=None)), (TypeError, "input", dict(input=X.astype(np.int32))),
    (TypeError, "input", dict(input=X.tolist())), (TypeError, "input", dict(input=X.astype(complex))),
    (ValueError, "input", dict(input=X[0])),
]


@pytest.mark.parametrize("kind, field, change", REFUSED, ids=lambda value: str(value)[:40])
def test_refusals_name_the_field(kind, field, change):
    usual = dict(input=X, filters=F, output_shape=OUT, strides=2)
    with pytest.raises(kind, match=field):
        tconv.conv2d_transpose(**{**usual, **change})


def test_out_must_not_be_read_meanwhile():
    both = np.zeros((2, 8, 10, 7), np.float32)
    x = both.ravel()[:X.size].reshape(X.shape)
    with pytest.raises(ValueError, match="out: shares memory with input"):
        tconv.conv2d_transpose(x, F, OUT, 2, out=both)


def test_rank_belongs_to_the_function():
    for function, input, filters in ((tconv.conv2d_transpose, X[0], F[0]), (tconv.conv1d_transpose, X, F)):
        with pytest.raises(ValueError, match="filters: "):
            function(input, filters, None, 2)
    with pytest.raises(ValueError, match="weight: 4 dimensions"):
        tconv.conv_transpose2d(X[0], F[0])


# ---- Other frameworks' arrays ----------------------------------------------------------------------

def test_torch_tensors():
    torch = pytest.importorskip("torch")
    x, w = torch.from_numpy(X.transpose(0, 3, 1, 2).copy()), torch.from_numpy(F.transpose(3, 2, 0, 1).copy())
    right = torch.nn.functional.conv_transpose2d(x, w, stride=2, padding=1)
    y = tconv.conv_transpose2d(x, w, stride=2, padding=1)
    assert isinstance(y, torch.Tensor) and torch.equal(y, right)
    last = tconv.conv_transpose2d(x.contiguous(memory_format=torch.channels_last), w, stride=2, padding=1)
    assert last.is_contiguous(memory_format=torch.channels_last) and torch.equal(last, right)
    half = tconv.conv_transpose2d(x.bfloat16(), w.bfloat16(), stride=2, padding=1)
    assert half.dtype == torch.bfloat16 and torch.equal(half, right.bfloat16())
    out = torch.empty_like(right)
    assert tconv.conv_transpose2d(x, w, stride=2, padding=1, out=out) is out and torch.equal(out, right)
    assert tconv.conv_transpose2d(x[0], w, stride=2).shape == (7, 9, 11)


def test_no_gradient_is_lost_in_silence():
    torch = pytest.importorskip("torch")
    x, w = torch.ones(1, 2, 4, 4), torch.nn.Parameter(torch.ones(2, 3, 3, 3))
    with torch.no_grad():
        assert tconv.conv_transpose2d(x, w).shape == (1, 3, 6, 6)
    for call in (lambda: tconv.conv_transpose2d(x, w), lambda: tconv.conv_transpose2d(x.numpy(), w)):
        try:
            assert call().requires_grad
        except TypeError as error:
            assert "gradient" in str(error)
    plan = tconv.Plan.pytorch(x.shape, w.shape, device="cpu")
    with pytest.raises(TypeError, match="gradient"):
        plan.run(x, w)


def test_jax_arrays():
    jax = pytest.importorskip("jax")
    y = tconv.conv2d_transpose(jax.numpy.asarray(X), jax.numpy.asarray(F), OUT, 2)
    assert isinstance(y, jax.Array) and (np.asarray(y) == RIGHT).all()
    half = tconv.conv2d_transpose(*(jax.numpy.asarray(a, jax.numpy.bfloat16) for a in (X, F)), OUT, 2)
    assert half.dtype == jax.numpy.bfloat16
    traced = jax.jit(lambda a: tconv.conv2d_transpose(a, F, OUT, 2))
    try:
        assert (np.asarray(traced(X)) == RIGHT).all()
    except TypeError as error:
        assert "traced" in str(error)


def test_tensorflow_tensors():
    tf = pytest.importorskip("tensorflow")
    y = tconv.conv2d_transpose(tf.constant(X), tf.constant(F), tf.constant(OUT), 2)
    assert isinstance(y, tf.Tensor) and (y.numpy() == RIGHT).all()
    half = tconv.conv2d_transpose(tf.cast(X, tf.bfloat16), tf.cast(F, tf.bfloat16), tf.TensorShape(OUT), 2)
    assert half.dtype == tf.bfloat16
    variable = tf.Variable(F)

    def watched():
        with tf.GradientTape() as tape:
            y = tconv.conv2d_transpose(tf.constant(X), variable.value(), OUT, 2)
        assert tape.gradient(y, variable) is not None

    for call in (watched, lambda: tf.function(lambda a: tconv.conv2d_transpose(a, F, OUT, 2))(X)):
        try:
            call()
        except TypeError as error:
            assert "tconv.tf has no operator" in str(error)


def test_buffers_without_a_framework():
    import array
    x = memoryview(array.array("f", [1] * 16)).cast("B").cast("f", [1, 4, 4, 1])
    assert tconv.conv2d_transpose(x, np.ones((3, 3, 1, 1), "f"), None, 2).shape == (1, 8, 8, 1)
