# SPDX-License-Identifier: Apache-2.0
"""suite.py: the rows of a suite, as `tconv bench --suite` reads them (src/cli/suite.cpp).

A suite is a CSV file with a header; the columns that are read are those of bench/suites/core.csv, and
others may stand beside them.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

SUITES = Path(__file__).resolve().parents[1] / "suites"


class Refusal(Exception):
    """A wrong argument: where, what it was, what would be legal."""


@dataclass(frozen=True)
class Axis:
    size: int
    kernel: int
    stride: int
    dilation: int
    pad_begin: int
    pad_end: int
    out_pad: int

    @property
    def full(self):
        """The output without padding."""
        return (self.size - 1) * self.stride + (self.kernel - 1) * self.dilation + 1

    @property
    def out(self):
        return self.full - self.pad_begin - self.pad_end + self.out_pad


@dataclass(frozen=True)
class Layer:
    """One row of a suite with a batch."""

    name: str
    batch: int
    in_c: int
    out_c: int
    groups: int
    h: Axis
    w: Axis
    bias: bool

    @property
    def axes(self):
        return self.h, self.w


class Line:
    """A line of the CSV file that says where it is wrong."""

    def __init__(self, where, fields):
        self.where, self.fields = where, fields

    def text(self, column):
        if column not in self.fields:
            raise Refusal(f"{self.where} has no column {column}")
        if self.fields[column] is None:
            raise Refusal(f"{self.where} ends before the column {column}")
        return self.fields[column]

    def number(self, column, least=0):
        text = self.text(column)
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < least:
            raise Refusal(f"{self.where}, {column}: {text!r} (an integer from {least} is legal)")
        return value

    def axis(self, name, begin, end):
        return Axis(*(self.number(f"{column}_{name}", 1)
                      for column in ("in", "kernel", "stride", "dilation")),
                    self.number(begin, -2**31), self.number(end, -2**31),
                    self.number(f"out_pad_{name}"))

    def layer(self, batch):
        number = batch if isinstance(batch, int) else self.number(f"batch_{batch}", 1)
        layer = Layer(f"{self.text('network')} / {self.text('layer')}", number,
                      self.number("in_c", 1), self.number("out_c", 1), self.number("groups", 1),
                      self.axis("h", "pad_top", "pad_bottom"), self.axis("w", "pad_left", "pad_right"),
                      self.number("bias") != 0)
        for what, channels in (("in_c", layer.in_c), ("out_c", layer.out_c)):
            if channels % layer.groups:
                raise Refusal(f"{self.where}, {what}: {channels} is no multiple of groups, {layer.groups}")
        if min(axis.out for axis in layer.axes) < 1:
            raise Refusal(f"{self.where}: the padding leaves no output")
        return layer


def load(suite, batch, match):
    """The layers of `suite` (core or a file) whose name the regular expression `match` finds."""
    path = SUITES / "core.csv" if suite == "core" else Path(suite)
    try:
        pattern = re.compile(match, re.IGNORECASE)
    except re.error as error:
        raise Refusal(f"--match {match!r}: no regular expression: {error}") from None
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            lines = [Line(f"--suite {suite}, line {reader.line_num}", fields) for fields in reader]
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"--suite {suite!r}: {error} (core or a CSV file is legal)") from None
    layers = [layer for layer in (line.layer(batch) for line in lines) if pattern.search(layer.name)]
    if not layers:
        raise Refusal(f"--match {match!r}: found in the name of no row of --suite {suite}")
    return layers
