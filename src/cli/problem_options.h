// SPDX-License-Identifier: Apache-2.0
// problem_options.h: the options of <problem> -> a validated problem and the files of its tensors,
// whose headers have been checked against it and whose data has not been read.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "src/cli/arguments.h"
#include "src/cli/convention_options.h"
#include "src/cli/convert.h"
#include "src/cli/library.h"
#include "src/cli/npy.h"

namespace tconv::cli {

struct Request {
  Problem problem;
  tconv_problem_desc desc{};  ///< everything filled in
  tconv_problem_info info{};
  /// How files hold the tensors, which need not be how memory does.
  tconv_layout file_layout = TCONV_NHWC;
  tconv_filter_order file_filter_order = TCONV_HWOI;
  FileDimensions file_dimensions;
  std::optional<std::array<int64_t, 2>> output_padding;  ///< of a convention that has it
  std::optional<NpyReader> input, filters, bias, slopes, residual;

  /// Where each element of a file belongs in memory.
  Grid input_grid() const;
  Grid filter_grid() const;
  Grid residual_grid() const;
  Grid output_grid() const;
  Grid channel_grid() const;  ///< bias and slopes

  const char* key() const { return tconv_problem_key(problem.get()); }
  const char* name() const { return desc.name == nullptr ? "" : desc.name; }
};

/// Of the options, or of --problem.
Request make_request(const ProblemArgs& args);
/// Of a description, in its own orders and without files.
Request make_request(const tconv_problem_desc& desc);

/// Sets types and activation (not the geometry) as the options say, on top of `desc`.
void apply_epilogue(const ProblemArgs& args, tconv_problem_desc& desc);
/// The shapes that --input-shape, --filter-shape or the files state.
std::vector<int64_t> stated_shape(const char* shape_option, const Typed& shape,
                                  const char* file_option, const std::optional<NpyReader>& file);
/// Refuses a file of integers where neither --dtype nor --problem says what to compute in.
void require_dtype(const NpyReader& file, const ProblemArgs& args);
/// Refuses if the file's shape is not `wanted`.
void check_shape(const NpyReader& file, const std::vector<int64_t>& wanted);
/// Refuses if the file's shape is not the output's, with the output_padding that would make it so.
void check_output_shape(const NpyReader& file, const Request& request);
/// Refuses any option that --suite (or --problem) makes meaningless.
void refuse_geometry(const ProblemArgs& args, const char* because);

/// Row, tile, limits. Points into `args`.
tconv_options plan_options(const ChoiceArgs& args);

}  // namespace tconv::cli
