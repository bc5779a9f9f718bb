// SPDX-License-Identifier: Apache-2.0
// gpu.h: the seam to a GPU: memory, streams, events, launches and facts behind one small interface.
// Implementations: CUDA (gpu_cuda.cpp), none (gpu_none.cpp, a build without CUDA), a fake (tests),
// the emulator (tests/emulator).
// Kernel families launch through it and call no runtime function besides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "src/host/device/compare.h"
#include "src/host/device/device.h"

namespace tconv::host {

class Problem;

/// A cudaStream_t and a cudaEvent_t, opaque above the implementations.
using Stream = void*;
using Event = void*;

/// One launch. Grid and block in blocks and threads; `arguments` as cudaLaunchKernel takes them.
struct Launch {
  const void* kernel = nullptr;
  unsigned grid[3] = {1, 1, 1};
  unsigned block[3] = {1, 1, 1};
  std::size_t shared_bytes = 0;
  void** arguments = nullptr;
  Stream stream = nullptr;
  const char* name = "";  ///< of the family, for error messages
};

/// The dynamic shared memory that every kernel may have.
inline constexpr std::size_t kUnaskedSharedBytes = 48 << 10;

/// What the system takes of an SM's shared memory for each block that it holds.
inline constexpr int64_t kReservedSharedBytes = 1024;

/// A kernel that does not care how an SM's fast memory is split into L1 and shared memory.
inline constexpr int kAnyCarveout = -1;
/// The percentage of the most shared memory that an SM of `device` can have which holds
/// `blocks_per_core` blocks of `shared_bytes` each, at most 100; kAnyCarveout for fewer than two
/// blocks: the driver gives one block what it needs, and more only where it is asked for.
int preferred_carveout(const DeviceFacts& device, std::size_t shared_bytes, int blocks_per_core);

enum class Copy { to_device, to_host, on_device };

/// Every function but absence() throws DeviceError with what failed, the runtime's words, and what
/// to do about it. None clears an error that the caller's own code left behind; an error of ours is
/// thrown and not left behind.
class Gpu {
 public:
  virtual ~Gpu() = default;
  Gpu() = default;
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  /// Why no GPU can be used here, as a sentence (no driver, a driver that is too old, no device, a
  /// build without CUDA); empty if one can. The first call starts CUDA, no earlier call does.
  virtual std::string absence() = 0;
  /// Whether a GPU seems to be here although absence() is not empty: its driver is missing, too old
  /// or fails, and its owner wants to know.
  virtual bool seems_here() { return false; }
  /// One per device, by ordinal. Only if absence() is empty.
  virtual std::vector<DeviceFacts> devices() = 0;
  virtual int current_device() = 0;
  /// A pending error that is not ours, in words; empty if there is none. Not cleared.
  virtual std::string pending_error() = 0;

  /// Makes the kernel's code resident on the current device, so that a first launch can be
  /// captured, and allows its launches `shared_bytes` of dynamic shared memory (up to
  /// kUnaskedSharedBytes need no asking). `carveout`: see preferred_carveout. A kernel keeps the
  /// most that any plan asked for: plans of one family share it.
  virtual void load(const void* kernel, std::size_t shared_bytes, int carveout) = 0;
  virtual void launch(const Launch& launch) = 0;
  /// The launches from now on are a run of `problem`: for those who watch (the emulator counts its
  /// useful multiply-adds).
  virtual void begin_run(const Problem& /*problem*/) {}
  virtual bool is_capturing(Stream stream) = 0;

  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  /// Asynchronous on `stream`.
  virtual void copy(void* to, const void* from, std::size_t bytes, Copy kind, Stream stream) = 0;
  virtual void fill(void* memory, int byte, std::size_t bytes, Stream stream) = 0;
  virtual void synchronise(Stream stream) = 0;

  /// compare_on_host of tensors in device memory, after what is enqueued on `stream`; waits. This
  /// one copies them to the host: for implementations that cannot do better.
  virtual CompareResult compare(const Compared& what, Stream stream);

  virtual Event create_event() = 0;
  virtual void destroy_event(Event event) noexcept = 0;
  virtual void record(Event event, Stream stream) = 0;
  /// Between two recorded events; waits for the second.
  virtual double elapsed_us(Event from, Event to) = 0;
};

/// The process's GPU. Never starts CUDA by itself.
Gpu& gpu();
/// The one that this build has: gpu_cuda.cpp or gpu_none.cpp.
Gpu& built_in_gpu();
/// For tests: everything after this call uses `gpu` (not owned); null restores the built-in one.
void replace_gpu(Gpu* gpu);

}  // namespace tconv::host
