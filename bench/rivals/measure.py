# SPDX-License-Identifier: Apache-2.0
"""measure.py DOING ARGUMENTS: the child of bench/rivals/run, which imports the frameworks and measures.

DOING is a file in which it notes what it is at, for the case that a framework ends the process.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from report_parts import standing, table
from report_parts.lines import normalised
from rivals import contenders, frameworks, machine, options, suite, tconv_c, timing
from rivals.results import NoResults, Results


def one_line(error):
    """What an exception says, in one line; of TensorFlow's without the places in the program."""
    text = str(error).strip() or type(error).__name__
    if "Detected at node" in text:
        text = text.rpartition("\n\n")[2].partition("[[")[0]
    return " ".join(text.split())[:500]


@contextlib.contextmanager
def quiet():
    """Without what a framework says on stderr when it is imported."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class Row:
    """One layer of the suite as a problem of the library."""

    def __init__(self, library, args, layer):
        self.layer = layer
        self.problem = tconv_c.Problem(library, layer, args.dtype, args.layout, args.filter_order)
        self.gflop = 2e-9 * self.problem.info.useful_macs
        self.filters = "plain" if args.without_prepack else "prepacked"
        self.unit = "|".join((layer.name, self.problem.key, str(args.threads), self.filters, library.digest))


class Bench:
    def __init__(self, args, library, results, doing):
        self.args, self.library, self.results, self.doing = args, library, results, doing
        self.names = [*args.families, *args.rivals]
        self.frameworks, self.absent, self.head = {}, {}, machine.facts()

    def load_frameworks(self):
        with quiet():
            for name in self.args.rivals:
                try:
                    self.frameworks[name] = frameworks.FRAMEWORKS[name](self.args.threads)
                except Exception as error:  # each framework has classes of its own
                    self.absent[name] = f"cannot be imported: {one_line(error)}"

    def write_head(self):
        versions = {"tconv": self.library.version,
                    **{name: framework.version for name, framework in self.frameworks.items()}}
        self.results.append({"kind": "head", **self.head, "library": self.library.digest,
                             "versions": versions, "threads": self.args.threads, "date": machine.now()})
        machine.measure_ceilings(self.results, self.args.dtype, self.args.threads)

    def at(self, row, kernel):
        pathlib.Path(self.doing).write_text(json.dumps({"unit": row.unit, "kernel": kernel}),
                                            encoding="utf-8")

    def line(self, row, name):
        """The fields that every result has, timed or not."""
        rival, info = name in self.args.rivals, row.problem.info
        version = self.library.version
        if rival:
            version = self.frameworks[name].version if name in self.frameworks else ""
        return {"kind": "timing", "name": row.layer.name, "key": row.problem.key, "kernel": name,
                "threads": self.args.threads, "filters": row.filters, "version": version,
                "date": machine.now(), "machine": self.head["machine"],
                "device": "cpu", "tile": "", "unit": row.unit, "contender": name, "rival": rival,
                "state": "warm", "commit": self.head["commit"], "useful_macs": info.useful_macs,
                "least_bytes": info.least_bytes}

    def make(self, row, operands, name):
        args = self.args
        if name in self.absent:
            raise frameworks.Unable(self.absent[name])
        if reason := self.results.given_up(row.unit, name):
            raise frameworks.Unable(reason)
        if name in self.frameworks:
            return contenders.Rival(self.frameworks[name], operands)
        contender = contenders.Ours(row.problem, operands, name, args.threads, not args.without_prepack)
        estimate = timing.LEAST_ROUNDS * contender.plan.estimate_us
        if estimate > args.seconds * 1e6:
            raise frameworks.Unable(f"three runs are estimated at {estimate / 1e6:.1f} s, --seconds allows "
                                    f"{args.seconds:g}")
        contender.run()
        return contender

    def prepare(self, row, operands, name, line):
        """A contender whose output is right, or None; `line` says why."""
        self.at(row, name)
        try:
            contender = self.make(row, operands, name)
            line["kernel"], line["tile"] = contender.kernel, contender.tile
            y = contender.output()
        except tconv_c.Error as error:
            if error.status == tconv_c.INVALID:
                raise
            line.update(status="not run", reason=one_line(error))
            return None
        except Exception as error:  # each framework has classes of its own
            line.update(status="not run", reason=one_line(error))
            return None
        report, wrong = row.problem.verify(operands.tensors(y), self.args.threads)
        if wrong and contender.rival and self.is_rounded_twice(row, operands, name, y):
            wrong, line["note"] = "", "adds the bias to the sum that is rounded already; that sum is right"
        line.update(verified=not wrong, bound=report.largest_bound, whole=bool(report.whole),
                    checked=report.checked, total=report.total, mismatches=report.mismatches,
                    worst_ratio=min(report.worst_ratio, 1e300))
        if wrong:
            line.update(status="mismatch", reason=one_line(wrong))
            return None
        contender.first_output = None if contender.rival else y.copy()
        return contender

    def is_rounded_twice(self, row, operands, name, y):
        """Whether a framework that adds the bias by an operation of its own is right but for that: the sum
        is within its bound, and the output is that sum plus the bias, rounded again."""
        if not (self.frameworks[name].adds_bias_apart and row.layer.bias):
            return False
        args = self.args
        plain = Row(self.library, args, dataclasses.replace(row.layer, bias=False))
        without = operands.without_bias(plain.layer)
        try:
            sums = contenders.Rival(self.frameworks[name], without).output()
        except Exception:  # each framework has classes of its own
            return False
        _, wrong = plain.problem.verify(without.tensors(sums), args.threads)
        return not wrong and operands.is_with_bias(y, sums)

    def measure(self, row):
        operands = contenders.Operands(row.layer, self.args.dtype, self.args.layout, self.args.filter_order)
        lines, able = {name: self.line(row, name) for name in self.names}, {}
        for name in self.names:
            contender = self.prepare(row, operands, name, lines[name])
            if contender is not None:
                able[name] = contender
        self.at(row, "")
        if self.results.given_up(row.unit, ""):
            for name in able:
                lines[name].update(status="not run", reason="timing ended the process twice")
            return list(lines.values())
        timed = {name: timing.Timed(c.run, timing.first_us(c.run)) for name, c in able.items()}
        timing.plan_rounds(list(timed.values()), self.args.rounds, self.args.seconds)
        timing.run_rounds(list(timed.values()))
        for name, one in timed.items():
            self.finish(lines[name], able[name], one)
        return list(lines.values())

    def finish(self, line, contender, timed):
        if not timed.samples:
            line.update(status="not run", reason=f"a run takes {timed.us / 1e6:.3g} s, --seconds allows "
                                                 f"{self.args.seconds:g} for a row")
        elif not contender.rival and not (contender.output() == contender.first_output).all():
            line.update(status="mismatch", verified=False, reason="after it was timed the output was another")
        else:
            line.update(status="timed", iterations=timed.iterations, **timing.statistics(timed.samples))
            line["gflops"] = 2e-3 * line["useful_macs"] / line["median_us"]
            roofline = standing.roofline_us(line, self.results.lines)
            if roofline:
                line.update(roofline_us=roofline, roofline_share=roofline / line["median_us"])


class Progress:
    """How far it is and how long it takes yet, on stderr; rewritten in place on a terminal."""

    def __init__(self, rows):
        self.left, self.total = rows, len(rows)
        self.seconds = self.spent = 0.0  # of the rows that were measured, and their weights
        self.terminal = sys.stderr.isatty()

    @staticmethod
    def weight(row):
        return 0.2 + row.gflop

    def say(self, row, seconds):
        """`seconds` None: the row was there already."""
        self.left = self.left[1:]
        text = f"{self.total - len(self.left)}/{self.total} {row.layer.name}"
        if seconds is None:
            text += " (from --out)"
        else:
            self.seconds, self.spent = self.seconds + seconds, self.spent + self.weight(row)
        if self.spent and self.left:
            left = self.seconds / self.spent * sum(map(self.weight, self.left))
            text += f", about {left / 60:.0f} min left" if left > 90 else f", about {left:.0f} s left"
        end = "" if self.terminal and self.left else "\n"
        print(f"\r\033[K{text}" if self.terminal else text, end=end, file=sys.stderr, flush=True)


def make_rows(library, args):
    rows = [Row(library, args, layer) for layer in suite.load(args.suite, args.batch, args.match)]
    rows = [row for row in rows if args.min_gflop < row.gflop <= args.max_gflop]
    if not rows:
        raise suite.Refusal(f"--min-gflop {args.min_gflop:g}, --max-gflop {args.max_gflop:g}: no row lies between")
    return rows


def run(args, doing):
    library = tconv_c.Library(args.library)
    rows = make_rows(library, args)
    with contextlib.closing(Results(args.out)) as results:
        return run_rows(rows, Bench(args, library, results, doing))


def run_rows(rows, bench):
    results, progress, lines = bench.results, Progress(rows), []
    missing = [row for row in rows if results.of(row.unit, bench.names) is None]
    if missing:
        bench.load_frameworks()
        bench.write_head()
    for row in rows:
        seconds = None
        if results.of(row.unit, bench.names) is None:
            begin = time.monotonic()
            results.append(*bench.measure(row))
            seconds = time.monotonic() - begin
        lines += results.of(row.unit, bench.names)
        progress.say(row, seconds)
    groups = standing.groups([normalised(line) for line in lines])
    for group in groups:
        print(table.text(group))
    ours = [line for line in lines if not line["rival"]]
    if any(line["status"] == "mismatch" for line in ours):
        return 1
    return 0 if any(line["status"] == "timed" for line in ours) else 3


def main(doing, arguments):
    args = options.parse(arguments)
    os.sched_setaffinity(0, machine.choose_cores(args.threads))
    try:
        return run(args, doing)
    except (suite.Refusal, NoResults) as refusal:
        print(f"bench/rivals/run: {refusal}", file=sys.stderr)
        return 2
    except tconv_c.Error as error:
        print(f"bench/rivals/run: {error}", file=sys.stderr)
        return error.status
    except OSError as error:
        print(f"bench/rivals/run: {error}", file=sys.stderr)
        return 4
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
