# SPDX-License-Identifier: Apache-2.0
"""test_sass.py: how tests/static_gates/static_gates reads a disassembly, on listings written by hand."""
import pathlib
import sys
import tempfile
import unittest
import unittest.mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from gates import counts, cubin, decides, rules, sass, table  # noqa: E402

PADDING = "L_end: BRA L_end; NOP; NOP"


def function(listing):
    """A kernel from lines like `L_1: @P0 BRA L_1`, several on a line with `;` between them."""
    text = "\t.target\tsm_90a\n.text.kernel:\n        .type kernel,@function\nkernel:\n"
    for address, statement in enumerate(s.strip() for s in listing.replace("\n", ";").split(";")):
        while ":" in statement.split(" ")[0]:
            label, _, statement = statement.partition(":")
            text += f"{label.replace('L_', '.L_')}:\n"
            statement = statement.strip()
        if statement:
            statement = statement.replace("L_", "`(.L_", 1) + ")" if "L_" in statement else statement
            text += f"        /*{16 * address:04x}*/    {statement} ;\n"
    (parsed,) = sass.parse(text)
    return parsed


def figures(listing):
    return counts.figures(function(listing))


class Loops(unittest.TestCase):
    def opcodes(self, kernel, loop):
        return sorted(kernel.instructions[i].opcode for i in loop.members)

    def test_none_in_straight_code_and_padding(self):
        self.assertEqual(function(f"MOV R1, R2; @P0 BRA L_1; FADD R1, R1, R1; L_1: EXIT; {PADDING}")
                         .loops(), [])

    def test_padding_is_not_counted(self):
        self.assertEqual(figures(f"MOV R1, R2; EXIT; {PADDING}")["instructions"], 2)

    def test_nested(self):
        kernel = function(f"L_1: MOV R1, R2; L_2: FADD R1, R1, R1; @P0 BRA L_2; @P1 BRA L_1; EXIT;"
                          f"{PADDING}")
        (outer,) = kernel.loops()
        (inner,) = outer.inner
        self.assertEqual(self.opcodes(kernel, outer), ["BRA", "BRA", "FADD", "MOV"])
        self.assertEqual(self.opcodes(kernel, inner), ["BRA", "FADD"])

    def test_code_moved_behind_the_end_belongs_to_its_loop(self):
        kernel = function("L_1: FADD R1, R1, R1; @P0 BRA L_far; L_2: @P1 BRA L_1; EXIT;"
                          "L_far: DADD R2, R2, R2; BRA L_2")
        (loop,) = kernel.loops()
        self.assertIn("DADD", self.opcodes(kernel, loop))

    def test_a_jump_back_is_not_yet_a_loop(self):
        self.assertEqual(function("@P0 BRA L_far; L_2: FADD R1, R1, R1; EXIT; L_far: BRA L_2").loops(),
                         [])

    def test_condition_among_the_operands(self):
        self.assertEqual(len(function("L_1: FADD R1, R1, R1; BRA.U UP0, L_1; EXIT").loops()), 1)

    def test_a_call_that_leaves_a_loop(self):
        kernel = function("L_1: FADD R1, R1, R1; @P0 CALL.REL.NOINC L_out; BRA L_1; L_out: EXIT")
        self.assertEqual([self.opcodes(kernel, loop) for loop in kernel.loops()],
                         [["BRA", "CALL.REL.NOINC", "FADD"]])

    def test_a_switch(self):
        (kernel,) = sass.parse(
            ".text.k:\n.L_x_0:\n /*0000*/ BRX R4 -0x10  (*\"BRANCH_TARGETS .L_x_1,.L_x_2\"*)\n"
            ".L_x_1:\n /*0010*/ FADD R1, R1, R1 ;\n /*0020*/ BRA `(.L_x_0) ;\n"
            ".L_x_2:\n /*0030*/ EXIT ;\n")
        self.assertEqual(len(kernel.loops()), 1)

    def test_two_ways_in(self):
        kernel = function("@P0 BRA L_2; L_1: FADD R1, R1, R1; L_2: DADD R2, R2, R2; @P1 BRA L_1; EXIT")
        (loop,) = kernel.loops()
        self.assertEqual(self.opcodes(kernel, loop), ["BRA", "DADD", "FADD"])


class Divisions(unittest.TestCase):
    ROUTINE = "EXIT; $__internal_0_$__cuda_sm20_div_s64: I2F.U64.RP R1, R2; MUFU.RCP R1, R1; RET R4"
    CALL = "CALL.REL.NOINC `($__internal_0_$__cuda_sm20_div_s64)"
    RECIPROCAL = "I2F.U32.RP R0, R4; MUFU.RCP R0, R0; IMAD.HI.U32 R3, R0, R5, R2"
    CORRECTED = ("IMAD.HI.U32 R6, R3, R7, RZ; IMAD.MOV R6, RZ, RZ, -R6; IMAD R5, R6, R4, R7;"
                 "ISETP.GE.U32.AND P0, PT, R5, R4, PT; @P0 IMAD.IADD R5, R5, 0x1, -R4;"
                 "ISETP.GE.U32.AND P0, PT, R5, R4, PT; @P0 IADD3 R5, R5, -R4, RZ")

    def counted(self, listing):
        result = figures(listing)
        return result["divisions"], result["divisions_in_loops"]

    def loop(self, body):
        return f"L_1: {body}; @P1 BRA L_1"

    def test_calls(self):
        self.assertEqual(self.counted(f"{self.loop(self.CALL)}; {self.ROUTINE}"), (1, 1))
        self.assertEqual(self.counted(f"{self.CALL}; {self.loop('MOV R1, R2')}; {self.ROUTINE}"), (1, 0))

    def test_inlined(self):
        inlined = f"{self.RECIPROCAL}; {self.CORRECTED}"
        self.assertEqual(self.counted(f"{self.loop(inlined)}; EXIT"), (1, 1))
        self.assertEqual(self.counted(f"{inlined}; {self.loop('MOV R1, R2')}; EXIT"), (1, 0))

    def test_reciprocal_before_the_loop(self):
        self.assertEqual(self.counted(f"{self.RECIPROCAL}; {self.loop(self.CORRECTED)}; EXIT"), (1, 1))
        constant_bank = self.CORRECTED.replace("-R4", "-c[0x0][0x174]")
        self.assertEqual(self.counted(f"{self.RECIPROCAL}; {self.loop(constant_bank)}; EXIT"), (1, 1))

    def test_in_a_function_called_in_a_loop(self):
        call = self.loop("CALL.REL.NOINC `($kernel$quotient)")
        self.assertEqual(
            self.counted(f"{call}; EXIT; $kernel$quotient: {self.RECIPROCAL}; RET R4"), (1, 1))

    def test_around_a_main_loop(self):
        inlined = f"{self.RECIPROCAL}; {self.CORRECTED}"
        main = "L_2: HMMA.16816.F32 R4, R8, R12, R4; @P2 BRA L_2"
        divides = main.replace("@P2", f"{inlined}; @P2")
        self.assertEqual(self.counted(f"{self.loop(f'{inlined}; {main}')}; EXIT"), (1, 0))
        self.assertEqual(self.counted(f"{self.loop(divides)}; EXIT"), (1, 1))
        other = f"MOV R1, R2; L_3: {inlined}; @P2 BRA L_3"
        self.assertEqual(self.counted(f"{self.loop(f'{other}; {main}')}; EXIT"), (1, 1))

    def test_what_is_none(self):
        wrapped = "IADD3 R5, R5, 0x1, RZ; IMAD.HI.U32 R9, R8, R7, RZ; @P0 IADD3 R5, R5, -R4, RZ"
        multiplied = "IMAD.HI.U32 R6, R3, 0x24924925, RZ; IMAD R5, R6, -0x7, R3"
        floats = "MUFU.RCP R1, R2; CALL.REL.NOINC `($__internal_0_$__cuda_sm3x_div_rn_noftz_f32_slowpath)"
        for body in (wrapped, multiplied, floats, "I2F.U32 R1, R2"):
            self.assertEqual(self.counted(f"{self.loop(body)}; EXIT"), (0, 0), body)


class Figures(unittest.TestCase):
    def test_widths(self):
        result = figures("LDG.E.128 R4, [R2.64]; LDG.E R4, [R2.64]; LDG.E.LTC128B.128 R4, [R2.64];"
                         "LDG.E.U16 R4, [R2.64]; LDG.E.64.CONSTANT R4, [R2.64]; LDG.E.S8 R1, [R2.64];"
                         "LDG.E.ENL2.256 R8, R4, [R2.64]; STG.E.U8 [R2.64], R4; STS.128 [R1], R4;"
                         "LDGSTS.E.BYPASS.LTC128B.128 [R1], [R2.64]; LDS.U16 R1, [R2]; EXIT")
        self.assertEqual(result["ldg"], "8:1 16:1 32:1 64:1 128:2 256:1")
        self.assertEqual((result["stg"], result["sts"], result["lds"], result["ldgsts"]),
                         ("8:1", "128:1", "16:1", "128:1"))

    def test_kinds(self):
        result = figures("FFMA R1, R1, R1, R1; HFMA2.MMA R1, -RZ, RZ, 0, 0; HFMA2 R1, R2, R3, R4;"
                         "DFMA R2, R2, R2, R2; LDL R1, [R1]; STL.64 [R1], R2; BAR.SYNC.DEFER_BLOCKING 0x0;"
                         "SHFL.IDX PT, R1, R2, R3, R4; HMMA.16816.F32 R4, R8, R12, R4;"
                         "HGMMA.64x128x16.F32 R4, gdesc[UR4]; LD.E R1, [R2.64]; LDSM.16.M88.4 R4, [R1];"
                         "LDSM.16.MT88.2 R4, [R1]; LDSM.16.M88 R4, [R1]; EXIT")
        self.assertEqual({k: result[k] for k in ("fma", "local", "barriers", "shuffles", "generic")},
                         {"fma": 3, "local": 2, "barriers": 1, "shuffles": 1, "generic": 1})
        self.assertEqual(result["tensor"], "HGMMA.64x128x16:1 HMMA.16816:1")
        self.assertEqual(result["ldsm"], "1:1 2:1 4:1")

    def test_main_loop(self):
        mma = "HMMA.16816.F32 R4, R8, R12, R4"
        result = figures(
            f"{mma}; L_0: MOV R1, R2; L_1: LDSM.16.M88.4 R8, [R1]; LDSM.16.MT88.2 R12, [R1];"
            f"LDGSTS.E.128 [R1], [R2.64]; {mma}; {mma}; {mma}; {mma}; IADD3 R1, R1, 0x1, RZ;"
            f"@P0 BRA L_1; L_2: {mma}; @P1 BRA L_2; @P2 BRA L_0; EXIT")
        self.assertEqual(
            {name: result[name] for name in result if name.startswith("loop_")},
            {"loop_tensor": 4, "loop_ldsm": 2, "loop_ldgsts": 1, "loop_other": 2,
             "loop_slots_per_tensor": "2.25",
             "loop_shared_bytes_per_tensor": f"{(512 + 256 + 512) / 4:.1f}"})

    def test_a_wait_inside_the_main_loop(self):
        result = figures("L_1: L_2: SYNCS.PHASECHK P0, [R1]; @P0 BRA L_2; HMMA.16816.F32 R4, R8, R12, R4;"
                         "@P1 BRA L_1; EXIT")
        self.assertEqual((result["loop_tensor"], result["loop_other"]), (1, 3))

    def test_no_main_loop(self):
        self.assertNotIn("loop_tensor", figures("L_1: FADD R1, R1, R1; @P0 BRA L_1; EXIT"))

    def test_a_line_that_is_not_understood(self):
        with self.assertRaisesRegex(ValueError, r"not understood: /\*0000\*/ \?"):
            sass.parse(".text.k:\n        /*0000*/ ??? ;\n")


class Names(unittest.TestCase):
    def test_short(self):
        for full, short in {
            "void tconv::cuda::(anonymous namespace)::gather<tconv::host::Half, long>"
            "(tconv::cuda::Shape<long>, float const*)": "gather<Half, long>",
            "void f<(Kind)2, (anonymous namespace)::A>(int)": "f<(Kind)2, A>",
            "plain(int, float)": "plain",
            "void cub::CUB_300001_SM_800_900::detail::EmptyKernel<void>()": "cub::detail::EmptyKernel<void>",
        }.items():
            self.assertEqual(cubin.short_name(full), short)

    def test_what_is_not_unique_keeps_its_parameters(self):
        self.assertEqual(cubin.demangle(["_Z1fi", "_Z1ff", "_Z1gi"]),
                         {"_Z1fi": "f(int)", "_Z1ff": "f(float)", "_Z1gi": "g"})


class Rules(unittest.TestCase):
    GOOD = {"spills": 0, "stack": 0, "local": 0, "divisions_in_loops": 0}

    def test_each(self):
        self.assertEqual(rules.of_kernel("a.cu", "k", self.GOOD), [])
        for change, expected in ((({"spills": 8}), "spills 8"), ({"stack": 16}, "local memory"),
                                 ({"local": 1}, "local memory"), ({"divisions_in_loops": 2}, "divides")):
            (sentence,) = rules.of_kernel("a.cu", "k<int>", {**self.GOOD, **change})
            self.assertIn(expected, sentence)

    def test_exempt(self):
        divides = {**self.GOOD, "divisions_in_loops": 2}
        self.assertEqual(rules.of_kernel("src/cuda/gather.cu", "gather<float, int>", divides), [])
        self.assertEqual(len(rules.of_kernel("src/cuda/other.cu", "gather<float, int>", divides)), 1)
        self.assertTrue(all(reason.endswith(".") for reason in rules.DIVIDES_IN_LOOP.values()))

    def test_messages(self):
        loss = "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async ... serialized"
        self.assertEqual(rules.of_messages(f"ptxas info : Used 8 registers\n{loss}\n{loss}\n"), [loss])
        spill = ("ptxas warning : Registers are spilled to local memory in function 'f', {} bytes spill "
                 "stores, {} bytes spill loads\n")
        self.assertEqual(cubin.spills(spill.format(8, 4) + spill.format(16, 4))["f"], 20)


class Tables(unittest.TestCase):
    def test_what_was_written_is_read(self):
        rows = {("a.cu", "f<int, long>"): {"registers": "40", "ldg": "32:1 128:2"}}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "sm_80.csv"
            table.write(path, "13.0.88", rows)
            version, read = table.read(path)
            self.assertEqual(version, "13.0.88")
            self.assertEqual(table.differences("sm_80", read, rows), [])
            path.write_text("file,kernel\n")
            with self.assertRaisesRegex(ValueError, "version of ptxas"):
                table.read(path)

    def test_what_must_be_built(self):
        """Both architectures, unless both tables are of these sources and this compiler; then a drawn one."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [pathlib.Path(folder) / name for name in ("sm_80.csv", "sm_90a.csv")]
            both = ["80", "90a"]

            def built(lot, version="13.0.88", sources="abc"):
                with unittest.mock.patch.dict("os.environ", TCONV_LOT=lot):
                    return decides.to_build(paths, version, sources)[0]

            self.assertEqual(built("1"), both)  # there are no tables
            table.write(paths[0], "13.0.88", {}, "abc")
            for sources, wanted in (("old", 2), (table.UNKNOWN, 2), ("abc", 1)):
                table.write(paths[1], "13.0.88", {}, sources)
                self.assertEqual(len(built("1")), wanted, sources)
            self.assertEqual(built("1", version="13.5.1"), both)
            self.assertEqual(built("1", sources="new"), both)
            self.assertEqual(built("all"), both)
            self.assertEqual(built("7"), built("7"))
            self.assertEqual({*(built(str(seed))[0] for seed in range(20))}, set(both))

    def test_the_hash_of_the_sources(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            texts = {"src/cuda/a.cu": '#include "src/cuda/a.cuh"\nint a = 1;\n', "src/cuda/a.cuh": "int b = 1;\n",
                     "src/host/h.h": "int c = 1;\n", "bench/probes/p.cu": "int d = 1;\n",
                     "cmake/cuda.cmake": "set(option 1)\n"}
            for path, text in texts.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text)
            before = decides.sources_hash(folder)
            for path, text in texts.items():
                (folder / path).write_text(text.replace("1", "2"))
                self.assertEqual(decides.sources_hash(folder) == before, path == "src/host/h.h", path)
                (folder / path).write_text(text)
            (folder / "src/cuda/a.cuh").write_text("// a comment\n" + texts["src/cuda/a.cuh"])
            self.assertEqual(decides.sources_hash(folder), before)
            (folder / "src/cuda/new.cu").write_text("")
            self.assertNotEqual(decides.sources_hash(folder), before)

    def test_differences(self):
        old = {("a.cu", "f"): {"registers": "40", "ldg": "32:1"}, ("a.cu", "g"): {}}
        new = {("a.cu", "f"): {"registers": "48", "ldg": "32:1"}, ("a.cu", "h"): {}}
        self.assertEqual(table.differences("sm_80", old, new), [
            "sm_80 a.cu f", "    registers: 40 -> 48",
            "sm_80 a.cu g: in the table, but not in the code",
            "sm_80 a.cu h: not in the table",
        ])  # fmt: skip


if __name__ == "__main__":
    unittest.main()
