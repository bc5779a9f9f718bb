# SPDX-License-Identifier: Apache-2.0
"""standing.py: who wins: for each row the time of the best rival over ours, and what that comes to.

A row is a win where the ratio is above 1.03 and its interval excludes 1, a loss where it is below 1/1.03
and its interval excludes 1, else a tie.
"""

import math
import random
from dataclasses import dataclass

TIE = 1.03
RESAMPLES = 400


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


@dataclass
class Row:
    """Ours and the rivals on one problem. `ours`: of several families the one that the library chose
    or, where no line says so, the quickest."""

    name: str
    key: str
    results: list
    ours: object = None
    best: object = None  # the quickest rival
    ratio: float = math.nan  # its time over ours
    interval: tuple = (math.nan, math.nan)

    def __post_init__(self):
        own = [r for r in self.results if not r.rival]
        timed = [r for r in own if r.timed]
        chosen = [r for r in own if r.contender == ""]
        self.ours = chosen[0] if chosen else min(timed, key=lambda r: r.us, default=own[0] if own else None)
        rivals = [r for r in self.results if r.rival and r.timed]
        self.best = min(rivals, key=lambda r: r.us, default=None)
        if self.compared:
            self.ratio = self.best.us / self.ours.us
            self.interval = interval(self.best, self.ours)

    @property
    def compared(self):
        return self.ours is not None and self.ours.timed and self.best is not None

    @property
    def verdict(self):
        low, high = self.interval
        if self.ratio > TIE and low > 1:
            return "win"
        if self.ratio < 1 / TIE and high < 1:
            return "loss"
        return "tie"

    @property
    def gflop(self):
        return 2e-9 * max((r.macs for r in self.results), default=0.0)


def median(values):
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def interval(rival, ours):
    """95 % bootstrap interval of median over median: rounds are resampled whole, so that what slowed both
    cancels. Without the samples the ratio of what lies farthest apart."""
    rounds = list(zip(rival.samples, ours.samples))  # one that is slow has fewer
    if len(rounds) < 3:
        return rival.interval[0] / ours.interval[1], rival.interval[1] / ours.interval[0]
    rng, ratios = random.Random(1), []
    for _ in range(RESAMPLES):
        chosen = rng.choices(rounds, k=len(rounds))
        ratios.append(median([a for a, _ in chosen]) / median([b for _, b in chosen]))
    ratios.sort()
    cut = round(0.025 * RESAMPLES)
    return ratios[cut], ratios[-1 - cut]


@dataclass
class Group:
    """The rows that were measured alike: machine, type, layout, threads, packing."""

    settings: tuple
    rows: list

    @property
    def threads(self):
        """None on a GPU."""
        return int(self.settings[3].split()[0]) if self.settings[3] else None

    def ceilings(self, lines):
        return ceilings(lines, self.settings[1], self.threads, self.settings[0])

    @property
    def title(self):
        _, dtype, layout, threads, filters, state = self.settings
        words = [dtype, layout, threads, f"filters {filters}" if filters else "", f"caches {state}" if state else ""]
        return ", ".join(word for word in words if word)

    @property
    def compared(self):
        return sorted((row for row in self.rows if row.compared), key=lambda row: row.ratio)

    @property
    def alone(self):
        """Rows without a comparison."""
        return [row for row in self.rows if not row.compared]

    def count(self, verdict):
        return sum(row.verdict == verdict for row in self.compared)

    def mean(self, rows=None):
        return geometric_mean([row.ratio for row in (self.compared if rows is None else rows)])

    def notes(self):
        """Names of rows by (contender, note)."""
        names = {}
        for result in (r for row in self.rows for r in row.results if r.note):
            names.setdefault((result.kernel, result.note), []).append(result.name)
        return names

    def not_timed(self):
        """Names of rows by (contender, what became of it, why)."""
        names = {}
        for result in (r for row in self.rows for r in row.results if not r.timed):
            word = "wrong" if result.status == "mismatch" else result.status
            names.setdefault((result.kernel or "ours", word, result.reason), []).append(result.name)
        return names


def groups(results):
    """Groups in the order of their first line; of results of the same contender on the same row the last
    one counts."""
    by_settings = {}
    for result in results:
        if result is None:
            continue
        rows = by_settings.setdefault(result.settings, {})
        # What was chosen may be another family or tile next time.
        who = (result.rival, result.contender, *((result.kernel, result.tile) if result.contender else ()))
        rows.setdefault(result.row, {})[who] = result
    return [Group(settings, [Row(*row, list(results.values())) for row, results in rows.items()])
            for settings, rows in by_settings.items()]


# ---- The roofline ----------------------------------------------------------------------------------
def ceilings(lines, dtype, threads, machine):
    """The measured ceilings that hold for a type: {"macs_per_us", "bytes_per_us", "sources"}. Types of
    16 bits may be multiplied as f32, so the higher one of the two products holds."""
    found = {"macs_per_us": 0.0, "bytes_per_us": 0.0, "sources": []}
    for line in lines:
        if line.get("kind") != "ceiling" or line.get("threads", threads) != threads or \
                line.get("machine", machine) != machine:
            continue
        what, source = line.get("what", ""), f" ({line['source']})" if "source" in line else ""
        product = what == f"product {dtype}" or (what == "product f32" and dtype in ("f16", "bf16"))
        if product and line.get("macs_per_us", 0) > found["macs_per_us"]:
            found["macs_per_us"] = line["macs_per_us"]
            found["sources"] = [s for s in found["sources"] if not s.startswith("product")]
            found["sources"].append(f"{what}: {2e-3 * line['macs_per_us']:.1f} GFLOP/s{source}")
        if what.startswith("copy") and line.get("bytes_per_us", 0) > found["bytes_per_us"]:
            found["bytes_per_us"] = line["bytes_per_us"]
            found["sources"] = [s for s in found["sources"] if not s.startswith("copy")]
            found["sources"].append(f"{what}: {1e-3 * line['bytes_per_us']:.1f} GB/s{source}")
    return found


def roofline_us(line, lines):
    """The least time of a result by the ceilings among `lines`; 0 where they are missing."""
    found = ceilings(lines, line["key"].split(":")[0], line["threads"], line["machine"])
    if not found["macs_per_us"] or not found["bytes_per_us"]:
        return 0.0
    return max(line["useful_macs"] / found["macs_per_us"], line["least_bytes"] / found["bytes_per_us"])
