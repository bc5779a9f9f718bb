# SPDX-License-Identifier: Apache-2.0
"""test_fires.py NVCC: that tests/static_gates/static_gates speaks where it should, on kernels compiled here.

Exit code 77 where the disassembler is missing (scripts/setup).
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
from gates import decides, table  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GATES = ROOT / "tests/static_gates/static_gates"
TOOLS = ROOT / "build/deps/sass/nvidia/cu13/bin"
NVCC = "nvcc"


def compile_to(target, source, *options, architectures=("80", "90a"), warn=True):
    targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in architectures]
    ccache = [name for name in [shutil.which("ccache")] if name]
    command = [ROOT / "cmake/keep_messages", *ccache, NVCC, "-std=c++20", f"-I{ROOT}", *targets, *options,
               *(["-Xptxas=-warn-spills"] if warn else []), "-c", HERE / source, "-o", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


class Gates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.stage.cleanup)
        folder = pathlib.Path(cls.stage.name)
        cls.bad, cls.good = folder / "bad/kernels.o", folder / "good/kernels.o"
        cls.changed, cls.unwarned = folder / "changed/kernels.o", folder / "unwarned/kernels.o"
        cls.alone = folder / "alone/kernels.o"
        for path in (cls.bad, cls.good, cls.changed, cls.unwarned, cls.alone):
            path.parent.mkdir()
        compile_to(cls.bad, "bad_kernels.cu")
        compile_to(cls.good, "good_kernels.cu")
        compile_to(cls.changed, "good_kernels.cu", "-DCHANGED")
        compile_to(cls.alone, "good_kernels.cu", architectures=["90a"])
        compile_to(cls.unwarned, "good_kernels.cu", architectures=["90a"], warn=False)

    def setUp(self):
        self.tables = pathlib.Path(tempfile.mkdtemp(dir=self.stage.name))

    def gates(self, *arguments):
        done = subprocess.run([sys.executable, GATES, "--tables", self.tables, *arguments],
                              capture_output=True, text=True, check=False, cwd=self.stage.name)
        return done.returncode, done.stdout + done.stderr

    def test_every_rule_speaks(self):
        status, said = self.gates("--update", self.bad)
        self.assertEqual(status, 1, said)  # whatever the table says
        for architecture in ("sm_80", "sm_90a"):
            for kernel, what in {
                "spills": r"spills \d+ bytes",
                "has_local_array": r"uses local memory: 128 bytes a thread, \d\d loads and stores",
                "divides": "divides integers in a loop",
                "divides_by_the_same": "divides integers in a loop",
                "divides_64": "divides integers in a loop",
                "divides_in_a_call": "divides integers in a loop",
            }.items():
                self.assertRegex(said, f"broken rule: {architecture} kernels.o {kernel}: {what}")
        self.assertRegex(said, r"broken rule: kernels.o: ptxas info .*\(C7508\) Potential Performance Loss")
        self.assertNotRegex(said, "sm_80 kernels.o has_local_array: (spills|divides)")
        self.assertNotIn("kernels.o loses: ", said)

    def test_table(self):
        status, said = self.gates(self.good)
        self.assertEqual(status, 1, said)
        self.assertIn("sm_80 kernels.o sums: not in the table", said)
        status, said = self.gates("--update", self.good)
        self.assertEqual((status, self.gates(self.good)[0]), (0, 0), said)
        before = (self.tables / "sm_80.csv").read_bytes()

        status, said = self.gates(self.changed)
        self.assertEqual(status, 1, said)
        self.assertRegex(said, r"sm_80 kernels.o sums\n( +\w+: .* -> .*\n)* +ldg: 128:\d+ -> 32:\d+\n")
        self.assertNotIn("multiplies", said)
        self.assertEqual((self.tables / "sm_80.csv").read_bytes(), before)
        self.assertEqual(self.gates("--update", self.changed)[0], 0)
        self.assertEqual(self.gates(self.changed)[0], 0)

    def test_main_loop(self):
        status, said = self.gates("--print", self.good)
        self.assertEqual(status, 0, said)
        for architecture in ("sm_80", "sm_90a"):
            (line,) = re.findall(f"^{architecture} kernels.o multiplies: (.*)$", said, re.M)
            figures = dict(figure.split("=") for figure in line.split(", "))
            self.assertEqual((figures["loop_tensor"], figures["loop_ldsm"]), ("4", "2"))
            self.assertEqual(figures["loop_shared_bytes_per_tensor"], "256.0")
            self.assertEqual(float(figures["loop_slots_per_tensor"]),
                             (6 + int(figures["loop_other"])) / 4)

    def test_a_row_without_a_kernel_or_file(self):
        self.gates("--update", self.good)
        table = self.tables / "sm_80.csv"
        lines = table.read_text().splitlines()
        lines += [lines[-1].replace("sums", "gone"), lines[-1].replace("kernels.o", "src/cuda/gone.cu")]
        table.write_text("\n".join(lines) + "\n")
        status, said = self.gates(self.good)
        self.assertEqual(status, 1)
        self.assertIn("sm_80 kernels.o gone: in the table, but not in the code", said)
        self.assertIn("sm_80: in the table, but no such file: src/cuda/gone.cu", said)

    def test_another_compiler(self):
        self.gates("--update", self.good)
        table = self.tables / "sm_80.csv"
        table.write_text(re.sub("# ptxas [^;]*", "# ptxas 1.2.3", table.read_text(), count=1))
        status, said = self.gates(self.changed)
        self.assertEqual(status, 1)
        self.assertIn("sm_80: the table is for ptxas 1.2.3", said)
        self.assertNotIn("sm_80 kernels.o", said)
        self.assertIn("sm_90a kernels.o sums", said)

    def test_what_cannot_be_known_fails(self):
        self.assertIn("compiled without -Xptxas=-warn-spills", self.gates("--update", self.unwarned)[1])
        self.assertEqual(self.gates(self.unwarned)[0], 1)
        messages = pathlib.Path(f"{self.good}.messages")
        text = messages.read_text()
        messages.unlink()
        self.addCleanup(messages.write_text, text)
        status, said = self.gates("--update", self.good)
        self.assertEqual(status, 1)
        self.assertIn("ptxas's messages were not kept", said)

    def test_what_is_not_checked_is_said(self):
        status, said = self.gates("--tools", self.stage.name, self.good)
        self.assertEqual((status, "not checked: cuobjdump and nvdisasm not in" in said), (77, True), said)
        self.assertEqual(self.gates("--build", self.stage.name)[0], 77)
        self.assertEqual(self.gates("no_such_file.o")[0], 2)
        self.gates("--update", self.unwarned)
        self.assertIn("sm_80: the files hold no code for it", self.gates(self.unwarned)[1])

    def test_an_architecture_that_was_not_built(self):
        """Its table proves it, if that is of these very sources and this ptxas."""
        not_built = "sm_80: not built: kernels.o"
        self.assertEqual(self.gates("--update", self.good)[0], 0)
        status, said = self.gates(self.alone)
        self.assertEqual((status, f"not compared with the table: {not_built}" in said), (0, True), said)
        status, said = self.gates("--whole", self.alone)
        self.assertEqual((status, f"  {not_built}; the table is of other sources" in said), (1, True), said)
        for sources, version, wanted in ((decides.sources_hash(), "", 0), ("0" * 32, "", 1),
                                         (decides.sources_hash(), "1.2.3", 1)):
            first = self.first_lines(sources, version)
            status, said = self.gates("--whole", self.alone)
            self.assertEqual((status, not_built in said), (wanted, True), said)
            self.assertEqual("proven by its table" in said, wanted == 0)
            self.first_lines(*first)
        # Updating what was built leaves the other table, and its rows, as they are.
        before = (self.tables / "sm_80.csv").read_bytes()
        self.assertEqual(self.gates("--update", self.alone)[0], 0)
        self.assertEqual((self.tables / "sm_80.csv").read_bytes(), before)
        self.assertEqual(self.gates(self.good)[0], 0)

    def first_lines(self, sources, version):
        """Writes into the table of sm_80 of which sources, and for which ptxas, it is; returns what was."""
        path = self.tables / "sm_80.csv"
        old_version, old_sources = table.recorded(path)
        _, _, rest = path.read_text().partition("\n")
        path.write_text(f"# ptxas {version or old_version}; sources {sources}; by hand\n{rest}")
        return old_sources, old_version


if __name__ == "__main__":
    if not (TOOLS / "nvdisasm").exists():
        print(f"test_fires: not checked: no nvdisasm in {TOOLS} (scripts/setup)")
        sys.exit(77)
    NVCC = sys.argv.pop(1) if len(sys.argv) > 1 else NVCC
    unittest.main()
