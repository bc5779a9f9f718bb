# SPDX-License-Identifier: Apache-2.0
"""state: the JSON-lines file of a folder of results, so that a later call goes on where one was cut off.

Lines: `head` (which machine, commit and sources; one a call), `started`, `partial` (a step that has to be
called again) and `step` (its end). A call may be killed at any moment: the last line may be half a line,
and a step that was started without an end is repeated, once.
"""
import datetime
import json
import os

STATUSES = ("passed", "failed", "not_run")
CUT_OFF_LIMIT = 2  # a step that took two calls with it is not tried a third time


class Mismatch(Exception):
    """The folder holds results of other sources or of another GPU."""


class State:
    def __init__(self, folder, name):
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, name)
        self.heads, self.ended, self.cut_off, self.seconds = [], {}, {}, {}
        self.separator = "\n" if self._ends_within_a_line() else ""

    def _ends_within_a_line(self):
        """Takes what there is."""
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except FileNotFoundError:
            return False
        for line in text.split("\n"):
            try:
                record = json.loads(line)
            except ValueError:
                continue  # empty, or cut off
            if isinstance(record, dict):
                self._take(record)
        return text != "" and not text.endswith("\n")

    def _take(self, record):
        kind, key = record.get("kind"), (record.get("part"), record.get("step"))
        if kind == "head":
            self.heads.append(record)
        elif kind == "started":
            self.cut_off[key] = self.cut_off.get(key, 0) + 1
        elif kind in ("partial", "step"):
            self.cut_off[key] = 0
            self.seconds[key] = self.seconds.get(key, 0) + record.get("seconds", 0)
            if kind == "step":
                self.ended[key] = record

    def _append(self, record):
        record["at"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        self._take(record)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(self.separator + json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.separator = ""

    def begin(self, head, fixed):
        """Writes the head line; refuses a folder whose last head differs in a field of `fixed`."""
        for field in fixed:
            before = self.heads[-1].get(field) if self.heads else head[field]
            if before != head[field]:
                raise Mismatch(
                    f"{self.path} holds results of {field} = {before}, but here it is {head[field]}: "
                    "results of one folder belong together; name another one"
                )
        self._append({"kind": "head", **head})

    def start(self, part, step):
        self._append({"kind": "started", "part": part, "step": step})

    def partial(self, part, step, seconds, reason):
        self._append(
            {"kind": "partial", "part": part, "step": step, "seconds": seconds, "reason": reason}
        )

    def end(self, part, step, status, reason, seconds, details):
        assert status in STATUSES
        self._append(
            {"kind": "step", "part": part, "step": step, "status": status, "reason": reason}
            | {"seconds": round(seconds, 2)}
            | details
        )

    def was_cut_off_too_often(self, part, step):
        return self.cut_off.get((part, step), 0) >= CUT_OFF_LIMIT

    def seconds_of_part(self, part):
        return sum(seconds for (name, _), seconds in self.seconds.items() if name == part)
