// SPDX-License-Identifier: Apache-2.0
// arguments.h: what was typed, as text. main.cpp fills these; the commands read them. Values are
// parsed where they are used, so that each message can name option, value and what is legal.
#pragma once

#include <optional>
#include <string>

namespace tconv::cli {

using Typed = std::optional<std::string>;

/// The options of <problem>.
struct ProblemArgs {
  Typed problem;
  Typed input, filters;
  Typed input_shape, filter_shape, strides, dilations, groups;
  Typed bias, residual;  ///< "" if the option was given without a file
  Typed activation, dtype, output_dtype;
  Typed convention, filter_order, padding, output_shape;
  Typed data_format;                                 // tensorflow
  Typed output_padding, output_size, memory_format;  // pytorch; onnx has output_padding too
  Typed pads, auto_pad;                              // onnx
};

/// The options that choose a row, a tile and how they run.
struct ChoiceArgs {
  Typed device, device_model, kernel, tile, workspace_limit, math, threads;
  bool allow_nondeterministic = false;
  bool prepack = false;
};

/// Generated operands.
struct DataArgs {
  Typed data, seed;
};

/// A whole suite instead of one problem.
struct SuiteArgs {
  Typed suite, batch, match;
};

struct RunArgs {
  ProblemArgs problem;
  ChoiceArgs choice;
  Typed output, repeat;
  bool verify = false, json = false;
};

struct VerifyArgs {
  ProblemArgs problem;
  ChoiceArgs choice;
  DataArgs data;
  SuiteArgs suite;
  Typed got, dump, scope, against;
  bool diagnose = false, json = false;
};

struct ExplainArgs {
  ProblemArgs problem;
  ChoiceArgs choice;
  DataArgs data;
  SuiteArgs suite;
  Typed at;
  bool counters = false, json = false;
};

struct ShapeArgs {
  ProblemArgs problem;
  bool json = false;
};

struct UpscaleArgs {
  ChoiceArgs choice;
  std::string picture, target;
  Typed scale, kernel_shape;
  bool verify = false, json = false;
};

struct BenchArgs {
  ProblemArgs problem;
  ChoiceArgs choice;
  SuiteArgs suite;
  Typed rounds, seconds, out, against;
  bool json = false;
};

struct ListArgs {
  bool json = false;
};

}  // namespace tconv::cli
