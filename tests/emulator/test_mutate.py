#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_mutate.py COMPILER: the driver of mutations, on a program of a few lines."""
import sys
import unittest

import mutation_lists
from mutated_project import HEADER, KERNEL, TEST, Project


class ListTest(Project):
    """The mutations of a list."""

    def test_catches_what_the_test_catches(self):
        self.broken(("limit", "src/limit.h", "10", "11"),
                    ("sign", "src/clamp.cpp", "x < 0 ? 0", "x > 0 ? 0"),
                    ("lines", "src/clamp.cpp", "name[0];\n  return x < 0", "name[1];\n  return x > 0"))
        code, output = self.run_driver("renew")
        self.assertEqual(code, 0, output)
        self.assertIn("caught 3 / 3 of the list", output)
        self.assertEqual((self.root / "src/limit.h").read_text(), HEADER)

    def test_lists_survivors_crashes_and_timeouts(self):
        self.broken(("hole", "src/clamp.cpp", "x + 100", "x + 90"),
                    ("hang", "src/clamp.cpp", "if (x > k",
                     "while (*const_cast<volatile int*>(&x) > 1) continue; if (x > k"),
                    ("crash", "src/clamp.cpp", "return x < 0", "__builtin_trap(); return x < 0"))
        code, output = self.run_driver("renew")
        self.assertEqual(code, 1)
        self.assertIn("of the list only 0 of 3 are caught", output)
        self.assertFalse((self.folder / "results.json").exists())
        survived, noticed = output.split("of the list, noticed, but by a crash or a timeout:")
        self.assertIn("x + 90", survived)
        self.assertIn("because", survived)
        self.assertIn("volatile", noticed)
        self.assertIn("__builtin_trap", noticed)

    def test_a_hang_uses_up_the_processor_s_time(self):  # and not that of a clock, on a busy machine
        self.more = {"timeout": 3600}
        self.broken(("hang", "src/clamp.cpp", "if (x > k",
                     "while (*const_cast<volatile int*>(&x) > 1) continue; if (x > k"))
        self.random["count"] = 0
        self.assertIn("hung: src/clamp.cpp", self.run_driver("renew")[1])

    def test_sees_changes_of_what_is_precompiled(self):
        (self.root / "src/clamp.cpp").write_text(KERNEL.replace('#include "limit.h"\n', ""))
        (self.root / "src/force.h").write_text('#include "src/limit.h"\n')
        code, output = self.run_driver("renew", flags=f"-include {self.root}/src/force.h")
        self.assertEqual(code, 0, output)
        self.assertIn("caught 2 / 2 of the list", output)

    def two_units(self):
        (self.root / "src/floor.cpp").write_text(
            '#include "limit.h"\nstatic_assert(kLimit == 10);\n'
            "int floor_of(int x) { return x < kFloor ? kFloor : x; }\n")
        (self.root / "src/limit.h").write_text(HEADER + "constexpr int kFloor = 3;\n")
        self.program_is(TEST.replace("clamp(5) == 5", "floor_of(2) == 3")
                     .replace("int main", "int floor_of(int);\nint main"))
        self.broken(("first", "src/limit.h", "10", "11"), ("second", "src/limit.h", "= 3", "= 4"))
        self.random["files"] = ["src/clamp.cpp"]
        self.units.append("src/floor.cpp")

    def test_units_one_by_one(self):
        self.two_units()  # what the test notices of the first needs no second; what it does not, does
        code, output = self.run_driver("renew")
        self.assertIn("caught 2 / 2 of the list", output)

    def test_units_at_once(self):
        self.two_units()
        self.more = {"host": [self.units.pop()]}
        code, output = self.run_driver("renew")  # floor.cpp does not compile with the first
        self.assertEqual(code, 1)
        self.assertIn("caught 1 / 2 of the list", output)
        self.assertIn("static assertion", output)

    def test_a_first_run_that_sees_nothing_is_not_the_last(self):
        self.program_is("""#include <cstring>
int clamp(int);
int main(int, char** arguments) {  // the first run sees nothing
  return std::strstr(arguments[2], "nothing") || (clamp(20) == 10 && clamp(-3) == 0) ? 0 : 1; }
""")
        self.more = {"first_filter": "nothing"}
        code, output = self.run_driver("renew")
        self.assertIn("caught 2 / 2 of the list", output)

    def test_a_broken_copy_must_compile_and_change_something(self):
        self.broken(("typo", "src/clamp.cpp", "x = 2", "x = = 2"),
                    ("same", "src/clamp.cpp", "0 : x", "0    : x"))
        code, output = self.run_driver("renew")
        self.assertEqual(code, 1)
        self.assertIn("of the list, changed nothing, or did not compile", output)
        self.assertIn("error", output)

    def test_refuses_lists_that_do_not_fit(self):
        for old, message in [("y > kLimit", "0 times"), ("return", "2 times")]:
            self.broken(("stale", "src/clamp.cpp", old, "throw"))
            code, output = self.run_driver("renew")
            self.assertEqual(code, 2)
            self.assertIn(message, output)
        self.setUp()
        self.random["cuont"] = 3
        code, output = self.run_driver("renew")
        self.assertEqual(code, 2)
        self.assertIn("cuont", output)

    def test_refuses_a_test_that_fails_anyway(self):
        self.program_is("int main() { return 1; }\n")
        code, output = self.run_driver("renew")
        self.assertEqual(code, 2)
        self.assertIn("without any mutation: caught", output)


class RandomTest(Project):
    """Random mutations."""

    def test_changes_code_alone(self):
        line = "if (x > kLimit) x = 2 * kLimit - kLimit;"
        changed = {(m.old, m.new)
                   for m in mutation_lists.random_mutations(self.root, ["src/clamp.cpp", "src/limit.h"])}
        self.assertEqual(changed, {
            (line, "if (x >= kLimit) x = 2 * kLimit - kLimit;"),
            (line, "if (x <= kLimit) x = 2 * kLimit - kLimit;"),
            (line, "if (x > kLimit) x = 1 * kLimit - kLimit;"),
            (line, "if (x > kLimit) x = 3 * kLimit - kLimit;"),
            (line, "if (x > kLimit) x = 2 + kLimit - kLimit;"),
            (line, "if (x > kLimit) x = 2 * kLimit + kLimit;"),
            ("if (x + 100 < 0) return name[0];", "if (x - 100 < 0) return name[0];"),
            ("if (x + 100 < 0) return name[0];", "if (x + 99 < 0) return name[0];"),
            ("if (x + 100 < 0) return name[0];", "if (x + 101 < 0) return name[0];"),
            ("if (x + 100 < 0) return name[0];", "if (x + 100 <= 0) return name[0];"),
            ("if (x + 100 < 0) return name[0];", "if (x + 100 >= 0) return name[0];"),
            ("if (x + 100 < 0) return name[0];", "if (x + 100 < 1) return name[0];"),
            ("if (x + 100 < 0) return name[0];", "if (x + 100 < 0) return name[1];"),
            ("return x < 0 ? 0 : x;", "return x <= 0 ? 0 : x;"),
            ("return x < 0 ? 0 : x;", "return x >= 0 ? 0 : x;"),
            ("return x < 0 ? 0 : x;", "return x < 1 ? 0 : x;"),
            ("return x < 0 ? 0 : x;", "return x < 0 ? 1 : x;"),
            ("constexpr int kLimit = 10;  // 4 + 4", "constexpr int kLimit = 9;  // 4 + 4"),
            ("constexpr int kLimit = 10;  // 4 + 4", "constexpr int kLimit = 11;  // 4 + 4")})

    def test_changes_lines_between_two_marks_alone(self):
        lines = ["a", "// Begin", "b", "// End", "c", "// Begin"]
        self.assertEqual(list(mutation_lists.between(lines, "// Begin", "// End")), [2, 3])
        self.assertEqual(list(mutation_lists.between(lines, "", "")), [1, 2, 3, 4, 5, 6])
        self.assertEqual(list(mutation_lists.between(lines, "// End", "// nowhere")), [4, 5, 6])
        self.assertEqual(list(mutation_lists.between(lines, "// nowhere", "")), [])
    def test_a_seed_gives_one_answer(self):
        first = self.run_driver("renew")
        self.assertEqual(first, self.run_driver("renew"))
        code, output = self.run_driver("check")
        self.assertEqual(code, 0, output)
        self.random["seed"] = 2
        self.assertNotEqual(first, self.run_driver("renew"))

    def test_wants_survivors_explained(self):
        self.random["count"] = 15
        code, output = self.run_driver("renew")
        self.assertEqual(code, 0, output)
        self.assertIn("no test asks for it", output)
        self.random["minimum"] = 95  # under that, explained or not
        code, output = self.run_driver("renew")
        self.assertEqual(code, 1)
        self.assertIn("under 95 percent of the random ones are noticed", output)
        self.random["minimum"] = 0
        self.explain([])
        code, output = self.run_driver("renew")
        self.assertEqual(code, 1)
        self.assertIn("random survivors that nothing explains", output)

    def test_wants_as_many_as_it_is_told(self):
        self.random["count"] = 100
        code, output = self.run_driver("renew")
        self.assertEqual(code, 1)
        self.assertIn("of 100 random mutations, for no more can be made", output)

    def test_an_explanation_must_have_its_line(self):
        self.explain([("gone", "away")], "src/limit.h")
        code, output = self.run_driver("renew")
        self.assertEqual(code, 2)
        self.assertIn("no line of src/limit.h reads: gone", output)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
