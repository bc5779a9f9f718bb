# SPDX-License-Identifier: Apache-2.0
"""bench/fit_costs on made-up times: it must find the costs that they were made of. Needs the virtual
environment of `setup --all`."""

import importlib.machinery
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "bench/fit_costs"


def load():
    loader = importlib.machinery.SourceFileLoader("fit_costs", str(PROGRAM))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("fit_costs", loader))
    loader.exec_module(module)
    return module


fit_costs = load()


def made_up(costs, count=40, seed=1):
    """Lines of simd_costs whose times are work times costs."""
    random = np.random.default_rng(seed)
    for row in range(count):
        work = {unit: float(random.integers(1, 1000)) for unit in fit_costs.UNITS}
        us = sum(work[unit] * cost for unit, cost in costs.items())
        yield {"key": f"row {row}", "method": "tiles", "us": us, "estimate_us": us, **work}


class FitCosts(unittest.TestCase):
    costs = dict(zip(fit_costs.UNITS, (0.5, 2, 0.25, 0, 1, 0.125, 3)))

    def test_finds_the_costs(self):
        found, predicted = fit_costs.fit(lines := list(made_up(self.costs)))
        np.testing.assert_allclose(found, list(self.costs.values()), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(predicted, [line["us"] for line in lines])

    def test_is_not_led_by_a_few_rows(self):
        lines = list(made_up(self.costs))
        for line in lines[::10]:
            line["us"] *= 20
        found, _ = fit_costs.fit(lines)
        np.testing.assert_allclose(found, list(self.costs.values()), rtol=0.2, atol=0.1)

    def test_takes_the_quickest_of_several_runs(self):
        slow = [{**line, "us": 2 * line["us"]} for line in made_up(self.costs)]
        self.assertEqual(fit_costs.quickest(slow + list(made_up(self.costs))), list(made_up(self.costs)))

    def test_says_where_the_planner_chooses_badly(self):
        lines = list(made_up(self.costs))
        # Much quicker than its estimate says, and of the same row.
        lines.append({**lines[0], "method": "columns", "us": lines[0]["us"] / 4, "estimate_us": 1e9})
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write("\n".join(json.dumps(line) for line in lines))
            file.flush()
            said = subprocess.run([sys.executable, "-B", PROGRAM, file.name], check=True, text=True,
                                  capture_output=True).stdout
        self.assertIn("compiled in: within 1.5 on 40 of 40 (100 %)", said)
        self.assertIn(f"row 0: tiles {lines[0]['us']:.0f} us, columns {lines[0]['us'] / 4:.0f} us", said)


if __name__ == "__main__":
    unittest.main()
