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


def write_png(path, width, height, channels, pixels, depth=8, exif=None):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    step, code = width * channels, "B" if depth == 8 else "H"
    rows = b"".join(b"\0" + struct.pack(f">{step}{code}", *pixels[y * step : (y + 1) * step])
                    for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, depth, COLOUR_TYPES[channels], 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                   + (chunk(b"eXIf", exif) if exif else b"")
                   + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def orientation_tag(orientation, order=">"):
    """The EXIF of a camera that was held so: one other tag, then this one."""
    start = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "I", 8)
    return (start + struct.pack(order + "H", 2) + struct.pack(order + "HHII", 0x0100, 4, 1, 7)
            + struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0) + struct.pack(order + "I", 0))


def held_so(orientation, width, height, pixels):
    """What a camera stores of an upright grey picture: width, height, pixels. By EXIF's table, where
    the stored rows 0 and columns 0 lie in the picture."""
    row_0, column_0 = {1: "top left", 2: "top right", 3: "bottom right", 4: "bottom left", 5: "left top",
                       6: "right top", 7: "right bottom", 8: "left bottom"}[orientation].split()
    turned = row_0 in ("left", "right")
    stored_width, stored_height = (height, width) if turned else (width, height)
    stored = []
    for row in range(stored_height):
        for column in range(stored_width):
            place = {}
            for side, i in ((row_0, row), (column_0, column)):
                axis, extent = ("y", height) if side in ("top", "bottom") else ("x", width)
                place[axis] = i if side in ("top", "left") else extent - 1 - i
            stored.append(pixels[place["y"] * width + place["x"]])
    return stored_width, stored_height, stored


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
        elif kind == b"IDAT":
            packed += body
        (crc,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert crc == zlib.crc32(kind + body), kind
        at += length + 12
    channels = {colour: n for n, colour in COLOUR_TYPES.items()}[colour]
    unit = channels * depth // 8
    raw, step, pixels = zlib.decompress(packed), width * unit, []
    for y in range(height):
        kind, line = raw[y * (step + 1)], raw[y * (step + 1) + 1 : (y + 1) * (step + 1)]
        above = pixels[-step:] if y else [0] * step
        row = []
        for i, value in enumerate(line):
            left = row[i - unit] if i >= unit else 0
            corner = above[i - unit] if i >= unit else 0
            predicted = (0, left, above[i], (left + above[i]) // 2, paeth(left, above[i], corner))
            row.append((value + predicted[kind]) & 255)
        pixels += row
    if depth == 16:
        pixels = list(struct.unpack(f">{len(pixels) // 2}H", bytes(pixels)))
    return width, height, channels, pixels


def keys(x):
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0


def resampled(width, height, channels, pixels, scale, kernel, radius, largest=255):
    """Each output pixel by its definition, edges replicated, not rounded: colours times alpha, and
    divided by the alpha that comes out."""
    if channels % 2 == 0:
        alpha = [pixels[i - i % channels + channels - 1] / largest for i in range(len(pixels))]
        pixels = [value if i % channels == channels - 1 else value * alpha[i]
                  for i, value in enumerate(pixels)]
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
            sums = [min(max(value, 0), largest) for value in sums]
            if channels % 2 == 0:
                alpha = sums[-1] / largest
                sums = [min(value / alpha, largest) if alpha else 0 for value in sums[:-1]] + sums[-1:]
            result += sums
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

    def test_sixteen_bits_stay_sixteen(self):
        for channels in (1, 2, 3, 4):
            pixels = [(9377 * i * i + 1231 * i) % 65536 for i in range(5 * 4 * channels)]
            write_png(self.path("deep.png"), 5, 4, channels, pixels, depth=16)
            report = self.json("upscale", "deep.png", "big.png", "--scale", 2, "--verify")
            self.assertEqual(report["bits"], 16)
            width, height, got_channels, got = read_png(self.path("big.png"))
            self.assertEqual((width, height, got_channels), (10, 8, channels))
            wanted = resampled(5, 4, channels, pixels, 2, keys, 2, largest=65535)
            # Where alpha is nearly 0, f32 leaves more of an error in colours.
            visible = [max(wanted[i - i % channels + channels - 1], 1) / 65535 if channels % 2 == 0 else 1
                       for i in range(len(wanted))]
            worst = max(abs(a - b) * a_share for a, b, a_share in zip(got, wanted, visible))
            self.assertLess(worst, 0.6, channels)
            self.assertGreater(len({value & 255 for value in got}), 8)  # not 8 bits spread out
        self.call("upscale", "deep.png", "same.png", "--scale", 1)
        self.assertEqual([v for i, v in enumerate(read_png(self.path("same.png"))[3]) if i % 4 == 3],
                         pixels[3::4])
        out = subprocess.run([support.PROGRAM, "upscale", "deep.png", "big.jpg"], cwd=self.folder.name,
                             capture_output=True, text=True, check=True)
        for words in ("JPEG has 8 bits", "no alpha"):
            self.assertIn(words, out.stderr)

    def test_transparent_pixels_do_not_bleed(self):
        # Opaque green beside transparent red: no red may show, at any alpha.
        row = [0, 255, 0, 255] * 3 + [255, 0, 0, 0] * 3
        write_png(self.path("leaf.png"), 6, 3, 4, row * 3)
        for shape in ("cubic", "bilinear"):
            self.call("upscale", "leaf.png", "big.png", "--scale", 4, "--kernel-shape", shape, "--verify")
            pixels = read_png(self.path("big.png"))[3]
            shown = [pixels[i : i + 4] for i in range(0, len(pixels), 4) if pixels[i + 3] > 0]
            self.assertTrue(any(0 < pixel[3] < 255 for pixel in shown))
            self.assertEqual({tuple(pixel[:3]) for pixel in shown}, {(0, 255, 0)})

    def test_is_upright_however_the_camera_was_held(self):
        width, height = 6, 4
        upright = [11 * i % 256 for i in range(width * height)]
        for orientation in range(1, 9):
            stored = held_so(orientation, width, height, upright)
            for order in "<>":
                write_png(self.path("held.png"), stored[0], stored[1], 1, stored[2],
                          exif=orientation_tag(orientation, order))
                report = self.json("upscale", "held.png", "up.png", "--scale", 1)
                self.assertEqual((report["orientation"], report["size"]), (orientation, [width, height]))
                self.assertEqual(read_png(self.path("up.png")), (width, height, 1, upright), orientation)
        # The same in a JPEG: what it shows without the tag, turned.
        write_png(self.path("flat.png"), 16, 8, 1, [20 * (i % 12) for i in range(128)])
        self.call("upscale", "flat.png", "plain.jpg", "--scale", 1)
        with open(self.path("plain.jpg"), "rb") as file:
            jpeg = file.read()
        self.call("upscale", "plain.jpg", "plain.png", "--scale", 1)
        pixels = read_png(self.path("plain.png"))[3]
        channels = read_png(self.path("plain.png"))[2]
        for orientation in range(1, 9):
            exif = b"Exif\0\0" + orientation_tag(orientation)
            with open(self.path("phone.jpg"), "wb") as file:
                file.write(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
            self.call("upscale", "phone.jpg", "up.png", "--scale", 1)
            width, height, _, got = read_png(self.path("up.png"))
            self.assertEqual(held_so(orientation, width, height, got[::channels]),
                             (16, 8, pixels[::channels]), orientation)
        self.assertIn("EXIF orientation 8", self.call("upscale", "phone.jpg", "up.png"))

    def test_broken_exif_is_no_orientation(self):
        for exif in (b"MM", orientation_tag(9), orientation_tag(0), orientation_tag(6)[:20],
                     b"MM\0*\xff\xff\xff\xff", b"II*\0" + b"\xff" * 40):
            write_png(self.path("held.png"), 3, 2, 1, list(range(6)), exif=exif)
            self.assertEqual(self.json("upscale", "held.png", "up.png", "--scale", 1)["orientation"], 1)

    def test_damaged_pictures_are_refused(self):
        write_png(self.path("small.png"), 5, 4, 3, list(range(60)))
        self.call("upscale", "small.png", "small.jpg")
        with open(self.path("small.png"), "rb") as file:
            png = file.read()
        with open(self.path("small.jpg"), "rb") as file:
            jpeg = file.read()
        for size in range(0, len(png)):  # cut off anywhere
            with open(self.path("cut.png"), "wb") as file:
                file.write(png[:size])
            self.refused("upscale", "cut.png", "big.png", words=["cut.png"])
        for at in range(8, len(png)):  # any byte behind the signature changed
            with open(self.path("cut.png"), "wb") as file:
                file.write(png[:at] + bytes([png[at] ^ 1]) + png[at + 1 :])
            self.refused("upscale", "cut.png", "big.png", words=["cut.png"])
        for size in (2, 20, len(jpeg) // 2, len(jpeg) - 2):
            with open(self.path("cut.jpg"), "wb") as file:
                file.write(jpeg[:size])
            self.refused("upscale", "cut.jpg", "big.png", words=["cut.jpg"])

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
            self.assertTrue(own.startswith(f"Usage: tconv {command} "), own[:60])
            for option in own.split():
                if option.startswith("--") and option.isascii() and option.rstrip(",") != "--help":
                    self.assertIn(option.rstrip(",]"), text, command)
            self.assertEqual([line for line in own.splitlines() if len(line) > 100], [])
        self.assertEqual([line for line in text.splitlines() if len(line) > 100], [])
        self.assertEqual([line for line in self.call("kernels").splitlines() if len(line) > 100], [])
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
