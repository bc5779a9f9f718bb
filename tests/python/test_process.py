# SPDX-License-Identifier: Apache-2.0
"""What concerns a whole process: threads, fork, the order of imports, the program, the wheel."""

import importlib.metadata
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import tconv
from tconv import _core

FRAMEWORKS = ("numpy", "torch", "tensorflow", "jax", "onnxruntime")


def operands(seed=0, shape=(2, 16, 16, 32), out=24):
    rng = np.random.default_rng(seed)
    return rng.integers(-3, 4, shape).astype("f"), rng.integers(-3, 4, (4, 4, out, shape[-1])).astype("f")


def test_threads_call_at_once():
    cases = [operands(seed, (1 + seed % 3, 8 + seed, 9, 16), 8 + seed) for seed in range(12)]
    right = [tconv.conv2d_transpose(x, f, None, 2) for x, f in cases]
    _core.clear_cache()

    def one(number):
        x, f = cases[number % len(cases)]
        return (tconv.conv2d_transpose(x, f, None, 2) == right[number % len(cases)]).all()

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(600)))
    assert _core.cached_plans() == len(cases)


def test_a_plan_is_run_by_threads_at_once():
    x, f = operands()
    plan = tconv.Plan.tensorflow(x.shape, f.shape, None, 2, device="cpu")
    packed, right = plan.pack(f), tconv.conv2d_transpose(x, f, None, 2)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: (plan.run(x, packed) == right).all(), range(200)))


def test_pythons_lock_is_released():
    """One long call, during which another thread is as fast as alone. With the lock held it would have a turn
    of 5 ms before the call, at most."""
    x, f = operands(0, (1, 16, 16, 32), 32)
    count, stop = [0], threading.Event()

    def spin():
        while not stop.is_set():
            count[0] += 1

    def rate(work):
        before, start = count[0], time.perf_counter()
        work()
        seconds = time.perf_counter() - start
        return (count[0] - before) / seconds, seconds

    other = threading.Thread(target=spin)
    other.start()
    try:
        alone, _ = rate(lambda: time.sleep(0.2))
        seconds = 0
        while seconds < 0.5:  # the slow family, and as many images as make the call long
            x = np.concatenate([x, x])
            during, seconds = rate(lambda: tconv.conv2d_transpose(x, f, None, 2, kernel="reference", threads=1))
    finally:
        stop.set()
        other.join()
    assert during > 0.2 * alone


def test_cache_keeps_what_was_used_last():
    _core.clear_cache()
    x, f = np.ones((1, 3, 3, 1), "f"), np.ones((2, 2, 1, 1), "f")
    for size in range(3, 700):
        tconv.conv2d_transpose(np.ones((1, size, 1, 1), "f"), f, None, 2)
    assert _core.cached_plans() == 512
    tconv.conv2d_transpose(x, f, None, 2)
    assert _core.cached_plans() == 512


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_after_a_run():
    x, f = operands(0, (2, 64, 64, 64), 64)
    right = tconv.conv2d_transpose(x, f, None, 2)
    child = os.fork()
    if child == 0:
        same = (tconv.conv2d_transpose(x, f, None, 2) == right).all()
        new = tconv.conv2d_transpose(x[:1], f, None, 2)
        os._exit(0 if same and (new == right[:1]).all() else 1)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            assert status == 0
            break
        time.sleep(0.02)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert (tconv.conv2d_transpose(x, f, None, 2) == right).all(), "the parent goes on"


def test_fork_while_others_run():
    """The cache's mutex is free in the child, whoever held it."""
    code = """
import os, signal, threading, numpy as np, tconv
from tconv import _core
f = np.ones((2, 2, 1, 1), "f")
stop = threading.Event()
def work(first):
    size = first
    while not stop.is_set():
        size = 1 + (size + 7) % 100
        if size == 1:  # which holds the mutex for long
            _core.clear_cache()
        tconv.conv2d_transpose(np.ones((1, size, 1, 1), "f"), f, None, 2)
threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
[t.start() for t in threads]
children = []
for i in range(300):
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends it where it hangs
        tconv.conv2d_transpose(np.ones((1, 5 + i, 5, 1), "f"), f, None, 2)
        os._exit(0)
    children.append(child)
ends = [os.waitpid(c, 0)[1] for c in children]
stop.set()
[t.join() for t in threads]
assert not any(ends), f"{sum(map(bool, ends))} children of {len(ends)} hung or crashed: {set(ends)}"
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120)


ONE_PROCESS = """
import sys, importlib, os
os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", JAX_PLATFORMS="cpu")
for name in sys.argv[1:]:
    importlib.import_module(name)
import numpy as np
x, f = np.arange(2 * 6 * 7 * 8, dtype="f").reshape(2, 6, 7, 8) % 7, np.arange(640, dtype="f").reshape(4, 4, 5, 8) % 5
import tconv
y = tconv.conv2d_transpose(x, f, (2, 12, 14, 5), 2)
if "torch" in sys.argv:
    import torch
    z = torch.nn.functional.conv_transpose2d(*(torch.from_numpy(a.copy()) for a in
        (x.transpose(0, 3, 1, 2), f.transpose(3, 2, 0, 1))), stride=2, padding=1)
    assert (z.permute(0, 2, 3, 1).numpy() == y).all()
    assert (tconv.conv2d_transpose(torch.from_numpy(x), torch.from_numpy(f), (2, 12, 14, 5), 2).numpy() == y).all()
if "tensorflow" in sys.argv:
    import tensorflow as tf
    assert (tf.nn.conv2d_transpose(x, f, (2, 12, 14, 5), 2).numpy() == y).all()
    assert (tconv.conv2d_transpose(tf.constant(x), tf.constant(f), (2, 12, 14, 5), 2).numpy() == y).all()
if "jax" in sys.argv:
    import jax
    assert (np.asarray(tconv.conv2d_transpose(jax.numpy.asarray(x), jax.numpy.asarray(f), (2, 12, 14, 5), 2)) == y).all()
"""


def import_orders():
    """Each framework first, and tconv at each place among the others; all orders in a full run take an hour."""
    orders = [FRAMEWORKS[i:] + FRAMEWORKS[:i] for i in range(len(FRAMEWORKS))]
    orders += [order[::-1] for order in orders]
    orders = [order[:i % 6] + ("tconv",) + order[i % 6:] for i, order in enumerate(orders)]
    if os.environ.get("TCONV_TEST_ORDERS") == "all":
        return list(itertools.permutations((*FRAMEWORKS, "tconv")))
    return orders if os.environ.get("TCONV_TEST_ORDERS") == "some" else [orders[1], orders[6]]


@pytest.mark.parametrize("order", import_orders(), ids="-".join)
def test_import_orders(order):
    pytest.importorskip("tensorflow")
    pytest.importorskip("jax")
    pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-c", ONE_PROCESS, *order], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_program():
    done = subprocess.run([sys.executable, "-m", "tconv", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and tconv.__version__ in done.stdout
    assert subprocess.run([sys.executable, "-m", "tconv", "nothing"], capture_output=True).returncode == 2


def test_show_config(capsys):
    tconv.show_config()
    text = capsys.readouterr().out
    assert tconv.__version__ in text and "simd" in text and "cuda" in text


def test_one_wheel_for_every_python():
    assert _core.__file__.endswith("_core.abi3.so"), "the stable ABI"
    wheel = importlib.metadata.distribution("tconv").read_text("WHEEL")
    assert "Tag: cp310-abi3-" in wheel
    assert importlib.metadata.version("tconv") == tconv.__version__


def test_the_library_is_in_the_package_once():
    folder = Path(tconv.__file__).parent
    assert len(list(folder.glob("libtconv*"))) == 1
    maps = Path("/proc/self/maps").read_text()
    assert {line.split()[-1] for line in maps.splitlines() if "libtconv" in line} == {str(next(folder.glob("libtconv*")))}
