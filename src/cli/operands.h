// SPDX-License-Identifier: Apache-2.0
// operands.h: the tensors of a problem in host memory, from files or generated.
#pragma once

#include <optional>

#include "src/cli/memory.h"
#include "src/cli/problem_options.h"

namespace tconv::cli {

/// Deterministic data: the same on every machine, whatever the number of threads.
///   random   uniform in [-1, 1), a function of seed, tensor and position
///   arange   1, 2, 3 ... in the file's order; 16-bit types: (i mod 251 + 1) / 256, exact in both
///   impulse  input 1 at the middle of image 0, channel 0, else 0; filters as arange; rest 0
struct Generator {
  enum class Pattern { random, arange, impulse };
  Pattern pattern = Pattern::random;
  uint64_t seed = 0;
};

/// Of --data and --data-seed; nothing without --data.
std::optional<Generator> parse_generator(const DataArgs& args);

struct Operands {
  Buffer input, filters, bias, slopes, residual, output;

  /// The output starts as NaN.
  tconv_tensors tensors();
};

/// Bytes of the buffers of load_operands.
double operand_bytes(const Request& request);

/// Reads each tensor from its file, or generates it; without a generator a missing file is refused.
Operands load_operands(Request& request, const std::optional<Generator>& generator);

}  // namespace tconv::cli
