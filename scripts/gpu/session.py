# SPDX-License-Identifier: Apache-2.0
"""session: walks the steps of the parts within the time of one call and writes down how each ended."""
import shlex
import time

from step import UNSUPPORTED, Outcome, run

OUTPUT_KEPT = 20000  # characters of a step's output in the log: its end
RESERVE_S = 5  # at the end of a call, for writing and saying things


class OutOfTime(Exception):
    """The call's time is over; the next call goes on."""


class Session:
    def __init__(self, state, log_path, environment, budget_s, started, dry, repeat, say):
        self.state, self.log_path, self.environment = state, log_path, environment
        self.deadline = started + budget_s - RESERVE_S
        self.dry, self.repeat, self.say = dry, repeat, say
        self.refusals = {}  # tool: why
        self.repeated = set()

    def remaining(self):
        return self.deadline - time.monotonic()

    def walk(self, part, steps, share_s):
        """All steps of a part; beyond its share of the time they are put off. share_s None: no limit."""
        spent = self.state.seconds_of_part(part)
        for step in steps:
            if self.is_done(step, share_s is None):
                continue
            if share_s is not None and not self.dry and spent + step.expected_s > share_s:
                reason = f"the part's {share_s / 60:g} minutes are used: --part {part} goes on with it"
                self.record(step, Outcome("not_run", reason, {"put_off": True}), 0)
                continue
            spent += self.perform(step, float("inf") if share_s is None else share_s - spent)

    def is_done(self, step, put_off_too):
        key = (step.part, step.name)
        ended = self.state.ended.get(key)
        if not ended:
            return False
        if ended.get("put_off"):
            return not put_off_too
        if self.repeat and ended["status"] != "passed" and key not in self.repeated:
            self.repeated.add(key)
            return False
        return True

    def perform(self, step, allowed_s):
        """Runs one step and records its end; returns its seconds. What can be called again is told to
        stop when the part's time is used."""
        why_not = step.absent or self.refusals.get(step.tool, "")
        if why_not and not self.dry:
            self.record(step, Outcome("not_run", why_not), 0)
            return 0
        if not step.resumes() and self.state.was_cut_off_too_often(step.part, step.name):
            reason = "it was cut off twice, with the call that ran it"
            self.record(step, Outcome("failed", reason), 0)
            return 0
        if self.dry:
            return self.rehearse(step)
        if self.remaining() < step.expected_s:
            raise OutOfTime()
        limit_s = min(step.limit_s, self.remaining())
        result = self.execute(step, step.command_for(min(limit_s, allowed_s)), limit_s)
        if result.exit_code is None and limit_s < step.limit_s:
            self.state.partial(step.part, step.name, result.seconds, "the call's time was over")
            raise OutOfTime()
        outcome = step.judge(result)
        if result.exit_code is None:
            outcome = Outcome("failed", f"it did not end within {limit_s:.0f} s", outcome.details)
        if outcome.refused:
            self.refusals[step.tool] = outcome.reason
        if outcome.status == "again":
            self.state.partial(step.part, step.name, result.seconds, outcome.reason)
            return result.seconds + self.go_on(step, outcome, allowed_s - result.seconds)
        self.record(step, outcome, result.seconds)
        return result.seconds

    def go_on(self, step, outcome, allowed_s):
        """A step asks to be called again: now, in the next call, or never, as the part's time allows."""
        if allowed_s < step.expected_s:
            reason = f"as far as the part's minutes went: --part {step.part} goes on with it"
            status = "failed" if outcome.details.get("device_failures") else "passed"
            self.record(step, Outcome(status, reason, {"put_off": True} | outcome.details), 0)
            return 0
        if self.remaining() < step.expected_s:
            raise OutOfTime()
        return self.perform(step, allowed_s)

    def rehearse(self, step):
        """Prints the command; runs what can be run without a GPU in its place."""
        command = step.command_for(step.limit_s)
        self.say(f"  {step.part} / {step.name}: {shlex.join(command) or step.absent}")
        if not step.command:
            outcome, seconds = Outcome("not_run", step.absent), 0
        elif step.rehearsal is None:
            outcome, seconds = Outcome("not_run", "dry run"), 0
        else:
            result = self.execute(step, step.rehearsal, 120)
            outcome, seconds = judge_rehearsal(step, result), result.seconds
        self.record(step, outcome, seconds)
        return seconds

    def execute(self, step, command, limit_s):
        self.state.start(step.part, step.name)
        result = run(command, limit_s, self.environment)
        with open(self.log_path, "a", encoding="utf-8") as log:
            log.write(f"==== {step.part} / {step.name}: {shlex.join(command)}\n")
            log.write(f"---- exit code {result.exit_code} after {result.seconds:.1f} s\n")
            log.write((result.output + result.errors)[-OUTPUT_KEPT:] + "\n")
        return result

    def record(self, step, outcome, seconds):
        self.state.end(
            step.part, step.name, outcome.status, outcome.reason, seconds, outcome.details
        )
        reason = f": {outcome.reason}" if outcome.reason else ""
        self.say(f"{outcome.status:<8}{seconds:6.1f} s  {step.part} / {step.name}{reason}")


def judge_rehearsal(step, result):
    if step.may_decline and result.exit_code == UNSUPPORTED:
        return Outcome("not_run", "dry run: the row declines all of it")
    if result.exit_code == 0 and result.output.strip():
        return Outcome("passed", "dry run")
    return Outcome("failed", f"dry run: exit code {result.exit_code}: {result.last_words()}")
