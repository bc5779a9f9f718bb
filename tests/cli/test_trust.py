# SPDX-License-Identifier: Apache-2.0
"""tconv verify, explain and shape."""

import json
import os
import pty
import re
import subprocess

import support
from support import ProgramTest, Tensor, integers, read_npy, scatter


class Verify(ProgramTest):
    def setUp(self):
        super().setUp()
        self.x, self.f = integers((1, 5, 6, 3), 1), integers((3, 3, 2, 3), 2)
        self.save("x.npy", self.x)
        self.save("f.npy", self.f)
        self.files = ["verify", "--input", "x.npy", "--filters", "f.npy", "--strides", "2"]

    def test_every_kind_of_data(self):
        shapes = ["verify", "--input-shape", "2,5,4,6", "--filter-shape", "3,4,5,6", "--strides", "2"]
        for data in ("random", "arange", "impulse"):
            for dtype in ("f16", "bf16", "f32", "f64"):
                report = self.json(*shapes, "--data", data, "--dtype", dtype, "--bias",
                                   "--residual", "--activation", "prelu")
                self.assertEqual((report["verified"], report["whole"], report["checked"]),
                                 (True, True, 2 * 10 * 8 * 5))
        self.assertTrue(self.json(*shapes, "--scope", "sample")["verified"])

    def test_a_row_against_another_and_against_itself(self):
        text = self.call(*self.files, "--device", "cpu", "--against", "reference")
        self.assertIn("against reference\nagrees: all 240 elements are the same", text)
        report = self.json(*self.files, "--device", "cpu", "--against", "itself")
        self.assertEqual((report["agrees"], report["total"], report["differ"], report["allowed"]),
                         (True, 240, 0, 0))
        suite = self.json("verify", "--suite", "core", "--match", "Keras DCGAN", "--device", "cpu",
                          "--against", "reference")
        self.assertTrue(all(row["agrees"] for row in suite["rows"]))
        self.refused(*self.files, "--against", "absent", words=["--against", "'absent'", "reference"])
        self.refused(*self.files, "--against", "itself", "--got", "x.npy", words=["--got"])
        self.refused(*self.files, "--against", "itself", "--dump", "d", words=["--dump"])

    def test_data_is_what_help_says(self):
        shapes = ["verify", "--input-shape", "1,3,4,2", "--filter-shape", "2,2,3,2"]
        self.call(*shapes, "--data", "arange", "--dump", "d")
        self.assertEqual(read_npy(self.path("d/input.npy"))[0].values, list(range(1, 25)))
        self.assertEqual(read_npy(self.path("d/filters.npy"))[0].values, list(range(1, 25)))
        self.call(*shapes, "--data", "arange", "--dtype", "f16", "--dump", "d")
        self.assertEqual(read_npy(self.path("d/input.npy"))[0].values[:2], [1 / 256, 2 / 256])
        self.call(*shapes, "--data", "impulse", "--dump", "d")
        impulse = read_npy(self.path("d/input.npy"))[0]
        self.assertEqual((sum(impulse.values), impulse.at(0, 1, 2, 0)), (1, 1))
        dumps = []
        for seed in (1, 1, 2):
            self.call(*shapes, "--data", "random", "--data-seed", seed, "--dump", "d")
            dumps.append(read_npy(self.path("d/input.npy"))[0].values)
        self.assertEqual(dumps[0], dumps[1])
        self.assertNotEqual(dumps[0], dumps[2])
        self.assertTrue(all(-1 <= value < 1 for value in dumps[0]))

    def test_a_right_and_a_wrong_result(self):
        wanted = scatter(self.x, self.f, (2, 2), (1, 1), (0, 0), (10, 12))
        self.save("right.npy", wanted)
        self.assertIn("verified", self.call(*self.files, "--got", "right.npy", "--diagnose"))
        wanted.values[137] += 1  # 137 = ((0*10 + 5)*12 + 8)*2 + 1
        self.save("wrong.npy", wanted)
        text = self.call(*self.files, "--got", "wrong.npy", "--dump", "d", expect=1)
        for word in ("MISMATCH", "n=0", "p=5", "q=8", "k=1", "bound"):
            self.assertIn(word, text)
        report = self.json(*self.files, "--got", "wrong.npy", expect=1)
        self.assertEqual((report["verified"], report["mismatches"], report["at"]),
                         (False, 1, [0, 5, 8, 1]))
        self.assertEqual(report["got"] - report["expected"], 1)
        got, expected = (read_npy(self.path(f"d/{name}.npy"))[0] for name in ("got", "expected"))
        self.assertEqual(got.values, wanted.values)
        self.assertEqual([i for i in range(240) if got.values[i] != expected.values[i]], [137])
        self.assertEqual(read_npy(self.path("d/filters.npy"))[0].values, self.f.values)

    def test_infinities_and_nans_are_words(self):
        wanted = scatter(self.x, self.f, (2, 2), (1, 1), (0, 0), (10, 12))
        wanted.values[7] = float("nan")
        self.save("wrong.npy", wanted)
        report = self.json(*self.files, "--got", "wrong.npy", expect=1)
        self.assertEqual((report["got"], report["worst_ratio"]), ("nan", "inf"))
        self.assertIn("= nan, but it must be",
                      self.call(*self.files, "--got", "wrong.npy", expect=1))
        # Half of the channels 3e38, half -3e38: some order gives inf - inf, and TensorFlow's does.
        self.save("x.npy", Tensor((1, 1, 1, 1024), [3e38] * 512 + [-3e38] * 512))
        self.save("f.npy", Tensor((1, 1, 1, 1024), [1] * 1024))
        for got in (0, float("inf"), float("-inf"), float("nan")):
            self.save("got.npy", Tensor((1, 1, 1, 1), [got]))
            text = self.call("verify", "--input", "x.npy", "--filters", "f.npy", "--got", "got.npy")
            self.assertEqual("overflow on the way" in text, got != 0, text)
        self.save("got.npy", Tensor((1, 1, 1, 1), [1e38]))
        self.call("verify", "--input", "x.npy", "--filters", "f.npy", "--got", "got.npy", expect=1)

    def test_zeros_beyond_the_border_are_named(self):
        self.save("x.npy", Tensor((1, 1, 2, 1), [1, 1]))
        self.save("f.npy", Tensor((1, 3, 1, 1), [float("inf"), 1, 1]))
        files = ["verify", "--input", "x.npy", "--filters", "f.npy"]
        self.assertIn("verified", self.call(*files, "--device", "cpu"))
        self.save("got.npy", Tensor((1, 1, 2, 1), [float("inf"), float("nan")]))
        self.assertIn("beyond the border", self.call(*files, "--got", "got.npy", expect=1))
        self.assertEqual(self.json(*files, "--got", "got.npy", expect=1)["zero_padded"], 1)

    def test_names_the_padding_of_pytorch(self):
        wrong = scatter(self.x, self.f, (2, 2), (1, 1), (1, 1), (10, 12))
        self.save("wrong.npy", wrong)
        text = self.call(*self.files, "--got", "wrong.npy", "--diagnose", expect=1)
        self.assertIn("pad", text.split("MISMATCH", 1)[1])
        report = self.json(*self.files, "--got", "wrong.npy", "--diagnose", expect=1)
        self.assertFalse(report["diagnosis"]["right"])
        self.assertIn("padding", report["diagnosis"]["mistakes"][0]["name"])

    def test_keys_say_everything(self):
        shape = ["--input-shape", "2,4,5,6", "--filter-shape", "3,2,2,6", "--strides", "2,1",
                 "--groups", "3", "--bias", "--activation", "clamp:0,6", "--dtype", "f16"]
        key = self.json("verify", *shape)["key"]
        again = self.json("verify", "--problem", key)
        self.assertEqual((again["key"], again["verified"]), (key, True))
        self.refused("verify", "--problem", key, "--strides", "2", words=["--strides"])
        self.refused("verify", "--problem", key, "--residual", "x.npy", words=["--residual"])
        self.refused("verify", "--problem", key, "--input", "x.npy", words=["--input", "2,4,5,6"])

    def test_says_what_gives_another_shape(self):
        torch = ["verify", "--convention", "pytorch", "--input-shape", "1,64,8,8", "--filter-shape",
                 "64,32,3,3", "--strides", "2", "--padding", "1", "--output-padding", "1"]
        self.save("short.npy", integers((1, 32, 15, 15), 1))
        self.refused(*torch, "--got", "short.npy", "--diagnose",
                     words=["1,32,15,15", "output_padding=1 makes it 16 x 16"])
        report = self.json(*torch, "--got", "short.npy", "--diagnose", expect=2)
        self.assertEqual(report["shape"], [1, 32, 15, 15])
        self.assertEqual([mistake["name"] for mistake in report["diagnosis"]["mistakes"]], ["output_padding"])
        self.assertEqual(report["exit_code"], 2)
        for shape, name in [((1, 11, 13, 2), "padding"), ((1, 2, 10, 12), "layout"),
                            ((10, 12, 2), "batch"), ((1, 5, 6, 2), "stride"), ((1, 3, 3, 2), "not_transposed")]:
            self.save("other.npy", integers(shape, 1))
            self.refused(*self.files, "--got", "other.npy", "--diagnose", words=[f"\n  {name}: "])
        self.save("other.npy", integers((3, 5, 1, 7, 2), 1))
        self.refused(*self.files, "--got", "other.npy", "--diagnose", words=["None of the usual mistakes"])

    def test_refusals(self):
        self.refused(*self.files, "--got", "x.npy", words=["--got", "1,5,6,3", "1,10,12,2"])
        self.refused(*self.files, "--got", "absent.npy", words=["--got", "absent.npy"])
        self.refused(*self.files, "--data", "ones", words=["--data", "arange"])
        self.refused(*self.files, "--data-seed", "1", words=["--data-seed"])
        self.refused(*self.files, "--bias", words=["--bias"])
        self.refused("verify", "--input", "x.npy", "--filter-shape", "3,3,2,3", words=["--filters"])
        self.refused(*self.files, "--match", "x", words=["--match", "--suite"])
        self.refused(*self.files, "--dump", "x.npy/d", code=4, words=["x.npy/d"])

    def test_suite(self):
        report = self.json("verify", "--suite", "core", "--match", "Keras DCGAN|TF segm")
        self.assertGreaterEqual(report["verified"], 4)
        self.assertEqual((report["mismatched"], report["not_run"]), (0, 0))
        self.assertEqual(len(report["rows"]), report["verified"])
        text = self.call("verify", "--suite", "core", "--match", "Keras DCGAN", "--data-format",
                         "NCHW", "--dtype", "f16")
        self.assertIn("0 wrong", text)
        with open(self.path("mine.csv"), "w") as file:
            file.write("network,layer,batch_infer,batch_large,in_h,in_w,in_c,out_c,kernel_h,kernel_w,"
                       "stride_h,stride_w,pad_top,pad_bottom,pad_left,pad_right,out_pad_h,out_pad_w,"
                       "dilation_h,dilation_w,groups,bias\n"
                       '"a, b",c,1,3,4,5,6,2,3,3,2,2,1,1,0,0,1,0,1,2,2,1\n')
        row = self.json("verify", "--suite", "mine.csv", "--batch", "large")["rows"][0]
        self.assertEqual(row["name"], "a, b / c")
        with open(self.path("mine.csv")) as file:
            hostile = file.read().replace("a, b", "a\x1b[2Jb")
        with open(self.path("hostile.csv"), "w") as file:
            file.write(hostile)
        self.assertIn(r"a\x1b[2Jb / c", self.call("verify", "--suite", "hostile.csv"))
        # (4-1)*2 + 3 - 2 + 1 = 8, (5-1)*2 + 5 = 13
        self.assertEqual(row["key"], self.json(
            "explain", "--input-shape", "3,4,5,6", "--filter-shape", "3,3,1,6", "--strides", "2",
            "--dilations", "1,2", "--groups", "2", "--bias", "--padding", "1,0,0,0",
            "--output-shape", "8,13")["key"])

    def test_counters(self):
        problem = ["--input-shape", "1,4,4,6", "--filter-shape", "3,3,4,6", "--strides", "2",
                   "--kernel", "reference"]
        text = self.call("explain", *problem, "--counters")
        self.assertIn("reference, tile", text.split("predicted")[1])
        self.assertIn("bound by", text)
        self.assertNotIn("bound by", self.call("explain", *problem))
        counters = self.json("explain", *problem, "--counters")["counters"]
        self.assertEqual(counters["kernel"], "reference")
        self.assertGreater(counters["roofline_us"], 0)
        self.assertNotIn("counters", self.json("explain", *problem))
        suite = ["--suite", "core", "--match", "FCN", "--kernel", "reference", "--counters"]
        self.assertIn("geometric means", self.call("explain", *suite))
        rows = self.json("explain", *suite)["rows"]
        self.assertTrue(all(row["counters"]["useful_macs"] > 0 for row in rows))

    def test_suite_refusals(self):
        self.refused("verify", "--suite", "absent", words=["--suite", "absent", "core"])
        self.refused("verify", "--suite", "core", "--match", "no such network", words=["--match"])
        self.refused("verify", "--suite", "core", "--match", "(", words=["--match"])
        self.refused("verify", "--suite", "core", "--batch", "small", words=["--batch", "large"])
        self.refused("verify", "--suite", "core", "--strides", "2", words=["--strides"])
        self.refused("verify", "--suite", "core", "--input", "x.npy", words=["--input"])
        self.refused("verify", "--suite", "core", "--got", "x.npy", words=["--got"])
        with open(self.path("broken.csv"), "w") as file:
            file.write("network,layer,batch_infer\na,b,two\n")
        self.refused("verify", "--suite", "broken.csv", words=["line 2", "batch_infer", "two"])
        with open(self.path("short.csv"), "w") as file:
            file.write("network,layer\na\n")
        self.refused("verify", "--suite", "short.csv", words=["line 2", "layer"])

    def test_progress_on_a_terminal_only(self):
        # By the reference row alone, on one core: larger and larger images, until it lasts. Most of
        # the time goes into looking for the few taps that land.
        for size in (8, 16, 32, 64, 128):
            shown = self.shown_on_a_terminal(
                "verify", "--problem", f"f32:nhwc:n1:c3:k3:g3:h{size}k64s16o{size * 16}:"
                f"w{size}k64s16o{size * 16}", "--kernel", "reference", "--threads", "1", "--scope",
                "sample")
            if re.search(r"running +\d+ %", shown):
                break
        self.assertRegex(shown, r"\d+ %  .* left")
        self.assertTrue(shown.endswith("\r\x1b[K"), shown[-80:])
        # What is shown is what is done: it grows to the end, and does not wait there.
        shares = [int(share) for share in re.findall(r"running +(\d+) %", shown)]
        self.assertEqual(shares, sorted(shares))
        self.assertLessEqual(shares.count(99), 1 + len(shares) / 4, shares)
        self.assertNotIn(100, shares)

    def shown_on_a_terminal(self, *arguments):
        master, slave = pty.openpty()
        with open(self.path("out"), "w") as out:
            done = subprocess.Popen([support.PROGRAM, *arguments], stdout=out, stderr=slave)
        os.close(slave)
        shown = b""
        try:
            while piece := os.read(master, 4096):
                shown += piece
        except OSError:  # the other side is closed
            pass
        os.close(master)
        self.assertEqual(done.wait(), 0)
        return shown.decode()


class Explain(ProgramTest):
    SHAPES = ["--input-shape", "1,4,4,3", "--filter-shape", "3,3,2,3", "--strides", "2"]

    def test_the_decision(self):
        report = self.json("explain", *self.SHAPES)
        self.assertIn(report["kernel"], [row["kernel"] for row in report["rows"]])
        for row in report["rows"]:
            self.assertTrue(row["chosen"] or row["reason"])
        text = self.call("explain", *self.SHAPES)
        self.assertIn(report["key"], text)
        self.assertIn("reference", text)
        only = self.json("explain", *self.SHAPES, "--kernel", "reference")
        self.assertEqual(only["kernel"], "reference")
        self.assertEqual(self.json("explain", "--problem", report["key"])["rows"],
                         report["rows"])

    def test_one_output(self):
        x, f = integers((1, 4, 4, 3), 1), integers((3, 3, 2, 3), 2)
        self.save("x.npy", x)
        self.save("f.npy", f)
        wanted = scatter(x, f, (2, 2), (1, 1), (0, 0), (8, 8))
        report = self.json("explain", "--input", "x.npy", "--filters", "f.npy", "--strides", "2",
                           "--at", "0,4,6,1")["at"]
        self.assertEqual(report["sum"], wanted.at(0, 4, 6, 1))
        self.assertEqual(len(report["taps"]), 4)
        self.assertNotIn("sum", self.json("explain", *self.SHAPES, "--at", "0,4,6,1")["at"])
        self.assertIn("sum", self.call("explain", *self.SHAPES, "--data", "arange", "--at", "0,4,6,1"))
        for at in ("0,8,0,0", "0,0,-1,0", "1,0,0,0", "0,0,0"):
            self.refused("explain", *self.SHAPES, "--at", at)

    def test_tables_fit_and_name_every_row_whole(self):
        names = {row["name"] for row in self.json("explain", "--suite", "core")["rows"]}
        self.assertEqual(len(names), 106)
        for arguments in ([], ["--counters"], ["--device-model", "h200", "--dtype", "f16"],
                          ["--workspace-limit", "0", "--tile", "tiles_portable"]):
            done = subprocess.run([support.PROGRAM, "explain", "--suite", "core", *arguments],
                                  capture_output=True, text=True)
            lines = done.stdout.splitlines()
            self.assertLessEqual(max(map(len, lines)), 100, arguments)
            self.assertEqual([line for line in lines if line != line.rstrip()], [])
            for name in names:  # in the column, or on a line of its own
                self.assertTrue(any(line == name or line.startswith(name + " ") for line in lines), name)
        text = self.call("verify", "--suite", "core", "--match", "Keras DCGAN|TF segm")
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        bench = self.call("bench", "--suite", "core", "--match", "RIFE", "--kernel", "reference",
                          "--seconds", "0.01", expect=3)
        self.assertLessEqual(max(map(len, bench.splitlines())), 100)
        self.assertIn("\nRIFE (720p padded to 736x1280) / block1.lastconv\n", bench)

    def test_suite(self):
        report = self.json("explain", "--suite", "core")
        self.assertEqual(len(report["rows"]), 106)
        self.assertTrue(all(row["kernel"] for row in report["rows"]))
        text = self.call("explain", "--suite", "core", "--batch", "large", "--match", "DCGAN")
        self.assertIn("DCGAN (64px) / main.3", text)


class Shape(ProgramTest):
    TORCH = ["shape", "--convention", "pytorch", "--input-shape", "1,64,8,8", "--filter-shape",
             "64,32,3,3", "--strides", "2", "--padding", "1"]

    def test_legal_sizes(self):
        text = self.call(*self.TORCH)
        self.assertIn("15 to 16", text)
        for word in ("tensorflow", "pytorch", "onnx", "pad_begin"):
            self.assertIn(word, text)
        report = self.json(*self.TORCH, "--output-padding", "1")
        self.assertEqual(report["legal_output_sizes"], {"height": [15, 16], "width": [15, 16]})
        self.assertIn("conventions", report["problem"])
        self.save("x.npy", integers((1, 5, 5, 2), 1))
        self.save("f.npy", integers((3, 3, 4, 2), 1))
        self.assertIn("height  5", self.call("shape", "--input", "x.npy", "--filters", "f.npy"))

    def test_an_illegal_size_still_shows_the_legal_ones(self):
        arguments = ["shape", "--input-shape", "1,8,8,4", "--filter-shape", "3,3,2,4",
                     "--strides", "2", "--output-shape", "1,17,16,2"]
        text = self.call(*arguments, expect=2)
        self.assertIn("15 to 16", text)
        self.assertIn("output_shape[1] = 17", self.stderr)
        report = self.json(*arguments, expect=2)
        self.assertEqual(report["legal_output_sizes"]["height"], [15, 16])
        self.assertIn("output_shape[1] = 17", report["error"])
        self.refused(*self.TORCH, "--groups", "7", words=["groups"])

    def test_a_key(self):
        key = self.json(*self.TORCH)["problem"]["key"]
        self.assertIn(key, self.call("shape", "--problem", key))
        self.refused("shape", words=["--input-shape"])
        self.assertEqual(json.loads(self.call("shape", "--problem", key, "--json"))["problem"]
                         ["key"], key)
