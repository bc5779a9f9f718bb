// SPDX-License-Identifier: Apache-2.0
// cublas.cpp: see cublas.h.
#include "bench/gpu/cublas.h"

#include "src/host/problem/errors.h"

#if __has_include(<cublas_v2.h>)
#include <cublas_v2.h>
#include <dlfcn.h>

#include "src/host/device/device_memory.h"

namespace tconv::bench {

struct Cublas::Library {
  decltype(&cublasCreate_v2) create = nullptr;
  decltype(&cublasSetStream_v2) set_stream = nullptr;
  decltype(&cublasSetWorkspace_v2) set_workspace = nullptr;
  // For C++ the header has two of this name.
  cublasStatus_t (*gemm)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int,
                         const void*, const void*, cudaDataType_t, int, const void*, cudaDataType_t,
                         int, const void*, void*, cudaDataType_t, int, cublasComputeType_t,
                         cublasGemmAlgo_t) = nullptr;
  cublasHandle_t handle = nullptr;
  // Of our own: cuBLAS would allocate one while a stream is captured.
  static constexpr std::size_t kWorkspace = std::size_t{64} << 20;
  host::DeviceMemory workspace{kWorkspace};

  template <typename Function>
  static bool find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
  }
};

Cublas::Cublas() {
  const std::string name = "libcublas.so." + std::to_string(CUBLAS_VER_MAJOR);
  void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    absence_ = std::string("cuBLAS cannot be opened: ") + dlerror();
    return;
  }
  library_ = std::make_unique<Library>();
  Library& l = *library_;
  const bool found = Library::find(library, "cublasCreate_v2", l.create) &&
                     Library::find(library, "cublasSetStream_v2", l.set_stream) &&
                     Library::find(library, "cublasSetWorkspace_v2", l.set_workspace) &&
                     Library::find(library, "cublasGemmEx", l.gemm);
  if (!found) {
    absence_ = name + " lacks a function of cuBLAS";
  } else if (const auto status = l.create(&l.handle); status != CUBLAS_STATUS_SUCCESS) {
    absence_ = "cublasCreate failed: status " + std::to_string(status);
  }
}

// The handle is not destroyed: at the end of the process the driver may have gone first.
Cublas::~Cublas() = default;

void Cublas::multiply(host::DType type, bool tf32, int m, int n, int k, const void* a,
                      const void* b, void* out, host::Stream stream) const {
  if (!absence_.empty()) throw host::DeviceError(absence_);
  const cudaDataType_t element = type == host::DType::f16    ? CUDA_R_16F
                                 : type == host::DType::bf16 ? CUDA_R_16BF
                                                             : CUDA_R_32F;
  const cublasComputeType_t sums = tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  const float one = 1, zero = 0;
  const Library& l = *library_;
  cublasStatus_t status = l.set_stream(l.handle, static_cast<cudaStream_t>(stream));
  if (status == CUBLAS_STATUS_SUCCESS) {  // setting a stream also resets the workspace
    status = l.set_workspace(l.handle, l.workspace.data(), Library::kWorkspace);
  }
  if (status == CUBLAS_STATUS_SUCCESS) {
    // Column-major, as cuBLAS sees it: out[n][m] = b[k][n]^T * a[k][m].
    status = l.gemm(l.handle, CUBLAS_OP_T, CUBLAS_OP_N, n, m, k, &one, b, element, k, a, element, k,
                    &zero, out, element, n, sums, CUBLAS_GEMM_DEFAULT);
  }
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw host::DeviceError("cublasGemmEx failed: status " + std::to_string(status));
}

}  // namespace tconv::bench
#else

namespace tconv::bench {

struct Cublas::Library {};
Cublas::Cublas() : absence_("this was built without cuBLAS's header") {}
Cublas::~Cublas() = default;
void Cublas::multiply(host::DType, bool, int, int, int, const void*, const void*, void*,
                      host::Stream) const {
  throw host::DeviceError(absence_);
}

}  // namespace tconv::bench
#endif
