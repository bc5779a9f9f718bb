// SPDX-License-Identifier: Apache-2.0
// fake_cudnn.cpp: see fake_cudnn.h. Descriptors are bags of attributes; executing a plan walks
// them.
#include "tests/cuda/cudnn/fake_cudnn.h"

#include <cudnn.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <thread>

#include "src/host/problem/dtype.h"

using tconv::host::DType;
using tconv::test::FakeCudnn;
using tconv::test::FakeEngine;

struct cudnnContext {
  cudaStream_t stream = nullptr;
  std::atomic<int> users{0};
};

namespace {

FakeCudnn fake;

struct Node {
  cudnnBackendDescriptorType_t type{};
  std::map<int, std::vector<std::byte>> values;
  std::map<int, std::vector<std::shared_ptr<Node>>> nodes;
  FakeEngine engine;  // of an engine configuration and its engine
  std::atomic<int> users{0};
  std::atomic<int64_t> executions{0};  // of a plan, where it matters

  template <typename T>
  std::vector<T> all(int name) const {
    const auto found = values.find(name);
    if (found == values.end()) return {};
    std::vector<T> result(found->second.size() / sizeof(T));
    std::memcpy(result.data(), found->second.data(), result.size() * sizeof(T));
    return result;
  }
  template <typename T>
  T one(int name) const {
    return all<T>(name).at(0);
  }
  const Node& node(int name) const { return *nodes.at(name).at(0); }
  bool has(int name) const { return nodes.contains(name); }
};

/// What the caller holds: many descriptors may share a node.
struct Descriptor {
  std::shared_ptr<Node> node;
};

Descriptor& at(cudnnBackendDescriptor_t descriptor) {
  return *static_cast<Descriptor*>(descriptor);
}

std::size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_HANDLE: return 8;
    case CUDNN_TYPE_BOOLEAN: return sizeof(bool);
    case CUDNN_TYPE_CHAR: return sizeof(char);
    default: return 4;  // enumerations, int32, float
  }
}

// ---- Computing. ---------------------------------------------------------------------------------

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
                               : tconv::host::load(type_, memory_, offset(i));
  }
  void store(const Index& i, double x) {
    if (virtual_ != nullptr) {
      (*virtual_)[static_cast<std::size_t>(offset(i))] = tconv::host::rounded(type_, x);
    } else {
      tconv::host::store(type_, memory_, offset(i), x);
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

const std::vector<std::shared_ptr<Node>>& operations_of(const Node& plan) {
  return plan.node(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)
      .node(CUDNN_ATTR_ENGINECFG_ENGINE)
      .node(CUDNN_ATTR_ENGINE_OPERATION_GRAPH)
      .nodes.at(CUDNN_ATTR_OPERATIONGRAPH_OPS);
}

// ---- Engines. -----------------------------------------------------------------------------------

bool supports(const FakeEngine& engine, const Node& plan) {
  const auto& operations = operations_of(plan);
  const Node& filters = operations[0]->node(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W);
  const auto extents = filters.all<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
  const bool channels_first = extents[0] > 1 && extents[1] * extents[2] * extents[3] > 1 &&
                              filters.all<int64_t>(CUDNN_ATTR_TENSOR_STRIDES)[0] == 1;
  if (channels_first && !engine.takes_channels_first_filters) return false;
  return engine.fuses || operations.size() == 1;
}

std::shared_ptr<Node> make_config(const FakeEngine& engine, const std::shared_ptr<Node>& graph) {
  const auto node = std::make_shared<Node>(), config = std::make_shared<Node>();
  node->type = CUDNN_BACKEND_ENGINE_DESCRIPTOR;
  node->engine = config->engine = engine;
  node->nodes[CUDNN_ATTR_ENGINE_OPERATION_GRAPH] = {graph};
  config->type = CUDNN_BACKEND_ENGINECFG_DESCRIPTOR;
  config->nodes[CUDNN_ATTR_ENGINECFG_ENGINE] = {node};
  for (const auto& [type, value] : engine.knobs) {
    const auto knob = std::make_shared<Node>();
    knob->type = CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR;
    const auto put = [&](int name, const auto& x) {
      knob->values[name].resize(sizeof x);
      std::memcpy(knob->values[name].data(), &x, sizeof x);
    };
    put(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, static_cast<int32_t>(type));
    put(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, value);
    config->nodes[CUDNN_ATTR_ENGINECFG_KNOB_CHOICES].push_back(knob);
  }
  return config;
}

template <typename T>
cudnnStatus_t give(const std::vector<T>& values, int64_t requested, int64_t* count, void* to) {
  if (count != nullptr) *count = static_cast<int64_t>(values.size());
  for (std::size_t i = 0; to != nullptr && i < values.size(); ++i) {
    if (static_cast<int64_t>(i) < requested) static_cast<T*>(to)[i] = values[i];
  }
  return CUDNN_STATUS_SUCCESS;
}

const std::vector<FakeEngine>& engines_for(const Node& heuristics) {
  if (heuristics.has(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP)) return fake.model_engines;
  const auto mode = heuristics.one<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE);
  return mode == CUDNN_HEUR_MODE_B && !fake.b_engines.empty() ? fake.b_engines : fake.engines;
}

cudnnStatus_t give_nodes(const std::vector<std::shared_ptr<Node>>& nodes, int64_t requested,
                         int64_t* count, void* to) {
  for (std::size_t i = 0; to != nullptr && i < nodes.size(); ++i) {
    if (static_cast<int64_t>(i) < requested) {
      at(static_cast<cudnnBackendDescriptor_t*>(to)[i]).node = nodes[i];
    }
  }
  if (count != nullptr) *count = static_cast<int64_t>(nodes.size());
  return CUDNN_STATUS_SUCCESS;
}

/// Counts those who use something that only one may use at a time.
class Use {
 public:
  explicit Use(std::atomic<int>& users) : users_(users) {
    if (++users_ != 1) ++fake.clashes;
  }
  ~Use() { --users_; }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  std::atomic<int>& users_;
};

}  // namespace

// ---- The library. -------------------------------------------------------------------------------

extern "C" {

FakeCudnn* fake_cudnn() { return &fake; }

size_t cudnnGetVersion() { return CUDNN_VERSION; }
const char* cudnnGetErrorString(cudnnStatus_t status) {
  return status == CUDNN_STATUS_NOT_INITIALIZED ? "FAKE_NOT_INITIALIZED" : "FAKE_ERROR";
}
void cudnnGetLastErrorString(char* message, size_t size) {
  if (size > 0) message[0] = 0;
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  if (fake.fails_to_start) return CUDNN_STATUS_NOT_INITIALIZED;
  ++fake.handles;
  *handle = new cudnnContext;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  *descriptor = new Descriptor{std::make_shared<Node>()};
  at(*descriptor).node->type = type;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  delete static_cast<Descriptor*>(descriptor);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void* from) {
  Node& node = *at(descriptor).node;
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    const auto* descriptors = static_cast<const cudnnBackendDescriptor_t*>(from);
    node.nodes[name].clear();
    for (int64_t i = 0; i < count; ++i) node.nodes[name].push_back(at(descriptors[i]).node);
  } else {
    node.values[name].resize(static_cast<size_t>(count) * size_of(type));
    std::memcpy(node.values[name].data(), from, node.values[name].size());
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t, int64_t requested,
                                       int64_t* count, void* to) {
  const Node& node = *at(descriptor).node;
  switch (name) {
    case CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION:
      return give(std::vector<char>(fake.properties.begin(), fake.properties.end()), requested,
                  count, to);
    case CUDNN_ATTR_ENGINEHEUR_RESULTS: {
      std::vector<std::shared_ptr<Node>> configs;
      for (const FakeEngine& engine : engines_for(node)) {
        configs.push_back(
            make_config(engine, node.nodes.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH).at(0)));
      }
      return give_nodes(configs, requested, count, to);
    }
    case CUDNN_ATTR_ENGINECFG_ENGINE:
    case CUDNN_ATTR_ENGINECFG_KNOB_CHOICES: {
      const auto found = node.nodes.find(name);
      return give_nodes(
          found == node.nodes.end() ? std::vector<std::shared_ptr<Node>>{} : found->second,
          requested, count, to);
    }
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
      return give(std::vector<int64_t>{node.engine.index}, requested, count, to);
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
      return give(node.engine.numerical_notes, requested, count, to);
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
      return give(node.engine.behavior_notes, requested, count, to);
    case CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE:
      return give(node.all<int32_t>(name), requested, count, to);
    case CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE:
      return give(node.all<int64_t>(name), requested, count, to);
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      return give(
          std::vector<int64_t>{
              node.node(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).engine.workspace_bytes},
          requested, count, to);
    default: return CUDNN_STATUS_NOT_SUPPORTED;
  }
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  const Node& node = *at(descriptor).node;
  if (node.type == CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR) {
    const auto text = node.all<char>(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
    const bool known = text.empty() || fake.properties == std::string(text.begin(), text.end());
    return known ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
  }
  if (node.type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) return CUDNN_STATUS_SUCCESS;
  ++fake.plans;
  const FakeEngine& engine = node.node(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).engine;
  return supports(engine, node) ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan_descriptor,
                                  cudnnBackendDescriptor_t pack_descriptor) {
  Node& plan = *at(plan_descriptor).node;
  const Node& pack = *at(pack_descriptor).node;
  const Use handle_use(handle->users), plan_use(plan.users);
  if (fake.fails_to_execute) return CUDNN_STATUS_EXECUTION_FAILED;
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
  if (fake.is_slow) std::this_thread::sleep_for(std::chrono::microseconds(100));
  ++fake.executions;
  fake.last_stream = handle->stream;
  return CUDNN_STATUS_SUCCESS;
}

}  // extern "C"
