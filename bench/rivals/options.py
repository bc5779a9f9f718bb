# SPDX-License-Identifier: Apache-2.0
"""options.py: the arguments of bench/rivals/run."""

import argparse
import math
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RIVALS = ("pytorch", "pytorch_packed", "tensorflow", "onnxruntime", "jax")

DESCRIPTION = """Times this library against other frameworks on the CPU, on the same operands, in turn in
one process. Every output is compared with the definition, within the derived bound, before anything is
timed; one that is wrong is reported and not timed."""

EPILOG = """A rival gets its own layout at no cost to it: ONNX Runtime NCHW, TensorFlow and JAX NHWC, PyTorch
that of the problem. Its filters are constants, packed before where it can do that.

The process is bound to as many cores as --threads says, so that no contender can use more.
FILE has a line for each contender of each row, in the format of `tconv bench --out`; a row that FILE has
from the same build of the library is not measured again. bench/report makes pictures of it.

Exit codes: 0 measured; 1 the library was wrong somewhere; 2 wrong usage; 3 something is missing (it says
the command), or no row could be timed; 4 FILE cannot be written, or a process ended that should not."""


def one_of(what, names, empty):
    """A parser of NAME[,NAME...]."""
    def parse(text):
        if text == empty:
            return []
        given = text.split(",")
        unknown = [name for name in given if name not in names]
        if unknown or len(set(given)) < len(given):
            raise argparse.ArgumentTypeError(
                f"{text!r}: {what} are {', '.join(names)}, each once, or {empty}")
        return given
    return parse


def positive(kind, least=0):
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < least or value <= 0:
            words = "an integer" if kind is int else "a number"
            raise argparse.ArgumentTypeError(
                f"{text!r}: {words} {f'from {least}' if least else 'above 0'} is legal")
        return value
    return parse


def batch(text):
    return text if text in ("infer", "large") else positive(int, 1)(text)


def families(text):
    names = text.split(",")
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r}: names of `tconv kernels`, separated by commas")
    return names


def threads(text):
    value, most = positive(int, 1)(text), len(os.sched_getaffinity(0))
    if value > most:
        raise argparse.ArgumentTypeError(f"{text!r}: this process may use {most} cores, so 1 to {most} is legal")
    return value


def parser():
    p = argparse.ArgumentParser(prog="bench/rivals/run", description=DESCRIPTION, epilog=EPILOG,
                                allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)
    rows = p.add_argument_group("rows")
    rows.add_argument("--suite", default="core", metavar="NAME|FILE", help="core, or a CSV file like it (core)")
    rows.add_argument("--batch", type=batch, default="infer", metavar="infer|large|N",
                      help="the suite's column batch_infer or batch_large, or N for all (infer)")
    rows.add_argument("--match", default="", metavar="RE", help="only rows whose name this finds")
    rows.add_argument("--min-gflop", type=positive(float), default=0.0, metavar="X",
                      help="only rows of more than X 10^9 useful operations")
    rows.add_argument("--max-gflop", type=positive(float), default=math.inf, metavar="X",
                      help="only rows of at most X 10^9 useful operations")
    rows.add_argument("--dtype", choices=("f16", "bf16", "f32", "f64"), default="f32", help="(f32)")
    rows.add_argument("--layout", choices=("NHWC", "NCHW"), default="NHWC", help="of input and output (NHWC)")
    rows.add_argument("--filter-order", choices=("HWOI", "IHWO", "IOHW", "OHWI"), default="HWOI",
                      help="that the library is given (HWOI)")
    who = p.add_argument_group("contenders")
    who.add_argument("--families", type=families, default=[""], metavar="NAME[,NAME]",
                     help="of the library, instead of the one that it chooses itself")
    who.add_argument("--rivals", type=one_of("rivals", RIVALS, "none"), default=list(RIVALS),
                     metavar="NAME[,NAME]", help=f"{', '.join(RIVALS)}, or none (all)")
    who.add_argument("--without-prepack", action="store_true",
                     help="the library packs the filters at every run; the usual rival is pytorch, whose "
                          "eager call does so too, and the default here")
    how = p.add_argument_group("measurement")
    how.add_argument("--threads", type=threads, default=1, metavar="N", help="of every contender (1)")
    how.add_argument("--rounds", type=positive(int, 3), default=15, metavar="N", help="at most (15)")
    how.add_argument("--seconds", type=positive(float), default=10.0, metavar="S",
                     help="of one row, all contenders together, about; what is too slow for three samples "
                          "is reported as not run (10)")
    how.add_argument("--patience", type=positive(float), default=60.0, metavar="S",
                     help="a contender whose first run with its preparation takes longer is reported as not "
                          "run: its process is ended, and the next goes on behind it (60)")
    how.add_argument("--out", metavar="FILE", help="append one JSON line per result")
    how.add_argument("--library", default=str(ROOT / "build/release/libtconv.so"), metavar="FILE",
                     help="(build/release/libtconv.so)")
    how.add_argument("--python", default=str(ROOT / "build/deps/oracles/bin/python"), metavar="FILE",
                     help="an interpreter that has the frameworks (that of `scripts/setup --all`)")
    return p


def parse(arguments):
    p = parser()
    args = p.parse_args(arguments)
    if args.min_gflop >= args.max_gflop:
        p.error(f"--min-gflop {args.min_gflop:g}: less than --max-gflop, {args.max_gflop:g}, is legal")
    if args.without_prepack and not any(a.startswith("--rivals") for a in arguments):
        args.rivals = ["pytorch"]
    return args
