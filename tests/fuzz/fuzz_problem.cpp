// SPDX-License-Identifier: Apache-2.0
// fuzz_problem.cpp: any bytes as a request. Whatever the numbers, the constructor of Problem, the
// three conventions and the reader of keys either refuse with InvalidProblem or give a problem
// whose sizes, keys and descriptions hold together.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

#include "src/host/conventions/conventions.h"
#include "src/host/explain/explain.h"
#include "src/host/problem/decomposition.h"
#include "src/host/problem/errors.h"
#include "src/host/problem/problem.h"

namespace {

using namespace tconv::host;  // NOLINT: all of it is under test

void require(bool holds, const char* invariant, const std::string& key) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n  of %s\n", invariant, key.c_str());
  std::abort();
}

// ---- Bytes to arguments ----------------------------------------------------------------------

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr std::array<int64_t, 18> kEdges = {
    -kMost - 1, -kMost,    -1,         0,          1,         int64_t{1} << 15,
    65536,      1 << 30,   2147483647, 2147483648, 1LL << 32, 1LL << 60,
    1LL << 61,  1LL << 62, kMost / 3,  kMost - 1,  kMost,     -(1LL << 61)};

/// Mostly small, so that many requests are legal; else an edge or anything.
int64_t number(FuzzedDataProvider& bytes) {
  const auto kind = bytes.ConsumeIntegral<uint8_t>();
  if (kind < 200) return kind % 12;
  if (kind < 220) return -(kind % 5);
  if (kind < 245) return kEdges[kind % kEdges.size()];
  return bytes.ConsumeIntegral<int64_t>();
}

Numbers numbers(FuzzedDataProvider& bytes, std::size_t usual) {
  const auto kind = bytes.ConsumeIntegral<uint8_t>();
  Numbers list(kind < 220 ? usual : kind % 10);
  for (int64_t& value : list) value = number(bytes);
  return list;
}

/// Two axes and a batch mostly.
std::size_t rank(FuzzedDataProvider& bytes) {
  return bytes.ConsumeIntegral<uint8_t>() < 180 ? 4 : 3;
}

std::optional<Numbers> maybe(FuzzedDataProvider& bytes, std::size_t usual) {
  if (bytes.ConsumeBool()) return std::nullopt;
  return numbers(bytes, usual);
}

template <std::size_t n>
std::string word(FuzzedDataProvider& bytes, const std::array<const char*, n>& usual) {
  const auto kind = bytes.ConsumeIntegral<uint8_t>();
  return kind < 250 ? usual[kind % n] : bytes.ConsumeRandomLengthString(8);
}

Axis axis(FuzzedDataProvider& bytes) {
  Axis a;
  for (int64_t* field : {&a.in, &a.kernel, &a.stride, &a.dilation, &a.pad_begin, &a.out}) {
    *field = number(bytes);
  }
  return a;
}

Strides strides(FuzzedDataProvider& bytes) {
  Strides s;
  if (bytes.ConsumeBool()) return s;
  for (int64_t* field : {&s.n, &s.h, &s.w, &s.c}) *field = number(bytes);
  return s;
}

/// Legal values mostly; a caller of the C interface can put any number into an enumeration.
template <typename Enum>
Enum enumeration(FuzzedDataProvider& bytes, int32_t first, int32_t last) {
  const auto kind = bytes.ConsumeIntegral<uint8_t>();
  return static_cast<Enum>(kind < 240 ? first + kind % (last - first + 1)
                                      : bytes.ConsumeIntegral<int32_t>());
}

/// What no convention sets.
void fill_types(FuzzedDataProvider& bytes, ProblemDesc& d) {
  d.dtype = enumeration<DType>(bytes, 1, 4);
  d.output_dtype = bytes.ConsumeBool() ? d.dtype : enumeration<DType>(bytes, 1, 4);
  d.bias_dtype = bytes.ConsumeBool() ? d.dtype : enumeration<DType>(bytes, 1, 4);
  d.has_bias = bytes.ConsumeBool();
  d.has_residual = bytes.ConsumeBool();
  d.activation = enumeration<Activation>(bytes, 0, 9);
  d.activation_a = bytes.ConsumeFloatingPoint<double>();
  d.activation_b = bytes.ConsumeFloatingPoint<double>();
  d.alignment = bytes.ConsumeBool() ? 16 : static_cast<int32_t>(number(bytes));
}

ProblemDesc plain_desc(FuzzedDataProvider& bytes) {
  ProblemDesc d;
  fill_types(bytes, d);
  for (int64_t* field : {&d.batch, &d.in_c, &d.out_c}) *field = number(bytes);
  d.groups = bytes.ConsumeBool() ? 1 : number(bytes);
  d.h = axis(bytes);
  d.w = axis(bytes);
  d.layout = enumeration<Layout>(bytes, 1, 2);
  d.filter_order = enumeration<FilterOrder>(bytes, 1, 4);
  d.input_strides = strides(bytes);
  d.output_strides = strides(bytes);
  d.residual_strides = strides(bytes);
  return d;
}

TensorFlowArgs tensorflow_args(FuzzedDataProvider& bytes) {
  return {.input_shape = numbers(bytes, rank(bytes)),
          .filter_shape = numbers(bytes, rank(bytes)),
          .output_shape = maybe(bytes, bytes.ConsumeBool() ? 2 : 4),
          .strides = numbers(bytes, 2),
          .dilations = maybe(bytes, 1),
          .padding = word<3>(bytes, {"SAME", "VALID", "EXPLICIT"}),
          .explicit_paddings = numbers(bytes, 4),
          .data_format = word<5>(bytes, {"", "NHWC", "NCHW", "NWC", "NCW"}),
          .groups = bytes.ConsumeBool() ? 0 : number(bytes)};
}

PyTorchArgs pytorch_args(FuzzedDataProvider& bytes) {
  return {.input_shape = numbers(bytes, rank(bytes)),
          .weight_shape = numbers(bytes, rank(bytes)),
          .stride = maybe(bytes, 1),
          .padding = maybe(bytes, 2),
          .output_padding = maybe(bytes, 2),
          .dilation = maybe(bytes, 1),
          .output_size = maybe(bytes, 2),
          .groups = bytes.ConsumeBool() ? 0 : number(bytes),
          .memory_format = word<2>(bytes, {"contiguous", "channels_last"})};
}

OnnxArgs onnx_args(FuzzedDataProvider& bytes) {
  return {.x_shape = numbers(bytes, rank(bytes)),
          .w_shape = numbers(bytes, rank(bytes)),
          .strides = maybe(bytes, 2),
          .pads = maybe(bytes, 4),
          .output_padding = maybe(bytes, 2),
          .output_shape = maybe(bytes, 2),
          .dilations = maybe(bytes, 2),
          .auto_pad = word<4>(bytes, {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}),
          .group = bytes.ConsumeBool() ? 0 : number(bytes)};
}

// ---- What must hold of every problem that is accepted ------------------------------------------

void check_axis(const Axis& axis, const std::string& key) {
  require(axis.keff() >= 1 && axis.full() - axis.pad_begin - axis.out == axis.pad_end(),
          "the extents of an axis fit 64 bits", key);
  constexpr int64_t kAffordableClasses = 256;
  const int64_t bound = class_bound(axis);
  require(bound >= 0, "a bound on the classes is no negative number", key);
  if (bound > kAffordableClasses) return;
  const AxisDecomposition decomposition = decompose(axis);
  require(decomposition.class_count() <= bound, "class_count() is within class_bound()", key);
  int64_t phases = decomposition.tapless_phases;
  for (const WindowClass& window : decomposition.classes) {
    require(window.phase_count > 0 && window.tap_count > 0, "no window class is empty", key);
    phases += window.phase_count;
  }
  require(phases == decomposition.axis.stride, "every phase is in one window class", key);
}

void check_sizes(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  const auto size = [](DType type) { return static_cast<int64_t>(size_of(type)); };
  // Elements of an input may share addresses; the last one must lie inside all the same.
  const Extents in = problem.input_extents();
  const int64_t last =
      in.count() == 0 ? -1 : d.input_strides.offset(in.n - 1, in.h - 1, in.w - 1, in.c - 1);
  require(problem.input_bytes() >= (last + 1) * size(d.dtype), "input_bytes holds every element",
          problem.key());
  require(problem.output_bytes() >= problem.output_extents().count() * size(d.output_dtype),
          "output_bytes holds every element", problem.key());
  require(problem.residual_bytes() >= 0 && problem.filter_bytes() >= 0 &&
              problem.bias_bytes() >= 0 && problem.slopes_bytes() >= 0,
          "no buffer has a negative size", problem.key());
  require(problem.longest_sum() >= 0, "longest_sum is no negative number", problem.key());
  require(std::isfinite(problem.least_bytes()) && problem.least_bytes() >= 0,
          "least_bytes is a number", problem.key());
  constexpr int64_t kQuick = 1 << 10;  // the time to count multiply-adds grows with these
  if (std::min(d.h.kernel, d.h.in) > kQuick || std::min(d.w.kernel, d.w.in) > kQuick) return;
  require(std::isfinite(problem.useful_macs()) && problem.useful_macs() >= 0,
          "useful_macs is a number", problem.key());
}

void check_problem(const ProblemDesc& desc) {
  const Problem problem(desc);
  require(Problem(problem.desc()).key() == problem.key(), "desc() makes the same problem again",
          problem.key());
  require(Problem(parse_key(problem.key())).key() == problem.key(),
          "the key reads back as the same problem", problem.key());
  check_sizes(problem);
  check_axis(problem.desc().h, problem.key());
  check_axis(problem.desc().w, problem.key());
  require(!describe(problem, false).empty() && !describe(problem, true).empty(),
          "every problem can be described", problem.key());
}

/// A convention translates, or refuses and leaves the description as it was; what it translates is
/// inside the interval that it calls legal.
template <typename Args>
void check_convention(FuzzedDataProvider& bytes, const Args& args) {
  ProblemDesc desc;
  fill_types(bytes, desc);
  desc.name = "untouched";
  const ProblemDesc before = desc;
  try {
    translate(args, desc);
  } catch (const InvalidProblem&) {
    require(desc.name == before.name && desc.batch == before.batch && desc.h == before.h &&
                desc.w == before.w && desc.in_c == before.in_c && desc.out_c == before.out_c &&
                desc.groups == before.groups && desc.layout == before.layout &&
                desc.filter_order == before.filter_order,
            "a refused translation leaves the description alone", "");
    throw;
  }
  check_problem(desc);
  if constexpr (std::is_same_v<Args, OnnxArgs>) {
    if (args.output_shape) return;  // replaces pads, of which the legal interval speaks
  }
  const OutputSizes legal = output_sizes(args);
  require(legal.low[0] <= desc.h.out && desc.h.out <= legal.high[0] && legal.low[1] <= desc.w.out &&
              desc.w.out <= legal.high[1],
          "the translated output size is a legal one",
          std::to_string(desc.h.out) + " x " + std::to_string(desc.w.out));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  FuzzedDataProvider bytes(data, size);
  try {
    switch (bytes.ConsumeIntegralInRange(0, 4)) {
      case 0: check_problem(plain_desc(bytes)); break;
      case 1: check_convention(bytes, tensorflow_args(bytes)); break;
      case 2: check_convention(bytes, pytorch_args(bytes)); break;
      case 3: check_convention(bytes, onnx_args(bytes)); break;
      default: check_problem(parse_key(bytes.ConsumeRemainingBytesAsString()));
    }
  } catch (const InvalidProblem& refusal) {
    require(refusal.what()[0] != '\0', "a refusal says why", "");
  }
  return 0;
}
