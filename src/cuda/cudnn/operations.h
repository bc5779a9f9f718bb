// SPDX-License-Identifier: Apache-2.0
// operations.h: a graph (graph.h) as cuDNN's descriptors. Included by library.cpp alone.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "src/cuda/cudnn/frontend.h"
#include "src/cuda/cudnn/graph.h"
#include "src/host/problem/dtype.h"

namespace tconv::host {

inline cudnnDataType_t cudnn_type(DType type) {
  switch (type) {
    case DType::f16: return CUDNN_DATA_HALF;
    case DType::bf16: return CUDNN_DATA_BFLOAT16;
    case DType::f64: return CUDNN_DATA_DOUBLE;
    case DType::same:
    case DType::f32: break;
  }
  return CUDNN_DATA_FLOAT;
}

/// cuDNN's descriptors of a graph. Creating them makes cuDNN check the graph; no device is asked.
struct Operations {
  std::map<int64_t, fe::Tensor> tensors;
  std::vector<fe::Operation> list;

  explicit Operations(const CudnnGraph& graph) {
    for (const CudnnTensor& tensor : graph.tensors) tensors.emplace(tensor.id, describe(tensor));
    list.push_back(convolution(graph));
    for (const CudnnPointwise& operation : graph.pointwise) list.push_back(pointwise(operation));
  }

  /// Without a handle nothing but the graph itself is checked.
  fe::OperationGraph graph(cudnnHandle_t handle) const {
    std::vector<const fe::Operation*> pointers;
    pointers.reserve(list.size());
    for (const fe::Operation& operation : list) pointers.push_back(&operation);
    return fe::OperationGraphBuilder()
        .setHandle(handle)
        .setOperationGraph(static_cast<int64_t>(pointers.size()), pointers.data())
        .build();
  }

 private:
  static fe::Tensor describe(const CudnnTensor& tensor) {
    return fe::TensorBuilder()
        .setDim(4, tensor.extents.data())
        .setStride(4, tensor.strides.data())
        .setId(tensor.id)
        .setAlignment(tensor.alignment)
        .setDataType(cudnn_type(tensor.dtype))
        .setVirtual(tensor.is_virtual)
        .build();
  }

  fe::Operation convolution(const CudnnGraph& graph) const {
    const auto description =
        fe::ConvDescBuilder()
            .setComputeType(graph.f64_sums ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT)
            .setMathMode(CUDNN_CROSS_CORRELATION)
            .setSpatialDimCount(2)
            .setSpatialStride(2, graph.strides.data())
            .setPrePadding(2, graph.pre_pads.data())
            .setPostPadding(2, graph.post_pads.data())
            .setDilation(2, graph.dilations.data())
            .build();
    return fe::OperationBuilder(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
        .setdxDesc(tensors.at(graph.sums))
        .setdyDesc(tensors.at(kInput))
        .setwDesc(tensors.at(kFilters))
        .setcDesc(description)
        .setAlpha(1.0)
        .setBeta(0.0)
        .build();
  }

  fe::Operation pointwise(const CudnnPointwise& operation) const {
    auto description = fe::PointWiseDescBuilder();
    description.setComputeType(CUDNN_DATA_FLOAT);
    switch (operation.kind) {
      case CudnnPointwise::Kind::identity: description.setMode(CUDNN_POINTWISE_IDENTITY); break;
      case CudnnPointwise::Kind::add: description.setMode(CUDNN_POINTWISE_ADD); break;
      case CudnnPointwise::Kind::clip:
        description.setMode(CUDNN_POINTWISE_RELU_FWD)
            .setMode(CUDNN_PROPAGATE_NAN)
            .setReluLowerClip(operation.lower)
            .setReluUpperClip(operation.upper)
            .setReluLowerClipSlope(operation.slope);
        break;
    }
    auto builder = fe::OperationBuilder(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    builder.setxDesc(tensors.at(operation.input))
        .setyDesc(tensors.at(operation.output))
        .setpwDesc(description.build());
    if (operation.operand != 0) builder.setbDesc(tensors.at(operation.operand));
    return builder.build();
  }
};

}  // namespace tconv::host
