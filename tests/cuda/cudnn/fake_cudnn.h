// SPDX-License-Identifier: Apache-2.0
// fake_cudnn.h: a libcudnn.so.9 that computes on the CPU, for tests of the row `cudnn` without a
// GPU. Its engines are made up by the test; what it computes is the definition of the operations.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tconv::test {

struct FakeEngine {
  int64_t index = 0;
  std::vector<std::pair<int, int64_t>> knobs;  ///< type, value
  std::vector<int> numerical_notes, behavior_notes;
  int64_t workspace_bytes = 0;
  bool takes_channels_first_filters = true;  ///< input channels innermost, as in HWOI
  bool fuses = true;                         ///< takes more than one operation
  int64_t skips = -1;                        ///< this element of the convolution is not written
  int64_t wrong_after = -1;                  ///< so many executions: then nothing is written
};

struct FakeCudnn {
  std::vector<FakeEngine> engines;        ///< what every heuristic proposes, in this order
  std::vector<FakeEngine> b_engines;      ///< what heuristic B proposes instead, if not empty
  std::vector<FakeEngine> model_engines;  ///< likewise every heuristic for a GPU described by text
  std::string properties = R"({"fake": "GPU"})";  ///< what it says of a GPU, and reads back
  bool fails_to_start = false, fails_to_execute = false;
  bool is_slow = false;  ///< an execution takes long enough for another to begin
  // What was asked of it.
  std::atomic<int64_t> handles{0}, plans{0}, executions{0};
  std::atomic<int64_t> clashes{0};  ///< a handle, or a plan, used by two threads at once
  std::atomic<void*> last_stream{nullptr};
};

/// The one of this process, in the fake library: found with dlsym.
using FakeCudnnFunction = FakeCudnn* (*)();
inline constexpr const char* kFakeCudnnFunction = "fake_cudnn";

}  // namespace tconv::test
