# SPDX-License-Identifier: Apache-2.0
"""Mistyped words and options, and failures under --json."""

from support import ProgramTest, integers


class Words(ProgramTest):
    FILES = ["run", "--input", "x.npy", "--filters", "f.npy", "--output", "y.npy"]

    def setUp(self):
        super().setUp()
        self.save("x.npy", integers((1, 8, 8, 2), 1))
        self.save("f.npy", integers((3, 3, 3, 2), 2))

    def test_suggests_what_was_meant(self):
        onnx = ["--convention", "onnx"]
        torch = ["--convention", "pytorch"]
        for typed, meant in [
            (["--inptu", "x.npy"], "--input"), (["--stride", "2"], "--strides"),
            (["--dtpye=f16"], "--dtype"), (["--padding", "same"], "SAME"), (["--padding", "vaild"], "VALID"),
            (["--data-format", "channels_last"], "NHWC"), (["--data-format", "nchw"], "NCHW"),
            (["--dtype", "bfloat16"], "bf16"), (["--dtype", "float32"], "f32"), (["--dtype", "half"], "f16"),
            (["--activation", "relu6"], "clamp:0,6"), (["--activation", "swish"], "silu"),
            (["--activation", "sigmiod"], "sigmoid"), (["--kernel", "referense"], "reference"),
            (["--device", "gpu"], "cuda"), (["--device-model", "h2000"], "h200"),
            (["--tile", "elemnt"], "element"), (["--math", "tf23"], "tf32"),
            ([*onnx, "--auto-pad", "same_upper"], "SAME_UPPER"), (["--convention", "torch"], "pytorch"),
            ([*torch, "--memory-format", "channel_last"], "channels_last"),
        ]:
            self.refused(*self.FILES, *typed, words=[f"did you mean {meant}?"])
        self.refused("verify", "--suite", "cor", words=["did you mean core?"])
        self.refused("verify", "--suite", "core", "--batch", "inference", words=["did you mean infer?"])
        self.refused("verfy", words=["did you mean verify?"])
        self.refused("--hlep", words=["did you mean --help?"])
        for typed in (["--padding", "1,x"], ["--kernel", "zzz"], ["--strides", "two"], ["--colour", "red"],
                      ["--dtype", "q"], ["--activation", "x"]):
            self.refused(*self.FILES, *typed)
            self.assertNotIn("did you mean", self.stderr)

    def test_failures_under_json_are_json(self):
        for arguments, code in [
            (["run", "--input", "absent.npy"], 2), (["run", "--inptu", "x"], 2), (["verfy"], 2),
            (["verify", "--input-shape", "1,2,2,1", "--filter-shape", "3,3,1,2"], 2),
            (["explain", "--input-shape", "1,2,2,1", "--filter-shape", "3,3,1,1", "--tile", "element",
              "--kernel", "reference", "--device", "cuda"], 3),
            (["upscale", "absent.png", "b.png"], 2), (["bench", "--suite", "cor"], 2),
            (["verify", "--input-shape", "1,1000000,1000000,4", "--filter-shape", "3,3,4,4"], 4),
        ]:
            report = self.json(*arguments, expect=code)
            self.assertEqual(list(report)[-2:], ["error", "exit_code"], arguments)
            self.assertEqual(report["exit_code"], code)
            self.assertEqual(self.stderr, "tconv: " + report["error"] + "\n")
        self.assertIn("did you mean core?", report["error"] if "cor" in report["error"] else
                      self.json("bench", "--suite", "cor", expect=2)["error"])
