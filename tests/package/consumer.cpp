// SPDX-License-Identifier: Apache-2.0
// consumer.cpp: a C++17 program that uses the installed library: one small transposed convolution
// with a known answer (TensorFlow Lite's test vector "Simple": 4x4 and 3x3 of 1, 2, 3 ..., SAME).
#include <tconv/tconv.h>

#include <cstdio>
#include <memory>
#include <numeric>
#include <string>

namespace {

/// Memory with the alignment that workspace needs.
struct alignas(256) Block {
  unsigned char bytes[256];
};

tconv::TensorFlowArgs simple() {
  tconv::TensorFlowArgs args;
  args.input_shape = {1, 4, 4, 1};
  args.filter_shape = {3, 3, 1, 1};
  return args;
}

void compute(const tconv::Plan& plan, float* output) {
  alignas(64) float input[16], filters[9];
  std::iota(input, input + 16, 1.0F);
  std::iota(filters, filters + 9, 1.0F);
  const auto workspace = std::make_unique<Block[]>(plan.workspace_bytes() / sizeof(Block) + 1);
  tconv::Tensors tensors;
  tensors.input = input;
  tensors.filters = filters;
  tensors.output = output;
  tensors.workspace = workspace.get();
  tensors.workspace_bytes = plan.workspace_bytes();
  plan.run(tensors);
}

bool right(const float* output) {
  double sum = 0, weighted = 0;
  for (int i = 0; i < 16; ++i) {
    sum += output[i];
    weighted += (i + 1) * static_cast<double>(output[i]);
  }
  if (sum == 3860 && weighted == 42500) return true;
  std::fprintf(stderr, "consumer: checksums %g, %g instead of 3860, 42500\n", sum, weighted);
  return false;
}

/// What is wrong must come back as an exception that says so.
bool refuses_a_wrong_size() {
  tconv::TensorFlowArgs args = simple();
  args.output_shape = tconv::Numbers{1, 9, 4, 1};
  try {
    const tconv::Problem problem(args);
  } catch (const tconv::Error& error) {
    return error.code() == tconv::Code::invalid &&
           std::string(error.what()).find("output_shape[1]") != std::string::npos;
  }
  return false;
}

}  // namespace

int main() {
  try {
    const tconv::Problem problem(simple());
    tconv::Options options;
    options.device = tconv::Device::cpu;  // where the arrays are
    const tconv::Plan plan(problem, options);
    alignas(64) float output[16];
    compute(plan, output);
    if (!right(output)) return 1;
    if (!refuses_a_wrong_size()) {
      std::fprintf(stderr, "consumer: a wrong output_shape was not refused as it should be\n");
      return 1;
    }
    std::printf("consumer: tconv %s, row %s: right\n", tconv_version(), plan.kernel().c_str());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "consumer: %s\n", error.what());
    return 1;
  }
  return 0;
}
