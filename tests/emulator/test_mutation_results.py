#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_mutation_results.py COMPILER: which results of mutations are stale, and what is tried again."""
import json
import sys
import unittest
from unittest import mock

import mutate
import mutation_lists
import mutation_results
import mutation_sources
from mutated_project import EXPLAINED, HEADER, KERNEL, TEST, Project
from mutation_run import CAUGHT, SURVIVED, Result


class FakeRunner(mutate.Runner):
    """Compiles nothing: what EXPLAINED explains survives."""

    def check_baseline(self):
        pass

    def try_one(self, mutation):
        survives = (mutation.old, mutation.new) in EXPLAINED or "hole" in mutation.name
        return Result(mutation, SURVIVED if survives else CAUGHT)


class ResultsTest(Project):
    """What is checked in, and what is tried again."""

    def setUp(self):
        super().setUp()
        fake = mock.patch.object(mutate, "Runner", FakeRunner)
        fake.start()
        self.addCleanup(fake.stop)
        code, self.first_output = self.run_driver("renew")
        self.assertEqual(code, 0, self.first_output)

    def test_renewing_writes_every_outcome(self):
        results = self.results()
        self.assertEqual(results["broken"], {"limit": "caught", "sign": "caught"})
        self.assertEqual(len(results["random"]), 6)
        self.assertEqual(len(self.tried(self.first_output)), 8)
        self.assertEqual(results["compiler"], "GNU")
        self.assertEqual(len((self.folder / "results.json").read_text().split("\n")), 19)

    def test_tries_a_tenth_but_three_at_least(self):
        code, output = self.run_driver("check")
        self.assertEqual(code, 0, output)
        self.assertEqual(len(self.tried(output)), 3)
        self.assertRegex(output, "of seed [0-9]+ ")
        many = mock.Mock(broken=list(range(31)), chance=list(range(31, 60)))
        self.assertEqual(len(mutation_results.draw(many, 1)), 6)
        many.chance.append(60)
        self.assertEqual(len(mutation_results.draw(many, 1)), 7)

    def test_a_seed_repeats_the_tenth(self):
        draws = {seed: self.tried(self.run_driver("check", seed)[1]) for seed in ("1", "2", "3")}
        self.assertEqual(draws["2"], self.tried(self.run_driver("check", "2")[1]))
        self.assertGreater(len({str(draw) for draw in draws.values()}), 1)

    def test_other_sources_are_stale(self):
        before = (self.folder / "results.json").read_text()
        (self.root / "src/limit.h").write_text(HEADER + "constexpr int kNew = 3;\n")
        code, output = self.run_driver("check")
        self.assertEqual(code, 1)
        self.assertIn("results.json is stale", output)
        self.assertIn("scripts/test --mutations clamp", output)
        self.assertEqual(len(self.tried(output)), 8)
        self.assertEqual((self.folder / "results.json").read_text(), before)
        renewed = self.build / "renewed/clamp.json"
        self.assertIn(str(renewed), output)
        (self.folder / "results.json").write_text(renewed.read_text())
        code, output = self.run_driver("check")
        self.assertEqual(code, 0, output)
        (self.folder / "results.json").unlink()
        code, output = self.run_driver("check")
        self.assertEqual(code, 1)
        self.assertIn("stale", output)

    def test_nothing_is_to_be_checked_in_that_is_not_as_it_should_be(self):
        self.broken(("hole", "src/clamp.cpp", "x + 100", "x + 90"))
        code, output = self.run_driver("check")
        self.assertEqual(code, 1)
        self.assertIn("stale", output)
        self.assertIn("of the list only 0 of 1 are caught", output)
        self.assertFalse((self.build / "renewed/clamp.json").exists())

    def test_another_outcome_fails(self):
        path, results = self.folder / "results.json", self.results()
        index, (_, *changed) = next((i, r) for i, r in enumerate(results["random"]) if r[0] == "survived")
        results["random"] = [["hung" if outcome != "survived" else outcome, *change]
                             for outcome, *change in results["random"]]
        path.write_text(json.dumps(results))
        for seed in map(str, range(3)):  # how it was noticed is the machine's affair
            self.assertEqual(self.run_driver("check", seed)[0], 0)
        results["random"][index] = ["caught", *changed]
        path.write_text(json.dumps(results))
        answers = [self.run_driver("check", str(seed)) for seed in range(12)]
        self.assertEqual({code for code, _ in answers}, {0, 1})
        for code, output in answers:
            self.assertEqual(code == 1, "was caught, and now survived" in output)
            self.assertEqual(code == 1, changed[1] in output)

    def test_a_file_must_hold_the_mutations_of_today(self):
        path, results = self.folder / "results.json", self.results()
        for change in ({"random": results["random"][::-1]}, {"broken": {"limit": "caught"}}):
            path.write_text(json.dumps({**results, **change}))
            self.assertEqual(self.run_driver("check")[0], 2)
        for change, message in [({"broken": {"limit": "caught", "sign": "survived"}}, "only 1 of 2"),
                                ({"random": results["random"][:-1]}, "only 5 of 6")]:
            path.write_text(json.dumps({**results, **change}))
            code, output = self.run_driver("check")
            self.assertEqual(code, 1)
            self.assertIn(message, output)


class HashTest(Project):
    """What decides, and what does not."""

    def hash(self, flags=""):
        self.write_project(flags)
        family = mutation_lists.read_family(self.folder / "mutations.json")
        return mutation_sources.Sources(self.root, self.build / "compile_commands.json", family).hash()

    def test_knows_what_decides(self):
        (self.root / "other.cpp").write_text("int other;")
        self.more = {"decide": ["other*"]}
        hashes = [self.hash(), self.hash("-O3"), self.hash("-fno-inline")]
        for change in [lambda: (self.root / "src/limit.h").write_text(HEADER + "constexpr int kNew = 3;"),
                       lambda: (self.root / "src/clamp.cpp").write_text(KERNEL.replace("3 + 3", "3")),
                       lambda: (self.root / "tests/test.cpp").write_text(TEST + "int x;"),
                       lambda: (self.root / "other.cpp").write_text("int others;"),
                       lambda: self.explain(EXPLAINED[1:]),
                       lambda: self.broken(("limit", "src/limit.h", "10", "12")),
                       lambda: self.random.update(seed=2),
                       lambda: self.random.update(end="return"),
                       lambda: self.more.update(filter="A.*"),
                       lambda: self.units.append("src/limit.h")]:
            change()
            hashes.append(self.hash())
        self.assertEqual(len(set(hashes)), len(hashes), hashes)

    def test_knows_nothing_of_the_machine(self):
        before = self.hash()
        self.assertEqual(before, self.hash(
            "-mf16c -Wall -DHERE -I/usr/include -ffile-prefix-map=a=b"))
        (self.root / "src/clamp.cpp").write_text(
            KERNEL.replace("  return x", "\n  /* why\n */\n    return x").replace("// clamp", "// Clamp"))
        self.assertEqual(before, self.hash())
        (self.root / "more").mkdir()  # a file that moves
        (self.root / "src/limit.h").rename(self.root / "more/bound.h")
        (self.root / "src/clamp.cpp").write_text(KERNEL.replace("limit.h", "more/bound.h"))
        self.random["files"][1] = "more/bound.h"
        self.broken(("limit", "more/bound.h", "10", "11"),
                    ("sign", "src/clamp.cpp", "x < 0 ? 0", "x > 0 ? 0"))
        self.assertEqual(before, self.hash())

    def test_a_pattern_must_be_of_a_file(self):
        self.more = {"decide": ["nowhere/*"]}
        with self.assertRaisesRegex(mutation_lists.WrongList, "no file is nowhere"):
            self.hash()

    def test_comments_are_no_text(self):
        text = mutation_sources.decisive_text
        self.assertEqual(text('a = "//"; // b\n\n  /* c\n */ d = 1\'000; // it\'s\n#include "x.h"\n'),
                         'a = "//";\nd = 1\'000;')
        self.assertEqual(text("x = '\"'; // y\nz = '\\''; // w"), "x = '\"';\nz = '\\'';")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
