// SPDX-License-Identifier: Apache-2.0
// launch.cuh: starts the probes' kernels in the model instead of on a GPU.
#pragma once

#include "bench/probes/probe.h"
#include "tests/probes_on_host/model.h"

namespace tconv::probes {

struct Shape {
  unsigned blocks;
  unsigned threads;
  std::size_t shared = 0;
  unsigned cluster = 1;
  bool dependent = false;
  cudaStream_t stream = nullptr;
};

template <typename... Parameters>
void launch(void (*kernel)(Parameters...), const Shape& shape,
            const std::type_identity_t<Parameters>&... arguments) {
  model::run(shape.blocks, shape.threads, shape.shared, shape.cluster,
             [&] { kernel(arguments...); });
}

template <typename... Parameters>
void allow_shared(void (*)(Parameters...), std::size_t) {}

template <typename... Parameters>
unsigned clusters_at_once(void (*)(Parameters...), const Shape&) {
  return 1;
}

}  // namespace tconv::probes
