# SPDX-License-Identifier: Apache-2.0
"""tconv upscale, bench, kernels, devices, and the help."""

import json
import math
import resource
import struct
import subprocess
import zlib

import support
from support import ProgramTest

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def write_png(path, width, height, channels, pixels):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    step = width * channels
    rows = b"".join(b"\0" + bytes(pixels[y * step : (y + 1) * step]) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                   + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def paeth(a, b, c):
    p = a + b - c
    return min((a, b, c), key=lambda v: abs(p - v))


def read_png(path):
    """Width, height, channels, pixels."""
    data = open(path, "rb").read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8
        elif kind == b"IDAT":
            packed += body
        at += length + 12
    channels = {colour: n for n, colour in COLOUR_TYPES.items()}[colour]
    raw, step, pixels = zlib.decompress(packed), width * channels, []
    for y in range(height):
        kind, line = raw[y * (step + 1)], raw[y * (step + 1) + 1 : (y + 1) * (step + 1)]
        above = pixels[-step:] if y else [0] * step
        row = []
        for i, value in enumerate(line):
            left = row[i - channels] if i >= channels else 0
            corner = above[i - channels] if i >= channels else 0
            predicted = (0, left, above[i], (left + above[i]) // 2, paeth(left, above[i], corner))
            row.append((value + predicted[kind]) & 255)
        pixels += row
    return width, height, channels, pixels


def keys(x):
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0


def resampled(width, height, channels, pixels, scale, kernel, radius):
    """Each output pixel by its definition, edges replicated, not rounded."""
    result = []
    for p in range(height * scale):
        y = (p + 0.5) / scale - 0.5
        for q in range(width * scale):
            x = (q + 0.5) / scale - 0.5
            sums = [0.0] * channels
            for i in range(math.floor(y) - radius, math.floor(y) + radius + 2):
                for j in range(math.floor(x) - radius, math.floor(x) + radius + 2):
                    weight = kernel(y - i) * kernel(x - j)
                    row, column = min(max(i, 0), height - 1), min(max(j, 0), width - 1)
                    for c in range(channels):
                        sums[c] += weight * pixels[(row * width + column) * channels + c]
            result += [min(max(value, 0), 255) for value in sums]
    return result


class Upscale(ProgramTest):
    def test_is_the_interpolation_that_it_says(self):
        pixels = [(37 * i * i + 11 * i) % 256 for i in range(5 * 4 * 4)]
        kernels = {"cubic": (keys, 2), "bilinear": (lambda x: max(0, 1 - abs(x)), 1)}
        for channels in (1, 2, 3, 4):
            source = pixels[: 5 * 4 * channels]
            write_png(self.path("small.png"), 5, 4, channels, source)
            for scale in (1, 2, 3):
                for name, (kernel, radius) in kernels.items():
                    self.call("upscale", "small.png", "big.png", "--scale", scale,
                              "--kernel-shape", name, "--verify")
                    width, height, got_channels, got = read_png(self.path("big.png"))
                    self.assertEqual((width, height, got_channels), (5 * scale, 4 * scale, channels))
                    wanted = resampled(5, 4, channels, source, scale, kernel, radius)
                    # Half a step of rounding, and what f32 adds to it.
                    worst = max(abs(a - b) for a, b in zip(got, wanted))
                    self.assertLess(worst, 0.5001, (channels, scale, name))

    def test_a_flat_picture_stays_flat(self):
        write_png(self.path("flat.png"), 3, 3, 1, [200] * 9)
        for scale in (1, 5, 16):
            for shape in ("cubic", "bilinear"):
                self.call("upscale", "flat.png", "big.png", "--scale", scale, "--kernel-shape", shape)
                self.assertEqual(set(read_png(self.path("big.png"))[3]), {200})

    def test_a_picture_enlarged_in_several_bands(self):
        write_png(self.path("tall.png"), 64, 100, 3, [i * i % 251 for i in range(64 * 100 * 3)])
        report = self.json("upscale", "tall.png", "big.jpg", "--scale", "16", "--verify")
        self.assertEqual((report["verified"], report["output_size"]), (True, [1024, 1600]))

    def test_report(self):
        write_png(self.path("small.png"), 5, 4, 3, list(range(60)))
        text = self.call("upscale", "small.png", "big.png", "--scale", "2", "--verify")
        for word in ("device", "row", "verified", "bound", "big.png", "10 x 8"):
            self.assertIn(word, text)
        report = self.json("upscale", "small.png", "big.jpg", "--verify")
        self.assertEqual((report["verified"], report["output_size"]), (True, [10, 8]))
        with open(self.path("big.jpg"), "rb") as file:
            self.assertEqual(file.read(3), b"\xff\xd8\xff")

    def test_refusals(self):
        write_png(self.path("small.png"), 5, 4, 3, list(range(60)))
        with open(self.path("text.png"), "w") as file:
            file.write("no picture")
        with open(self.path("cut.png"), "wb") as file:
            file.write(open(self.path("small.png"), "rb").read()[:60])
        for name in ("absent.png", "text.png", "cut.png", "."):
            self.refused("upscale", name, "big.png", words=[name])
        self.refused("upscale", "small.png", "big.gif", words=["big.gif", ".png"])
        self.refused("upscale", "small.png", words=["target"])
        for scale in ("0", "17", "-2", "2.5", "x"):
            self.refused("upscale", "small.png", "big.png", "--scale", scale, words=["--scale"])
        self.refused("upscale", "small.png", "big.png", "--kernel-shape", "box", words=["bilinear"])
        self.refused("upscale", "small.png", "absent/big.png", code=4, words=["absent/big.png"])
        write_png(self.path("tall.png"), 16000, 700, 1, bytes(16000 * 700))
        self.refused("upscale", "tall.png", "big.png", "--scale", "16", words=["256000 x 11200"])


class Bench(ProgramTest):
    KEY = "f32:nhwc:n1:c4:k4:h6k3s2o12:w6k3s2o12"

    def bench(self, *arguments, **options):
        return self.call("bench", "--rounds", "3", *arguments, **options)

    def records(self, name="r.jsonl"):
        with open(self.path(name)) as file:
            return [json.loads(line) for line in file]

    def test_times_and_resumes(self):
        arguments = ["--problem", self.KEY, "--kernel", "all", "--device", "cpu", "--out", "r.jsonl"]
        self.bench(*arguments)
        first = self.records()
        names = [kernel["name"] for kernel in json.loads(self.call("kernels", "--json"))
                 if kernel["device"] == "cpu"]
        self.assertEqual([record["kernel"] for record in first], names)
        for record in first:
            self.assertEqual((record["status"], record["verified"], record["key"]),
                             ("timed", True, self.KEY))
            self.assertGreater(record["median_us"], 0)
            self.assertGreaterEqual(record["iterations"], 1)
            for field in ("machine", "threads", "version", "date", "tile", "rounds", "spread", "useful_macs",
                          "least_bytes"):
                self.assertIn(field, record)
        self.assertIn("from --out", self.bench(*arguments))
        self.assertEqual(self.records(), first)
        # A cut-off line is done again, and swallows nothing.
        with open(self.path("r.jsonl"), "w") as file:
            file.write("".join(json.dumps(record) + "\n" for record in first[:-1]))
            file.write(json.dumps(first[-1])[:100])
        self.bench(*arguments)
        with open(self.path("r.jsonl")) as file:
            lines = file.read().splitlines()
        self.assertEqual(len(lines), len(first) + 1)
        self.assertEqual(json.loads(lines[-1])["kernel"], names[-1])

    def test_against(self):
        arguments = ["--problem", self.KEY, "--kernel", "reference"]
        self.bench(*arguments, "--out", "r.jsonl")
        record = self.records()[0]
        record["median_us"] *= 1e9  # no clock of a busy machine is off by that
        with open(self.path("slow.jsonl"), "w") as file:  # beside what bench/rivals/run writes of the machine
            file.write('{"kind": "head", "cpu": "one"}\n' + json.dumps(record) + "\n")
        report = json.loads(self.bench(*arguments, "--against", "slow.jsonl", "--json"))
        self.assertEqual(report["compared"], 1)
        self.assertGreater(report["geometric_mean"], 1000)
        self.assertIn("geometric mean", self.bench(*arguments, "--against", "slow.jsonl"))
        self.assertIn("nothing to compare", self.bench("--problem", self.KEY + ":bias", "--against",
                                                       "slow.jsonl"))

    def test_says_what_was_not_run(self):
        text = self.bench("--suite", "core", "--match", "RIFE", "--kernel", "reference",
                          "--seconds", "0.01", "--out", "r.jsonl", expect=3)
        self.assertIn("not run", text)
        for record in self.records():
            self.assertEqual(record["status"], "not run")
            self.assertIn("--seconds", record["reason"])

    def test_refusals(self):
        self.refused("bench", "--problem", self.KEY, "--kernel", "nope", words=["nope"])
        self.refused("bench", "--problem", self.KEY, "--rounds", "0", words=["--rounds"])
        self.refused("bench", "--problem", self.KEY, "--seconds", "-1", words=["--seconds"])
        self.refused("bench", "--problem", self.KEY, "--against", "absent", words=["--against"])
        self.refused("bench", "--problem", self.KEY, "--out", "no/r.jsonl", code=4, words=["no/r.jsonl"])
        with open(self.path("notes.txt"), "w") as file:
            file.write("dear diary\nmore\n")
        self.refused("bench", "--problem", self.KEY, "--out", "notes.txt", words=["line 1"])
        self.assertEqual(open(self.path("notes.txt")).read(), "dear diary\nmore\n")
        self.refused("bench", words=["--input-shape"])


class Lists(ProgramTest):
    def test_kernels_and_devices(self):
        kernels = json.loads(self.call("kernels", "--json"))
        self.assertEqual(kernels[-1]["name"], "reference")
        for kernel in kernels:
            self.assertEqual(set(kernel) - {"fixed_size"},
                             {"name", "device", "tiles", "dtypes", "layouts", "border", "resizable"})
            self.assertIn(kernel["name"], self.call("kernels"))
        devices = self.json("devices")
        self.assertEqual(devices["devices"][-1]["device"], "cpu")
        self.assertEqual(len(devices["devices"]) == 1, devices["cuda"] != "")
        self.assertIn("cpu", self.call("devices"))

    def test_help(self):
        text = self.call("--help")
        for command in ("run", "verify", "explain", "shape", "upscale", "bench", "kernels", "devices"):
            self.assertIn(f"\n{command}: ", text)
            self.assertIn(f"tconv {command}", text)
            own = self.call(command, "--help")
            for option in own.split():
                if option.startswith("--") and option.isascii() and option.rstrip(",") != "--help":
                    self.assertIn(option.rstrip(",]"), text, command)
        self.assertIn("tconv 0.", self.call("--version"))

    def test_help_starts_nothing(self):
        # Measured: 15 ms. This only catches a start-up that loads a device or a framework.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(5):
            subprocess.run([support.PROGRAM, "--help"], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.assertLess(used / 5, 0.5)

    def test_full_disk(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([support.PROGRAM, "kernels"], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 4)
        self.assertIn(b"stdout", done.stderr)
