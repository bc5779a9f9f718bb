// SPDX-License-Identifier: Apache-2.0
// c_translate.h: the structs of tconv_c.h <-> the library's own. Zero becomes the default here.
#pragma once

#include <string>

#include "src/host/c_api/struct_size.h"
#include "src/host/conventions/conventions.h"
#include "src/host/plan/options.h"
#include "src/host/plan/tensors.h"
#include "src/host/problem/errors.h"
#include "src/host/run/compare_plans.h"
#include "src/host/verify/verify.h"
#include "tconv/tconv_c.h"

namespace tconv::host {

// Structs of the caller's (struct_size.h).
ProblemDesc to_host(const tconv_problem_desc& given);
Options to_host(const tconv_options& given);
/// Log and threads alone; refuses what else is given, by name.
Options callbacks_of(const tconv_options& given);
VerifyOptions to_host(const tconv_verify_options* given);  // null: defaults
TensorFlowArgs to_host(const tconv_tensorflow_args& given);
PyTorchArgs to_host(const tconv_pytorch_args& given);
OnnxArgs to_host(const tconv_onnx_args& given);
// Of a struct that was received.
Tensors to_host(const tconv_tensors& tensors);
StatedBytes stated_bytes(const tconv_tensors& tensors);

/// Into a struct of this library's size. Everything, defaults filled in; strings stay owned by
/// `desc`.
void write_desc(const ProblemDesc& desc, tconv_problem_desc& out);
/// Only what a convention decides: batch, channels, groups, axes, layout, filter order.
void write_geometry(const ProblemDesc& desc, tconv_problem_desc& out);
tconv_verify_report to_c(const VerifyReport& report);
tconv_comparison to_c(const PlanComparison& comparison);

}  // namespace tconv::host
