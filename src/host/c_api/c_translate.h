// SPDX-License-Identifier: Apache-2.0
// c_translate.h: the structs of tconv_c.h <-> the library's own. Zero becomes the default here.
#pragma once

#include <string>

#include "src/host/conventions/conventions.h"
#include "src/host/plan/kernel_table.h"
#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "src/host/run/compare_plans.h"
#include "src/host/verify/verify.h"
#include "tconv/tconv_c.h"

namespace tconv::host {

/// A caller compiled against a newer header than this library passes a larger struct; one who
/// forgot struct_size passes 0. Structs only ever grow at the end, and this is their first version.
template <typename Struct>
void check_struct(const Struct& s, const char* name) {
  if (s.struct_size != sizeof(Struct)) {
    refuse(std::string(name) + ".struct_size", static_cast<long long>(s.struct_size),
           std::to_string(sizeof(Struct)) + ", the size of the struct");
  }
}

ProblemDesc to_host(const tconv_problem_desc& desc);
Options to_host(const tconv_options& options);
Tensors to_host(const tconv_tensors& tensors);
StatedBytes stated_bytes(const tconv_tensors& tensors);
VerifyOptions to_host(const tconv_verify_options* options);  // null: defaults
TensorFlowArgs to_host(const tconv_tensorflow_args& args);
PyTorchArgs to_host(const tconv_pytorch_args& args);
OnnxArgs to_host(const tconv_onnx_args& args);

/// Everything, defaults filled in; strings stay owned by `desc`.
void write_desc(const ProblemDesc& desc, tconv_problem_desc& out);
/// Only what a convention decides: batch, channels, groups, axes, layout, filter order.
void write_geometry(const ProblemDesc& desc, tconv_problem_desc& out);
void write_report(const VerifyReport& report, tconv_verify_report& out);
void write_comparison(const Agreement& agreement, tconv_comparison& out);

}  // namespace tconv::host
