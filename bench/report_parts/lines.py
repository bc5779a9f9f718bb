# SPDX-License-Identifier: Apache-2.0
"""lines.py: results as JSON lines, of bench/rivals/run, `tconv bench --out` and bench_gpu, read alike."""

import json
import math
from dataclasses import dataclass, field

VENDORS = ("cudnn", "cublas")  # rows of bench_gpu that are rivals


class NoResults(Exception):
    """A file that holds something else."""


@dataclass
class Result:
    """One contender on one problem."""

    name: str
    key: str
    kernel: str
    status: str
    contender: str  # "" is the planner's choice, where a line says so
    rival: bool
    reason: str = ""
    tile: str = ""
    us: float = 0.0
    interval: tuple = (0.0, 0.0)
    samples: list = field(default_factory=list)
    macs: float = 0.0
    bytes: float = 0.0
    roofline_us: float = 0.0
    version: str = ""
    settings: tuple = ()  # what must be alike where results are compared; see `settings_of`
    note: str = ""

    @property
    def timed(self):
        return self.status == "timed"

    @property
    def row(self):
        return self.name, self.key

    @property
    def gflops(self):
        return 2e-3 * self.macs / self.us if self.us else 0.0


def settings_of(line, key):
    """(machine, dtype, layout, threads, filters, caches)"""
    dtype, layout = (*key.split(":"), "", "")[:2]
    if "row" in line:  # bench_gpu: every contender has its filters in the order that it likes
        return line.get("machine", ""), dtype, layout.upper(), "", "", line.get("state", "cold")
    threads = line.get("threads")
    threads = "" if threads is None or line.get("device") == "cuda" else f"{threads} thread" + "s" * (threads != 1)
    return (line.get("machine", ""), dtype, layout.upper(), threads, line.get("filters", ""), line.get("state", ""))


def interval_of(line, us):
    """Quartiles where the line has them or a spread, else bench_gpu's 95 % of the median."""
    if "quartiles_us" in line:
        return tuple(line["quartiles_us"])
    if "us_low" in line:
        return line["us_low"], line["us_high"]
    half = line.get("spread", 0.0) / 2
    return us * (1 - half), us * (1 + half)


def normalised(line):
    """The Result that a line holds; None if it holds something else."""
    key = line.get("key")
    if line.get("kind", "timing") != "timing" or not key or "status" not in line:
        return None
    kernel = line.get("kernel", line.get("row", ""))
    us = float(line.get("median_us") or line.get("us") or 0)
    macs = float(line.get("useful_macs") or line.get("gflops", 0) * us / 2e-3)
    return Result(
        name=line.get("name") or line.get("suite_row") or key, key=key, kernel=kernel,
        status=line["status"], contender=line.get("contender", kernel),
        rival=line.get("rival", kernel in VENDORS), reason=line.get("reason", ""),
        tile=line.get("tile", line.get("plan", "")), us=us, interval=interval_of(line, us),
        samples=line.get("samples_us", []), macs=macs, bytes=float(line.get("least_bytes") or 0),
        roofline_us=float(line.get("roofline_us") or 0), version=line.get("version", ""),
        settings=settings_of(line, key), note=line.get("note", ""))


def read(path):
    """All lines of a file, as dicts. A last line that is cut off is left out; what does not say its machine
    is of the head's above it."""
    with open(path, encoding="utf-8") as file:
        texts = file.read().split("\n")
    lines, machine = [], ""
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            value = json.loads(text, parse_constant=lambda word: math.nan)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            if number == len(texts):  # it was cut off while it was written
                break
            raise NoResults(f"{path}: line {number} is no JSON object: not a file of results")
        if value.get("kind") == "head":
            machine = value.get("machine") or value.get("gpu", "")
        elif machine:
            value.setdefault("machine", machine)
        lines.append(value)
    return lines
