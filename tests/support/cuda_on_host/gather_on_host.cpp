// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cuda_on_host/gather_on_host.h"

#include <stdexcept>
#include <utility>

#include "tests/support/cuda_on_host/cuda_on_host.h"

// The library may have the row already, made by nvcc.
#define gather_kernel gather_kernel_on_host
#include "src/cuda/gather.cu"
#undef gather_kernel

namespace tconv::test {
namespace {

using namespace tconv::cuda;  // NOLINT(google-build-using-namespace): its kernels are in here
using Half = host::Half;
using BFloat16 = host::BFloat16;

/// Every thread of the launch, one after the other.
template <typename... Parameters>
void run_threads(void (*kernel)(Parameters...), const Launch& launch) {
  const auto call = [&]<std::size_t... i>(std::index_sequence<i...>) {
    kernel(*static_cast<Parameters*>(launch.arguments[i])...);
  };
  for (unsigned block = 0; block < launch.grid[0]; ++block) {
    for (unsigned thread = 0; thread < launch.block[0]; ++thread) {
      blockIdx.x = block;
      threadIdx.x = thread;
      call(std::index_sequence_for<Parameters...>());
    }
  }
}

/// Calls body.operator()<T>() for the T whose instance with this Index is `kernel`.
template <typename Index, typename Body>
bool with_instance(const void* kernel, Body&& body) {
  const auto is = [&]<typename T>() {
    if (kernel != reinterpret_cast<const void*>(gather<T, Index>)) return false;
    body.template operator()<T>();
    return true;
  };
  return is.template operator()<Half>() || is.template operator()<BFloat16>() ||
         is.template operator()<float>() || is.template operator()<double>();
}

}  // namespace

const Kernel& gather_on_host() { return host::gather_kernel_on_host; }

void run_on_host(const Launch& launch) {
  const bool done =
      with_instance<int32_t>(launch.kernel,
                             [&]<typename T>() { run_threads(gather<T, int32_t>, launch); }) ||
      with_instance<int64_t>(launch.kernel,
                             [&]<typename T>() { run_threads(gather<T, int64_t>, launch); });
  if (!done) throw std::invalid_argument("not a kernel of gather.cu");
}

void launch_wide(const Problem& problem, const Tensors& tensors) {
  with_type(problem.desc().dtype,
            [&]<typename T>() { launch_as<T, int64_t>(problem, tensors, nullptr); });
}

bool is_wide(const void* kernel) {
  return with_instance<int64_t>(kernel, []<typename T>() {});
}

}  // namespace tconv::test
