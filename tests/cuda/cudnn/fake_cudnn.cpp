// SPDX-License-Identifier: Apache-2.0
// fake_cudnn.cpp: see fake_cudnn.h. The library's functions; what a plan computes is in
// fake_execution.cpp.
#include "tests/cuda/cudnn/fake_cudnn.h"

#include <cudnn.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/cuda/cudnn/fake_execution.h"

using tconv::test::at;
using tconv::test::Descriptor;
using tconv::test::FakeCudnn;
using tconv::test::FakeEngine;
using tconv::test::Node;
using tconv::test::operations_of;

struct cudnnContext {
  cudaStream_t stream = nullptr;
  std::atomic<int> users{0};
};

namespace {

FakeCudnn fake;

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
  execute(plan, pack);
  if (fake.is_slow) std::this_thread::sleep_for(std::chrono::microseconds(100));
  ++fake.executions;
  fake.last_stream = handle->stream;
  return CUDNN_STATUS_SUCCESS;
}

}  // extern "C"
