# SPDX-License-Identifier: Apache-2.0
"""timing.py: contenders in turn, so that what slows the machine slows all of them.

A sample is as many runs as fill SAMPLE_US; in each round every contender gives one, in random order.
Before a sample stands a pause, in which the threads of the contender before go to sleep, and for quick
runs one that is not timed. Operands stay where they are: the caches are warm.
"""

import gc
import math
import random
import time
from dataclasses import dataclass, field

SAMPLE_US = 2000
PAUSE_S = 0.001
QUICK_US = 5000
LEAST_ROUNDS = 3
HOPELESS = 10  # times the quickest: its median is not worth more than LEAST_ROUNDS samples


def sample_us(run, iterations):
    begin = time.perf_counter_ns()
    for _ in range(iterations):
        run()
    return (time.perf_counter_ns() - begin) / 1000 / iterations


def first_us(run):
    """About how long a run takes that is not the first."""
    us = sample_us(run, 1)
    return us if us > 10 * QUICK_US else min(us, *(sample_us(run, 1) for _ in range(4)))


@dataclass
class Timed:
    run: object
    us: float  # about
    samples: list = field(default_factory=list)
    rounds: int = 0

    @property
    def iterations(self):
        return max(1, math.ceil(SAMPLE_US / max(self.us, 0.01)))

    @property
    def round_us(self):
        """What a round costs."""
        return self.us * (self.iterations + (self.us < QUICK_US)) + 1e6 * PAUSE_S

    def sample(self):
        time.sleep(PAUSE_S)
        if self.us < QUICK_US:
            self.run()
        self.samples.append(sample_us(self.run, self.iterations))


def plan_rounds(contenders, rounds, seconds):
    """Sets how often each is sampled. Those for which the time is too short get 0."""
    able = sorted(contenders, key=lambda c: c.us)
    left = seconds * 1e6
    chosen = []
    for contender in able:  # the quickest first; a slow one goes without rather than all
        if LEAST_ROUNDS * contender.round_us <= left:
            left -= LEAST_ROUNDS * contender.round_us
            chosen.append(contender)
            contender.rounds = LEAST_ROUNDS
    serious = [c for c in chosen if c.us <= HOPELESS * chosen[0].us]
    more = left / sum(c.round_us for c in serious) if serious else 0
    for contender in serious:
        contender.rounds = max(LEAST_ROUNDS, min(rounds, LEAST_ROUNDS + int(more)))


def run_rounds(contenders, seed=1):
    order, rng = list(contenders), random.Random(seed)
    gc.collect()
    gc.disable()
    try:
        for i in range(max((c.rounds for c in contenders), default=0)):
            rng.shuffle(order)
            for contender in order:
                if i < contender.rounds:
                    contender.sample()
    finally:
        gc.enable()


def quantile(values, share):
    """Linear between the neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def statistics(samples):
    """The fields of a timed line."""
    low, us, high = (quantile(samples, share) for share in (0.25, 0.5, 0.75))
    return {"median_us": us, "least_us": min(samples), "spread": (high - low) / us,
            "quartiles_us": [low, high], "rounds": len(samples),
            "samples_us": [round(value, 3) for value in samples]}
