# SPDX-License-Identifier: Apache-2.0
"""parts: what is done on a GPU, in which order, and each part's share of the time."""
import dataclasses
import json
import os
import pathlib
import re
from typing import Callable

import judges
from build import FOLDER, ROOT
from step import Step, run

SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
PROBES = ROOT / "bench" / "probes"
SANITIZER_SUITE = ROOT / "tests" / "gpu" / "sanitizer_suite.csv"
# The two that differ in everything first.
CASES = (("f16", "NHWC"), ("f32", "NCHW"), ("f16", "NCHW"), ("f32", "NHWC"))
MODEL = "h200"  # what a dry run plans for
BENCH_MARGIN_S = 20  # bench_gpu ends a measurement that it has begun


@dataclasses.dataclass
class Part:
    name: str
    minutes: float
    does: str
    steps: Callable  # of a Context


@dataclasses.dataclass
class Context:
    """What the parts choose their steps by."""

    folder: str  # of the state
    build: object
    environment: dict
    sanitizer: str | None
    commit: str

    def file(self, name):
        return os.path.join(self.folder, name)

    def sink(self, name, **fields):
        """A function that appends records, each with these fields, to a file of the state."""

        def append(records):
            with open(self.file(name), "a", encoding="utf-8") as file:
                file.writelines(json.dumps(fields | record) + "\n" for record in records)

        return append

    def kernels(self):
        """The rows for CUDA that are built in, the last of which declines no problem; empty if the
        program does not say."""
        program = self.build.program("tconv_cli", "tconv")
        listed = run([program, "kernels", "--json"], 60, self.environment)
        try:
            return [row["name"] for row in json.loads(listed.output) if row["device"] == "cuda"]
        except ValueError:
            return []


def absent(part, target, build):
    """A step that says why there is nothing to do: a part that is not there must not look done."""
    if target in build.targets:
        failing = ["sh", "-c", f"echo '{target} did not compile'; exit 1"]
        return Step(part, target, failing, 0, rehearsal=failing)
    return Step(part, target, absent=f"this build has no target {target}")


def probe_steps(context):
    """In the probes' own order: each is a program, or a script over what was built."""
    if "probes" not in context.build.targets:
        yield absent("probes", "probes", context.build)
        return
    for name in run([str(PROBES / "run"), "--list"], 60, context.environment).output.split():
        target, script = f"probe_{name}", PROBES / f"probe_{name}"
        command = [context.build.program(target)]
        if script.exists():
            command = [str(script), "--build", str(FOLDER)]
        if name == "counters":
            command += ["--emulated", str(FOLDER / "tconv_emulated")]
        if not command[0]:
            yield absent("probes", target, context.build)
            continue
        yield Step(
            "probes", name, [*command, "--seconds", "20"], 20, 45,
            judges.judge_probe(context.sink("probes.jsonl")), [*command, "--help"],
        )  # fmt: skip


def listed_tests(context):
    """The names of the tests with the label gpu, by program."""
    command = ["ctest", "--test-dir", str(FOLDER), "-L", "^gpu$", "--show-only=json-v1"]
    found = {}
    try:
        tests = json.loads(run(command, 60, context.environment).output)["tests"]
    except (ValueError, KeyError):
        return found
    for test in tests:
        if test.get("command"):
            found.setdefault(os.path.basename(test["command"][0]), []).append(test["name"])
    return found


def test_steps(context):
    programs = sorted(name for name in context.build.targets if re.fullmatch(r"test_\w+_gpu", name))
    if not programs:
        yield absent("tests", "test programs", context.build)
    tests = listed_tests(context)
    for program in programs:
        if not context.build.program(program) or program not in tests:
            yield absent("tests", program, context.build)
            continue
        names = "^(" + "|".join(map(re.escape, tests[program])) + ")$"
        junit = str(FOLDER / f"{program}.xml")
        pathlib.Path(junit).unlink(missing_ok=True)
        ctest = ["ctest", "--test-dir", str(FOLDER), "-L", "^gpu$", "-R", names, "--no-tests=error"]
        command = [*ctest, "--timeout", "120", "--output-on-failure", "--output-junit", junit]
        yield Step(
            "tests", program, command, 30, 180, judges.judge_tests(junit), rehearsal=[*ctest, "-N"]
        )


def suite_command(program, kernel, dtype, data_format, suite, command="verify"):
    where = ["--device", "cuda"] if command == "verify" else ["--device-model", MODEL]
    return [
        program, command, "--suite", str(suite), *where, "--kernel", kernel, "--dtype", dtype,
        "--data-format", data_format, "--json",
    ]  # fmt: skip


def sanitizer_step(context, tool, name, command, rehearsal, takes_all=True):
    options = ["--tool", tool, "--error-exitcode", str(judges.SANITIZER_FOUND)]
    return Step(
        "sanitizers", f"{tool} {name}",
        [context.sanitizer or "compute-sanitizer", *options, *command], 8, 90,
        judges.judge_sanitizer(takes_all), rehearsal,
        "" if context.sanitizer else "compute-sanitizer is not on this machine",
        tool="compute-sanitizer", may_decline=not takes_all,
    )  # fmt: skip


def sanitizer_steps(context):
    """Our own kernels on small problems, all tools on each case before the next one; a vendor's kernels
    are the vendor's to check."""
    program = context.build.program("tconv_cli", "tconv")
    compare = context.build.program("test_compare_gpu")
    for tool in SANITIZERS if compare else ():
        listing = [compare, "--gtest_list_tests"]
        yield sanitizer_step(context, tool, "test_compare_gpu", [compare], listing)
    kernels = context.kernels()
    for dtype, data_format in CASES:
        for kernel in kernels:
            for tool in SANITIZERS if kernel != "cudnn" else ():
                words = (program, kernel, dtype, data_format, SANITIZER_SUITE)
                yield sanitizer_step(
                    context, tool, f"{kernel} {dtype} {data_format}", suite_command(*words),
                    suite_command(*words, "explain"), kernel == kernels[-1],
                )  # fmt: skip


def verify_steps(context):
    program = context.build.program("tconv_cli", "tconv")
    kernels = context.kernels()
    for dtype, data_format in CASES:
        for kernel in kernels:
            sink = context.sink(
                "verify.jsonl", kernel=kernel, dtype=dtype, data_format=data_format
            )
            words = (program, kernel, dtype, data_format, "core")
            # A vendor's heuristic answers on its GPU alone.
            rehearsal = None if kernel == "cudnn" else suite_command(*words, "explain")
            yield Step(
                "verify", f"{kernel} {dtype} {data_format}", suite_command(*words), 40, 150,
                judges.judge_verification(kernel == kernels[-1], sink), rehearsal,
                may_decline=kernel != kernels[-1],
            )  # fmt: skip


def bench_steps(context):
    program = context.build.program("bench_gpu")
    if not program:
        yield absent("bench", "bench_gpu", context.build)
        return
    # In its own order of worth: what a cut-off run has measured counts.
    for name in ("all",):
        command = [program, "--out", context.file("bench.jsonl"), "--part", name]
        command += ["--commit", context.commit]
        yield Step(
            "bench", name, [*command, "--seconds", "{seconds}"], 60, 480, judges.judge_bench(),
            [*command, "--dry-run"], margin_s=BENCH_MARGIN_S,
        )  # fmt: skip


PARTS = (
    Part("probes", 4, "small programs that answer one question about the GPU each", probe_steps),
    Part("tests", 3, "the tests with the label gpu", test_steps),
    Part("sanitizers", 3, "compute-sanitizer's four tools on small problems", sanitizer_steps),
    Part("verify", 4, "every row for CUDA on the suite, f16 and f32, NHWC and NCHW", verify_steps),
    Part("bench", 8.5, "our rows and cuDNN on the suite, timed", bench_steps),
)
BUILD_MINUTES = 2  # before the first part, and again on a fresh machine


def plan_text(budget_minutes):
    lines = ["order  part         minutes  does"]
    lines.append(f"    0  {'build':<12} {BUILD_MINUTES:7.1f}  for this GPU alone, offline; every call")
    for number, part in enumerate(PARTS, 1):
        lines.append(f"{number:5}  {part.name:<12} {part.minutes:7.1f}  {part.does}")
    total = BUILD_MINUTES + sum(part.minutes for part in PARTS)
    lines.append(f"       {'all':<12} {total:7.1f}  in calls of at most {budget_minutes:g} minutes")
    return "\n".join(lines)
