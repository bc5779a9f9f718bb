# SPDX-License-Identifier: Apache-2.0
"""What is written: examples in docstrings, types, documented arguments."""

import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tconv
from tconv import _call, _plan

FUNCTIONS = [tconv.conv2d_transpose, tconv.conv1d_transpose, tconv.conv_transpose2d, tconv.conv_transpose1d,
             tconv.onnx_conv_transpose]


@pytest.mark.parametrize("module", [_call, _plan], ids=lambda module: module.__name__)
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted > 5 and result.failed == 0


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_every_argument_is_documented(function):
    for name in inspect.signature(function).parameters:
        assert re.search(rf"\b{name}\b", function.__doc__), name
    assert ">>>" in function.__doc__ and "Raises:" in function.__doc__


def test_signatures_are_the_originals():
    tf = pytest.importorskip("tensorflow")
    for ours, theirs in ((tconv.conv2d_transpose, tf.nn.conv2d_transpose),
                         (tconv.conv1d_transpose, tf.nn.conv1d_transpose)):
        own = [p for p in inspect.signature(ours).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        original = list(inspect.signature(theirs).parameters.values())
        assert [p.name for p in own] == [p.name for p in original]
        for mine, other in zip(own, original):
            assert mine.default == other.default or other.default is None, mine.name


def test_types_check(tmp_path):
    pytest.importorskip("mypy")
    root = Path(__file__).resolve().parents[2]
    package = root / "python/tconv"
    user = tmp_path / "user.py"
    user.write_text("import array\nfrom typing import assert_type\nimport tconv\n"
                    "x = array.array('f')\n"
                    "assert_type(tconv.conv2d_transpose(x, x, None, 2), 'array.array[float]')\n"
                    "assert_type(tconv.Plan.onnx((1,), (1,)).output_shape, tuple[int, ...])\n"
                    "tconv.conv2d_transpose(x, x, None, 2, threads='two')\n")
    def check(*what):
        return subprocess.run([sys.executable, "-m", "mypy", "--config-file", root / "pyproject.toml", "--cache-dir",
                               tmp_path, *what], capture_output=True, text=True, cwd=tmp_path,
                              env={"MYPYPATH": str(package.parent), "PATH": "/usr/bin:/bin"})
    done = check(package)
    assert done.returncode == 0, done.stdout
    done = check(user)
    errors = [line for line in done.stdout.splitlines() if "error:" in line]
    assert len(errors) == 1 and 'Argument "threads"' in errors[0], done.stdout
