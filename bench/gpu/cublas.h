// SPDX-License-Identifier: Apache-2.0
// cublas.h: matrix products by cuBLAS, opened at run time: the ceiling that rows are held against.
// Not yet run on a GPU.
#pragma once

#include <memory>
#include <string>

#include "src/host/device/gpu.h"
#include "src/host/problem/dtype.h"

namespace tconv::bench {

class Cublas {
 public:
  Cublas();
  ~Cublas();
  /// Why it cannot be used; empty if it can.
  const std::string& absence() const { return absence_; }

  /// Row-major out[m][n] = a[m][k] * b[n][k]^T in one type, f32 sums; `tf32` rounds f32 operands.
  /// Throws host::DeviceError.
  void multiply(host::DType type, bool tf32, int m, int n, int k, const void* a, const void* b,
                void* out, host::Stream stream) const;

 private:
  struct Library;
  std::unique_ptr<Library> library_;
  std::string absence_;
};

}  // namespace tconv::bench
