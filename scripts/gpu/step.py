# SPDX-License-Identifier: Apache-2.0
"""step: one command of a part, how its end is judged, and how a command is run so that nothing of it
outlives its time."""
import dataclasses
import os
import signal
import subprocess
import tempfile
import time
from typing import Callable

UNSUPPORTED = 3  # of our own programs: valid, but not possible here
CALL_AGAIN = 75  # of our own programs: there is more to do than the time allowed
REASON_CHARACTERS = 400


@dataclasses.dataclass
class Result:
    exit_code: int | None  # None: it was stopped at its time limit
    output: str
    errors: str
    seconds: float

    def last_words(self):
        """The last line that says something, for a reason."""
        said = self.errors.strip() or self.output.strip() or "no output"
        return said.split("\n")[-1].strip()[:REASON_CHARACTERS]


@dataclasses.dataclass
class Outcome:
    status: str  # passed, failed, not_run, or again
    reason: str = ""
    details: dict = dataclasses.field(default_factory=dict)
    refused: bool = False  # the machine refuses the tool: what else needs it is not tried


def judge_exit_code(result):
    if result.exit_code == 0:
        return Outcome("passed")
    if result.exit_code == CALL_AGAIN:
        return Outcome("again", result.last_words())
    return Outcome("failed", f"exit code {result.exit_code}: {result.last_words()}")


@dataclasses.dataclass
class Step:
    part: str
    name: str
    command: list = dataclasses.field(default_factory=list)  # "{seconds}" becomes what is left for it
    expected_s: float = 30  # it is not begun with less time left
    limit_s: float = 120
    judge: Callable = judge_exit_code
    rehearsal: list | None = None  # what a dry run executes instead; None: it only prints the command
    absent: str = ""  # why it cannot run here
    tool: str = ""  # a tool that the machine may refuse
    may_decline: bool = False  # its row need not take any of the problems
    margin_s: float = 0  # what it may need beyond its {seconds}

    def resumes(self):
        """It is told its seconds, and goes on by itself where it was cut off."""
        return any("{seconds}" in str(word) for word in self.command)

    def command_for(self, seconds):
        allowed = str(max(int(seconds - self.margin_s), 1))
        return [str(word).replace("{seconds}", allowed) for word in self.command]


def run(command, limit_s, environment):
    """Runs a command in a process group of its own, which ends with it."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment,
            preexec_fn=os.setpgrp,  # no new session: who stops gpu_check's session stops this too
        )
        try:
            exit_code = process.wait(timeout=max(limit_s, 0.1))
        except subprocess.TimeoutExpired:
            exit_code = None
        finally:
            end_group(process)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
        return Result(exit_code, *texts, time.monotonic() - started)


def end_group(process):
    for ending in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, ending)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
