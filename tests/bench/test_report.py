#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: Apache-2.0
"""bench/report on lines that are made up (made_up_results.jsonl): its numbers, its page, its pictures. Needs
what `scripts/setup --all` fetched."""

import html.parser
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from report_parts import standing, table
from report_parts.lines import Result, normalised, read

SAMPLE = pathlib.Path(__file__).with_name("made_up_results.jsonl")
CPU = "f32, NHWC, 1 thread, filters prepacked, caches warm"


def sample_groups():
    return standing.groups(map(normalised, read(SAMPLE)))


def result(us, samples=(), rival=False, contender="a", kernel="k", status="timed"):
    return Result("n", "f32:nhwc", kernel, status, contender, rival, us=us, interval=(us * 0.99, us * 1.01),
                  samples=list(samples))


class Numbers(unittest.TestCase):
    def test_ratio_and_verdict(self):
        for rival, ours, verdict in ((110, 100, "win"), (102.9, 100, "tie"), (100, 110, "loss"), (100, 102.9, "tie")):
            row = standing.Row("n", "k", [result(rival, rival=True), result(ours)])
            self.assertEqual((round(row.ratio, 9), row.verdict), (round(rival / ours, 9), verdict))
        # A ratio whose interval holds 1 is neither.
        wide = [50, 300, 110, 40, 200]
        row = standing.Row("n", "k", [result(110, wide, rival=True), result(100, [100] * 5)])
        self.assertEqual(row.verdict, "tie")
        self.assertLess(row.interval[0], 1)

    def test_interval(self):
        # What slows both in the same rounds cancels.
        noise = [1, 3, 1, 5, 2, 1, 4]
        low, high = standing.interval(result(200, [200 * x for x in noise]), result(100, [100 * x for x in noise]))
        self.assertEqual((low, high), (2, 2))
        self.assertEqual(standing.interval(result(200), result(100)), (198 / 101, 202 / 99))

    def test_which_results_stand_for_a_row(self):
        row = standing.Row("n", "k", [result(30, contender=""), result(20, contender="b"), result(90, rival=True),
                                      result(60, rival=True, kernel="best"), result(1, rival=True, status="mismatch")])
        self.assertEqual((row.ours.us, row.best.us, row.ratio), (30, 60, 2))  # what the library chose
        row = standing.Row("n", "k", [result(30), result(20, contender="b"), result(90, rival=True)])
        self.assertEqual(row.ours.us, 20)
        self.assertFalse(standing.Row("n", "k", [result(30)]).compared)

    def test_groups(self):
        cpu, plain, gpu = sample_groups()
        self.assertEqual((cpu.title, plain.title, gpu.title),
                         (CPU, "f16, NCHW, 1 thread, filters plain", "f16, NHWC, caches cold"))
        self.assertEqual([(row.name, round(row.ratio, 6), row.verdict) for row in cpu.compared],
                         [("net / half as fast", 0.5, "loss"), ("net / a little faster", 1.02, "tie"),
                          ("net / uncertain", 1.1, "tie"), ("net / 25 % <faster> & more", 1.25, "win"),
                          ("net / twice as fast", 2.0, "win")])
        self.assertAlmostEqual(cpu.mean(), (0.5 * 1.02 * 1.1 * 1.25 * 2) ** 0.2)
        self.assertEqual({row.name for row in cpu.alone}, {"net / a rival is wrong", "net / ours declines"})
        self.assertEqual(len(cpu.not_timed()), 3)
        self.assertEqual(cpu.not_timed()["jax", "not run", "a run takes 9 s"],
                         ["net / uncertain", "net / a rival is wrong"])
        self.assertFalse(plain.compared)
        # The best of several tiles and engines.
        self.assertEqual([(row.ours.tile, row.best.tile, row.ratio) for row in gpu.compared], [("b", "engine1", 1.4)])
        self.assertEqual(gpu.settings[0], "A made-up GPU")

    def test_ceilings_are_those_of_the_machine(self):
        cpu, _, gpu = sample_groups()
        lines = read(SAMPLE)
        self.assertEqual([group.ceilings(lines)["macs_per_us"] for group in (cpu, gpu)], [5e4, 2.5e8])
        self.assertEqual(cpu.ceilings(lines)["sources"], ["copy 1 GiB: 20.0 GB/s (made up)",
                                                          "product f32: 100.0 GFLOP/s (made up)"])
        line = {"key": "f32:nhwc", "threads": 1, "machine": cpu.settings[0], "useful_macs": 1e6, "least_bytes": 2e6}
        self.assertEqual(standing.roofline_us(line, lines), 100)  # 2 MB at 20 GB/s; the product takes 20 us
        self.assertEqual(standing.roofline_us({**line, "threads": 2}, lines), 0)

    def test_text(self):
        text = table.text(sample_groups()[0])
        self.assertIn("5 rows: geometric mean 1.07; wins 2, ties 2, losses 1; worst 0.50: net / half as fast", text)
        self.assertIn("PyTorch wrong on net / a rival is wrong: output[n=0", text)


class Markup(html.parser.HTMLParser):
    """Elements that are not closed, ids, and whatever could fetch something."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.text = [], [], [], []

    def handle_starttag(self, tag, attributes):
        if tag != "meta":
            self.open.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "srcset", "data") or "url(" in (value or ""):
                self.links.append(value)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag != "meta":
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} closes another element"

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "path"):
            self.text.append(data)


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        done = cls.report(str(SAMPLE), "--out", str(cls.folder / "out"))
        assert done.returncode == 0, done.stderr
        cls.page = (cls.folder / "out/index.html").read_text(encoding="utf-8")
        cls.markup = Markup()
        cls.markup.feed(cls.page)

    @staticmethod
    def report(*arguments):
        return subprocess.run([sys.executable, "-B", str(ROOT / "bench/report"), *arguments], capture_output=True,
                              text=True, check=False)

    def test_page_stands_alone(self):
        self.assertEqual(self.markup.open, [])
        self.assertEqual(len(set(self.markup.ids)), len(self.markup.ids))
        self.assertTrue(self.markup.links)
        for link in self.markup.links:
            self.assertRegex(link, r"#|^$")
            target = re.search(r"#([\w-]+)", link).group(1)
            self.assertIn(target, self.markup.ids)
        rest = re.sub(r'xmlns(:\w+)?="[^"]*"', "", self.page)
        for word in ("http:", "https:", "//", "@import", "<script", "<link", "<img"):
            self.assertNotIn(word, rest)

    def test_page_follows_the_colour_scheme(self):
        self.assertIn("prefers-color-scheme: dark", self.page)
        drawings = re.findall(r"<svg.*?</svg>", self.page, re.DOTALL)
        self.assertEqual(len(drawings), 2 * (2 + 0 + 2))  # wide and narrow; without bytes there is no roofline
        for drawing in drawings:
            self.assertEqual(set(re.findall(r"#[0-9a-f]{6}\b", drawing)), set())
            self.assertIn("var(--ink)", drawing)

    def test_page_says_everything(self):
        text = " ".join(" ".join(self.markup.text).split())
        for words in ("net / 25 % <faster> & more", "5 rows: geometric mean 1.07; wins 2, ties 2, losses 1",
                      "worst 0.50: net / half as fast", "0.50 0.50 to 0.50 loss", "copy 1 GiB: 20.0 GB/s (made up)",
                      "PyTorch, wrong on 1 row: output[n=0, p=0, q=0, k=0] = 1, but it must be 2",
                      "JAX, not run on 2 rows: a run takes 9 s", "JAX on 4 rows: rounds twice", "simd, not run on 1 row: no family takes it",
                      "A made-up processor", "avx2, fma", "pytorch 2.0", "A made-up GPU", "0123456789ab"):
            with self.subTest(words):
                self.assertIn(words, text)

    def test_pictures(self):
        names = sorted(path.name for path in (self.folder / "out").glob("*.png"))
        groups = ("f16_nhwc_cold", "f32_nhwc_1_thread_prepacked")
        self.assertEqual(names, sorted(f"{what}_{group}{dark}.png" for what in ("ratios", "roofline")
                                       for group in groups for dark in ("", "_dark")))
        for name in names:
            data = (self.folder / "out" / name).read_bytes()
            self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
            width, height = struct.unpack(">II", data[16:24])
            self.assertEqual(width, 1600)
            self.assertGreater(height, 200)

    def refused(self, *arguments, words, code=2):
        done = self.report(*arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_refusals(self):
        diary, head, file = (self.folder / name for name in ("diary", "head", "file"))
        diary.write_text("dear diary\nmore\n")
        head.write_text(json.dumps({"kind": "head", "cpu": "x"}) + "\n")
        file.write_text("")
        out = ["--out", str(self.folder / "no")]
        self.refused(str(diary), *out, words=["line 1", "no JSON object"])
        self.refused(str(head), *out, words=["no line is the result"])
        self.refused(str(self.folder / "absent"), *out, words=["absent"])
        self.refused(str(SAMPLE), words=["--out"])
        self.refused(str(SAMPLE), *out, "--match", "(", words=["--match '('"])
        self.refused(str(SAMPLE), *out, "--match", "nothing", words=["--match 'nothing'"])
        self.refused(str(SAMPLE), "--out", str(file), words=[str(file)], code=4)
        self.assertFalse((self.folder / "no").exists())

    def test_without_matplotlib(self):
        shutil.copytree(ROOT / "bench", self.folder / "copy/bench")
        done = subprocess.run([sys.executable, "-S", "-B", str(self.folder / "copy/bench/report"), str(SAMPLE), "--out",
                               str(self.folder / "no")], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("scripts/setup --all", done.stderr)

    def test_a_file_that_was_cut_off(self):
        cut = self.folder / "cut"
        cut.write_text(SAMPLE.read_text().splitlines()[3] + '\n{"kind": "tim')
        self.assertEqual(self.report(str(cut), "--out", str(self.folder / "of cut")).returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=1)
