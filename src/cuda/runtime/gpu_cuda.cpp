// SPDX-License-Identifier: Apache-2.0
// gpu_cuda.cpp: the seam over the CUDA runtime. Compiled by the host compiler. Not yet run on a
// GPU.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <mutex>

#include "src/cuda/runtime/compare.h"
#include "src/host/device/device_models.h"
#include "src/host/device/gpu.h"
#include "src/host/device/gpu_messages.h"
#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

cudaStream_t to_cuda(Stream stream) { return static_cast<cudaStream_t>(stream); }
cudaEvent_t event_of(Event event) { return static_cast<cudaEvent_t>(event); }

std::string words(cudaError_t error) {
  return std::string(cudaGetErrorName(error)) + ": " + cudaGetErrorString(error);
}

/// Calls the runtime. A failure of ours stays out of the caller's cudaGetLastError, unless an error
/// of the caller's is there already, which is not ours to clear.
template <typename Call>
cudaError_t quietly(Call&& call) {
  const cudaError_t before = cudaPeekAtLastError();
  const cudaError_t status = call();
  if (status != cudaSuccess && before == cudaSuccess) (void)cudaGetLastError();
  return status;
}

std::string out_of_memory_advice() {
  std::size_t free_bytes = 0, total_bytes = 0;
  const auto ask = [&] { return cudaMemGetInfo(&free_bytes, &total_bytes); };
  if (quietly(ask) != cudaSuccess) return "release memory, or take a smaller batch";
  return host::out_of_memory_advice(free_bytes, total_bytes);
}

int attribute(cudaDeviceAttr which, int ordinal) {
  int value = 0;
  const auto ask = [&] { return cudaDeviceGetAttribute(&value, which, ordinal); };
  return quietly(ask) == cudaSuccess ? value : 0;
}

int sm_of_current_device() {
  int ordinal = 0;
  if (quietly([&] { return cudaGetDevice(&ordinal); }) != cudaSuccess) return 0;
  return 10 * attribute(cudaDevAttrComputeCapabilityMajor, ordinal) +
         attribute(cudaDevAttrComputeCapabilityMinor, ordinal);
}

std::string advice(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation: return out_of_memory_advice();
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorUnsupportedPtxVersion: {
      const std::string gap = architecture_gap(TCONV_CUDA_ARCHITECTURES, sm_of_current_device());
      return gap.empty() ? "the driver cannot use this build's code: update it" : gap;
    }
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchTimeout: return spoilt_context_advice();
    case cudaErrorInvalidResourceHandle:
      return "the stream or event must belong to the device that is current";
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
    case cudaErrorStreamCaptureImplicit:
      return "this cannot be done while a stream is captured into a CUDA graph";
    default: return "";
  }
}

template <typename Call>
void check(const char* name, const char* purpose, Call&& call) {
  const cudaError_t status = quietly(call);
  if (status == cudaSuccess) return;
  throw DeviceError(failed_call_message(name, words(status), purpose, advice(status)));
}

/// For calls whose purpose has numbers in it: the text is made only if it is needed.
template <typename Purpose, typename Call>
void check(const char* name, const Purpose& purpose, Call&& call)
  requires requires { std::string(purpose()); }
{
  const cudaError_t status = quietly(call);
  if (status == cudaSuccess) return;
  throw DeviceError(failed_call_message(name, words(status), purpose(), advice(status)));
}

struct Absence {
  std::string words;
  bool seems_here = false;
};

/// cudaDriverGetVersion and cudaGetDeviceCount are the first calls of the process.
Absence find_absence() {
  int driver = 0, runtime = 0, count = 0;
  const auto driver_version = [&] { return cudaDriverGetVersion(&driver); };
  if (quietly(driver_version) != cudaSuccess || driver == 0) {
    return {driver_missing_message(), has_nvidia_gpu()};
  }
  (void)quietly([&] { return cudaRuntimeGetVersion(&runtime); });
  const cudaError_t status = quietly([&] { return cudaGetDeviceCount(&count); });
  if (status == cudaErrorInsufficientDriver) return {driver_too_old_message(driver, runtime), true};
  if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
    // Who sets the variable knows that the process sees no GPU.
    return {no_device_message(),
            std::getenv("CUDA_VISIBLE_DEVICES") == nullptr && has_nvidia_gpu()};
  }
  return status == cudaSuccess ? Absence() : Absence{cuda_failed_message(words(status)), true};
}

DeviceFacts facts_of(int ordinal) {
  cudaDeviceProp properties{};
  check("cudaGetDeviceProperties", "the facts of a GPU",
        [&] { return cudaGetDeviceProperties(&properties, ordinal); });
  DeviceFacts facts;
  facts.kind = DeviceKind::cuda;
  facts.name = properties.name;
  facts.cores = properties.multiProcessorCount;
  facts.ordinal = ordinal;
  facts.sm = 10 * properties.major + properties.minor;
  facts.clock_mhz = attribute(cudaDevAttrClockRate, ordinal) / 1e3;  // it is in kHz
  facts.memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  facts.l2_bytes = properties.l2CacheSize;
  facts.shared_bytes_per_core = static_cast<int64_t>(properties.sharedMemPerMultiprocessor);
  facts.shared_bytes_per_block = static_cast<int64_t>(properties.sharedMemPerBlockOptin);
  facts.threads_per_core = properties.maxThreadsPerMultiProcessor;
  // kHz times bits: two transfers a clock, eight bits a byte, 1000 us a ms.
  facts.bytes_per_us = 1.0 * attribute(cudaDevAttrMemoryClockRate, ordinal) *
                       attribute(cudaDevAttrGlobalMemoryBusWidth, ordinal) * 2 / 8 / 1e3;
  set_model_rates(facts);
  facts.unusable = architecture_gap(TCONV_CUDA_ARCHITECTURES, facts.sm);
  return facts;
}

class CudaGpu final : public Gpu {
 public:
  std::string absence() override {
    std::call_once(absence_asked_, [this] { absence_ = find_absence(); });
    return absence_.words;
  }
  bool seems_here() override { return !absence().empty() && absence_.seems_here; }

  std::vector<DeviceFacts> devices() override {
    std::call_once(devices_asked_, [this] {
      int count = 0;
      check("cudaGetDeviceCount", "the list of GPUs", [&] { return cudaGetDeviceCount(&count); });
      std::vector<DeviceFacts> found;
      found.reserve(static_cast<std::size_t>(count));
      for (int i = 0; i < count; ++i) found.push_back(facts_of(i));
      devices_ = std::move(found);
    });
    return devices_;
  }

  int current_device() override {
    int ordinal = 0;
    check("cudaGetDevice", "the device that is current", [&] { return cudaGetDevice(&ordinal); });
    return ordinal;
  }

  std::string pending_error() override {
    const cudaError_t pending = cudaPeekAtLastError();
    return pending == cudaSuccess ? std::string() : words(pending);
  }

  void load(const void* kernel, std::size_t shared_bytes, int carveout) override {
    const std::scoped_lock lock(attributes_set_);
    // Modules are loaded lazily; asking for a kernel's attributes needs its code.
    cudaFuncAttributes attributes{};
    check("cudaFuncGetAttributes", "the loading of a kernel",
          [&] { return cudaFuncGetAttributes(&attributes, kernel); });
    const auto set = [&](cudaFuncAttribute which, int value, const char* unit) {
      const auto purpose = [&] {
        return std::to_string(value) + unit + " of shared memory for a kernel";
      };
      check("cudaFuncSetAttribute", purpose,
            [&] { return cudaFuncSetAttribute(kernel, which, value); });
    };
    const int bytes = static_cast<int>(shared_bytes);
    if (shared_bytes > kUnaskedSharedBytes && bytes > attributes.maxDynamicSharedSizeBytes) {
      set(cudaFuncAttributeMaxDynamicSharedMemorySize, bytes, " bytes");
    }
    if (carveout > attributes.preferredShmemCarveout) {
      set(cudaFuncAttributePreferredSharedMemoryCarveout, carveout, " percent");
    }
  }

  void launch(const Launch& l) override {
    const auto purpose = [&] {
      const auto extent = [](const unsigned(&e)[3]) {
        return std::to_string(e[0]) + "x" + std::to_string(e[1]) + "x" + std::to_string(e[2]);
      };
      return std::string("a launch of the row ") + l.name + ", grid " + extent(l.grid) +
             ", block " + extent(l.block) + ", " + std::to_string(l.shared_bytes) +
             " bytes of shared memory";
    };
    check("cudaLaunchKernel", purpose, [&] {
      return cudaLaunchKernel(l.kernel, dim3(l.grid[0], l.grid[1], l.grid[2]),
                              dim3(l.block[0], l.block[1], l.block[2]), l.arguments, l.shared_bytes,
                              to_cuda(l.stream));
    });
  }

  bool is_capturing(Stream stream) override {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    check("cudaStreamIsCapturing", "the state of the stream",
          [&] { return cudaStreamIsCapturing(to_cuda(stream), &status); });
    return status != cudaStreamCaptureStatusNone;
  }

  void* allocate(std::size_t bytes) override {
    void* memory = nullptr;
    const auto purpose = [&] { return std::to_string(bytes) + " bytes of device memory"; };
    check("cudaMalloc", purpose, [&] { return cudaMalloc(&memory, bytes); });
    return memory;
  }
  void release(void* memory) noexcept override {
    (void)quietly([&] { return cudaFree(memory); });
  }
  void copy(void* to, const void* from, std::size_t bytes, Copy kind, Stream stream) override {
    constexpr cudaMemcpyKind kinds[] = {cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost,
                                        cudaMemcpyDeviceToDevice};
    const auto purpose = [&] { return "a copy of " + std::to_string(bytes) + " bytes"; };
    check("cudaMemcpyAsync", purpose, [&] {
      return cudaMemcpyAsync(to, from, bytes, kinds[static_cast<int>(kind)], to_cuda(stream));
    });
  }
  void fill(void* memory, int byte, std::size_t bytes, Stream stream) override {
    check("cudaMemsetAsync", "filling device memory",
          [&] { return cudaMemsetAsync(memory, byte, bytes, to_cuda(stream)); });
  }
  void synchronise(Stream stream) override {
    check("cudaStreamSynchronize", "the end of what was enqueued",
          [&] { return cudaStreamSynchronize(to_cuda(stream)); });
  }

  CompareResult compare(const Compared& what, Stream stream) override {
    return compare_buffers(what, stream);
  }

  Event create_event() override {
    cudaEvent_t event = nullptr;
    check("cudaEventCreate", "an event", [&] { return cudaEventCreate(&event); });
    return event;
  }
  void destroy_event(Event event) noexcept override {
    (void)quietly([&] { return cudaEventDestroy(event_of(event)); });
  }
  void record(Event event, Stream stream) override {
    check("cudaEventRecord", "an event",
          [&] { return cudaEventRecord(event_of(event), to_cuda(stream)); });
  }
  double elapsed_us(Event from, Event to) override {
    float milliseconds = 0;
    check("cudaEventSynchronize", "an event", [&] { return cudaEventSynchronize(event_of(to)); });
    check("cudaEventElapsedTime", "a time",
          [&] { return cudaEventElapsedTime(&milliseconds, event_of(from), event_of(to)); });
    return 1e3 * static_cast<double>(milliseconds);
  }

 private:
  std::once_flag absence_asked_, devices_asked_;
  std::mutex attributes_set_;
  Absence absence_;
  std::vector<DeviceFacts> devices_;
};

}  // namespace

Gpu& built_in_gpu() {
  // Never destroyed: a static destructor might run after the runtime's own.
  static auto* const cuda = new CudaGpu;
  return *cuda;
}

}  // namespace tconv::host
