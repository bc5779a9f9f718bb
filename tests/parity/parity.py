# SPDX-License-Identifier: Apache-2.0
"""parity.py: what the comparisons with other frameworks share.

A suite makes random calls from a fixed seed, asks its framework and the program tconv, and demands
equality: operands are small integers, so every sum is exact in any order. Calls that the framework
refuses must be refused by the program too (exit code 2, no output file).

The framework is asked in another process (asking.py), for some calls abort it. Where it cannot answer
a legal call, because the call killed its process or it says that it does not support such calls on
this processor, the definition answers (scatter.py).
"""

import os
import random
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import asking

SEED = 20261123
CALLS = int(os.environ.get("TCONV_PARITY_CALLS", "300"))
PROGRAM = os.environ.get("TCONV_PROGRAM", str(Path(__file__).parents[2] / "build/release/tconv"))
WORKERS = 2


@dataclass
class Geometry:
    """One axis: sizes as every framework has them."""

    size: int
    kernel: int
    stride: int
    dilation: int

    @property
    def extent(self):
        """The dilated kernel."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def full(self):
        """The output without padding."""
        return (self.size - 1) * self.stride + self.extent


def random_geometry(rng, max_stride=4, max_dilation=3):
    return Geometry(
        size=rng.randint(1, 7),
        kernel=rng.randint(1, 5),
        stride=rng.randint(1, max_stride),
        dilation=rng.choice([1, rng.randint(1, max_dilation)]),
    )


def random_channels(rng):
    """Input channels, output channels, groups: dense, grouped and depthwise."""
    groups = rng.choice([1, 1, rng.randint(2, 4)])
    depthwise = rng.random() < 0.2
    return (
        groups * (1 if depthwise else rng.randint(1, 3)),
        groups * rng.randint(1, 3),
        groups,
    )


def integers(rng, shape, largest=4):
    """Small integers as f32: no two places alike by rule, so a swap or a flip shows."""
    values = np.random.default_rng(rng.getrandbits(64))
    return values.integers(-largest, largest, size=shape, endpoint=True).astype(np.float32)


def joined(numbers):
    return ",".join(str(n) for n in numbers)


class Refused(Exception):
    """The program ended with exit code 2 and a message."""


def run_program(x, filters, arguments):
    """What the program makes of the two arrays; raises Refused if it says the call is wrong."""
    with tempfile.TemporaryDirectory(prefix="tconv-parity-") as folder:
        files = {name: os.path.join(folder, name + ".npy") for name in ("x", "filters", "y")}
        np.save(files["x"], x)
        np.save(files["filters"], filters)
        command = [PROGRAM, "run", "--input", files["x"], "--filters", files["filters"]]
        done = subprocess.run(
            command + ["--output", files["y"], *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        if done.returncode == 2:
            if os.path.exists(files["y"]):
                raise AssertionError("refused, but an output file was left behind")
            if not done.stderr.strip():
                raise AssertionError("refused without a message")
            raise Refused(done.stderr.strip())
        if done.returncode != 0:
            raise AssertionError(f"exit code {done.returncode}: {done.stderr.strip()}")
        return np.load(files["y"])


def difference(got, expected, dtype):
    """Why a result is not of `dtype` with the expected values, or ''."""
    if got.dtype != dtype:
        return f"type {got.dtype}, expected {dtype}"
    if got.shape != expected.shape:
        return f"shape {got.shape}, expected {expected.shape}"
    wrong = np.argwhere(got != expected)
    if len(wrong) == 0:
        return ""
    at = tuple(int(i) for i in wrong[0])
    return (
        f"{len(wrong)} of {got.size} elements differ, first {list(at)}: "
        f"got {got[at]}, expected {expected[at]}"
    )


@dataclass
class Call:
    """One call, said twice: `oracle` is the suite's own, `arguments` are the program's."""

    x: np.ndarray
    filters: np.ndarray
    arguments: list
    oracle: dict
    dtype: type = np.float32  # of the program's output file

    def __str__(self):
        shapes = f"--input-shape {joined(self.x.shape)} --filter-shape {joined(self.filters.shape)}"
        return f"{shapes} {' '.join(self.arguments)}"


class ParityTest(unittest.TestCase):
    """Derived by each suite, which gives `script`, `load`, `legal_calls`, `illegal_calls`, `ask` and
    `scattered`."""

    script = ""
    calls = CALLS
    environment = {}  # of the framework's process, besides the usual
    most_unsupported = 0.0  # of its calls
    most_aborts = 0.1

    @staticmethod
    def load():
        """Imports the framework; only the process that asks it does."""

    @staticmethod
    def legal_calls(rng):
        """Yields calls that the framework takes, without end."""
        raise NotImplementedError

    @staticmethod
    def illegal_calls(rng):
        """A list of calls that the framework must refuse."""
        raise NotImplementedError

    @staticmethod
    def ask(call):
        """The framework's result."""
        raise NotImplementedError

    @staticmethod
    def scattered(call):
        """The result of a legal call by its definition."""
        raise NotImplementedError

    @staticmethod
    def computed(call):
        """tconv's result, or Refused."""
        return run_program(call.x, call.filters, call.arguments)

    @staticmethod
    def is_unsupported(call, refusal):
        """Whether the framework's words mean: right or wrong, but not on this processor."""
        return False

    @staticmethod
    def must_answer(call):
        """Whether the framework supports a legal call on every processor."""
        return True

    @classmethod
    def setUpClass(cls):
        legal = cls.legal_calls(random.Random(SEED))
        cls.legal = [next(legal) for _ in range(cls.calls)]
        cls.illegal = cls.illegal_calls(random.Random(SEED))
        with ThreadPoolExecutor(WORKERS) as pool:  # while the framework answers
            cls.results = [pool.submit(cls.computed, c) for c in cls.legal]
            command = [sys.executable, cls.script, "--answer", cls.__name__]
            calls = cls.legal + cls.illegal
            answers = asking.ask(command, calls, cls.environment, int(len(calls) * cls.most_aborts))
        cls.legal_answers, cls.illegal_answers = answers[:cls.calls], answers[cls.calls:]

    def expected(self, call, answer):
        """The right result of a legal call, and who says so."""
        said = f"\n  {call}\n  {call.oracle}\n  {answer.text}"
        scattered = self.scattered(call)
        if answer.kind == "result":
            wrong = difference(answer.value.astype(np.float64), scattered, np.float64)
            self.assertEqual(wrong, "", f"the framework differs from the definition: {wrong}{said}")
            return answer.value, "the framework"
        if answer.kind == "aborted":
            return scattered, "aborted"
        self.assertTrue(self.is_unsupported(call, answer.text), "the framework refuses a legal call" + said)
        self.assertFalse(self.must_answer(call), "the framework must support this call" + said)
        return scattered, "unsupported"

    def test_legal_calls_give_equal_results(self):
        oracles, nonzero = Counter(), 0
        for call, result, answer in zip(self.legal, self.results, self.legal_answers, strict=True):
            expected, oracle = self.expected(call, answer)
            oracles[oracle] += 1
            nonzero += bool(np.any(expected))
            wrong = difference(result.result(), expected, call.dtype)
            self.assertEqual(wrong, "", f"\n  {call}\n  {call.oracle}")
        self.assertGreater(nonzero, self.calls * 0.8, "most results must say something")
        self.assertLessEqual(oracles["unsupported"], self.calls * self.most_unsupported)
        print(f"{self.calls} calls: equal (the framework answered {oracles['the framework']}; the "
              f"definition {oracles['unsupported']} that it does not support here and "
              f"{oracles['aborted']} that aborted it)", flush=True)

    def test_illegal_calls_are_refused_by_both(self):
        kinds = Counter()
        for call, answer in zip(self.illegal, self.illegal_answers, strict=True):
            with self.subTest(str(call)):
                self.assertNotEqual(answer.kind, "result", "the framework accepts the call")
                with self.assertRaises(Refused):
                    self.computed(call)
            # "Not supported" does not say that a call is wrong.
            unsupported = answer.kind == "refused" and self.is_unsupported(call, answer.text)
            kinds["unsupported" if unsupported else answer.kind] += 1
        self.assertLessEqual(kinds["unsupported"], len(self.illegal) * self.most_unsupported)
        print(f"{len(self.illegal)} illegal calls: refused by both ({kinds['aborted']} by aborting, "
              f"{kinds['unsupported']} as not supported here)", flush=True)


def main(*suites):
    """Runs the suites of a script, or is the process in which the framework is asked."""
    if "--answer" in sys.argv:
        name = sys.argv[sys.argv.index("--answer") + 1]
        asking.answer(next(suite for suite in suites if suite.__name__ == name))
        return
    if not os.access(PROGRAM, os.X_OK):
        sys.exit(f"no program {PROGRAM}: build it, or name it in TCONV_PROGRAM")
    loader = unittest.TestLoader()
    tests = unittest.TestSuite(loader.loadTestsFromTestCase(suite) for suite in suites)
    outcome = unittest.TextTestRunner(verbosity=2).run(tests)
    sys.exit(0 if outcome.wasSuccessful() and outcome.testsRun >= 2 * len(suites) else 1)
