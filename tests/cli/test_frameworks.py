# SPDX-License-Identifier: Apache-2.0
"""What the conventions of the frameworks take besides two axes and a batch: one axis, no batch,
PyTorch's output_size. Files and results have the rank that the framework's have."""

from support import ProgramTest, Tensor, integers, read_npy, scatter


class Ranks(ProgramTest):
    def run_problem(self, *arguments):
        self.call("run", "--input", "x.npy", "--filters", "f.npy", "--output", "y.npy", "--verify",
                  *arguments)
        return read_npy(self.path("y.npy"))[0]

    def setUp(self):
        super().setUp()
        # x [n, 1, w, c], f [1, kw, co, ci]; stride 3, dilation 2: full = 4*3 + 2*2 + 1 = 17
        self.x, self.f = integers((2, 1, 5, 4), 1), integers((1, 3, 6, 4), 2)

    def wanted(self, x, begin, out):
        return scatter(x, self.f, (1, 3), (1, 2), (0, begin), (1, out))

    def save_as(self, name, tensor, axes, shape):
        self.save(name, Tensor(shape, tensor.transposed(*axes).values))

    def test_pytorch(self):
        self.save_as("f.npy", self.f, (3, 2, 0, 1), (4, 6, 3))
        common = ["--convention", "pytorch", "--strides", 3, "--dilations", 2, "--padding", 1]
        for memory_format in ("contiguous", "channels_last"):
            self.save_as("x.npy", self.x, (0, 3, 1, 2), (2, 4, 5))
            wanted = self.wanted(self.x, 1, 17).transposed(0, 3, 1, 2)
            for size in (["--output-padding", 2], ["--output-size", 17],
                         ["--output-size", "2,6,17", "--output-padding", 0]):
                y = self.run_problem(*common, *size, "--memory-format", memory_format)
                self.assertEqual((y.shape, y.values), ((2, 6, 17), wanted.values))
            first = Tensor((1, 1, 5, 4), self.x.values[:20])
            self.save_as("x.npy", first, (0, 3, 1, 2), (4, 5))
            wanted = self.wanted(first, 1, 15).transposed(0, 3, 1, 2)
            y = self.run_problem(*common, "--memory-format", memory_format)
            self.assertEqual((y.shape, y.values), ((6, 15), wanted.values))

    def test_pytorch_without_a_batch(self):
        x, f = integers((1, 4, 5, 3), 3), integers((3, 2, 2, 3), 4)
        self.save_as("f.npy", f, (3, 2, 0, 1), (3, 2, 3, 2))
        self.save_as("x.npy", x, (0, 3, 1, 2), (3, 4, 5))
        residual = integers((1, 8, 9, 2), 5)
        self.save_as("r.npy", residual, (0, 3, 1, 2), (2, 8, 9))
        wanted = scatter(x, f, (2, 2), (1, 1), (1, 1), (8, 9)).transposed(0, 3, 1, 2)
        arguments = ["--convention", "pytorch", "--strides", 2, "--padding", 1, "--residual", "r.npy"]
        y = self.run_problem(*arguments, "--output-padding", "1")
        sums = [a + b for a, b in zip(wanted.values, residual.transposed(0, 3, 1, 2).values)] \
            if y.shape == (2, 8, 9) else None
        self.assertEqual((y.shape, y.values), ((2, 8, 9), sums))
        # Of the sizes that were asked for, by a tensor or by output_size.
        run = ["run", "--input", "x.npy", "--filters", "f.npy", "--output", "z.npy", *arguments]
        self.refused(*run, words=["has the shape 2,8,9, but it must be 2,7,8; --output-padding 1,1 "
                                  "would make it so"])
        self.refused(*run, "--output-size", "8,10", words=["output_size[1] = 10", "in [8, 9]"])

    def test_tensorflow(self):
        self.save_as("f.npy", self.f, (0, 1, 2, 3), (3, 6, 4))
        wanted = self.wanted(self.x, 1, 14)  # SAME: 17 - 14 is cut, the smaller half first
        for order, axes, shape, output in (("NWC", (0, 1, 2, 3), (2, 5, 4), (2, 14, 6)),
                                           ("NCW", (0, 3, 1, 2), (2, 4, 5), (2, 6, 14))):
            self.save_as("x.npy", self.x, axes, shape)
            values = wanted.transposed(*axes).values
            y = self.run_problem("--strides", 3, "--dilations", 2, "--data-format", order,
                                 "--output-shape", ",".join(map(str, output)))
            self.assertEqual((y.shape, y.values), (output, values))
        self.save("x.npy", Tensor((2, 5, 4), self.x.values))
        y = self.run_problem("--strides", "1,3,1", "--dilations", 2, "--padding", "0,3")
        self.assertEqual((y.shape, y.values), ((2, 14, 6), self.wanted(self.x, 0, 14).values))
        text = self.call("shape", "--input-shape", "2,5,4", "--filter-shape", "3,6,4", "--strides", 3)
        self.assertIn("  width   13 to 15", text)
        self.assertNotIn("  height", text.split("\n\n")[0])

    def test_onnx(self):
        self.save_as("f.npy", self.f, (3, 2, 0, 1), (4, 6, 3))
        self.save_as("x.npy", self.x, (0, 3, 1, 2), (2, 4, 5))
        y = self.run_problem("--convention", "onnx", "--strides", 3, "--dilations", 2,
                             "--pads", "2,1", "--output-padding", 1)
        wanted = self.wanted(self.x, 2, 15).transposed(0, 3, 1, 2)
        self.assertEqual((y.shape, y.values), ((2, 6, 15), wanted.values))

    def test_what_the_convention_calls_it(self):
        shapes = ["--input-shape", "1,4,5,5", "--filter-shape", "4,2,3,3"]
        self.refused("shape", "--convention", "pytorch", *shapes, "--output-shape", "9,9",
                     words=["--output-shape = '9,9' belongs to --convention tensorflow or onnx",
                            "where it is --output-size"])
        self.refused("shape", "--convention", "onnx", *shapes, "--output-size", "9,9",
                     words=["where it is --output-shape"])


class FilterOrders(ProgramTest):
    def test_every_order_in_every_convention(self):
        x, f = integers((1, 4, 3, 6), 1), integers((3, 2, 5, 6), 2)  # [n,h,w,c]; [kh,kw,co/g,ci]
        wanted = scatter(x, f, (2, 2), (1, 1), (0, 0), (9, 6), 2)
        orders = {"hwoi": (0, 1, 2, 3), "ihwo": (3, 0, 1, 2), "iohw": (3, 2, 0, 1),
                  "ohwi": (2, 0, 1, 3)}
        for order, axes in orders.items():
            self.save("f.npy", f.transposed(*axes))
            for convention in ("tensorflow", "pytorch", "onnx"):
                nhwc = convention == "tensorflow"
                self.save("x.npy", x if nhwc else x.transposed(0, 3, 1, 2))
                padding = ["--padding", "VALID"] if nhwc else []
                for kernel in ("reference", "simd"):
                    text = self.call("run", "--convention", convention, "--input", "x.npy",
                                     "--filters", "f.npy", "--output", "y.npy", "--strides", 2,
                                     "--groups", 2, "--filter-order", order, "--kernel", kernel,
                                     "--verify", *padding)
                    self.assertEqual(f":{order}" in text, order != "hwoi")
                    y, _ = read_npy(self.path("y.npy"))
                    self.assertEqual(y.values,
                                     (wanted if nhwc else wanted.transposed(0, 3, 1, 2)).values)

    def test_one_axis(self):
        x, f = integers((1, 1, 5, 3), 3), integers((1, 4, 2, 3), 4)
        self.save("x.npy", Tensor((1, 5, 3), x.values))
        self.save("f.npy", Tensor((2, 4, 3), f.transposed(2, 0, 1, 3).values))  # co, kw, ci
        self.call("run", "--input", "x.npy", "--filters", "f.npy", "--output", "y.npy",
                  "--filter-order", "ohwi", "--strides", 2)
        y, _ = read_npy(self.path("y.npy"))
        wanted = scatter(x, f, (1, 2), (1, 1), (0, 1), (1, 10))
        self.assertEqual((y.shape, y.values), ((1, 10, 2), wanted.values))

    def test_refusals(self):
        shapes = ["--input-shape", "1,4,4,2", "--filter-shape", "3,3,3,2"]
        self.refused("shape", *shapes, "--filter-order", "oihw", words=["hwoi, ihwo, iohw or ohwi"])
        self.refused("shape", "--problem", "f32:nhwc:n1:c1:k1:h1k1s1o1:w1k1s1o1", "--filter-order",
                     "ohwi", words=["--filter-order cannot be given"])


class PerChannel(ProgramTest):
    """Numbers per output channel, in the shapes in which people have them."""

    def setUp(self):
        super().setUp()
        self.x, self.f = integers((1, 3, 3, 2), 1), integers((2, 2, 4, 2), 2)
        self.plain = scatter(self.x, self.f, (1, 1), (1, 1), (0, 0), (4, 4))
        self.save("f.npy", self.f)
        self.run_it = ["run", "--filters", "f.npy", "--input", "x.npy", "--output", "y.npy",
                       "--padding", "VALID"]

    def expect(self, layout, wanted, *arguments):
        self.save("x.npy", self.x if layout == "NHWC" else self.x.transposed(0, 3, 1, 2))
        self.call(*self.run_it, "--data-format", layout, *arguments)
        y, _ = read_npy(self.path("y.npy"))
        values = Tensor(self.plain.shape, wanted)
        self.assertEqual(y.values, (values if layout == "NHWC" else values.transposed(0, 3, 1, 2)).values)

    def test_bias(self):
        bias = integers((4,), 3).values
        wanted = [v + bias[i % 4] for i, v in enumerate(self.plain.values)]
        for layout, shapes in (("NHWC", [(4,), (1, 4), (1, 1, 4), (1, 1, 1, 4)]),
                               ("NCHW", [(4,), (4, 1, 1), (1, 4, 1, 1)])):
            for shape in shapes:
                self.save("b.npy", Tensor(shape, bias))
                self.expect(layout, wanted, "--bias", "b.npy")
        # What would be added along another dimension, or is no vector, is refused.
        for layout, shapes, legal in (
                ("NHWC", [(4, 1, 1), (1, 4, 1, 1), (2, 2), (1,), (1, 1, 1, 1, 4)], "4 or 1,1,1,4"),
                ("NCHW", [(1, 1, 1, 4), (1, 4), (4, 1), (1, 1, 4)], "4 or 1,4,1,1")):
            self.save("x.npy", self.x if layout == "NHWC" else self.x.transposed(0, 3, 1, 2))
            for shape in shapes:
                values = bias if shape != (1,) else bias[:1]
                self.save("b.npy", Tensor(shape, values))
                command = [*self.run_it[:-3], "z.npy", *self.run_it[-2:], "--data-format", layout]
                self.refused(*command, "--bias", "b.npy", words=["--bias", "it must be " + legal])

    def test_one_slope(self):
        for shape, values in (((4,), [1, 0.5, -2, 0]), ((1, 1, 1, 4), [1, 0.5, -2, 0]),
                              ((1,), [0.25]), ((), [0.25]), ((1, 1, 1), [0.25])):
            self.save("p.npy", Tensor(shape, values))
            wanted = [v if v >= 0 else values[i % 4 % len(values)] * v
                      for i, v in enumerate(self.plain.values)]
            self.expect("NHWC", wanted, "--activation", "prelu:p.npy", "--verify")
        self.save("p.npy", Tensor((2,), [1, 2]))
        self.refused(*self.run_it[:-3], "z.npy", *self.run_it[-2:], "--activation", "prelu:p.npy",
                     words=["or one number for all channels"])
