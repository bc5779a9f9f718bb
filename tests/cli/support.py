# SPDX-License-Identifier: Apache-2.0
"""What the tests of the program share: running it, .npy files, and the operation itself.

Only Python's standard library, so that they run wherever the program builds.
"""

import itertools
import json
import os
import random
import re
import struct
import subprocess
import tempfile
import unittest

PROGRAM = os.environ.get("TCONV_PROGRAM", "")
NOTE = "tconv: note: the GPU is not used: "
CODES = {"f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q"}


def product(numbers):
    result = 1
    for number in numbers:
        result *= number
    return result


class Tensor:
    """Values in C order."""

    def __init__(self, shape, values):
        self.shape, self.values = tuple(shape), list(values)
        assert len(self.values) == product(shape), (shape, len(self.values))

    def at(self, *index):
        offset = 0
        for i, extent in zip(index, self.shape):
            offset = offset * extent + i
        return self.values[offset]

    def transposed(self, *axes):
        shape = [self.shape[axis] for axis in axes]
        values = []
        for index in itertools.product(*map(range, shape)):
            source = [0] * len(axes)
            for axis, i in zip(axes, index):
                source[axis] = i
            values.append(self.at(*source))
        return Tensor(shape, values)


def integers(shape, seed, low=-4, high=4):
    """Small integers: every sum is exact, whatever its order."""
    generator = random.Random(seed)
    return Tensor(shape, [float(generator.randint(low, high)) for _ in range(product(shape))])


def arange(shape):
    return Tensor(shape, [float(i + 1) for i in range(product(shape))])


def write_npy(path, tensor, kind="f4", order="<", fortran=False):
    """What numpy.save writes; bf16 as ml_dtypes has it, for values that it holds."""
    shape = "".join(f"{extent}, " for extent in tensor.shape)
    if fortran:  # the last index is the outermost
        tensor = Tensor(tensor.shape, tensor.transposed(*reversed(range(len(tensor.shape)))).values)
    if kind == "bf16":
        raw = struct.pack(f"<{len(tensor.values)}f", *tensor.values)
        data = b"".join(raw[i + 2 : i + 4] for i in range(0, len(raw), 4))
    else:
        cast = int if kind[0] == "i" else float
        data = struct.pack(f"{order}{len(tensor.values)}{CODES[kind]}", *map(cast, tensor.values))
    kind, order = ("V2", "<") if kind == "bf16" else (kind, "|" if kind == "i1" else order)
    text = f"{{'descr': '{order}{kind}', 'fortran_order': {fortran}, 'shape': ({shape}), }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode())
        file.write(data)


def read_npy(path):
    """The tensor and its element type."""
    with open(path, "rb") as file:
        data = file.read()
    assert data[:8] == b"\x93NUMPY\x01\x00"
    (length,) = struct.unpack("<H", data[8:10])
    text, data = data[10 : 10 + length].decode(), data[10 + length :]
    assert (10 + length) % 64 == 0 and text.endswith("\n")
    kind, fortran, shape = re.fullmatch(
        r"\{'descr': '<(f\d)', 'fortran_order': (\w+), 'shape': \(([\d, ]*)\), \} *\n", text
    ).groups()
    assert fortran == "False"
    shape = [int(extent) for extent in shape.split(",") if extent.strip()]
    values = struct.unpack(f"<{product(shape)}{CODES[kind]}", data)
    return Tensor(shape, values), kind


def scatter(x, f, stride, dilation, pad, out, groups=1):
    """x [n,h,w,ci], f [kh,kw,co/g,ci] -> [n,*out,co]: the definition, one product at a time."""
    batch, in_h, in_w, in_c = x.shape
    kernel_h, kernel_w, group_out, _ = f.shape
    out_c = group_out * groups
    y = [0.0] * (batch * out[0] * out[1] * out_c)
    taps = list(itertools.product(range(kernel_h), range(kernel_w)))
    for n, h, w, c in itertools.product(range(batch), range(in_h), range(in_w), range(in_c)):
        value = x.at(n, h, w, c)
        first = c // (in_c // groups) * group_out
        for r, s in taps:
            p = h * stride[0] - pad[0] + r * dilation[0]
            q = w * stride[1] - pad[1] + s * dilation[1]
            if not (0 <= p < out[0] and 0 <= q < out[1]):
                continue
            for k in range(group_out):
                index = ((n * out[0] + p) * out[1] + q) * out_c + first + k
                y[index] += value * f.at(r, s, k, c)
    return Tensor([batch, out[0], out[1], out_c], y)


class ProgramTest(unittest.TestCase):
    """Runs the program in an empty folder."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tconv_cli_")
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def save(self, name, tensor, kind="f4", **options):
        write_npy(self.path(name), tensor, kind, **options)

    def call(self, *arguments, expect=0, environment=None):
        """stdout; the exit code must be `expect`, and without an error stderr stays empty."""
        done = subprocess.run(
            [PROGRAM, *map(str, arguments)],
            cwd=self.folder.name,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(done.returncode, expect, f"{arguments}\n{done.stdout}{done.stderr}")
        # Where a GPU seems to be here and cannot be used, the program says so once.
        notes = [line for line in done.stderr.splitlines(True) if line.startswith(NOTE)]
        self.assertLessEqual(len(notes), 1, done.stderr)
        self.notes = "".join(notes)
        self.stderr = done.stderr.replace(self.notes, "")
        if expect == 0:
            self.assertEqual(self.stderr, "", arguments)
        return done.stdout

    def json(self, *arguments, expect=0, environment=None):
        text = self.call(*arguments, "--json", expect=expect, environment=environment)
        self.assertEqual(text.count("\n"), 1)
        return json.loads(text)

    def refused(self, *arguments, code=2, words=()):
        """Exit code, every word in the one message, no new file, nothing left half-written."""
        before = set(os.listdir(self.folder.name))
        self.call(*arguments, expect=code)
        self.assertTrue(self.stderr.startswith("tconv: "), self.stderr)
        for word in words:
            self.assertIn(word, self.stderr, arguments)
        self.assertEqual(set(os.listdir(self.folder.name)), before, arguments)
