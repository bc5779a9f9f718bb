// SPDX-License-Identifier: Apache-2.0
// launch.cuh: the one way in which the probes start a kernel; tests/probes_on_host has another.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <type_traits>

#include "bench/probes/probe.h"

namespace tconv::probes {

struct Shape {
  unsigned blocks;
  unsigned threads;
  std::size_t shared = 0;
  unsigned cluster = 1;    // blocks of a cluster
  bool dependent = false;  // programmatic dependent launch
  cudaStream_t stream = nullptr;
};

struct LaunchConfig {
  cudaLaunchAttribute attributes[2] = {};
  cudaLaunchConfig_t config = {};

  explicit LaunchConfig(const Shape& shape) {
    config.gridDim = shape.blocks;
    config.blockDim = shape.threads;
    config.dynamicSmemBytes = shape.shared;
    config.stream = shape.stream;
    config.attrs = attributes;
    if (shape.cluster > 1) {
      attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
      attributes[config.numAttrs++].val.clusterDim = {shape.cluster, 1, 1};
    }
    if (shape.dependent) {
      attributes[config.numAttrs].id = cudaLaunchAttributeProgrammaticStreamSerialization;
      attributes[config.numAttrs++].val.programmaticStreamSerializationAllowed = 1;
    }
  }
  LaunchConfig(const LaunchConfig&) = delete;
  LaunchConfig& operator=(const LaunchConfig&) = delete;
};

/// Enqueues; the arguments must convert to the kernel's parameters.
template <typename... Parameters>
void launch(void (*kernel)(Parameters...), const Shape& shape,
            const std::type_identity_t<Parameters>&... arguments) {
  const LaunchConfig config(shape);
  // The runtime copies what the array points to, and writes nothing. The zero: arrays of no length.
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&arguments))..., nullptr};
  check(cudaLaunchKernelExC(&config.config, reinterpret_cast<const void*>(kernel), pointers),
        "launch");
}

/// Raises the dynamic shared memory of a kernel.
template <typename... Parameters>
void allow_shared(void (*kernel)(Parameters...), std::size_t bytes) {
  check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
        "cudaFuncSetAttribute(MaxDynamicSharedMemorySize)");
}

/// How many clusters of this shape run at once.
template <typename... Parameters>
unsigned clusters_at_once(void (*kernel)(Parameters...), const Shape& shape) {
  const LaunchConfig config(shape);
  int clusters = 0;
  check(cudaOccupancyMaxActiveClusters(&clusters, reinterpret_cast<const void*>(kernel),
                                       &config.config),
        "cudaOccupancyMaxActiveClusters");
  return static_cast<unsigned>(clusters);
}

}  // namespace tconv::probes
