// SPDX-License-Identifier: Apache-2.0
// fake_execution.h: the descriptors of the fake cuDNN, which are bags of attributes, and what a
// plan made of them computes: the definition of its operations.
#pragma once

#include <cudnn.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "tests/cuda/cudnn/fake_cudnn.h"

namespace tconv::test {

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

inline Descriptor& at(cudnnBackendDescriptor_t descriptor) {
  return *static_cast<Descriptor*>(descriptor);
}

/// Of a plan. The first is the convolution.
const std::vector<std::shared_ptr<Node>>& operations_of(const Node& plan);

/// Runs the plan on the memory and the workspace that the variant pack names.
void execute(Node& plan, const Node& pack);

}  // namespace tconv::test
