// SPDX-License-Identifier: Apache-2.0
// consumer_no_exceptions.cpp: the same as consumer.cpp for programs built with -fno-exceptions:
// every call returns a Status.
#include <tconv/tconv.h>

#include <cstdio>
#include <numeric>

#ifndef TCONV_NO_EXCEPTIONS
#error "without exceptions tconv.h chooses TCONV_NO_EXCEPTIONS by itself"
#endif

namespace {

int fail(const tconv::Status& status) {
  std::fprintf(stderr, "consumer: %s\n", status.message().c_str());
  return 1;
}

}  // namespace

int main() {
  tconv::TensorFlowArgs args;
  args.input_shape = {1, 4, 4, 1};
  args.filter_shape = {3, 3, 1, 1};
  tconv::Problem problem;
  tconv::Status status = tconv::Problem::create(args, problem);
  if (!status.ok()) return fail(status);

  tconv::Options options;
  options.kernels = "reference";  // needs no workspace
  tconv::Plan plan;
  status = tconv::Plan::create(problem, options, plan);
  if (!status.ok()) return fail(status);

  alignas(64) float input[16], filters[9], output[16];
  std::iota(input, input + 16, 1.0F);
  std::iota(filters, filters + 9, 1.0F);
  tconv::Tensors tensors;
  tensors.input = input;
  tensors.filters = filters;
  status = plan.run(tensors);
  if (status.code() != tconv::Code::invalid || status.message().empty()) {
    std::fprintf(stderr, "consumer: a null output was not refused as it should be\n");
    return 1;
  }
  tensors.output = output;
  status = plan.run(tensors);
  if (!status.ok()) return fail(status);

  double weighted = 0;
  for (int i = 0; i < 16; ++i) weighted += (i + 1) * static_cast<double>(output[i]);
  if (weighted != 42500) {
    std::fprintf(stderr, "consumer: checksum %g instead of 42500\n", weighted);
    return 1;
  }
  std::printf("consumer: tconv %s without exceptions: right\n", tconv_version());
  return 0;
}
