// SPDX-License-Identifier: Apache-2.0
// fake_execution.cpp: see fake_execution.h. Executing a plan walks its descriptors.
#include "tests/cuda/cudnn/fake_execution.h"

#include <algorithm>
#include <array>

#include "src/host/problem/dtype.h"

namespace tconv::test {
namespace {

using host::DType;

DType dtype_of(const Node& tensor) {
  switch (tensor.one<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE)) {
    case CUDNN_DATA_HALF: return DType::f16;
    case CUDNN_DATA_BFLOAT16: return DType::bf16;
    case CUDNN_DATA_DOUBLE: return DType::f64;
    default: return DType::f32;
  }
}

using Index = std::array<int64_t, 4>;

/// A tensor of a running plan: in the caller's memory, or between two operations.
class Values {
 public:
  Values(const Node& tensor, std::map<int64_t, void*>& memory,
         std::map<int64_t, std::vector<double>>& between)
      : type_(dtype_of(tensor)) {
    const auto extents = tensor.all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
    const auto strides = tensor.all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
    std::copy_n(extents.begin(), 4, extents_.begin());
    std::copy_n(strides.begin(), 4, strides_.begin());
    const auto id = tensor.one<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID);
    const bool is_virtual = !tensor.all<char>(CUDNN_ATTR_TENSOR_IS_VIRTUAL).empty();
    if (is_virtual) {  // the frontend sets the attribute only where it is true
      virtual_ = &between[id];
      virtual_->resize(static_cast<std::size_t>(count()));
      strides_ = {extents_[1] * extents_[2] * extents_[3], extents_[2] * extents_[3], extents_[3],
                  1};
    } else {
      memory_ = memory.at(id);
    }
  }
  const Index& extents() const { return extents_; }
  int64_t count() const { return extents_[0] * extents_[1] * extents_[2] * extents_[3]; }
  Index index(int64_t i) const {
    const int64_t w = i % extents_[3], row = i / extents_[3], h = row % extents_[2];
    return {row / extents_[2] / extents_[1], row / extents_[2] % extents_[1], h, w};
  }
  double load(Index i) const {
    for (std::size_t d = 0; d < 4; ++d) i[d] = extents_[d] == 1 ? 0 : i[d];  // broadcast
    return virtual_ != nullptr ? (*virtual_)[static_cast<std::size_t>(offset(i))]
                               : host::load(type_, memory_, offset(i));
  }
  void store(const Index& i, double x) {
    if (virtual_ != nullptr) {
      (*virtual_)[static_cast<std::size_t>(offset(i))] = host::rounded(type_, x);
    } else {
      host::store(type_, memory_, offset(i), x);
    }
  }

 private:
  int64_t offset(const Index& i) const {
    return i[0] * strides_[0] + i[1] * strides_[1] + i[2] * strides_[2] + i[3] * strides_[3];
  }
  DType type_;
  Index extents_{}, strides_{};
  void* memory_ = nullptr;
  std::vector<double>* virtual_ = nullptr;
};

/// The gradient of a convolution with respect to its input, as its definition says it.
void convolve(const Node& operation, int64_t skips, std::map<int64_t, void*>& memory,
              std::map<int64_t, std::vector<double>>& between) {
  const Values dy(operation.node(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY), memory, between);
  const Values w(operation.node(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W), memory, between);
  Values dx(operation.node(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX), memory, between);
  const Node& conv = operation.node(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC);
  const auto pads = conv.all<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
  const auto strides = conv.all<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
  const auto dilations = conv.all<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS);
  const int64_t per_group = w.extents()[1], groups = dx.extents()[1] / per_group;
  std::vector<double> sums(static_cast<std::size_t>(dx.count()));
  for (int64_t i = 0; i < dy.count(); ++i) {
    const auto [n, c, h, x] = dy.index(i);
    const int64_t group = c / (dy.extents()[1] / groups);
    for (int64_t k = 0; k < per_group; ++k) {
      for (int64_t r = 0; r < w.extents()[2]; ++r) {
        for (int64_t s = 0; s < w.extents()[3]; ++s) {
          const int64_t p = h * strides[0] - pads[0] + r * dilations[0];
          const int64_t q = x * strides[1] - pads[1] + s * dilations[1];
          if (p < 0 || p >= dx.extents()[2] || q < 0 || q >= dx.extents()[3]) continue;
          const int64_t channel = group * per_group + k;
          const int64_t at_sum =
              ((n * dx.extents()[1] + channel) * dx.extents()[2] + p) * dx.extents()[3] + q;
          sums[static_cast<std::size_t>(at_sum)] += dy.load({n, c, h, x}) * w.load({c, k, r, s});
        }
      }
    }
  }
  for (int64_t i = 0; i < dx.count(); ++i) {
    if (i != skips) dx.store(dx.index(i), sums[static_cast<std::size_t>(i)]);
  }
}

void combine(const Node& operation, std::map<int64_t, void*>& memory,
             std::map<int64_t, std::vector<double>>& between) {
  const Node& what = operation.node(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
  const auto mode = what.one<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
  const Values x(operation.node(CUDNN_ATTR_OPERATION_POINTWISE_XDESC), memory, between);
  Values y(operation.node(CUDNN_ATTR_OPERATION_POINTWISE_YDESC), memory, between);
  for (int64_t i = 0; i < y.count(); ++i) {
    const Index index = y.index(i);
    double value = x.load(index);
    if (mode == CUDNN_POINTWISE_ADD) {
      value +=
          Values(operation.node(CUDNN_ATTR_OPERATION_POINTWISE_BDESC), memory, between).load(index);
    } else if (mode == CUDNN_POINTWISE_RELU_FWD) {
      const auto lower = what.one<double>(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP);
      const auto upper = what.one<double>(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP);
      const auto slope = what.one<double>(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE);
      if (value < lower) value = lower + slope * (value - lower);
      if (value > upper) value = upper;
    }
    y.store(index, value);
  }
}

}  // namespace

const std::vector<std::shared_ptr<Node>>& operations_of(const Node& plan) {
  return plan.node(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)
      .node(CUDNN_ATTR_ENGINECFG_ENGINE)
      .node(CUDNN_ATTR_ENGINE_OPERATION_GRAPH)
      .nodes.at(CUDNN_ATTR_OPERATIONGRAPH_OPS);
}

void execute(Node& plan, const Node& pack) {
  const FakeEngine& engine = plan.node(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).engine;
  std::map<int64_t, void*> memory;
  std::map<int64_t, std::vector<double>> between;
  const auto ids = pack.all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto pointers = pack.all<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  for (std::size_t i = 0; i < ids.size(); ++i) memory[ids[i]] = pointers[i];
  // The workspace is its own from the beginning to the end: whatever overlaps it is lost.
  const auto scribble = [&] {
    std::memset(pack.one<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE), 0xee,
                static_cast<size_t>(engine.workspace_bytes));
  };
  scribble();
  const bool writes = engine.wrong_after < 0 || plan.executions++ < engine.wrong_after;
  for (const auto& operation : operations_of(plan)) {
    if (!writes) break;
    const bool is_convolution =
        operation->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR;
    if (is_convolution) {
      convolve(*operation, engine.skips, memory, between);
    } else {
      combine(*operation, memory, between);
    }
  }
  scribble();
}

}  // namespace tconv::test
