# SPDX-License-Identifier: Apache-2.0
"""tconv_c.py: the library through its C ABI (include/tconv/tconv_c.h), as far as a benchmark needs it."""

import ctypes
import hashlib
from ctypes import POINTER, byref, c_char_p, c_double, c_int32, c_int64, c_size_t, c_uint64, c_void_p

OK, MISMATCH, INVALID, UNSUPPORTED, DEVICE_ERROR = range(5)
DTYPES = {"f16": 1, "bf16": 2, "f32": 3, "f64": 4}
LAYOUTS = {"NHWC": 1, "NCHW": 2}
FILTER_ORDERS = {"HWOI": 1, "IHWO": 2, "IOHW": 3, "OHWI": 4}
CPU = 1


class Error(Exception):
    """A call that did not come to TCONV_OK, with the library's message."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def struct(name, *fields):
    """A struct of the ABI: `struct_size` first, set when one is made; all else zero."""
    def init(self, **values):
        ctypes.Structure.__init__(self, struct_size=ctypes.sizeof(type(self)), **values)
    return type(name, (ctypes.Structure,),
                {"_fields_": [("struct_size", c_size_t), *fields], "__init__": init})


class Axis(ctypes.Structure):
    _fields_ = [(name, c_int64) for name in ("in_", "kernel", "stride", "dilation", "pad_begin", "out")]


class Strides(ctypes.Structure):
    _fields_ = [(name, c_int64) for name in "nhwc"]


ProblemDesc = struct(
    "ProblemDesc", ("name", c_char_p), ("batch", c_int64), ("in_c", c_int64), ("out_c", c_int64),
    ("groups", c_int64), ("h", Axis), ("w", Axis), ("dtype", c_int32), ("output_dtype", c_int32),
    ("layout", c_int32), ("filter_order", c_int32), ("input_strides", Strides),
    ("output_strides", Strides), ("residual_strides", Strides), ("has_bias", c_int32),
    ("bias_dtype", c_int32), ("has_residual", c_int32), ("activation", c_int32),
    ("activation_a", c_double), ("activation_b", c_double), ("alignment", c_int32))
ProblemInfo = struct(
    "ProblemInfo", ("useful_macs", c_double), ("least_bytes", c_double),
    *((f"{tensor}_bytes", c_int64)
      for tensor in ("input", "filter", "bias", "slopes", "residual", "output")))
Options = struct(
    "Options", ("device", c_int32), ("kernels", c_char_p), ("tile", c_char_p),
    ("workspace_limit", c_int64), ("math", c_int32), ("allow_nondeterministic", c_int32),
    ("prepacked_filters", c_int32), ("verify", c_int32), ("threads", c_int32), ("log", c_void_p),
    ("log_user", c_void_p), ("device_model", c_char_p),
    ("parallel_for", c_void_p), ("parallel_user", c_void_p), ("progress", c_void_p),
    ("progress_user", c_void_p))
Tensors = struct(
    "Tensors", *((name + suffix, kind) for name in
                 ("input", "filters", "bias", "slopes", "residual", "output", "workspace")
                 for suffix, kind in (("", c_void_p), ("_bytes", c_size_t))))
VerifyOptions = struct(
    "VerifyOptions", ("scope", c_int32), ("threads", c_int32), ("seed", c_uint64),
    ("progress", c_void_p), ("progress_user", c_void_p), ("math", c_int32))
VerifyReport = struct(
    "VerifyReport", ("whole", c_int32), ("checked", c_int64), ("total", c_int64),
    ("mismatches", c_int64), ("largest_bound", c_double), ("worst_ratio", c_double),
    *((name, c_int64) for name in "npqk"), ("expected", c_double), ("got", c_double),
    ("bound", c_double), ("overflowed", c_int64), ("zero_padded", c_int64))

SIGNATURES = {
    "tconv_version": (c_char_p,), "tconv_last_error": (c_char_p,),
    "tconv_problem_create": (c_int32, POINTER(ProblemDesc), POINTER(c_void_p)),
    "tconv_problem_destroy": (None, c_void_p),
    "tconv_problem_key": (c_char_p, c_void_p),
    "tconv_problem_get_info": (c_int32, c_void_p, POINTER(ProblemInfo)),
    "tconv_plan_create": (c_int32, c_void_p, POINTER(Options), POINTER(c_void_p)),
    "tconv_plan_destroy": (None, c_void_p),
    "tconv_plan_kernel": (c_char_p, c_void_p), "tconv_plan_tile": (c_char_p, c_void_p),
    "tconv_plan_workspace_bytes": (c_size_t, c_void_p),
    "tconv_plan_packed_filter_bytes": (c_size_t, c_void_p),
    "tconv_plan_estimate_us": (c_double, c_void_p),
    "tconv_prepack": (c_int32, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p),
    "tconv_run": (c_int32, c_void_p, POINTER(Tensors), c_void_p),
    "tconv_verify": (c_int32, c_void_p, POINTER(Tensors), POINTER(VerifyOptions), POINTER(VerifyReport)),
}


class Library:
    def __init__(self, path):
        self.path = str(path)
        self.c = ctypes.CDLL(self.path)
        for name, (result, *arguments) in SIGNATURES.items():
            function = getattr(self.c, name)
            function.restype, function.argtypes = result, arguments
        self.version = self.c.tconv_version().decode()
        with open(path, "rb") as file:  # tells one build from another
            self.digest = hashlib.sha256(file.read()).hexdigest()[:12]

    def check(self, status):
        if status != OK:
            raise Error(status, self.c.tconv_last_error().decode())


class Problem:
    def __init__(self, library, layer, dtype, layout, filter_order):
        self.library, self.handle = library, c_void_p()
        axes = [Axis(a.size, a.kernel, a.stride, a.dilation, a.pad_begin, a.out) for a in layer.axes]
        desc = ProblemDesc(name=layer.name.encode(), batch=layer.batch, in_c=layer.in_c,
                           out_c=layer.out_c, groups=layer.groups, h=axes[0], w=axes[1],
                           dtype=DTYPES[dtype], layout=LAYOUTS[layout],
                           filter_order=FILTER_ORDERS[filter_order], has_bias=int(layer.bias))
        library.check(library.c.tconv_problem_create(byref(desc), byref(self.handle)))
        self.key = library.c.tconv_problem_key(self.handle).decode()
        self.info = ProblemInfo()
        library.check(library.c.tconv_problem_get_info(self.handle, byref(self.info)))

    def __del__(self):
        if self.handle:
            self.library.c.tconv_problem_destroy(self.handle)

    def verify(self, tensors, threads):
        """The report on tensors.output, and why it is wrong, or ''."""
        report, options = VerifyReport(), VerifyOptions(threads=threads)
        status = self.library.c.tconv_verify(self.handle, byref(tensors), byref(options), byref(report))
        if status == MISMATCH:
            return report, self.library.c.tconv_last_error().decode()
        self.library.check(status)
        return report, ""


class Plan:
    """A plan for the CPU. `family` '': the planner's choice."""

    def __init__(self, problem, family, threads, prepacked):
        self.library, self.problem, self.handle = problem.library, problem, c_void_p()
        options = Options(device=CPU, kernels=family.encode() or None, threads=threads,
                          prepacked_filters=int(prepacked))
        c = self.library.c
        self.library.check(c.tconv_plan_create(problem.handle, byref(options), byref(self.handle)))
        self.kernel = c.tconv_plan_kernel(self.handle).decode()
        self.tile = c.tconv_plan_tile(self.handle).decode()
        self.workspace_bytes = c.tconv_plan_workspace_bytes(self.handle)
        self.packed_bytes = c.tconv_plan_packed_filter_bytes(self.handle) if prepacked else 0
        self.estimate_us = c.tconv_plan_estimate_us(self.handle)

    def __del__(self):
        if self.handle:
            self.library.c.tconv_plan_destroy(self.handle)

    def prepack(self, filters, packed, packed_bytes):
        self.library.check(
            self.library.c.tconv_prepack(self.handle, filters, packed, packed_bytes, None))

    def runner(self, tensors):
        """A function that runs once."""
        run, handle, pointer, check = self.library.c.tconv_run, self.handle, byref(tensors), self.library.check

        def once():
            status = run(handle, pointer, None)
            if status:
                check(status)
        return once
