// SPDX-License-Identifier: Apache-2.0
// graph.cpp: geometry, strides and epilogue of a problem in cuDNN's terms.
#include "src/cuda/cudnn/graph.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace tconv::host {
namespace {

constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();

std::string axis_reason(const char* name, const Axis& axis) {
  const std::string of = std::string(" (") + name + ")";
  if (axis.pad_begin < 0) return "cuDNN has no negative padding" + of;
  if (axis.pad_end() <= -axis.stride) {
    return "cuDNN's output ends less than a stride past the last tap" + of;
  }
  const std::pair<const char*, int64_t> sizes[] = {
      {"input size", axis.in},         {"output size", axis.out},
      {"dilated kernel", axis.keff()}, {"stride", axis.stride},
      {"padding", axis.pad_begin},     {"padding at the end", axis.pad_end() + axis.stride}};
  for (const auto& [field, size] : sizes) {
    if (size <= kLargest) continue;
    return std::string(field) + " " + std::to_string(size) + " does not fit cuDNN's 32 bits" + of;
  }
  return "";
}

/// The forward convolution floors, so its padding at the end may be anything from pad_end up to
/// pad_end + stride - 1; the same as at the beginning, where that is possible, suits most engines.
int64_t post_pad(const Axis& axis) {
  const int64_t least = std::max<int64_t>(axis.pad_end(), 0);
  return std::max(least, std::min(axis.pad_begin, axis.pad_end() + axis.stride - 1));
}

/// The problem may give any stride to a dimension with one element; cuDNN reads the layout from it.
CudnnDims activation_strides(Layout layout, const Extents& e, const Strides& given) {
  const bool nhwc = layout == Layout::nhwc;
  CudnnDims strides{given.n, given.c, given.h, given.w};
  const CudnnDims extents{e.n, e.c, e.h, e.w};
  const std::array<std::size_t, 4> inner_first =
      nhwc ? std::array<std::size_t, 4>{1, 3, 2, 0} : std::array<std::size_t, 4>{3, 2, 1, 0};
  int64_t dense = 1;
  for (const std::size_t i : inner_first) {
    if (extents[i] == 1) strides[i] = dense;
    dense = strides[i] * extents[i];
  }
  return strides;
}

CudnnTensor activations(int64_t id, DType dtype, Layout layout, const Extents& e,
                        const Strides& strides, int64_t alignment) {
  return {.id = id,
          .dtype = dtype,
          .extents = {e.n, e.c, e.h, e.w},
          .strides = activation_strides(layout, e, strides),
          .alignment = alignment,
          .is_virtual = false};
}

bool has_epilogue(const ProblemDesc& d) {
  return d.has_bias || d.has_residual || d.activation != Activation::identity;
}

/// Only what cuDNN computes exactly (the errors of its sigmoid, tanh and gelu are nowhere stated),
/// and no residual: it may be the output itself, and nothing promises that an engine bears that.
bool can_fuse(const ProblemDesc& d) {
  if (d.dtype == DType::f64 || d.has_residual) return false;
  switch (d.activation) {
    case Activation::identity:
    case Activation::relu:
    case Activation::leaky_relu:
    case Activation::clamp: return true;
    default: return false;
  }
}

DType sum_type(const ProblemDesc& d) { return d.dtype == DType::f64 ? DType::f64 : DType::f32; }

/// Builds a graph operation by operation; the last one's output becomes kResult.
class Builder {
 public:
  Builder(const Problem& problem, const CudnnForm& form) : problem_(problem), d_(problem.desc()) {
    add_convolution(form);
    add_result(form);
    const bool converts = graph_.tensors.back().dtype != d_.dtype;
    if (form.epilogue == CudnnEpilogue::fused) {
      add_epilogue();
    } else if (converts) {
      // Engines that convolve 16-bit types write no f32, but those that fuse operations do.
      chain({.kind = CudnnPointwise::Kind::identity});
    }
    finish_chain();
  }
  CudnnGraph take() { return std::move(graph_); }

 private:
  /// The caller's memory is aligned as declared; more than 16 bytes helps no load.
  int64_t alignment() const { return std::min<int64_t>(d_.alignment, 16); }

  void add_convolution(const CudnnForm& form) {
    graph_.pre_pads = {d_.h.pad_begin, d_.w.pad_begin};
    graph_.post_pads = {post_pad(d_.h), post_pad(d_.w)};
    graph_.strides = {d_.h.stride, d_.w.stride};
    graph_.dilations = {d_.h.dilation, d_.w.dilation};
    graph_.f64_sums = d_.dtype == DType::f64;
    graph_.tensors.push_back(activations(kInput, d_.dtype, d_.layout, problem_.input_extents(),
                                         d_.input_strides, alignment()));
    const FilterStrides f =
        form.packed_filters ? packed_filter_strides(problem_) : problem_.filter_strides();
    graph_.tensors.push_back(
        {.id = kFilters,
         .dtype = d_.dtype,
         .extents = {d_.in_c, problem_.out_c_per_group(), d_.h.kernel, d_.w.kernel},
         .strides = {f.c, f.k, f.r, f.s},
         .alignment = form.packed_filters ? 16 : alignment(),
         .is_virtual = false});
  }

  /// The tensor that the whole graph writes.
  void add_result(const CudnnForm& form) {
    const Extents e = problem_.output_extents();
    const bool sums = form.epilogue == CudnnEpilogue::after;
    const DType type = sums ? sum_type(d_) : d_.output_dtype;
    // The residual may be the output itself, and sums there would overwrite it.
    graph_.result_is_output = !sums || (type == d_.output_dtype && !d_.has_residual);
    graph_.result_strides =
        graph_.result_is_output ? d_.output_strides : dense_strides(d_.layout, e);
    if (!graph_.result_is_output) {
      graph_.result_bytes = e.count() * static_cast<int64_t>(size_of(type));
    }
    graph_.tensors.push_back(activations(kResult, type, d_.layout, e, graph_.result_strides,
                                         graph_.result_is_output ? alignment() : 16));
  }

  void add_epilogue() {
    if (d_.has_bias) {
      const Extents channels{1, 1, 1, d_.out_c};
      graph_.tensors.push_back(activations(kBias, d_.bias_dtype, d_.layout, channels,
                                           dense_strides(d_.layout, channels),
                                           static_cast<int64_t>(size_of(d_.bias_dtype))));
      chain({.kind = CudnnPointwise::Kind::add, .operand = kBias});
    }
    constexpr double kUnbounded = std::numeric_limits<double>::infinity();
    if (d_.activation == Activation::relu || d_.activation == Activation::leaky_relu) {
      chain({.kind = CudnnPointwise::Kind::clip,
             .lower = 0,
             .upper = kUnbounded,
             .slope = d_.activation == Activation::relu ? 0 : d_.activation_a});
    } else if (d_.activation == Activation::clamp) {
      chain(
          {.kind = CudnnPointwise::Kind::clip, .lower = d_.activation_a, .upper = d_.activation_b});
    } else if (graph_.pointwise.empty()) {
      chain({.kind = CudnnPointwise::Kind::identity});
    }
  }

  /// Appends an operation to the last one's output, which then lies in no memory.
  void chain(CudnnPointwise operation) {
    const Extents e = problem_.output_extents();
    CudnnTensor between =
        activations(next_, sum_type(d_), d_.layout, e, dense_strides(d_.layout, e), 16);
    between.is_virtual = true;
    graph_.tensors.push_back(between);
    operation.input = next_++;
    graph_.pointwise.push_back(operation);
  }

  /// Each operation writes what the next one reads, the last one the result.
  void finish_chain() {
    auto& operations = graph_.pointwise;
    graph_.sums = operations.empty() ? int64_t{kResult} : operations.front().input;
    for (std::size_t i = 0; i < operations.size(); ++i) {
      operations[i].output = i + 1 < operations.size() ? operations[i + 1].input : int64_t{kResult};
    }
  }

  const Problem& problem_;
  const ProblemDesc& d_;
  CudnnGraph graph_;
  int64_t next_ = kFirstVirtual;
};

/// Whether elements share an address: of a tensor that repeats, or whose rows overlap.
bool overlaps(const Strides& s, const Extents& e) {
  std::array<std::pair<int64_t, int64_t>, 4> dimensions = {
      {{s.n, e.n}, {s.h, e.h}, {s.w, e.w}, {s.c, e.c}}};
  std::ranges::sort(dimensions);
  int64_t span = 1;  // elements from the first to past the last of the dimensions so far
  for (const auto& [stride, extent] : dimensions) {
    if (extent > 1 && stride < span) return true;
    if (extent > 1) span += stride * (extent - 1);
  }
  return false;
}

}  // namespace

std::string cudnn_cannot_express(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  if (problem.input_extents().count() == 0 || problem.empty_output()) {
    return "cuDNN convolves no empty tensors";
  }
  for (std::string reason : {axis_reason("height", d.h), axis_reason("width", d.w)}) {
    if (!reason.empty()) return reason;
  }
  if (overlaps(d.input_strides, problem.input_extents()) ||
      (d.has_residual && overlaps(d.residual_strides, problem.output_extents()))) {
    return "cuDNN takes no tensor whose elements share an address (stride 0)";
  }
  const auto elements = [](int64_t bytes, DType type) {
    return bytes / static_cast<int64_t>(size_of(type));
  };
  if (elements(problem.input_bytes(), d.dtype) > kLargest ||
      elements(problem.filter_bytes(), d.dtype) > kLargest ||
      elements(problem.output_bytes(), d.output_dtype) > kLargest ||
      elements(problem.residual_bytes(), d.output_dtype) > kLargest) {
    return "a tensor spans more than 2^31 - 1 elements, which few of cuDNN's engines address";
  }
  return "";
}

std::vector<CudnnForm> cudnn_forms(const Problem& problem, bool prepacked_filters) {
  const ProblemDesc& d = problem.desc();
  std::vector<CudnnEpilogue> epilogues;
  if (!has_epilogue(d) && d.output_dtype == d.dtype) {
    epilogues = {CudnnEpilogue::none};
  } else {
    if (can_fuse(d)) epilogues.push_back(CudnnEpilogue::fused);
    // Where only the type changes and f32 is wanted, `after` would leave nothing to do.
    if (has_epilogue(d) || d.output_dtype != sum_type(d)) {
      epilogues.push_back(CudnnEpilogue::after);
    }
  }
  const FilterOrder native = d.layout == Layout::nhwc ? FilterOrder::ihwo : FilterOrder::iohw;
  std::vector<CudnnForm> forms;
  for (const CudnnEpilogue epilogue : epilogues) {
    if (!prepacked_filters) forms.push_back({epilogue, false});
    if (prepacked_filters || d.filter_order != native) forms.push_back({epilogue, true});
  }
  return forms;
}

CudnnGraph make_cudnn_graph(const Problem& problem, const CudnnForm& form) {
  return Builder(problem, form).take();
}

FilterStrides packed_filter_strides(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  const int64_t k = problem.out_c_per_group(), taps = d.h.kernel * d.w.kernel;
  return d.layout == Layout::nhwc
             ? FilterStrides{.r = d.w.kernel * k, .s = k, .k = 1, .c = taps * k}
             : FilterStrides{.r = d.w.kernel, .s = 1, .k = taps, .c = taps * k};
}

}  // namespace tconv::host
