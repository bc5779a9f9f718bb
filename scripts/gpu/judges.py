# SPDX-License-Identifier: Apache-2.0
"""judges: what the end of a program means: passed, failed, or not run, with the reason."""
import collections
import json
import re
import xml.etree.ElementTree as xml

from step import REASON_CHARACTERS, UNSUPPORTED, Outcome, judge_exit_code

MISMATCH, DEVICE_FAILED = 1, 4  # exit codes of tconv and bench_gpu
DEVICE_FAILURES = 3  # of the benchmark, after which it is not called again
REFUSAL = re.compile(r"Device not supported|not supported on|Unable to (find|init|attach|connect)")
SANITIZER_FOUND = 99  # what compute-sanitizer is told to exit with
DEVICE_ERROR = re.compile(r"cuda\w+ failed|cuDNN failed|failed:|cannot allocate|are available|no device")


def json_lines(text):
    """The JSON objects among the lines of a text."""
    for line in text.split("\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def judge_probe(sink):
    """`sink` takes the JSON lines that it printed, also those before a failure."""

    def judge(result):
        lines = list(json_lines(result.output))
        sink(lines)
        if result.exit_code == UNSUPPORTED:
            return Outcome("not_run", result.last_words())
        outcome = judge_exit_code(result)
        outcome.details = {"lines": len(lines)}
        if outcome.status == "passed" and not lines:
            return Outcome("failed", f"it printed no measurement: {result.last_words()}")
        return outcome

    return judge


def judge_tests(junit_path):
    """By the file that ctest writes: each test's own status."""

    def judge(result):
        try:
            cases = list(xml.parse(junit_path).getroot().iter("testcase"))
        except (OSError, xml.ParseError) as error:
            return Outcome("failed", f"ctest wrote no result ({error}): {result.last_words()}")
        found = collections.defaultdict(list)
        for case in cases:
            found[case.get("status")].append(case.get("name"))
        details = {
            "passed": len(found["run"]), "failed": found["fail"], "skipped": found["notrun"]
        }  # fmt: skip
        if found["fail"]:
            return Outcome("failed", f"{len(found['fail'])} tests failed", details)
        if result.exit_code != 0 or not cases:
            return Outcome("failed", f"ctest: {result.last_words()}", details)
        if not found["run"]:
            return Outcome("not_run", "all were skipped: " + skip_reason(cases), details)
        return Outcome("passed", "", details)

    return judge


def skip_reason(cases):
    """What the first test said."""
    said = (cases[0].findtext("system-out") or "").strip().split("\n")[-1]
    return said.removeprefix("skipped: ")[:REASON_CHARACTERS] or "see the log"


def judge_sanitizer(takes_all):
    """`takes_all`: the row under it declines no problem."""

    def judge(result):
        outcome = judge_sanitizer_run(result)
        declined = result.exit_code == UNSUPPORTED and not DEVICE_ERROR.search(result.output)
        if outcome.status == "failed" and declined and not takes_all:
            return Outcome("not_run", "the row declines all of it")
        return outcome

    return judge


def judge_sanitizer_run(result):
    """A run that says nothing of errors or hazards has not looked."""
    said = [line for line in result.output.split("\n") if line.startswith("=========")]
    summary = next((line for line in reversed(said) if " SUMMARY: " in line), "").strip("= ")
    refusal = next((line for line in said if REFUSAL.search(line)), "")
    if result.exit_code == SANITIZER_FOUND and not refusal:
        words = [line.strip("= ") for line in said]
        first = next((line for line in words if line and line != "COMPUTE-SANITIZER"), "")
        return Outcome("failed", f"{summary}; first: {first}"[:REASON_CHARACTERS])
    if refusal:
        return Outcome("not_run", "refused here: " + refusal.strip("= "), refused=True)
    if result.exit_code == 0 and re.search(r"SUMMARY: 0 (errors|hazards)", summary):
        return Outcome("passed", summary)
    return Outcome("failed", f"exit code {result.exit_code}: {summary or result.last_words()}")


def judge_verification(takes_all, sink):
    """`sink` takes each row of the suite. What a kernel declines is listed, if it may decline."""

    def judge(result):
        if result.exit_code == UNSUPPORTED and not result.output.strip():
            return Outcome("not_run", result.last_words())
        try:
            answer = json.loads(result.output)
            rows = answer["rows"]
        except (ValueError, KeyError, TypeError):
            return Outcome("failed", f"exit code {result.exit_code}: {result.last_words()}")
        sink(rows)
        reasons = collections.Counter(row["not_run"] for row in rows if "not_run" in row)
        details = {name: answer[name] for name in ("verified", "mismatched")}
        details["rows_not_run"] = sum(reasons.values())
        wrong = [row.get("name") for row in rows if row.get("verified") is False]
        why = (next(iter(reasons)) if reasons else "")[:REASON_CHARACTERS]
        if wrong or result.exit_code not in (0, UNSUPPORTED):
            return Outcome("failed", f"{len(wrong)} rows are wrong", details | {"wrong": wrong})
        if not takes_all and not any(DEVICE_ERROR.search(reason) for reason in reasons):
            if answer["verified"] == 0:
                return Outcome("not_run", why, details)
            return Outcome("passed", f"some rows were not run: {why}" if why else "", details)
        if reasons:
            return Outcome("failed", f"rows were not run: {why}", details)
        return Outcome("passed", "", details)

    return judge


def judge_bench():
    """A measurement on which the device failed is in its results, and the next call goes on after it."""
    failures = []

    def judge(result):
        if result.exit_code == UNSUPPORTED:
            return Outcome("not_run", result.last_words())
        if result.exit_code == MISMATCH:
            return Outcome("failed", "all is done, and some results were wrong (bench.jsonl)")
        if result.exit_code == DEVICE_FAILED:
            failures.append(result.last_words())
            if len(failures) < DEVICE_FAILURES:
                return Outcome("again", failures[-1], {"device_failures": len(failures)})
        if failures and result.exit_code in (0, DEVICE_FAILED):
            return Outcome("failed", f"{len(failures)} times, the last: {failures[-1]}")
        outcome = judge_exit_code(result)
        if failures:
            outcome.details = {"device_failures": len(failures)}
        return outcome

    return judge
