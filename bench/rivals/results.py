# SPDX-License-Identifier: Apache-2.0
"""results.py: the file of results, JSON lines: appended to row by row, and read again by the next call."""

import json
import os
from collections import Counter


MOST_DEATHS = 2  # then what the process was at is given up


class NoResults(Exception):
    """A file that holds something else."""


class Results:
    def __init__(self, path):
        """Reads `path`, if it exists. A last line that is cut off is dropped."""
        self.path, self.lines, self.units, self.ids = path, [], {}, set()
        self.deaths = Counter()  # (unit, kernel): how often the process ended over it
        self.too_slow = {}  # (unit, kernel): how, in words
        end, data = 0, b""
        if os.path.exists(path):
            with open(path, "rb") as file:
                data = file.read()
        for number, line in enumerate(data.splitlines(keepends=True), 1):
            try:
                value = json.loads(line)
                complete = isinstance(value, dict)
            except ValueError:
                complete = False
            if not complete and line.strip():
                if not line.endswith(b"\n"):
                    break
                raise NoResults(f"--out {path}: line {number} is no JSON object: not a file of results")
            end += len(line)
            if complete:
                self.note(value)
        self.file = open(path, "r+b" if data else "wb")
        self.file.truncate(end)
        self.file.seek(end)
        if end and data[end - 1:end] != b"\n":
            self.file.write(b"\n")

    def note(self, line):
        self.lines.append(line)
        kind, unit = line.get("kind"), line.get("unit")
        if "id" in line:
            self.ids.add(line["id"])
        if kind == "died":
            self.deaths[unit, line.get("kernel")] += 1
            if line.get("slow"):
                self.too_slow[unit, line.get("kernel")] = line["reason"]
        elif kind == "timing":
            self.units.setdefault(unit, {})[line.get("contender")] = line

    def append(self, *lines):
        """All of them or, where the program ends meanwhile, a cut-off beginning."""
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        self.file.write(text.encode())
        self.file.flush()
        for line in lines:
            self.note(line)

    def close(self):
        self.file.close()

    def has_id(self, name):
        return name in self.ids

    def of(self, unit, contenders):
        """The lines of the unit, if it has one for each of these contenders."""
        lines = self.units.get(unit, {})
        return [lines[name] for name in contenders] if all(name in lines for name in contenders) else None

    def given_up(self, unit, kernel):
        """Why, or nothing."""
        slow = self.too_slow.get((unit, kernel), "")
        return slow or ("ended its process twice" if self.deaths[unit, kernel] >= MOST_DEATHS else "")
