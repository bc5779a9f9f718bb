// SPDX-License-Identifier: Apache-2.0
// probe.h: what the probes share on the host: options, the GPU, timing, and the two forms of an
// answer: a JSON line on stdout and a sentence on stderr.
//
// A probe answers one question about a GPU that the design of kernels depends on. It predicts, then
// measures, and says what follows. Exit codes: 0 done; 1 an answer is wrong or contradicts itself;
// 2 wrong usage; 3 no GPU, or one that lacks the feature; 4 a CUDA error, or the time ran out.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace tconv::probes {

struct About {
  const char* name;      // probe_NAME
  const char* question;  // one sentence, for --help and the first line
  enum class Needs { kAmpereOrLater, kHopper } needs;
};

/// Throws what ends a probe with exit code 4.
void check(cudaError_t status, const char* what);

class Report {
 public:
  Report(const About& about, const cudaDeviceProp& gpu, double seconds);

  /// One figure. `predicted` is what the design assumes, as text: "5.5 [E]" is an estimate.
  void measured(const std::string& what, double value, const char* unit, const char* predicted);
  /// One observation that is no number.
  void observed(const std::string& what, const std::string& value, const char* predicted);
  /// What was left out, and why.
  void not_run(const std::string& what, const std::string& why);
  /// The rule, "if below X then Y", and what it says here.
  void decides(const std::string& topic, const std::string& rule, const std::string& verdict);
  /// An answer that cannot be right: exit code 1.
  void wrong(const std::string& why);

  /// Throws (exit code 4) when the probe's time is up.
  void check_time() const;
  const cudaDeviceProp& gpu() const { return gpu_; }
  bool right() const { return right_; }
  void finish();

 private:
  std::string name_;
  cudaDeviceProp gpu_;
  double seconds_;
  std::chrono::steady_clock::time_point start_;
  bool right_ = true;
};

/// main of a probe: options, the GPU, `measure`, the exit code.
int run(int argc, char** argv, const About& about, void (*measure)(Report&));

/// Microseconds of one `enqueue` (on the default stream): the median of kSamples samples of at
/// least `sample_us` each, after a warm-up.
double median_us(const Report& report, const std::function<void()>& enqueue,
                 double sample_us = 2000);

double median(std::vector<double> values);

/// Elements on the device, freed at the end. Not initialised.
template <typename T>
class Buffer {
 public:
  explicit Buffer(std::size_t count) : count_(count) {
    void* data = nullptr;
    check(cudaMalloc(&data, count * sizeof(T)), "cudaMalloc");
    data_ = static_cast<T*>(data);
  }
  Buffer(std::size_t count, int byte) : Buffer(count) {
    check(cudaMemset(data_, byte, count * sizeof(T)), "cudaMemset");
  }
  explicit Buffer(const std::vector<T>& values) : Buffer(values.size()) {
    check(cudaMemcpy(data_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
          "cudaMemcpy to the device");
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { cudaFree(data_); }

  T* get() const { return data_; }
  std::size_t count() const { return count_; }
  std::vector<T> read() const {
    std::vector<T> values(count_);
    check(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost),
          "cudaMemcpy from the device");
    return values;
  }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

}  // namespace tconv::probes
