# SPDX-License-Identifier: Apache-2.0
"""mutated_project.py: a family whose kernel is a few lines, for the tests of the driver of mutations.

The first argument of a test is the compiler."""
import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import mutate
import mutation_run

COMPILER = sys.argv[1]

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


EXPLAINED = [  # what no test of TEST notices
    ("if (x > kLimit) x = 2 * kLimit - kLimit;", "if (x >= kLimit) x = 2 * kLimit - kLimit;"),
    ("return x < 0 ? 0 : x;", "return x <= 0 ? 0 : x;"),
    ("return x < 0 ? 0 : x;", "return x < 1 ? 0 : x;"),
    *(("if (x + 100 < 0) return name[0];", f"if ({condition}) return name[{at}];")
      for condition, at in [("x + 99 < 0", 0), ("x + 101 < 0", 0), ("x + 100 <= 0", 0),
                            ("x + 100 < 1", 0), ("x + 100 < 0", 1)])]


class Project(unittest.TestCase):
    """A family of one kernel in a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name).resolve()
        self.folder, self.build = self.root / "tests/clamp", self.root / "build"
        for made in (self.folder, self.build, self.root / "src"):
            made.mkdir(parents=True)
        (self.root / "src/clamp.cpp").write_text(KERNEL)
        (self.root / "src/limit.h").write_text(HEADER)
        self.program_is(TEST)
        soon = mock.patch.object(mutation_run, "HANGS_AFTER_S", 1)
        soon.start()
        self.addCleanup(soon.stop)
        self.units, self.more = ["src/clamp.cpp"], {}
        self.broken(("limit", "src/limit.h", "10", "11"),
                    ("sign", "src/clamp.cpp", "x < 0 ? 0", "x > 0 ? 0"))
        self.explain(EXPLAINED)
        self.random = {"count": 6, "minimum": 0, "files": ["src/clamp.cpp", "src/limit.h"]}

    def program_is(self, text):
        (self.root / "tests/test.cpp").write_text(text)
        subprocess.run([COMPILER, "-c", self.root / "tests/test.cpp", "-o", self.build / "clamp.cpp.o"],
                       check=True)

    def broken(self, *entries):
        (self.folder / "broken.json").write_text(json.dumps([
            {"name": name, "file": file, "from": old, "to": new, "why": "because"}
            for name, file, old, new in entries]))

    def explain(self, changes, file="src/clamp.cpp"):
        (self.folder / "explained.json").write_text(json.dumps(
            [{"file": file, "from": old, "to": new, "why": "no test asks for it"} for old, new in changes]))

    def write_project(self, flags):
        units = [*((self.root / unit, "kernels") for unit in self.units),
                 *((self.root / unit, "tconv_objects") for unit in self.more.get("host", [])),
                 (self.root / "tests/test.cpp", "test_clamp")]
        flags = f"-g -O1 -I{self.root}/src -I{self.root} {flags}"
        entries = [{"file": str(file), "directory": str(self.build), "command":
                    f"ccache {COMPILER} {flags} -o part/{target}.dir/{file.name}.o -c {file}"}
                   for file, target in units]
        entries.insert(0, {**entries[0], "command": entries[0]["command"].replace(
            f"ccache {COMPILER}", "false").replace("kernels.dir", "else.dir")})
        (self.build / "compile_commands.json").write_text(json.dumps(entries))
        (self.build / "objects").write_text(
            f"{self.build}/clamp.cpp.o\n{self.build}/part/./kernels.dir/clamp.cpp.o\n")
        (self.build / "libraries").write_text("-lm\n")
        (self.folder / "mutations.json").write_text(json.dumps(
            {"units": self.units, "kernels": "kernels", "test": "test_clamp", "timeout": 60,
             "random": self.random, **self.more}))

    def run_driver(self, mode, seed="", flags=""):
        self.write_project(flags)
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), \
                mock.patch.dict(os.environ, {mutate.SEED: seed}):
            code = mutate.main([
                mode, str(self.folder / "mutations.json"), "--project", str(self.root), "--database",
                str(self.build / "compile_commands.json"), "--link", COMPILER, "--objects",
                str(self.build / "objects"), "--libraries", str(self.build / "libraries"),
                "--compiler", "GNU", "--output", str(self.build / "renewed"), "--jobs", "2"])
        return code, output.getvalue()

    def results(self):
        return json.loads((self.folder / "results.json").read_text())

    def tried(self, output):
        return [line for line in output.split("\n") if line.startswith("[")]
