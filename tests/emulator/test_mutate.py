#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_mutate.py COMPILER: the driver of mutations, on a program of a few lines."""
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

import mutate

KERNEL = """// clamp.cpp: 1 + 1 is no code here
#include "limit.h"
/* neither is
   2 * 2 here */
int clamp(int x) {
  const char* name = "3 + 3";
  if (x > kLimit) x = 2 * kLimit - kLimit;
  if (x + 100 < 0) return name[0];
  return x < 0 ? 0 : x;
}
"""
HEADER = "constexpr int kLimit = 10;  // 4 + 4\n"
TEST = """int clamp(int);
int main() { return clamp(20) == 10 && clamp(-3) == 0 && clamp(5) == 5 ? 0 : 1; }
"""


class MutateTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "src").mkdir()
        (self.root / "src/clamp.cpp").write_text(KERNEL)
        (self.root / "src/limit.h").write_text(HEADER)
        (self.root / "test.cpp").write_text(TEST)
        self.link = COMPILER + " -O1 {objects} {project}/test.cpp -o {program}"

    def run_driver(self, *arguments, timeout="5"):
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = mutate.main([
                "--project", str(self.root), "--copy", "src", "--source", "src/clamp.cpp",
                "--compile", COMPILER + " -O1 -I{copy}/src -c {source} -o {object}",
                "--link", self.link, "--timeout", timeout, "--jobs", "2", *arguments])
        return code, output.getvalue()

    def broken(self, *entries):
        path = self.root / "broken.json"
        path.write_text(json.dumps([
            {"name": name, "file": file, "from": old, "to": new, "why": "because"}
            for name, file, old, new in entries]))
        return self.run_driver("broken", str(path), timeout="1")

    def test_catches_what_the_test_catches(self):
        code, output = self.broken(("limit", "src/limit.h", "10", "11"),
                                   ("sign", "src/clamp.cpp", "x < 0 ? 0", "x > 0 ? 0"),
                                   ("lines", "src/clamp.cpp", "name[0];\n  return x < 0",
                                    "name[1];\n  return x > 0"))
        self.assertEqual(code, 0, output)
        self.assertIn("caught 3 / 3", output)
        self.assertEqual((self.root / "src/limit.h").read_text(), HEADER)

    def test_lists_survivors_crashes_and_timeouts(self):
        code, output = self.broken(("hole", "src/clamp.cpp", "x + 100", "x + 90"),
                                   ("hang", "src/clamp.cpp", "if (x > k",
                                    "while (*const_cast<volatile int*>(&x) > 1) continue; if (x > k"),
                                   ("crash", "src/clamp.cpp", "return x < 0", "__builtin_trap(); return x < 0"))
        self.assertEqual(code, 1)
        self.assertIn("caught 0 / 3", output)
        survived, noticed = output.split("noticed, but by a crash or a timeout:")
        self.assertIn("x + 90", survived)
        self.assertIn("because", survived)
        self.assertIn("volatile", noticed)
        self.assertIn("__builtin_trap", noticed)

    def test_units_one_by_one(self):
        (self.root / "src/floor.cpp").write_text(
            '#include "limit.h"\nstatic_assert(kLimit == 10);\n'
            "int floor_of(int x) { return x < kFloor ? kFloor : x; }\n")
        (self.root / "src/limit.h").write_text(HEADER + "constexpr int kFloor = 3;\n")
        (self.root / "test.cpp").write_text(TEST.replace("clamp(5) == 5", "floor_of(2) == 3")
                                            .replace("int main", "int floor_of(int);\nint main"))
        mutations = self.root / "broken.json"
        mutations.write_text(json.dumps([
            {"name": "first", "file": "src/limit.h", "from": "10", "to": "11", "why": "clamp"},
            {"name": "second", "file": "src/limit.h", "from": "= 3", "to": "= 4", "why": "floor"}]))
        both = ["--source", "src/floor.cpp", "broken", str(mutations)]
        code, output = self.run_driver(*both)  # clamp.cpp and floor.cpp, at once
        self.assertEqual(code, 1)
        self.assertIn("caught 1 / 2", output)
        self.assertIn("static assertion", output)
        # What the tests notice of the first unit needs no second; what they do not, does.
        code, output = self.run_driver("--one-by-one", "src", *both)
        self.assertEqual(code, 0, output)
        self.assertIn("caught 2 / 2", output)
        # A first run that sees nothing is not the last one.
        mutations.write_text(json.dumps([
            {"name": "sign", "file": "src/clamp.cpp", "from": "x < 0", "to": "x > 0", "why": ""}]))
        code, output = self.run_driver("--one-by-one", "src", "--first-run", "true", *both)
        self.assertEqual(code, 0, output)

    def test_a_broken_copy_must_compile_and_change_something(self):
        code, output = self.broken(("typo", "src/clamp.cpp", "x = 2", "x = = 2"),
                                   ("same", "src/clamp.cpp", "2 * kLimit - kLimit", "kLimit"))
        self.assertEqual(code, 1)
        self.assertIn("changed nothing, or did not compile", output)
        self.assertIn("error", output)

    def test_refuses_lists_that_do_not_fit(self):
        code, output = self.broken(("gone", "src/clamp.cpp", "y > kLimit", "y < kLimit"))
        self.assertEqual(code, 2)
        self.assertIn("0 times", output)
        code, output = self.broken(("twice", "src/clamp.cpp", "return", "throw"))
        self.assertEqual(code, 2)
        self.assertIn("2 times", output)

    def test_compiles_as_a_database_says(self):
        database = self.root / "compile_commands.json"
        source = self.root / "src/clamp.cpp"
        flags = f"-g -O1 -I{self.root}/src -I{self.root}"
        database.write_text(json.dumps([
            {"file": str(source), "command": f"false {flags} -o library.dir/x.o -c {source}"},
            {"file": str(source),
             "command": f"ccache {COMPILER} {flags} -o part/kernels.dir/x.o -c {source}"}]))
        path = self.root / "broken.json"
        path.write_text(json.dumps([
            {"name": "a", "file": "src/limit.h", "from": "10", "to": "11", "why": "caught"},
            {"name": "b", "file": "src/clamp.cpp", "from": "0 : x", "to": "0    : x", "why": "same"},
        ]))
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = mutate.main(["--project", str(self.root), "--copy", "src", "--source",
                                "src/clamp.cpp@kernels", "--database", str(database), "--link", self.link,
                                "broken", str(path)])
        self.assertEqual(code, 1)
        self.assertIn("caught 1 / 2", output.getvalue())
        self.assertIn("changed nothing", output.getvalue())

    def test_refuses_a_test_that_fails_anyway(self):
        (self.root / "test.cpp").write_text("int main() { return 1; }\n")
        code, output = self.broken(("limit", "src/limit.h", "10", "11"))
        self.assertEqual(code, 2)
        self.assertIn("without any mutation: caught", output)

    def random(self, count, *arguments):
        return self.run_driver("random", str(count), "--file", "src/clamp.cpp", "--file",
                               "src/limit.h", *arguments, timeout="1")

    def test_changes_code_alone(self):
        line = "if (x > kLimit) x = 2 * kLimit - kLimit;"
        changed = {(m.old, m.new)
                   for m in mutate.random_mutations(self.root, ["src/clamp.cpp", "src/limit.h"])}
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
        self.assertEqual(list(mutate.between(lines, "// Begin", "// End")), [2, 3])
        self.assertEqual(list(mutate.between(lines, "", "")), [1, 2, 3, 4, 5, 6])
        self.assertEqual(list(mutate.between(lines, "// End", "// nowhere")), [4, 5, 6])
        self.assertEqual(list(mutate.between(lines, "// nowhere", "")), [])

    def test_a_seed_gives_one_answer(self):
        first, second = self.random(6), self.random(6)
        self.assertEqual(first, second)
        self.assertNotEqual(first, self.random(6, "--seed", "2"))

    def test_wants_survivors_explained(self):
        code, output = self.random(100, "--minimum", "50")
        self.assertEqual(code, 1)
        self.assertIn("only ", output)
        self.assertIn("survived, unexplained", output)
        explained, lines = [], output.split("\n")
        for i, line in enumerate(lines):
            if line.startswith("    - ") and "noticed, but" not in "\n".join(lines[:i]):
                explained.append({"file": lines[i - 1].strip().split(":")[0], "from": line[6:],
                                  "to": lines[i + 1][6:], "why": "no test asks for it"})
        self.assertGreater(len(explained), 2)
        path = self.root / "explained.json"
        path.write_text(json.dumps(explained))
        code, output = self.random(100, "--minimum", "50", "--explained", str(path))
        self.assertEqual(code, 0, output)
        self.assertIn("no test asks for it", output)
        code, output = self.random(100, "--explained", str(path))
        self.assertEqual(code, 1)  # under 95 percent, explained or not

    def test_an_explanation_must_have_its_line(self):
        path = self.root / "explained.json"
        path.write_text(json.dumps(
            [{"file": "src/limit.h", "from": "gone", "to": "away", "why": "stale"}]))
        code, output = self.random(1, "--explained", str(path))
        self.assertEqual(code, 2)
        self.assertIn("no line of src/limit.h reads: gone", output)


if __name__ == "__main__":
    COMPILER = sys.argv.pop(1)
    unittest.main()
