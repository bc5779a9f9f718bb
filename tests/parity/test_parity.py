# SPDX-License-Identifier: Apache-2.0
"""What parity.py makes of frameworks that abort, refuse or answer wrongly: here the framework is the
definition (scatter.py) with such habits."""

import contextlib
import io
import os
import sys
import unittest
from unittest import mock

import numpy as np

import parity
from parity import Call
from scatter import Axis, scatter


def make_call(number, size=3):
    """`number` chooses the habit; the result is not 0."""
    x = np.arange(1, size * size + 1, dtype=np.float32).reshape(1, size, size, 1)
    filters = np.full([2, 2, 1, 1], number + 1, np.float32)
    return Call(x, filters, ["--strides", "2,2", "--padding", "VALID"], dict(number=number))


class GoodTest(parity.ParityTest):
    script = __file__
    calls = 12

    @staticmethod
    def legal_calls(rng):
        number = 0
        while True:
            yield make_call(number)
            number += 1

    @staticmethod
    def illegal_calls(rng):
        calls = [make_call(100 + i) for i in range(4)]
        for call in calls:
            call.arguments = ["--strides", "0,2"]
        return calls

    @staticmethod
    def ask(call):
        if call.oracle["number"] >= 100:
            raise ValueError("strides must be positive")
        return GoodTest.scattered(call)

    @staticmethod
    def scattered(call):
        axis = Axis(stride=2, dilation=1, begin=0, out=2 * call.x.shape[1])
        return scatter(call.x, call.filters, axis, axis)


def with_habit(number, habit):
    """A way to ask that does something else at one call."""

    def ask(call):
        return habit(call) if call.oracle["number"] == number else GoodTest.ask(call)

    return staticmethod(ask)


def refuse(words):
    def habit(call):
        raise RuntimeError(words)
    return habit


class AbortsTest(GoodTest):
    """At the first legal call, at another one, and at the last illegal one."""
    most_aborts = 0.2

    @staticmethod
    def ask(call):
        if call.oracle["number"] in (0, 7, 103):
            print("words that are no answer", flush=True)
            os.abort()
        return GoodTest.ask(call)


class AbortsOftenTest(AbortsTest):
    most_aborts = 0.1


class LeavesTest(GoodTest):
    ask = with_habit(5, lambda call: os._exit(0))


class WrongTest(GoodTest):
    ask = with_habit(5, lambda call: GoodTest.scattered(call) + 1)


class RefusesTest(GoodTest):
    ask = with_habit(5, refuse("strides must be odd"))


class AcceptsTest(GoodTest):
    ask = with_habit(102, lambda call: call.x)


class CannotTest(GoodTest):
    """Does not support one of the calls, legal or not, on this processor."""
    most_unsupported = 0.3
    ask = with_habit(5, refuse("only supports NHWC"))

    @staticmethod
    def is_unsupported(call, refusal):
        return "only supports NHWC" in refusal

    @staticmethod
    def must_answer(call):
        return call.oracle["number"] != 5


class CannotIllegalTest(CannotTest):
    ask = with_habit(102, refuse("only supports NHWC"))


class MustTest(CannotTest):
    ask = with_habit(6, refuse("only supports NHWC"))


class CannotOftenTest(CannotTest):
    most_unsupported = 0.05


class CannotOftenIllegalTest(CannotIllegalTest):
    most_unsupported = 0.2


class NotThereTest(GoodTest):
    @staticmethod
    def load():
        raise ImportError("no such framework")


class WrongDefinitionTest(AbortsTest):
    @staticmethod
    def scattered(call):
        return GoodTest.scattered(call) + (call.oracle["number"] == 7)


SUITES = [suite for name, suite in list(globals().items()) if name.endswith("Test")]


def program(x, filters, arguments):
    """In place of `tconv run`."""
    if "0,2" in arguments:
        raise parity.Refused("strides must be positive")
    return GoodTest.scattered(Call(x, filters, arguments, {})).astype(np.float32)


class MachineryTest(unittest.TestCase):
    def outcome(self, suite):
        """What a suite prints, and its failures."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), mock.patch.object(parity, "run_program", program):
            result = unittest.TextTestRunner(stream=printed).run(
                unittest.TestLoader().loadTestsFromTestCase(suite))
        return printed.getvalue(), [text for _, text in result.failures + result.errors]

    def test_what_passes(self):
        usual = [(GoodTest, 12, 0, 0, 0, 0), (AbortsTest, 10, 0, 2, 1, 0), (LeavesTest, 11, 0, 1, 0, 0),
                 (CannotTest, 11, 1, 0, 0, 0), (CannotIllegalTest, 12, 0, 0, 0, 1)]
        for suite, answered, unsupported, aborted, illegal_aborted, illegal_unsupported in usual:
            with self.subTest(suite.__name__):
                printed, failures = self.outcome(suite)
                self.assertEqual(failures, [])
                self.assertIn(f"12 calls: equal (the framework answered {answered}; the definition "
                              f"{unsupported} that it does not support here and {aborted} that "
                              "aborted it)", printed)
                self.assertIn(f"4 illegal calls: refused by both ({illegal_aborted} by aborting, "
                              f"{illegal_unsupported} as not supported here)", printed)

    def test_what_fails(self):
        for suite, words in {
            AbortsOftenTest: "more than 1 calls killed their process",
            WrongTest: "the framework differs from the definition: 36 of 36 elements differ",
            WrongDefinitionTest: "elements differ, first [0, 0, 0, 0]: got 8.0, expected 9.0",
            RefusesTest: "the framework refuses a legal call",
            AcceptsTest: "the framework accepts the call",
            MustTest: "the framework must support this call",
            CannotOftenTest: "1 not less than or equal to 0.6",
            CannotOftenIllegalTest: "1 not less than or equal to 0.8",
            NotThereTest: "ImportError: no such framework",
        }.items():
            with self.subTest(suite.__name__):
                _, failures = self.outcome(suite)
                self.assertEqual(len(failures), 1, failures)
                self.assertIn(words, failures[0])


if __name__ == "__main__":
    if "--answer" in sys.argv:
        parity.main(*SUITES)
        sys.exit()
    sys.exit(not unittest.main(argv=[sys.argv[0], "MachineryTest"], verbosity=2,
                               exit=False).result.wasSuccessful())
