#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_cli.py PROGRAM [TEST...]: the program tconv from outside, as people use it."""

import os
import sys
import unittest

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: test_cli.py PROGRAM [TEST...]")
    os.environ["TCONV_PROGRAM"] = os.path.abspath(sys.argv[1])
    sys.dont_write_bytecode = True  # the source folder stays as it is
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, folder)
    if len(sys.argv) > 2:
        suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[2:])
    else:
        suite = unittest.defaultTestLoader.discover(folder, pattern="test_[!c]*.py")
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    sys.exit(0 if result.wasSuccessful() and result.testsRun > 0 else 1)
