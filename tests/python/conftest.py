# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python package share. They run against the tconv that is installed."""

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["JAX_PLATFORMS"] = "cpu"
# Random problems against each framework: a sample of the same seed, unless it is said (2000: all).
os.environ.setdefault("TCONV_PARITY_CALLS", "40")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/parity"))
