# SPDX-License-Identifier: Apache-2.0
"""What the program says of plans: the option that would unlock a faster row, packed filters wherever
a plan is made; rows that can be resized."""

import json
import pathlib
import re

from support import ProgramTest, integers
from test_tools import write_png

PROBLEM = ["--input-shape", "1,3,3,256", "--filter-shape", "4,4,96,256", "--strides", "2"]


class Prepack(ProgramTest):
    def test_explain_names_the_option_that_unlocks_a_faster_row(self):
        said = self.json("explain", "--device", "cpu", *PROBLEM)
        self.assertEqual(said["unlock"]["option"], "prepacked_filters")
        self.assertLess(said["unlock"]["estimate_us"], 0.95 * said["estimate_us"])
        packed = self.json("explain", "--device", "cpu", "--prepack", *PROBLEM)
        self.assertEqual(packed["estimate_us"], said["unlock"]["estimate_us"])
        self.assertEqual(packed["kernel"], said["unlock"]["kernel"])
        self.assertGreater(packed["packed_filter_bytes"], 0)
        self.assertNotIn("unlock", packed)
        text = self.call("explain", "--device", "cpu", *PROBLEM)
        self.assertRegex(text, r"\nwith prepacked filters: simd, [\d.]+ (us|ms|s)\n$")

    def test_is_taken_by_every_command_that_makes_a_plan(self):
        self.save("x.npy", integers([1, 3, 3, 8], 1))
        self.save("f.npy", integers([4, 4, 5, 8], 2))
        files = ["--input", "x.npy", "--filters", "f.npy", "--strides", "2", "--device", "cpu"]
        self.call("run", *files, "--output", "plain.npy")
        self.call("run", *files, "--prepack", "--output", "packed.npy")
        with open(self.path("plain.npy"), "rb") as plain, open(self.path("packed.npy"), "rb") as packed:
            self.assertEqual(plain.read(), packed.read())
        self.assertTrue(self.json("verify", *files, "--prepack")["verified"])
        self.call("explain", *files, "--prepack")
        self.call("bench", *files[4:], "--input-shape", "1,3,3,8", "--filter-shape", "4,4,5,8",
                  "--prepack", "--rounds", "3")
        write_png(self.path("a.png"), 3, 2, 3, list(range(18)))
        self.call("upscale", "a.png", "b.png", "--prepack", "--device", "cpu", "--verify")


class Resizable(ProgramTest):
    def test_readme_names_the_rows_that_can_be_resized(self):
        readme = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text()
        sentence = re.search(r"the rows ((?:`\w+`(?:,| and)?\s+)+)can be resized", readme).group(1)
        named = set(re.findall(r"`(\w+)`", sentence))
        rows = json.loads(self.call("kernels", "--json"))
        for row in rows:
            self.assertEqual(row["resizable"], row["name"] in named, row)
            self.assertEqual(row["resizable"], "fixed_size" not in row, row)
            self.assertRegex(self.call("kernels"), rf"(?m)^{row['name']}  \w+\n(    .*\n)*    resized  +" +
                             ("yes" if row["resizable"] else re.escape(row["fixed_size"].split()[0])))
        self.assertIn("simd", {row["name"] for row in rows if row["resizable"]})
