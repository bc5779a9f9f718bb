// SPDX-License-Identifier: Apache-2.0
#include "bench/probes/probe.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench/probes/sizes.h"

namespace tconv::probes {
namespace {

constexpr double kSeconds = 15;

void print(const nlohmann::ordered_json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

// Why this machine cannot answer; empty if it can.
std::string reason_against(const About& about, cudaDeviceProp& gpu) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    return std::string("no GPU (") + cudaGetErrorString(status) + ")";
  }
  check(cudaGetDeviceProperties(&gpu, 0), "cudaGetDeviceProperties");
  const bool hopper = about.needs == About::Needs::kHopper;
  if (hopper ? gpu.major == 9 && gpu.minor == 0 : gpu.major >= 8) {
    return {};
  }
  return std::string(gpu.name) + " has compute capability " + std::to_string(gpu.major) + "." +
         std::to_string(gpu.minor) + "; this probe needs " +
         (hopper ? "9.0 (its instructions are sm_90a only)" : "8.0 or later");
}

int measure_on_gpu(const About& about, double seconds, void (*measure)(Report&)) {
  cudaDeviceProp gpu{};
  const std::string reason = reason_against(about, gpu);
  if (!reason.empty()) {
    print({{"probe", about.name}, {"not_run", reason}});
    std::fprintf(stderr, "probe_%s: not run: %s\n", about.name, reason.c_str());
    return 3;
  }
  // A kernel that hangs must not cost the day: the alarm ends the process, and the kernel with it.
  alarm(static_cast<unsigned>(seconds) + 20);
  Report report(about, gpu, seconds);
  measure(report);
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  report.finish();
  return report.right() ? 0 : 1;
}

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) {
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
  }
}

Report::Report(const About& about, const cudaDeviceProp& gpu, double seconds)
    : name_(about.name), gpu_(gpu), seconds_(seconds), start_(std::chrono::steady_clock::now()) {
  int driver = 0;
  int runtime = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  print({{"probe", name_},
         {"question", about.question},
         {"gpu", gpu.name},
         {"sm_count", gpu.multiProcessorCount},
         {"l2_bytes", gpu.l2CacheSize},
         {"driver", driver},
         {"runtime", runtime}});
  std::fprintf(stderr, "probe_%s on %s: %s\n", about.name, gpu.name, about.question);
}

void Report::measured(const std::string& what, double value, const char* unit,
                      const char* predicted) {
  print({{"probe", name_},
         {"measured", what},
         {"value", value},
         {"unit", unit},
         {"predicted", predicted}});
  std::fprintf(stderr, "  %s: %.4g %s (predicted: %s)\n", what.c_str(), value, unit, predicted);
}

void Report::observed(const std::string& what, const std::string& value, const char* predicted) {
  print({{"probe", name_}, {"observed", what}, {"value", value}, {"predicted", predicted}});
  std::fprintf(stderr, "  %s: %s (predicted: %s)\n", what.c_str(), value.c_str(), predicted);
}

void Report::not_run(const std::string& what, const std::string& why) {
  print({{"probe", name_}, {"not_run", what}, {"why", why}});
  std::fprintf(stderr, "  %s: not run: %s\n", what.c_str(), why.c_str());
}

void Report::decides(const std::string& topic, const std::string& rule,
                     const std::string& verdict) {
  print({{"probe", name_}, {"decides", topic}, {"rule", rule}, {"verdict", verdict}});
  std::fprintf(stderr, "  => %s: %s\n     rule: %s\n", topic.c_str(), verdict.c_str(),
               rule.c_str());
}

void Report::wrong(const std::string& why) {
  right_ = false;
  print({{"probe", name_}, {"wrong", why}});
  std::fprintf(stderr, "  WRONG: %s\n", why.c_str());
}

void Report::check_time() const {
  const std::chrono::duration<double> gone = std::chrono::steady_clock::now() - start_;
  if (gone.count() > seconds_) {
    throw std::runtime_error("the time (--seconds) is up; what was printed so far stands");
  }
}

void Report::finish() {
  const std::chrono::duration<double> gone = std::chrono::steady_clock::now() - start_;
  print({{"probe", name_}, {"finished", right_ ? "right" : "wrong"}, {"seconds", gone.count()}});
}

int run(int argc, char** argv, const About& about, void (*measure)(Report&)) {
  CLI::App app(
      std::string(about.question) +
          "\nJSON lines on stdout, sentences on stderr. Exit codes: 0 done; 1 an answer is "
          "wrong; 2 usage; 3 no GPU or not this one; 4 CUDA error or time up.",
      std::string("probe_") + about.name);
  double seconds = kSeconds;
  app.add_option("--seconds", seconds, "Time after which the probe gives up")
      ->check(CLI::Range(1.0, 600.0))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return measure_on_gpu(about, seconds, measure);
  } catch (const std::exception& error) {
    print({{"probe", about.name}, {"error", error.what()}});
    std::fprintf(stderr, "probe_%s: %s\n", about.name, error.what());
    return 4;
  }
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double median_us(const Report& report, const std::function<void()>& enqueue, double sample_us) {
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  const auto sample = [&](int times) {
    report.check_time();
    check(cudaEventRecord(begin), "cudaEventRecord");
    for (int i = 0; i < times; ++i) {
      enqueue();
    }
    check(cudaGetLastError(), "launch");
    check(cudaEventRecord(end), "cudaEventRecord");
    check(cudaEventSynchronize(end), "kernel");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, begin, end), "cudaEventElapsedTime");
    return 1000.0 * ms / times;
  };
  sample(1);
  const double once_us = std::max(sample(1), 1.0);
  const int times = std::clamp(static_cast<int>(sample_us / once_us) + 1, 1, 10000);
  std::vector<double> samples;
  for (int i = 0; i < kSamples; ++i) {
    samples.push_back(sample(times));
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return median(samples);
}

}  // namespace tconv::probes
