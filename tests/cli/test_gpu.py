# SPDX-License-Identifier: Apache-2.0
"""--device and --device-model: what the program says where there is no GPU, and plans for one."""

import json
import os
import subprocess
import unittest

from support import NOTE, PROGRAM, ProgramTest, Tensor
from test_tools import write_png

PROBLEM = ["--input-shape", "8,64,64,512", "--filter-shape", "2,2,256,512", "--strides", "2",
           "--dtype", "f16"]
RUN = ["run", "--input", "x.npy", "--filters", "f.npy", "--strides", "2", "--output", "y.npy"]


class Gpu(ProgramTest):
    def setUp(self):
        super().setUp()
        self.save("x.npy", Tensor([1, 2, 2, 1], [1.0, 2.0, 3.0, 4.0]))
        self.save("f.npy", Tensor([2, 2, 1, 1], [1.0, 2.0, 3.0, 4.0]))
        devices = self.json("devices")
        self.absence = devices["cuda"]
        self.seems_here = "gpu_not_used" in devices
        kernels = json.loads(self.call("kernels", "--json"))
        self.has_rows = any(kernel["device"] == "cuda" for kernel in kernels)

    def need_no_gpu(self):
        if not self.absence:
            raise unittest.SkipTest("there is a GPU")

    def test_without_a_gpu_cuda_is_refused_in_one_sentence(self):
        self.need_no_gpu()
        for command in (RUN, ["verify", *PROBLEM], ["explain", *PROBLEM]):
            self.refused(*command, "--device", "cuda", code=3, words=[self.absence])
            self.assertEqual(self.stderr.count("\n"), 1)
        report = self.json("bench", *PROBLEM, "--device", "cuda", expect=3)
        self.assertIn(self.absence, report["rows"][0]["reason"])

    def test_without_a_gpu_auto_is_the_cpu_and_the_plan_says_why(self):
        self.need_no_gpu()
        note = NOTE + self.absence + "\n" if self.seems_here else ""
        for device in ([], ["--device", "auto"]):
            report = self.json(*RUN, *device, "--repeat", "3")
            self.assertEqual(report["device"], "cpu")
            self.assertEqual(self.notes, note)
        self.assertIn(self.absence, self.call("explain", *PROBLEM))
        self.assertEqual(self.json("explain", *PROBLEM)["device_note"], self.absence)

    def test_a_driver_that_is_too_old_is_said_once_on_stderr(self):
        driver = os.environ.get("TCONV_OLD_DRIVER")
        if not driver:
            raise unittest.SkipTest("this program looks for no driver")
        old = {"LD_LIBRARY_PATH": driver}
        why = self.json("devices", environment=old)["gpu_not_used"]
        self.assertIn("driver is too old: it supports CUDA 11.4", why)
        write_png(self.path("p.png"), 2, 2, 1, [9] * 4)
        bench = ["bench", "--input-shape", "1,2,2,1", "--filter-shape", "2,2,1,1", "--strides", "2",
                 "--seconds", "20", "--rounds", "3"]
        for command in (RUN, ["verify", *RUN[1:7]], ["upscale", "p.png", "q.png"],
                        ["explain", *PROBLEM], ["explain", "--suite", "core"],
                        bench, [*bench, "--kernel", "all"]):
            for form in ([], ["--json"]):
                output = self.call(*command, *form, environment=old)
                self.assertEqual(self.notes, NOTE + why + "\n", command)
                self.assertNotIn(NOTE, output)
                if form:
                    json.loads(output.splitlines()[0])
        for choice in (["--device", "cpu"], ["--kernel", "reference"]):
            self.call(*RUN, *choice, environment=old)
            self.assertEqual(self.notes, "")
        self.call(*RUN, "--device", "cuda", expect=3, environment=old)
        self.assertIn(why, self.stderr)
        self.assertEqual(self.notes, "")

    def test_cpu_says_nothing_of_gpus(self):
        for choice in (["--device", "cpu"], ["--kernel", "reference"]):
            self.call(*RUN, *choice)
            self.assertEqual(self.notes, "")
            self.assertNotIn("device_note", self.json("explain", *PROBLEM, *choice))

    def test_help_and_runs_on_the_cpu_never_start_cuda(self):
        # The dynamic linker says what it looks for; starting CUDA looks for the driver's library.
        def looked_for_driver(*arguments):
            done = subprocess.run([PROGRAM, *arguments], cwd=self.folder.name, text=True,
                                  env={**os.environ, "LD_DEBUG": "libs"}, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertIn("libc.so", done.stderr, "LD_DEBUG says nothing here")
            return "libcuda.so" in done.stderr
        self.assertEqual(looked_for_driver("devices"), self.has_rows)
        for command in (["--help"], ["kernels"], ["shape", *PROBLEM], [*RUN, "--device", "cpu"],
                        [*RUN, "--kernel", "reference"], ["verify", *RUN[1:7], "--device", "cpu"]):
            self.assertFalse(looked_for_driver(*command), command)

    def test_models_are_planned_for(self):
        for model in ("h200", "h100", "a100", "l4", "rtx4090", "rtx5090", "b200", "a10", "gb10"):
            if not self.has_rows:
                self.refused("explain", *PROBLEM, "--device-model", model, code=3,
                             words=["no rows for cuda"])
                continue
            report = self.json("explain", *PROBLEM, "--device-model", model)
            self.assertEqual(report["device"], model + " (model)")
            self.assertGreater(report["roofline_us"], 0)
            self.assertEqual(self.notes, "")

    def test_a_model_that_no_build_has_code_for_is_declined_in_a_sentence(self):
        words = ["no code for GPUs before sm_80"] if self.has_rows else ["no rows for cuda"]
        self.refused("explain", *PROBLEM, "--device-model", "t4", code=3,
                     words=["on t4 (model)", *words])

    def test_models_are_not_run(self):
        words = ["not here"] if self.has_rows else ["no rows for cuda"]
        self.refused(*RUN, "--device-model", "a100", code=3, words=words)
        self.refused("verify", *PROBLEM[:-2], "--device-model", "a100", code=3, words=words)

    def test_a_wrong_model_is_refused(self):
        self.refused("explain", *PROBLEM, "--device-model", "h300",
                     words=["'h300'", "h200, h100, a100, l4, rtx4090"])
        names = self.stderr.split("among ")[1].split(", or")[0].split(", ")
        self.assertGreaterEqual(len(names), 10)
        for name in names:
            self.assertRegex(self.call("explain", "--help"), rf"\b{name}\b")
        with open(self.path("cpu.json"), "w") as file:
            file.write('{"devices": [{"device": "cpu"}]}')
        self.refused("explain", *PROBLEM, "--device-model", "cpu.json",
                     words=["cpu.json", "none of its devices is `cuda`"])
        self.refused("explain", *PROBLEM, "--device-model", "h200", "--device", "cpu",
                     words=["device_model = 'h200'", "absent with device cpu"])
