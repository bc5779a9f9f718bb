# SPDX-License-Identifier: Apache-2.0
"""Every kind of .npy file that is read: order, types."""

from support import ProgramTest, Tensor, integers, read_npy, scatter


class Files(ProgramTest):
    def run_problem(self, *arguments):
        self.call("run", "--input", "x.npy", "--filters", "f.npy", "--output", "y.npy", *arguments)
        return read_npy(self.path("y.npy"))

    def test_files_in_fortran_order_bf16_and_integers(self):
        x, f, bias = integers((2, 3, 4, 2), 8), integers((3, 2, 3, 2), 9), integers((3,), 1)
        nhwc = scatter(x, f, (2, 2), (1, 1), (0, 0), (6, 8))
        wanted = [v + bias.values[i % 3] for i, v in enumerate(nhwc.values)]
        arguments = ["--strides", 2, "--bias", "b.npy"]
        self.save("b.npy", bias)
        for fortran in ({"x"}, {"f"}, {"x", "f"}):
            self.save("x.npy", x, fortran="x" in fortran)
            self.save("f.npy", f, fortran="f" in fortran)
            self.assertEqual(self.run_problem(*arguments)[0].values, wanted)
        self.save("x.npy", x.transposed(0, 3, 1, 2), fortran=True)
        y, _ = self.run_problem(*arguments, "--data-format", "NCHW")
        self.assertEqual(y.transposed(0, 2, 3, 1).values, wanted)
        for kind in ("bf16", "i1", "i2", "i4", "i8"):
            for name, tensor in (("x.npy", x), ("f.npy", f), ("b.npy", bias)):
                self.save(name, tensor, kind, fortran=kind != "i4")
            for dtype in ("f16", "bf16", "f32", "f64"):
                y, _ = self.run_problem(*arguments, "--dtype", dtype)
                self.assertEqual(y.values, wanted, (kind, dtype))
        self.save("got.npy", Tensor(nhwc.shape, wanted), "i2", fortran=True)
        self.assertTrue(self.json("verify", "--input", "x.npy", "--filters", "f.npy", "--dtype", "f32",
                                  *arguments, "--got", "got.npy")["verified"])
        for name, tensor in (("x.npy", x), ("f.npy", f)):
            self.save(name, tensor, "bf16")
        self.save("b.npy", bias)
        report = self.json("run", "--input", "x.npy", "--filters", "f.npy", "--output", "y.npy", *arguments)
        self.assertIn("bf16:", report["key"])  # the type of the file
