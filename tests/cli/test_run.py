# SPDX-License-Identifier: Apache-2.0
"""tconv run: results, types, conventions, and every wrong argument that can be typed."""

import os
import signal
import struct
import subprocess
import time

import support
from support import ProgramTest, arange, integers, read_npy, scatter, write_npy


def same_padding(size, stride, keff, out):
    return max((size - 1) * stride + keff - out, 0) // 2


class Results(ProgramTest):
    def run_problem(self, *arguments, **options):
        self.call("run", "--input", "x.npy", "--filters", "f.npy", "--output", "y.npy",
                  *arguments, **options)
        return read_npy(self.path("y.npy"))

    def test_tensorflow(self):
        cases = [  # input, filters, stride, dilation, padding, groups, format
            ((1, 4, 4, 1), (3, 3, 1, 1), (1, 1), (1, 1), "SAME", 1, "NHWC"),
            ((2, 3, 5, 4), (3, 2, 3, 4), (2, 3), (1, 1), "SAME", 1, "NHWC"),
            ((2, 3, 5, 4), (3, 2, 3, 4), (2, 3), (1, 1), "SAME", 1, "NCHW"),
            ((1, 4, 3, 6), (2, 3, 2, 6), (2, 1), (2, 3), "VALID", 3, "NHWC"),
            ((1, 4, 3, 6), (2, 3, 2, 6), (2, 1), (2, 3), "VALID", 3, "NCHW"),
            ((1, 3, 3, 5), (5, 4, 1, 5), (2, 2), (1, 1), (1, 2, 0, 3), 5, "NHWC"),
            ((1, 2, 2, 1), (1, 1, 2, 1), (3, 3), (1, 1), "VALID", 1, "NHWC"),  # taps miss outputs
        ]
        for index, (x_shape, f_shape, stride, dilation, padding, groups, layout) in enumerate(cases):
            with self.subTest(index):
                x, f = integers(x_shape, index), integers(f_shape, index + 100)
                keff = [(f_shape[i] - 1) * dilation[i] + 1 for i in (0, 1)]
                full = [(x_shape[i + 1] - 1) * stride[i] + keff[i] for i in (0, 1)]
                arguments = ["--strides", "%d,%d" % stride, "--dilations", "%d,%d" % dilation]
                if padding == "SAME":
                    out = [x_shape[i + 1] * stride[i] for i in (0, 1)]
                    pad = [same_padding(x_shape[i + 1], stride[i], keff[i], out[i]) for i in (0, 1)]
                elif padding == "VALID":
                    out = [x_shape[i + 1] * stride[i] + max(keff[i] - stride[i], 0) for i in (0, 1)]
                    pad = [0, 0]
                else:
                    out = [full[0] - padding[0] - padding[1], full[1] - padding[2] - padding[3]]
                    pad = [padding[0], padding[2]]
                    padding = "%d,%d,%d,%d" % padding
                arguments += ["--padding", padding, "--data-format", layout]
                if groups > 1:
                    arguments += ["--groups", groups]
                self.save("x.npy", x if layout == "NHWC" else x.transposed(0, 3, 1, 2))
                self.save("f.npy", f)
                y, kind = self.run_problem(*arguments)
                wanted = scatter(x, f, stride, dilation, pad, out, groups)
                if layout == "NCHW":
                    wanted = wanted.transposed(0, 3, 1, 2)
                self.assertEqual((y.shape, kind), (wanted.shape, "f4"))
                self.assertEqual(y.values, wanted.values)

    def test_public_vectors(self):
        cases = [
            ((1, 4, 4, 1), (3, 3, 1, 1), 1, "SAME", (1, 4, 4, 1), 3860, 42500),
            ((1, 4, 4, 2), (3, 3, 1, 2), 1, "SAME", (1, 4, 4, 1), 28280, 314570),
            ((1, 4, 4, 2), (3, 3, 1, 2), 1, "VALID", (1, 6, 6, 1), 45216, 1127880),
            ((1, 2, 2, 1), (3, 3, 1, 1), 2, "VALID", (1, 5, 5, 1), 450, 7800),
            ((1, 2, 2, 1), (3, 3, 2, 1), 2, "VALID", (1, 5, 5, 2), 1710, 58854),
        ]
        for x_shape, f_shape, stride, padding, shape, total, weighted in cases:
            self.save("x.npy", arange(x_shape))
            self.save("f.npy", arange(f_shape))
            y, _ = self.run_problem("--strides", stride, "--padding", padding)
            self.assertEqual(y.shape, shape)
            self.assertEqual(sum(y.values), total)
            self.assertEqual(sum((i + 1) * v for i, v in enumerate(y.values)), weighted)

    def test_pytorch_and_onnx(self):
        x, f = integers((2, 6, 3, 4), 1), integers((6, 2, 3, 2), 2)  # NCHW; ci, co/g, kh, kw
        self.save("x.npy", x)
        self.save("f.npy", f)
        nhwc, hwoi = x.transposed(0, 2, 3, 1), f.transposed(2, 3, 1, 0)
        # out = (in-1)*2 + keff - 2*pad + output_padding
        wanted = scatter(nhwc, hwoi, (2, 2), (1, 2), (1, 0), (6, 9), 2).transposed(0, 3, 1, 2)
        common = ["--strides", "2", "--dilations", "1,2", "--groups", "2"]
        for memory_format in ("contiguous", "channels_last"):
            y, _ = self.run_problem("--convention", "pytorch", "--padding", "1,0",
                                    "--output-padding", "1,0", "--memory-format", memory_format,
                                    *common)
            self.assertEqual((y.shape, y.values), (wanted.shape, wanted.values))
        y, _ = self.run_problem("--convention", "onnx", "--pads", "1,0,0,0", *common)
        self.assertEqual((y.shape, y.values), (wanted.shape, wanted.values))
        # SAME_LOWER puts the larger half of 2*2+3 - 6 = 1 (and 3*2+3 - 8 = 1) first.
        wanted = scatter(nhwc, hwoi, (2, 2), (1, 2), (1, 1), (6, 8), 2).transposed(0, 3, 1, 2)
        y, _ = self.run_problem("--convention", "onnx", "--auto-pad", "SAME_LOWER", *common)
        self.assertEqual((y.shape, y.values), (wanted.shape, wanted.values))

    def test_epilogue(self):
        x, f = integers((1, 3, 3, 2), 3), integers((3, 3, 4, 2), 4)
        bias, slopes, residual = integers((4,), 5), integers((4,), 6), integers((1, 6, 6, 4), 7)
        for name, tensor in [("x", x), ("f", f), ("b", bias), ("p", slopes), ("r", residual)]:
            self.save(name + ".npy", tensor)
        plain = scatter(x, f, (2, 2), (1, 1), (0, 0), (6, 6))
        sums = [v + bias.values[i % 4] + residual.values[i]
                for i, v in enumerate(plain.values)]
        activations = {
            "relu": lambda v, k: max(v, 0.0),
            "leaky_relu:0.5": lambda v, k: v if v >= 0 else 0.5 * v,
            "prelu:p.npy": lambda v, k: v if v >= 0 else slopes.values[k] * v,
            "clamp:-6,6.5": lambda v, k: min(max(v, -6.0), 6.5),
        }
        for activation, function in activations.items():
            y, _ = self.run_problem("--strides", 2, "--bias", "b.npy", "--residual", "r.npy",
                                    "--activation", activation, "--verify")
            self.assertEqual(y.values, [function(v, i % 4) for i, v in enumerate(sums)], activation)

    def test_types(self):
        x, f = integers((1, 3, 3, 2), 8), integers((3, 3, 2, 2), 9)
        wanted = scatter(x, f, (2, 2), (1, 1), (0, 0), (6, 6)).values
        for kind in ("f2", "f4", "f8"):
            self.save("x.npy", x, kind)
            self.save("f.npy", f, kind)
            y, got_kind = self.run_problem("--strides", 2)  # the type of the file
            self.assertEqual((y.values, got_kind), (wanted, kind))
            for dtype, written in [("f16", "f2"), ("bf16", "f4"), ("f32", "f4"), ("f64", "f8")]:
                y, got_kind = self.run_problem("--strides", 2, "--dtype", dtype, "--verify")
                self.assertEqual((y.values, got_kind), (wanted, written))
        y, got_kind = self.run_problem("--strides", 2, "--dtype", "f16", "--output-dtype", "f32")
        self.assertEqual((y.values, got_kind), (wanted, "f4"))

    def test_rounds_once_on_load(self):
        # 1 + 2^-11 is a tie in f16 and goes to even; 2^-3 beside it is exact.
        self.save("x.npy", integers((1, 1, 1, 1), 0, 1, 1))
        one = integers((1, 1, 1, 1), 0, 1, 1)
        one.values = [1 + 2.0**-11]
        self.save("f.npy", one, "f8")
        y, _ = self.run_problem("--dtype", "f16")
        self.assertEqual(y.values, [1.0])
        y, _ = self.run_problem("--dtype", "f64")
        self.assertEqual(y.values, [1 + 2.0**-11])

    def test_empty_tensors(self):
        self.save("b.npy", integers((3,), 1))
        for x_shape, f_shape, y_shape in [((0, 4, 4, 2), (3, 3, 3, 2), (0, 8, 8, 3)),
                                          ((1, 4, 4, 0), (3, 3, 3, 0), (1, 8, 8, 3))]:
            self.save("x.npy", integers(x_shape, 1))
            self.save("f.npy", integers(f_shape, 1))
            y, _ = self.run_problem("--strides", 2, "--bias", "b.npy")
            self.assertEqual(y.shape, y_shape)
            self.assertEqual(y.values, integers((3,), 1).values * (len(y.values) // 3))

    def test_report(self):
        self.save("x.npy", integers((1, 4, 4, 2), 1))
        self.save("f.npy", integers((3, 3, 3, 2), 1))
        arguments = ["run", "--input", "x.npy", "--filters", "f.npy", "--output", "y.npy",
                     "--strides", "2", "--kernel", "reference", "--repeat", "3"]
        report = self.json(*arguments)
        self.assertEqual((report["kernel"], report["device"], report["verified"]),
                         ("reference", "cpu", False))
        self.assertEqual(report["output_shape"], [1, 8, 8, 3])
        self.assertEqual(len(report["times_us"]), 3)
        report = self.json(*arguments, "--verify")
        self.assertTrue(report["verified"])
        self.assertTrue(0 <= report["bound"] < 1e-3)
        self.assertIsInstance(report["workspace_bytes"], int)
        text = self.call(*arguments, "--verify")
        for word in ("reference", "element", "workspace", "verified", "bound", "y.npy"):
            self.assertIn(word, text)
        text = self.call(*arguments, environment={"TCONV_VERIFY": "1"})
        self.assertIn("verified", text)

    def test_prepacked_filters_change_nothing(self):
        self.save("x.npy", integers((2, 5, 4, 8), 1))
        self.save("f.npy", integers((4, 4, 16, 8), 2))
        plain, _ = self.run_problem("--strides", 2)
        packed, _ = self.run_problem("--strides", 2, "--prepack")
        self.assertEqual(plain.values, packed.values)
        reference, _ = self.run_problem("--strides", 2, "--kernel", "reference", "--threads", 1)
        self.assertEqual(plain.values, reference.values)


class Refusals(ProgramTest):
    def setUp(self):
        super().setUp()
        self.save("x.npy", integers((1, 8, 8, 2), 1))
        self.save("f.npy", integers((3, 3, 3, 2), 1))
        self.save("b.npy", integers((3,), 1))

    def refuse(self, *arguments, code=2, words=(), base=True):
        files = ["--input", "x.npy", "--filters", "f.npy", "--output", "y.npy"] if base else []
        self.refused("run", *files, *arguments, code=code, words=words)

    def test_illegal_output_shape(self):
        self.refuse("--strides", 2, "--output-shape", "1,17,16,3",
                    words=["output_shape[1] = 17", "input height 8", "kernel 3", "stride 2",
                           "SAME", "must be in [15, 16]"])
        for shape in ("5", "1,16,16", "1,16,16,3,1", "-2,2", "0,16,16,3", "1,16,16,4",
                      "114078056,179835296", "9223372036854775807,9223372036854775807"):
            self.refuse("--strides", 2, "--output-shape", shape, words=["output_shape"])
        self.refuse("--output-shape", "", words=["--output-shape"])
        self.refuse("--output-shape", "99999999999999999999,2", words=["--output-shape", "64 bits"])

    def test_illegal_numbers(self):
        for option, values in {
            "--strides": ["2,x", "2,", ",2", "", "two", "2.5", "2 2", "99999999999999999999"],
            "--dilations": ["1,1,1x", "x"],
            "--groups": ["0", "-1", "x", "1,1", "1.5"],
            "--threads": ["0", "-1", "x", "1000000"],
            "--repeat": ["0", "-5", "x", "1e3"],
            "--workspace-limit": ["-1", "x", "10k"],
        }.items():
            for value in values:
                self.refuse(option, value, words=[option, value])
        for value in ("0", "-2", "1,2,3", "2,2,2,2,2", "2,2,2,1"):
            self.refuse("--strides", value, words=["strides"])
        for value in ("0", "-1", "1,2,3"):
            self.refuse("--dilations", value, words=["dilations"])
        self.refuse("--groups", "5", words=["groups", "5"])

    def test_illegal_words(self):
        for option, value, legal in [
            ("--padding", "same", "SAME"), ("--padding", "1,x", "--padding"),
            ("--padding", "1,2,3", "padding"), ("--data-format", "nhwc", "NHWC"),
            ("--dtype", "half", "f16"), ("--output-dtype", "f8", "bf16"),
            ("--math", "fast", "3xtf32"), ("--device", "gpu", "cuda"),
            ("--convention", "keras", "onnx"), ("--activation", "rely", "relu"),
            ("--activation", "relu:1", "no parameter"), ("--activation", "clamp:1", "clamp:LOW"),
            ("--activation", "clamp:6,0", "LOW below HIGH"), ("--activation", "clamp", "clamp:LOW,HIGH"),
            ("--activation", "clamp:0,0", "LOW below HIGH"), ("--activation", "clamp:6", "LOW,HIGH"),
            ("--activation", "leaky_relu", "leaky_relu:SLOPE"),
            ("--activation", "leaky_relu:0", "another slope than 0"),
            ("--activation", "leaky_relu:x", "finite"), ("--kernel", "nope", "reference"),
            ("--tile", "nope", "nope"), ("--output-dtype", "f64", "f64"),
        ]:
            self.refuse(option, value, words=[legal])

    def test_options_of_another_convention(self):
        for option, value in [("--pads", "1,1,1,1"), ("--auto-pad", "VALID"),
                              ("--output-padding", "1"), ("--memory-format", "channels_last")]:
            self.refuse(option, value, words=[option, "convention is tensorflow"])
        self.refuse("--convention", "pytorch", "--output-shape", "1,3,16,16",
                    words=["--output-shape", "tensorflow or onnx"])
        self.refuse("--convention", "onnx", "--padding", "1", words=["--padding"])
        self.refuse("--convention", "onnx", "--data-format", "NCHW", words=["--data-format"])

    def test_wrong_shapes(self):
        self.save("four.npy", integers((4,), 1))
        self.save("rank3.npy", integers((8, 8, 2), 1))
        self.save("scalar.npy", integers((), 1))
        self.refuse("--bias", "four.npy", words=["--bias", "4", "must be 3"])
        self.refuse("--activation", "prelu:four.npy", words=["--activation prelu", "must be 3"])
        self.refuse("--activation", "prelu", words=["prelu:FILE is missing"])
        self.refuse("--residual", "x.npy", words=["--residual", "1,8,8,2", "1,8,8,3"])
        self.refuse("--input-shape", "1,8,8,3", words=["--input-shape", "1,8,8,2"])
        for name in ("rank3.npy", "scalar.npy", "b.npy"):
            self.refuse("--input", name, "--filters", "f.npy", "--output", "y.npy", base=False,
                        words=["input"])
            self.refuse("--input", "x.npy", "--filters", name, "--output", "y.npy", base=False,
                        words=["filter"])
        self.save("f5.npy", integers((3, 3, 3, 5), 1))
        self.refuse("--input", "x.npy", "--filters", "f5.npy", "--output", "y.npy", base=False,
                    words=["5", "2"])

    def test_broken_files(self):
        good = open(self.path("x.npy"), "rb").read()
        tensor = integers((1, 8, 8, 2), 1)
        broken = {
            "absent.npy": (None, "exists"),
            "empty.npy": (b"", "not a .npy file"),
            "text.npy": (b"1 2 3\n" * 40, "not a .npy file"),
            "half.npy": (good[: len(good) // 2], "truncated"),
            "long.npy": (good + b"more", "too long"),
            "lies.npy": (good.replace(b"(1, 8, 8, 2, )", b"(9, 8, 8, 2, )"), "truncated"),
            "huge.npy": (good.replace(b"(1, 8, 8, 2, ), }" + b" " * 20,
                                      b"(99999999999, 99999999999, 8, 2, ), }"), "64 bits"),
            "complex.npy": (good.replace(b"<f4", b"<c8"), "<f4"),
        }
        for name, (data, word) in broken.items():
            if data is not None:
                self.assertNotEqual(data, good, name)
                with open(self.path(name), "wb") as file:
                    file.write(data)
            for option in ("--input", "--filters"):
                files = {"--input": "x.npy", "--filters": "f.npy", "--output": "y.npy", option: name}
                self.refuse(*sum(files.items(), ()), base=False, words=[option, name, word])
        write_npy(self.path("big_endian.npy"), tensor, order=">")
        self.refuse("--input", "big_endian.npy", "--filters", "f.npy", "--output", "y.npy", base=False,
                    words=["big_endian.npy", "little-endian"])
        for option in ("--input", "--filters"):  # integers are converted on demand only
            write_npy(self.path("integer.npy"), tensor, "i4")
            files = {"--input": "x.npy", "--filters": "f.npy", "--output": "y.npy", option: "integer.npy"}
            self.refuse(*sum(files.items(), ()), base=False,
                        words=[option, "integers ('<i4')", "--dtype", "bf16"])

    def test_no_type_is_converted_unasked(self):
        for name in ("x", "f", "b"):
            tensor, _ = read_npy(self.path(name + ".npy"))
            for kind in ("f2", "f8"):
                self.save(name + kind + ".npy", tensor, kind)
        for option, name in [("--filters", "ff2.npy"), ("--filters", "ff8.npy"), ("--input", "xf2.npy"),
                             ("--input", "xf8.npy"), ("--bias", "bf8.npy")]:
            files = {"--input": "x.npy", "--filters": "f.npy", "--output": "y.npy", option: name}
            kind = {"2": "f16", "8": "f64"}[name[2]]
            self.refuse(*sum(files.items(), ()), base=False, words=["--dtype", kind, "f32"])
            self.call("run", *sum(files.items(), ()), "--dtype", "f32")
            os.remove(self.path("y.npy"))
        self.refuse("--activation", "prelu:bf8.npy", words=["prelu", "f64", "f32", "--dtype"])
        self.save("r.npy", integers((1, 8, 8, 3), 1), "f8")
        self.refuse("--residual", "r.npy", words=["--residual", "f64", "f32", "--output-dtype"])
        # Widening loses nothing, and a 16-bit problem keeps a bias of f32.
        run = ["run", "--output", "y.npy", "--bias"]
        self.call(*run, "bf2.npy", "--input", "x.npy", "--filters", "f.npy")
        self.call(*run, "b.npy", "--input", "xf2.npy", "--filters", "ff2.npy")
        self.refuse("--input", "xf2.npy", "--filters", "ff2.npy", "--bias", "bf8.npy", "--output",
                    "y2.npy", base=False, words=["f64", "f32"])

    def test_what_files_say_does_not_reach_the_terminal_raw(self):
        good = open(self.path("x.npy"), "rb").read()
        escape = b"\x1b]0;owned\x07\xff"
        hostile = {"type.npy": good.replace(b"<f4", escape), "key.npy": good.replace(b"descr", escape),
                   "long.npy": good.replace(b"<f4", b"x" * 4000)}
        for name, data in hostile.items():
            with open(self.path(name), "wb") as file:  # the header's length says where it ends
                length = struct.unpack("<H", good[8:10])[0] + len(data) - len(good)
                file.write(data[:8] + struct.pack("<H", length) + data[10:])
            self.refuse("--input", name, "--filters", "f.npy", "--output", "y.npy", base=False,
                        words=[name])
            self.assertLess(len(self.stderr), 200)
            self.assertEqual([c for c in self.stderr if ord(c) < 32 and c != "\n"], [])
            if name != "long.npy":
                self.assertIn(r"\x1b]0;owned\x07\xff", self.stderr)
        self.refuse("--input", "a\x1b[2Jb", "--filters", "f.npy", "--output", "y.npy", base=False,
                    words=[r"a\x1b[2Jb"])
        self.refuse("--kernel", "\x1b[2J", words=[r"'\x1b[2J'"])
        out = "y\x1b[2J.npy"
        text = self.call("run", "--input", "x.npy", "--filters", "f.npy", "--output", out)
        self.assertIn(r"y\x1b[2J.npy", text)
        self.assertNotIn("\x1b", text)

    def test_unwritable_output(self):
        files = ["--input", "x.npy", "--filters", "f.npy"]
        self.refuse(*files, "--output", "absent/y.npy", code=4, base=False, words=["absent/y.npy"])
        self.refuse(*files, "--output", ".", code=4, base=False, words=["folder"])
        self.refuse(*files, "--output", "/dev/full", code=4, base=False, words=["No space"])

    def test_an_interrupt_leaves_nothing(self):
        self.save("x.npy", integers((1, 64, 64, 16), 1))
        self.save("f.npy", integers((8, 8, 16, 16), 1))
        before = set(os.listdir(self.folder.name))
        arguments = ["run", "--input", "x.npy", "--filters", "f.npy", "--output", "y.npy",
                     "--kernel", "reference", "--repeat", "1000000"]
        running = subprocess.Popen([support.PROGRAM, *arguments], cwd=self.folder.name)
        deadline = time.monotonic() + 60
        while set(os.listdir(self.folder.name)) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertNotEqual(set(os.listdir(self.folder.name)), before)  # it is at work
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(60), -signal.SIGINT)
        self.assertEqual(set(os.listdir(self.folder.name)), before)

    def test_an_old_output_survives_a_failure(self):
        self.save("y.npy", arange((2,)))
        self.refuse("--strides", "0")
        self.refuse("--bias", "x.npy")
        self.assertEqual(read_npy(self.path("y.npy"))[0].values, [1.0, 2.0])
        os.remove(self.path("y.npy"))

    def test_missing_options(self):
        self.refused("run", "--input", "x.npy", "--filters", "f.npy", words=["--output"])
        self.refused("run", "--filters", "f.npy", "--output", "y.npy", words=["--input"])
        self.refused("run", "--input", "x.npy", "--output", "y.npy", words=["--filters"])
        self.refused("run", "--input", words=["--input"])
        self.refused("run", "--colour", "red", words=["--colour"])
        self.refused("ran", words=["'ran'", "run, verify"])
        self.refused(words=["run, verify"])

    def test_no_allocation_before_the_refusal(self):
        """Terabytes that are refused before anything is touched: at once, and within little memory."""
        for shape in ("1000000,1000000,1000000,4", "1,4611686018427387904,4,4"):
            self.refused("verify", "--input-shape", shape, "--filter-shape", "3,3,4,4",
                         "--strides", "0")
            self.call("explain", "--input-shape", shape, "--filter-shape", "3,3,4,4",
                      "--strides", "9223372036854775807", expect=2)
        self.refused("verify", "--input-shape", "1,1000000,1000000,4", "--filter-shape", "3,3,4,4",
                     code=4, words=["memory"])
        self.refused("verify", "--problem", "nonsense", words=["nonsense"])

    def test_not_possible_here(self):
        self.refuse("--device", "cuda", code=3, words=["cuda"])
        if "simd" in self.call("kernels"):  # dense, which the tile is not for
            self.refuse("--tile", "depthwise_portable", code=3, words=["simd", "not one channel to a group"])
