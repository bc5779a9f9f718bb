// SPDX-License-Identifier: Apache-2.0
// blind.cu: a kernel whose accesses the emulator would not see, for the gate that must refuse it.
#include <cstdint>

namespace tconv::cuda {

struct Small {
  uint16_t bits;
};

__attribute__((noinline)) static Small doubled(Small x) {
  return {static_cast<uint16_t>(2 * x.bits)};
}

__global__ void blind(const Small* x, Small* y) { y[threadIdx.x] = doubled(x[threadIdx.x]); }

}  // namespace tconv::cuda
