// SPDX-License-Identifier: Apache-2.0
// row.cpp: the family `onednn`: oneDNN computes the f32 sums, epilogue.h finishes them.
//
// A transposed convolution is the gradient of a convolution with respect to its input, so the
// primitive is oneDNN's convolution_backward_data:
//     our input   = diff_dst  [n, in_c, h, w]        our output = diff_src [n, out_c, p, q]
//     our filters = weights   [groups, in_c / groups, out_c / groups, kh, kw]
// oneDNN's deconvolution_forward wraps the same primitive, but takes whichever implementation comes
// first and runs bias and post-ops as a second, scalar pass: on an AMD EPYC (Zen 5, 2 cores), f32,
// oneDNN 2.6.3, a relu makes 64 -> 32 k2 s2 at 256 x 256 take 110 ms instead of 2.8 ms. Here the
// implementation is chosen (see prefers_gemm) and the epilogue is one pass of vector code.
//
// What oneDNN would refuse (negative pads, outputs past the last tap) is cut away first: it
// computes the rectangle of outputs that inputs can reach from the inputs that can reach an output.
//
//   f32      oneDNN reads input and writes output in place where it knows their strides
//   f16 bf16 input and filters are widened into the workspace, sums are f32, rounded once at the
//   end
#include <algorithm>
#include <dnnl.hpp>
#include <initializer_list>
#include <limits>

#include "src/host/cpu/onednn/convert.h"
#include "src/host/cpu/onednn/epilogue.h"
#include "src/host/cpu/onednn/weights.h"
#include "src/host/plan/kernel.h"
#include "src/host/problem/errors.h"

// The two functions of <omp.h> that are used here: the header belongs to the compiler and is
// missing where another compiler's tools read this file.
extern "C" {
void omp_set_num_threads(int);
int omp_get_max_threads();
}

namespace tconv::host {
namespace {

using Tag = dnnl::memory::format_tag;

// ---- Geometry. --------------------------------------------------------------------------------

/// The part of an axis where inputs and outputs meet. `axis` has pads in [0, keff), both ends.
struct Core {
  int64_t first_in = 0, first_out = 0;
  Axis axis;  ///< axis.in == 0: no input reaches any output
};

Core core_of(const Axis& axis) {
  const int64_t first_in =
      std::max<int64_t>(0, ceil_div(axis.pad_begin - axis.keff() + 1, axis.stride));
  const int64_t last_in =
      std::min(axis.in - 1, floor_div(axis.pad_begin + axis.out - 1, axis.stride));
  Core core{first_in, 0, axis};
  core.axis.in = std::max<int64_t>(0, last_in - first_in + 1);
  if (core.axis.in == 0) return core;
  core.axis.pad_begin -= first_in * axis.stride;
  core.first_out = std::max<int64_t>(0, -core.axis.pad_begin);
  core.axis.out = std::min(axis.out, core.axis.full() - core.axis.pad_begin) - core.first_out;
  core.axis.pad_begin = std::max<int64_t>(0, core.axis.pad_begin);
  if (core.axis.in == 1) core.axis.stride = 1;  // any stride gives the same result
  return core;
}

/// Everything that follows from the problem alone.
struct Geometry {
  Core h, w;
  Extents input, output;  ///< of the primitive
  bool reads_in_place;    ///< the caller's input is f32 with strides that oneDNN knows
  Layout layout;          ///< of the primitive's activations

  explicit Geometry(const Problem& problem)
      : h(core_of(problem.desc().h)),
        w(core_of(problem.desc().w)),
        input{problem.desc().batch, h.axis.in, w.axis.in, problem.desc().in_c},
        output{problem.desc().batch, h.axis.out, w.axis.out, problem.desc().out_c},
        reads_in_place(problem.desc().dtype == DType::f32 &&
                       is_dense(problem.desc().layout, problem.desc().input_strides, input)),
        layout(reads_in_place && prefers_nchw(problem) ? Layout::nchw : Layout::nhwc) {
    reads_in_place = reads_in_place && layout == problem.desc().layout;
  }

  /// For NCHW oneDNN has matrix products only. They save two copies, which pays for dense layers
  /// (by 1.2 in the geometric mean over suite core, on one core of the machine below), but not for
  /// many small images (up to 3.8 times slower) or depthwise layers (10 to 40 times).
  bool prefers_nchw(const Problem& problem) const {
    const ProblemDesc& d = problem.desc();
    return d.layout == Layout::nchw && d.groups == 1 && input.h * input.w > 64;
  }
  /// Strides of dimensions with one element do not matter.
  static bool is_dense(Layout layout, const Strides& strides, const Extents& e) {
    const Strides dense = dense_strides(layout, e);
    return (e.n == 1 || strides.n == dense.n) && (e.h == 1 || strides.h == dense.h) &&
           (e.w == 1 || strides.w == dense.w) && (e.c == 1 || strides.c == dense.c);
  }
  /// oneDNN may write the sums straight into the caller's output.
  bool writes_in_place(const Problem& problem) const {
    const ProblemDesc& d = problem.desc();
    const bool whole = output.h == d.h.out && output.w == d.w.out;
    // A residual may be the output itself, and the sums would overwrite it.
    return whole && !d.has_residual && d.output_dtype == DType::f32 && layout == d.layout &&
           is_dense(layout, d.output_strides, output);
  }
};

// ---- The primitive. ----------------------------------------------------------------------------

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

/// oneDNN takes the number of threads from OpenMP, both when it plans and when it runs.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads);
  }
  ~ThreadScope() { omp_set_num_threads(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

/// Starting a thread's share costs about as much as 200,000 multiply-adds, or 25,000 elements
/// moved: small problems take fewer threads than allowed.
int useful_threads(const Problem& problem, const Options& options) {
  const double work = problem.useful_macs() + 2 * problem.least_bytes();
  const double shares = std::min(1 + work / 200000, 1e6);
  return std::min(thread_count(options.threads), static_cast<int>(shares));
}

dnnl::memory::desc activations(const Extents& e, Layout layout) {
  return {{e.n, e.c, e.h, e.w},
          dnnl::memory::data_type::f32,
          layout == Layout::nhwc ? Tag::nhwc : Tag::nchw};
}

dnnl::convolution_backward_data::desc operation(const Problem& problem, const Geometry& g) {
  const ProblemDesc& d = problem.desc();
  const Axis &h = g.h.axis, &w = g.w.axis;
  dnnl::memory::dims weights = {problem.in_c_per_group(), problem.out_c_per_group(), h.kernel,
                                w.kernel};
  if (d.groups > 1) weights.insert(weights.begin(), d.groups);
  return {dnnl::algorithm::convolution_direct,
          activations(g.output, g.layout),
          {weights, dnnl::memory::data_type::f32, Tag::any},
          activations(g.input, g.layout),
          {h.stride, w.stride},
          {h.dilation - 1, w.dilation - 1},
          {h.pad_begin, w.pad_begin},
          {h.pad_end(), w.pad_end()}};
}

/// Where oneDNN's own order of implementations is wrong: its matrix product (im2col, in scratch) in
/// place of the direct kernel that comes first. Measured over the dense layers of suite core, batch
/// `infer`, f32, NHWC, on one core of an AMD EPYC (Zen 5, AVX-512), oneDNN 2.6.3.
bool prefers_gemm(const Problem& problem, const Geometry& g, const std::string& first) {
  const ProblemDesc& d = problem.desc();
  if (d.groups > 1) return false;
  // The direct kernel pads the output channels to 16: 1.6 to 6.8 times slower for images and flows.
  if (d.out_c <= 5 && d.in_c >= 48 && d.h.kernel * d.w.kernel > 4) return true;
  // 256 -> 256 k4 s8 falls back to AVX2, 14 times slower.
  const bool avx512 = dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core;
  if (avx512 && first.find("avx2") != std::string::npos && d.in_c >= 64) return true;
  // Long sums over images of 8 MiB and more miss the caches: 1.3 to 2 times slower.
  constexpr int64_t kLargeImage = int64_t{8} << 20;
  const int64_t image_bytes = g.input.h * g.input.w * d.in_c * int64_t{sizeof(float)};
  return d.in_c >= 256 && d.out_c >= 128 && image_bytes >= kLargeImage;
}

dnnl::primitive_desc make_primitive_desc(const Problem& problem, const Geometry& g,
                                         std::size_t scratch_limit) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto op = operation(problem, g);
  auto first = dnnl::primitive_desc(&op.data, &attributes, cpu_engine(), nullptr);
  if (!prefers_gemm(problem, g, first.impl_info_str())) return first;
  // next_impl() moves a shared iterator, so the search has one of its own.
  auto candidate = dnnl::primitive_desc(&op.data, &attributes, cpu_engine(), nullptr);
  do {
    const bool is_gemm = std::string(candidate.impl_info_str()).find("gemm") != std::string::npos;
    if (is_gemm && candidate.scratchpad_desc().get_size() <= scratch_limit) return candidate;
  } while (candidate.next_impl());
  return first;
}

// ---- The state. --------------------------------------------------------------------------------

struct OneDnnState : KernelState {
  explicit OneDnnState(const Geometry& g) : geometry(g) {}

  Geometry geometry;
  int threads = 1;
  bool writes_in_place = false;
  bool prepacked = false;
  bool packs_on_launch = false;
  dnnl::memory::desc input, output, weights, scratchpad;
  dnnl::primitive primitive;
  WeightsOrder weights_order;
  // Offsets of the pieces of the workspace; a piece that is not needed has no bytes.
  std::size_t input_offset = 0, sums_offset = 0, filters_offset = 0, scratchpad_offset = 0;

  void lay_out_workspace() {
    const auto piece = [&](bool needed, std::size_t bytes) {
      constexpr std::size_t kAlignment = 256;
      const std::size_t offset = workspace_bytes;
      if (needed) workspace_bytes += (bytes + kAlignment - 1) / kAlignment * kAlignment;
      return offset;
    };
    input_offset = piece(!geometry.reads_in_place, input.get_size());
    sums_offset = piece(!writes_in_place, output.get_size());
    filters_offset = piece(packs_on_launch, weights.get_size());
    scratchpad_offset = piece(true, scratchpad.get_size());
  }
};

// ---- The entry of the table.
// -----------------------------------------------------------------------

/// oneDNN's generated code addresses one image, and the filters, with 32-bit byte offsets, and its
/// parameters are int.
bool fits_int(std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (const int64_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product)) return false;
  }
  return product <= std::numeric_limits<int32_t>::max();
}

std::string declines(const Problem& problem, const Options&, const DeviceFacts&) {
  const ProblemDesc& d = problem.desc();
  if (d.dtype == DType::f64) return "oneDNN has no f64";
  const Geometry g(problem);
  if (g.input.count() == 0 || g.output.count() == 0) return "no input reaches any output";
  constexpr int64_t kBytes = sizeof(float);
  const auto padded = [](int64_t channels) { return ceil_div(channels, 16) * 16; };
  if (!fits_int({g.input.h, g.input.w, padded(g.input.c), kBytes}) ||
      !fits_int({g.output.h, g.output.w, padded(g.output.c), kBytes}) ||
      !fits_int({d.h.kernel, d.w.kernel, d.groups, padded(problem.in_c_per_group()),
                 padded(problem.out_c_per_group()), kBytes}) ||
      !fits_int({d.batch}) || !fits_int({d.h.keff()}) || !fits_int({d.w.keff()}) ||
      !fits_int({g.h.axis.stride}) || !fits_int({g.w.axis.stride})) {
    return "a size does not fit oneDNN's 32-bit offsets within one image or the filters";
  }
  return "";
}

Considered consider(const Problem& problem, int, const Options& options,
                    const DeviceFacts& device) {
  // Products at the share of the peak that suite core reached (as above), and every tensor moved
  // through memory once.
  constexpr double kCallUs = 4;
  const ProblemDesc& d = problem.desc();
  const double share = d.in_c == d.groups || d.out_c <= 5 ? 0.3 : 0.9;
  const double used = 1.0 * std::min(useful_threads(problem, options), device.cores) / device.cores;
  return {.estimate_us = kCallUs + problem.useful_macs() / (share * device.f32_macs_per_us * used) +
                         problem.least_bytes() / (device.bytes_per_us * used)};
}

std::shared_ptr<const KernelState> prepare_state(const Problem& problem, const Options& options) {
  auto state = std::make_shared<OneDnnState>(Geometry(problem));
  state->threads = useful_threads(problem, options);
  state->prepacked = options.prepacked_filters;
  state->writes_in_place = state->geometry.writes_in_place(problem);
  const ThreadScope scope(state->threads);
  const std::size_t limit = options.workspace_limit < 0
                                ? std::numeric_limits<std::size_t>::max()
                                : static_cast<std::size_t>(options.workspace_limit);
  const auto build = [&](std::size_t scratch_limit) {
    auto pd = make_primitive_desc(problem, state->geometry, scratch_limit);
    state->input = pd.query_md(dnnl::query::diff_dst_md);
    state->output = pd.query_md(dnnl::query::diff_src_md);
    state->weights = pd.query_md(dnnl::query::weights_md);
    state->scratchpad = pd.scratchpad_desc();
    state->weights_order = order_of(state->weights);
    state->packs_on_launch = !state->prepacked && !lies_in(problem, state->weights_order);
    state->workspace_bytes = 0;
    state->lay_out_workspace();
    return pd;
  };
  auto pd = build(limit);
  if (state->workspace_bytes > limit) pd = build(0);  // the implementation with the least scratch
  state->primitive = dnnl::primitive(pd);
  if (state->prepacked) state->packed_filter_bytes = state->weights.get_size();
  return state;
}

std::shared_ptr<const KernelState> prepare(const Problem& problem, int, const Options& options,
                                           const DeviceFacts&) {
  try {
    return prepare_state(problem, options);
  } catch (const dnnl::error& error) {
    throw Unsupported(std::string("oneDNN refuses: ") + error.what());
  }
}

void execute(const OneDnnState& state, const void* input, const void* filters, float* sums,
             std::byte* workspace) {
  // The memory objects are handles; oneDNN reads only from the two that are const here.
  const auto memory = [](const dnnl::memory::desc& desc, const void* data) {
    return dnnl::memory(desc, cpu_engine(), const_cast<void*>(data));
  };
  try {
    dnnl::stream stream(cpu_engine());
    state.primitive.execute(
        stream,
        {{DNNL_ARG_DIFF_DST, memory(state.input, input)},
         {DNNL_ARG_WEIGHTS, memory(state.weights, filters)},
         {DNNL_ARG_DIFF_SRC, memory(state.output, sums)},
         {DNNL_ARG_SCRATCHPAD, memory(state.scratchpad, workspace + state.scratchpad_offset)}});
    stream.wait();
  } catch (const dnnl::error& error) {
    throw DeviceError(std::string("oneDNN failed: ") + error.what());
  }
}

void launch(const Problem& problem, const KernelState& kernel_state, const Tensors& tensors,
            Stream) {
  const auto& state = static_cast<const OneDnnState&>(kernel_state);
  const Geometry& g = state.geometry;
  const ProblemDesc& d = problem.desc();
  const ThreadScope scope(state.threads);
  auto* workspace = static_cast<std::byte*>(tensors.workspace);
  const auto floats = [&](std::size_t offset) {
    return reinterpret_cast<float*>(workspace + offset);
  };

  const void* input =
      element(d.dtype, tensors.input, d.input_strides.offset(0, g.h.first_in, g.w.first_in, 0));
  if (!g.reads_in_place) {
    float* dense = floats(state.input_offset);
    widen_tensor(g.input, d.layout, d.dtype, input, d.input_strides, dense,
                 dense_strides(g.layout, g.input), state.threads);
    input = dense;
  }
  const void* filters = tensors.filters;
  if (state.packs_on_launch) {
    filters = floats(state.filters_offset);
    pack_filters(problem, state.weights_order, tensors.filters, floats(state.filters_offset),
                 state.threads);
  }
  float* sums =
      state.writes_in_place ? static_cast<float*>(tensors.output) : floats(state.sums_offset);
  execute(state, input, filters, sums, workspace);
  if (state.writes_in_place && !d.has_bias && d.activation == Activation::identity) return;
  apply_epilogue(problem,
                 {sums, dense_strides(g.layout, g.output), g.h.first_out, g.output.h, g.w.first_out,
                  g.output.w},
                 tensors, state.threads);
}

void prepack(const Problem& problem, const KernelState& kernel_state, const void* filters,
             void* packed, Stream) {
  const auto& state = static_cast<const OneDnnState&>(kernel_state);
  pack_filters(problem, state.weights_order, filters, static_cast<float*>(packed), state.threads);
}

constexpr const char* kTiles[] = {"primitive"};
constexpr DType kTypes[] = {DType::f16, DType::bf16, DType::f32};

}  // namespace

extern const Kernel onednn_kernel;  // the table's name of it (cmake/families.cmake)
constinit const Kernel onednn_kernel = {
    .name = "onednn",
    .device = DeviceKind::cpu,
    .tiles = kTiles,
    .dtypes = kTypes,
    .declines = declines,
    .consider = consider,
    .prepare = prepare,
    .launch = launch,
    .prepack = prepack,
    .fixed_size = "oneDNN chooses code and filter order by the sizes"};

}  // namespace tconv::host
