// SPDX-License-Identifier: Apache-2.0
// graph.h: a problem as cuDNN's backward-data convolution, as plain data.
//
// cuDNN differentiates a forward convolution whose output is our input (its "dy") and whose input
// is our output ("dx"):
//     dx[n,k,p,q] += dy[n,c,h,w] * w[c,k,r,s]      p = h*stride - pre_pad + r*dilation
// which is the definition of the transposed convolution. All extents and strides below are in
// cuDNN's order: N C H W for activations; C K R S for filters, C over all groups and K within one.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "src/host/plan/kernel_table.h"

namespace tconv::host {

/// Who finishes the sums.
enum class CudnnEpilogue {
  none,   ///< nothing to finish: cuDNN rounds the sums into the output
  fused,  ///< operations of the same graph
  after,  ///< a kernel of ours, from sums that lie in the workspace or in the output itself
};

/// One way of asking cuDNN for a problem.
struct CudnnForm {
  CudnnEpilogue epilogue = CudnnEpilogue::none;
  bool packed_filters = false;  ///< in the order that cuDNN's own layouts have, not the problem's
};

/// The operands' names in a graph. Intermediate tensors count on from kFirstVirtual.
enum CudnnId : int64_t { kInput = 1, kFilters, kBias, kResult, kFirstVirtual };

using CudnnDims = std::array<int64_t, 4>;

struct CudnnTensor {
  int64_t id = 0;
  DType dtype = DType::f32;
  CudnnDims extents{}, strides{};
  int64_t alignment = 16;   ///< bytes
  bool is_virtual = false;  ///< between two operations: in no memory
};

struct CudnnPointwise {
  enum class Kind { identity, add, clip } kind = Kind::identity;
  int64_t input = 0, operand = 0, output = 0;  ///< ids; operand of `add` alone
  double lower = 0, upper = 0, slope = 0;      ///< of clip: slope below lower
};

struct CudnnGraph {
  std::vector<CudnnTensor> tensors;
  int64_t sums = kResult;  ///< the id that the convolution writes
  std::array<int64_t, 2> pre_pads{}, post_pads{}, strides{}, dilations{};
  bool f64_sums = false;
  std::vector<CudnnPointwise> pointwise;  ///< in order, after the convolution

  // What lies at kResult.
  bool result_is_output = true;  ///< else sums in the workspace, dense in the problem's layout
  int64_t result_bytes = 0;      ///< of the workspace; 0 for the output
  Strides result_strides;
};

/// Why cuDNN cannot express `problem`; empty if it can.
std::string cudnn_cannot_express(const Problem& problem);

/// Every way of asking, the preferred first.
std::vector<CudnnForm> cudnn_forms(const Problem& problem, bool prepacked_filters);

/// Only for problems that cudnn_cannot_express() is silent about.
CudnnGraph make_cudnn_graph(const Problem& problem, const CudnnForm& form);

/// Element strides of packed filters: [ci][kh][kw][co] for NHWC, [ci][co][kh][kw] for NCHW,
/// whatever N, H and W are.
FilterStrides packed_filter_strides(const Problem& problem);

/// What cuDNN itself says against the graph, before any device is asked; empty if nothing. Opens
/// cuDNN. Defined in row.cpp.
std::string cudnn_refusal(const CudnnGraph& graph);

}  // namespace tconv::host
