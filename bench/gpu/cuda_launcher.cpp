// SPDX-License-Identifier: Apache-2.0
// cuda_launcher.cpp: CUDA graphs. Uses the CUDA runtime itself: the library never captures, so its
// seam to a GPU has no graphs. Not yet run on a GPU.
#include <cuda_runtime_api.h>

#include "bench/gpu/launcher.h"
#include "src/host/problem/errors.h"

namespace tconv::bench {
namespace {

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();
  throw host::DeviceError(std::string(what) + " failed: " + cudaGetErrorName(status) + ": " +
                          cudaGetErrorString(status));
}

class Graph final : public LaunchGraph {
 public:
  Graph(cudaGraph_t graph, cudaStream_t stream) : stream_(stream) {
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    (void)cudaGraphDestroy(graph);
    check(status, "cudaGraphInstantiate");
    check(cudaGraphUpload(executable_, stream_), "cudaGraphUpload");
  }
  ~Graph() override { (void)cudaGraphExecDestroy(executable_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch() override { check(cudaGraphLaunch(executable_, stream_), "cudaGraphLaunch"); }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t executable_ = nullptr;
};

class CudaLauncher final : public Launcher {
 public:
  CudaLauncher() {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  }
  ~CudaLauncher() override { (void)cudaStreamDestroy(stream_); }
  CudaLauncher(const CudaLauncher&) = delete;
  CudaLauncher& operator=(const CudaLauncher&) = delete;

  host::Stream stream() const override { return stream_; }
  void forget_error() override { (void)cudaGetLastError(); }

  std::unique_ptr<LaunchGraph> capture(const std::function<void()>& enqueue) override {
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
          "cudaStreamBeginCapture");
    cudaGraph_t graph = nullptr;
    try {
      enqueue();
    } catch (...) {  // the stream must not stay in capture
      (void)cudaStreamEndCapture(stream_, &graph);
      if (graph != nullptr) (void)cudaGraphDestroy(graph);
      (void)cudaGetLastError();
      throw;
    }
    check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    return std::make_unique<Graph>(graph, stream_);
  }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace

std::unique_ptr<Launcher> cuda_launcher() { return std::make_unique<CudaLauncher>(); }

}  // namespace tconv::bench
