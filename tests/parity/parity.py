# SPDX-License-Identifier: Apache-2.0
"""parity.py: what the comparisons with other frameworks share.

A suite makes random calls from a fixed seed, asks its framework and the program tconv, and demands
equality: operands are small integers, so every sum is exact in any order. Calls that the framework
refuses must be refused by the program too (exit code 2, no output file). They are made in another
process, because some of them abort it.
"""

import os
import random
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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


def refusals(script, count):
    """The framework's answer to each of `count` illegal calls: 'refused ...', 'accepted ...' or
    'aborted'. A process answers until a call kills it; the next one goes on behind that call."""
    answers = []
    while len(answers) < count:
        child = subprocess.run(
            [sys.executable, script, "--illegal-calls-from", str(len(answers))],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=300,
        )
        lines = [line for line in child.stdout.splitlines() if line.startswith("answer: ")]
        answers += [line.removeprefix("answer: ") for line in lines]
        if child.returncode != 0:
            answers.append("aborted")
        elif len(answers) < count:
            raise AssertionError(f"{script} gave {len(answers)} answers to {count} calls")
    return answers


class ParityTest(unittest.TestCase):
    """Derived by each suite, which gives `script`, `legal_calls`, `illegal_calls`, `ask`."""

    script = ""

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

    def test_legal_calls_give_equal_results(self):
        calls = self.legal_calls(random.Random(SEED))
        calls = [next(calls) for _ in range(CALLS)]
        with ThreadPoolExecutor(WORKERS) as pool:
            results = pool.map(lambda c: run_program(c.x, c.filters, c.arguments), calls)
            nonzero = 0
            for call, got in zip(calls, results, strict=True):
                expected = np.asarray(self.ask(call))
                nonzero += bool(np.any(expected))
                wrong = difference(got, expected, call.dtype)
                self.assertEqual(wrong, "", f"\n  {call}\n  {call.oracle}")
        self.assertGreater(nonzero, CALLS * 0.8, "most results must say something")
        print(f"{CALLS} calls: equal", flush=True)

    def test_illegal_calls_are_refused_by_both(self):
        calls = self.illegal_calls(random.Random(SEED))
        answers = refusals(self.script, len(calls))
        for call, answer in zip(calls, answers, strict=True):
            with self.subTest(str(call)):
                self.assertFalse(answer.startswith("accepted"), f"the framework {answer}")
                with self.assertRaises(Refused):
                    run_program(call.x, call.filters, call.arguments)
        aborted = answers.count("aborted")
        print(f"{len(calls)} illegal calls: refused by both ({aborted} by aborting)", flush=True)


def main(suite):
    """Runs a suite, or is the process in which illegal calls are made."""
    if "--illegal-calls-from" in sys.argv:
        first = int(sys.argv[sys.argv.index("--illegal-calls-from") + 1])
        for call in suite.illegal_calls(random.Random(SEED))[first:]:
            try:
                result = np.asarray(suite.ask(call))
                print(f"answer: accepted, shape {result.shape}", flush=True)
            except Exception as error:  # each framework has classes of its own
                print(f"answer: refused, {type(error).__name__}", flush=True)
        return
    if not os.access(PROGRAM, os.X_OK):
        sys.exit(f"no program {PROGRAM}: build it, or name it in TCONV_PROGRAM")
    loader = unittest.TestLoader()
    outcome = unittest.TextTestRunner(verbosity=2).run(loader.loadTestsFromTestCase(suite))
    sys.exit(0 if outcome.wasSuccessful() and outcome.testsRun > 0 else 1)
