# SPDX-License-Identifier: Apache-2.0
"""bench/rivals with frameworks that are acted, and the real ones on small problems. Needs the virtual
environment of `setup --all`; TCONV_LIBRARY is the library."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from rivals import contenders, environment, frameworks, machine, measure, suite, tconv_c, timing
from rivals.results import Results

os.environ.update(environment.environment(1))

LIBRARY = os.environ.get("TCONV_LIBRARY", str(ROOT / "build/release/libtconv.so"))
HEAD = (ROOT / "bench/suites/core.csv").read_text().splitlines()[0]
# Bias and pads that differ; groups. The others are given by the columns' order.
LINES = ["net,asymmetric,x,2,3,5,6,8,4,3,4,2,2,1,0,2,1,1,0,1,1,1,1,,NHWC,,",
         "net,grouped,x,1,3,4,4,6,4,2,2,2,2,0,0,0,0,0,0,1,1,2,0,,NHWC,,"]


class Acted(frameworks.Framework):
    """Gives what the library's reference gives, times `factor`."""

    version, factor = "1.0", 1.0

    def __init__(self, threads):
        self.threads = threads

    def prepare(self, operands):
        problem = tconv_c.Problem(tconv_c.Library(LIBRARY), operands.layer, operands.dtype, operands.layout, "HWOI")
        ours = contenders.Ours(problem, operands, "reference", 1, False)
        shape = operands.in_problem_layout(
            np.empty((operands.layer.batch, operands.layer.h.out, operands.layer.w.out, operands.layer.out_c)),
            "NHWC").shape

        def run():
            ours.run()
            return ours.output().view(operands.x.dtype).reshape(shape) * operands.x.dtype.type(self.factor)
        return run, frameworks.same


def acted(name, **members):
    return type(name, (Acted,), {"name": name, **members})


class Refuses(Acted):
    name = "tensorflow"

    def prepare(self, operands):
        raise RuntimeError("only even strides")


class Absent(Acted):
    name = "jax"

    def __init__(self, threads):
        raise ImportError("no such framework")


FAKES = {"pytorch": acted("pytorch"), "onnxruntime": acted("onnxruntime", factor=1.5), "tensorflow": Refuses,
         "jax": Absent}


class RivalsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "r.jsonl"
        self.suite(*LINES)
        cores = os.sched_getaffinity(0)
        self.addCleanup(os.sched_setaffinity, 0, cores)
        for patch in (mock.patch.object(frameworks, "FRAMEWORKS", FAKES),
                      mock.patch.object(machine, "measure_ceilings", lambda *_: None),
                      mock.patch.object(timing, "SAMPLE_US", 10)):
            patch.start()
            self.addCleanup(patch.stop)

    def suite(self, *lines, head=HEAD):
        (self.folder / "suite.csv").write_text("\n".join([head, *lines]) + "\n")

    def run_it(self, *arguments, rivals="pytorch,onnxruntime,tensorflow,jax"):
        """(exit code, stdout, stderr) of the child, in this process."""
        said, printed = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
            try:
                code = measure.main(str(self.folder / "doing"), [
                    "--suite", str(self.folder / "suite.csv"), "--library", LIBRARY, "--rounds", "3",
                    "--rivals", rivals, "--out", str(self.out), *arguments])
            except SystemExit as error:
                code = error.code
        return code, printed.getvalue(), said.getvalue()

    def lines(self, kind="timing"):
        return [line for line in map(json.loads, self.out.read_text().splitlines()) if line["kind"] == kind]

    def of(self, kernel):
        return [line for line in self.lines() if line["contender"] == kernel]


class Measurement(RivalsTest):
    def test_what_is_right_is_timed_and_nothing_else(self):
        code, printed, said = self.run_it()
        self.assertEqual(code, 0, said)
        self.assertEqual(len(self.lines()), 2 * 5)
        for line in self.of("") + self.of("pytorch"):
            self.assertEqual((line["status"], line["verified"], line["mismatches"]), ("timed", True, 0))
            self.assertEqual(len(line["samples_us"]), 3)
            self.assertGreater(line["median_us"], 0)
        for line in self.of("onnxruntime"):  # every element times 1.5
            self.assertEqual((line["status"], line["verified"]), ("mismatch", False))
            self.assertNotIn("median_us", line)
            self.assertIn("elements are wrong", line["reason"])
        for line in self.of("tensorflow"):
            self.assertEqual((line["status"], line["reason"]), ("not run", "only even strides"))
        for line in self.of("jax"):
            self.assertEqual((line["status"], line["reason"]), ("not run", "cannot be imported: no such framework"))
        self.assertIn("2 rows: geometric mean", printed)
        self.assertIn("ONNX Runtime wrong on net / grouped", printed)
        self.assertIn("TensorFlow not run on 2 rows (net / asymmetric, ...): only even strides", printed)
        self.assertEqual([line["versions"]["pytorch"] for line in self.lines("head")], ["1.0"])

    def test_a_bias_that_is_added_apart(self):
        class Apart(Acted):
            adds_bias_apart, off = True, 0.0

            def prepare(self, operands):
                run, value = super().prepare(operands.without_bias(dataclasses.replace(operands.layer, bias=False)))
                if operands.bias is None:
                    return run, value

                def apart():
                    sums = run().astype(np.float32).reshape(-1, operands.layer.out_c)  # NHWC
                    return (sums + operands.bias.astype(np.float32)
                            + self.off).astype(operands.bias.dtype).reshape(run().shape)
                return apart, value
        for expected, members in (("timed", {}), ("mismatch", {"off": 1.0}), ("mismatch", {"adds_bias_apart": False})):
            with self.subTest(members), mock.patch.dict(FAKES, pytorch=type("F", (Apart,), {"name": "pytorch", **members})):
                self.out.unlink(missing_ok=True)
                self.run_it("--dtype", "bf16", "--match", "asymmetric", rivals="pytorch")
                line = self.of("pytorch")[0]
                self.assertEqual((line["status"], "note" in line), (expected, expected == "timed"))

    def test_the_library_wrong(self):
        output = contenders.Ours.output

        def wrong(ours):
            y = output(ours).copy()
            y.view(np.float32)[0] += 1
            return y
        with mock.patch.object(contenders.Ours, "output", wrong), mock.patch.dict(FAKES, pytorch=Refuses):
            code, printed, _ = self.run_it(rivals="pytorch")
        self.assertEqual(code, 1)
        self.assertEqual({line["status"] for line in self.of("")}, {"mismatch"})
        self.assertIn("No row was compared", printed)

    def test_another_output_after_timing_is_wrong(self):
        output, calls = contenders.Ours.output, []

        def changes(ours):
            calls.append(ours)
            y = output(ours).copy()
            y[0] ^= len(calls) > 1
            return y
        with mock.patch.object(contenders.Ours, "output", changes):
            code, _, _ = self.run_it("--match", "grouped", rivals="none")
        self.assertEqual((code, self.of("")[0]["reason"]), (1, "after it was timed the output was another"))

    def test_resumes(self):
        self.run_it()
        first = self.out.read_bytes()
        code, printed, said = self.run_it()
        self.assertEqual((code, said.count("(from --out)")), (0, 2))
        self.assertEqual(self.out.read_bytes(), first)
        self.assertIn("2 rows", printed)
        # Cut off: the row that is not whole is measured again, and nothing is swallowed.
        self.out.write_bytes(first[:-40])
        code, _, said = self.run_it()
        self.assertEqual((code, said.count("(from --out)")), (0, 1))
        self.assertEqual(len(self.of("jax")), 3 - 1)
        self.assertEqual(len(self.of("")), 3)
        # Another build of the library is measured anew.
        with mock.patch.object(tconv_c.hashlib, "sha256") as digest:
            digest.return_value.hexdigest.return_value = "another build"
            self.assertEqual(self.run_it()[2].count("(from --out)"), 0)

    def run_over(self, ending, times, *arguments):
        """Runs with an interpreter that notes that it is at PyTorch and ends so, `times`; then all is done."""
        unit = measure.Row(tconv_c.Library(LIBRARY), measure.options.parse([]),
                           suite.load(str(self.folder / "suite.csv"), "infer", "grouped")[0]).unit
        fake = self.folder / "python"
        note = json.dumps({"unit": unit, "kernel": "pytorch"})
        fake.write_text(f"#!/bin/sh\necho x >>{self.folder}/calls\n[ $(wc -l <{self.folder}/calls) -gt {times} ] && exit 0\n"
                        f"printf '%s' '{note}' >\"$3\"\nprintf '{{\"kind\": \"cut' >>{self.out}\n{ending}\n")
        fake.chmod(0o755)
        self.out.write_text("")
        done = subprocess.run([str(ROOT / "bench/rivals/run"), "--python", str(fake), "--library", LIBRARY, "--out",
                               str(self.out), *arguments], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, len(self.lines("died"))), (0, times), done.stderr)
        with contextlib.closing(Results(str(self.out))) as results:
            self.assertTrue(results.given_up(unit, "pytorch"))
            self.assertFalse(results.given_up(unit, "jax"))
        self.assertEqual(self.run_it("--match", "grouped")[0], 0)
        return done.stderr, self.of("pytorch")[0]["reason"]

    def test_a_framework_that_ends_the_process(self):
        said, reason = self.run_over("kill -ABRT $$", 2)
        self.assertIn("pytorch ended its process: signal 6", said)
        self.assertEqual(reason, "ended its process twice")

    def test_a_framework_that_is_too_slow(self):
        said, reason = self.run_over("exec sleep 100", 1, "--patience", "0.4")
        self.assertIn("pytorch ended its process: a first run took over 0.4 s", said)
        self.assertEqual(reason, "a first run took over 0.4 s")

    def test_what_was_cut_off_is_gone(self):
        self.out.write_text('{"kind": "head"}\n{"kind": "timing", "na')
        with contextlib.closing(Results(str(self.out))) as results:
            self.assertEqual(len(results.lines), 1)
        self.assertEqual(self.out.read_text(), '{"kind": "head"}\n')


class Refusals(RivalsTest):
    def refused(self, *arguments, words, code=2, **more):
        got, _, said = self.run_it(*arguments, **more)
        self.assertEqual(got, code, said)
        for word in words:
            self.assertIn(word, said)

    def test_arguments(self):
        for arguments, words in {
            ("--threads", "0"): ["--threads", "'0'", "legal"],
            ("--threads", "100000"): ["100000", "may use"],
            ("--rivals", "pytorch,caffe"): ["caffe", "onnxruntime"],
            ("--rivals", "jax,jax"): ["each once"],
            ("--dtype", "f8"): ["--dtype", "f8"],
            ("--batch", "0"): ["--batch", "from 1"],
            ("--rounds", "2"): ["--rounds", "from 3"],
            ("--seconds", "inf"): ["--seconds", "inf"],
            ("--families", "a,,b"): ["--families"],
            ("--min-gflop", "2", "--max-gflop", "1"): ["--min-gflop 2", "--max-gflop, 1"],
            ("--max-gflop", "1e-9"): ["--max-gflop 1e-09", "no row"],
            ("--match", "("): ["--match '('"],
            ("--match", "nothing"): ["--match 'nothing'", "no row"],
            ("--suite", "absent.csv"): ["absent.csv", "core or a CSV file"],
            ("--frobnicate",): ["--frobnicate"],
        }.items():
            with self.subTest(arguments):
                self.refused(*arguments, words=words)
        self.assertFalse(self.out.exists())

    def test_suites(self):
        fields = LINES[1].split(",")
        for place, value, words in ((5, "0", ["in_h", "'0'", "from 1"]), (21, "4", ["in_c: 6", "groups, 4"]),
                                    (13, "90", ["no output"]), (11, "two", ["stride_h", "two"])):
            with self.subTest(words):
                self.suite(",".join([*fields[:place], value, *fields[place + 1:]]))
                self.refused(words=["line 2", *words])
        self.suite(",".join(fields[:9]))
        self.refused(words=["line 2", "ends before"])
        self.suite(LINES[0], head=HEAD.replace("stride_w", "step"))
        self.refused(words=["line 2", "no column stride_w"])

    def test_files(self):
        self.out.write_text("dear diary\nmore\n")
        self.refused(words=["--out", "line 1"])
        self.assertEqual(self.out.read_text(), "dear diary\nmore\n")
        self.refused("--out", str(self.folder / "no/r.jsonl"), words=["no/r.jsonl"], code=4)
        run = str(ROOT / "bench/rivals/run")
        for arguments, words in ((["--library", "/no/lib.so"], "--target tconv"),
                                 (["--library", LIBRARY, "--python", "/no/python"], "scripts/setup --all")):
            done = subprocess.run([run, *arguments], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 3)
            self.assertIn(words, done.stderr)

    def test_families(self):
        code, _, _ = self.run_it("--families", "reference,nonesuch", rivals="none")
        self.assertEqual(code, 2)  # the library knows none of that name
        code, _, _ = self.run_it("--families", "reference", rivals="none")
        self.assertEqual((code, {line["kernel"] for line in self.lines()}), (0, {"reference"}))


class Timing(unittest.TestCase):
    @staticmethod
    def timed(us):
        return timing.Timed(lambda: None, us)

    def test_rounds(self):
        quick, slow, endless = self.timed(100.0), self.timed(40e3), self.timed(9e6)
        timing.plan_rounds([endless, slow, quick], rounds=9, seconds=1)
        self.assertEqual((quick.rounds, slow.rounds, endless.rounds), (9, 3, 0))
        pair = [self.timed(100e3), self.timed(150e3)]
        timing.plan_rounds(pair, rounds=9, seconds=1.5)  # time for 5 of both
        self.assertEqual([c.rounds for c in pair], [5, 5])

    def test_samples(self):
        turns = []
        contenders_ = [timing.Timed(lambda i=i: turns.append(i), 1e4, rounds=3) for i in range(3)]
        timing.run_rounds(contenders_)
        self.assertEqual([sorted(turns[i:i + 3]) for i in (0, 3, 6)], [[0, 1, 2]] * 3)
        self.assertEqual({len(c.samples) for c in contenders_}, {3})
        values = timing.statistics([3.0, 1.0, 2.0, 5.0, 4.0])
        self.assertEqual((values["median_us"], values["least_us"], values["quartiles_us"], values["spread"]),
                         (3.0, 1.0, [2.0, 4.0], 2 / 3))


class RealFrameworks(unittest.TestCase):
    """What a framework answers must be right; the plain problem all of them must answer."""

    MUST = ("pytorch", "tensorflow", "onnxruntime", "jax")

    def test_they_compute_the_same_operation(self):
        axis = dict(size=5, kernel=4, stride=2, dilation=1, pad_begin=1, pad_end=1, out_pad=0)
        layers = {"plain": suite.Layer("plain", 2, 8, 6, 1, suite.Axis(**axis), suite.Axis(**axis), False)}
        for name, change, channels, groups in (
                ("bias, asymmetric pads", dict(pad_begin=2, pad_end=0, out_pad=1), (8, 6), 1),
                ("pads at the end", dict(pad_begin=0, pad_end=2), (4, 3), 1),
                ("grouped", dict(kernel=3), (8, 4), 2), ("depthwise", {}, (4, 4), 4),
                ("same", dict(kernel=3, pad_begin=0, pad_end=1), (3, 5), 1)):
            h = suite.Axis(**{**axis, **change})
            layers[name] = suite.Layer(name, 1, *channels, groups, h, suite.Axis(**{**axis, "size": 3}), groups == 1)
        library = tconv_c.Library(LIBRARY)
        with measure.quiet():
            loaded = [kind(1) for kind in frameworks.FRAMEWORKS.values()]
        answered = set()
        for layout in ("NHWC", "NCHW"):
            for name, layer in layers.items():
                problem = tconv_c.Problem(library, layer, "f32", layout, "HWOI")
                operands = contenders.Operands(layer, "f32", layout, "HWOI")
                for framework in loaded:
                    with self.subTest(name, layout=layout, framework=framework.name):
                        try:
                            y = contenders.Rival(framework, operands).output()
                        except Exception:  # it refuses
                            if name == "plain" and framework.name in self.MUST:
                                raise
                            continue
                        report, wrong = problem.verify(operands.tensors(y), 1)
                        self.assertEqual((wrong, bool(report.whole)), ("", True))
                        answered.add((framework.name, name))
        self.assertGreaterEqual(len(answered), 15)


if __name__ == "__main__":
    unittest.main(verbosity=1)
