// SPDX-License-Identifier: Apache-2.0
// command_run.cpp: tconv run: files in, one plan, a file out.
#include <tconv/printable.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "src/cli/commands.h"
#include "src/cli/output_file.h"
#include "src/cli/runner.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

/// TCONV_VERIFY makes the library verify each run; then the report says so too.
bool verification_wanted(const RunArgs& args) {
  const char* environment = std::getenv("TCONV_VERIFY");
  const std::string value = environment == nullptr ? "" : environment;
  return args.verify || (!value.empty() && value != "0");
}

struct Result {
  std::vector<double> times;
  std::optional<Verification> verification;
};

Record report(const RunArgs& args, const Request& request, const Runner& runner,
              const Result& result) {
  Record record;
  record.set("key", request.key());
  runner.describe(record);
  const bool written = !result.verification || result.verification->right();
  record.set("output", written ? *args.output : "")
      .set("output_shape", request.output_grid().shape)
      .set("output_dtype", dtype_name(request.desc.output_dtype));
  if (result.verification) {
    result.verification->describe(record);
  } else {
    record.set("verified", false);
  }
  record.set("repeat", result.times.size()).set("times_us", result.times);
  record.set("median_us", median(result.times));
  return record;
}

void print(const RunArgs& args, const Request& request, const Runner& runner,
           const Result& result) {
  const double us = median(result.times);
  const double macs = request.info.useful_macs;
  std::printf("problem    %s\n", request.key());
  std::printf("device     %s\n", runner.device());
  std::printf("row        %s, tile %s\n", runner.kernel(), runner.tile());
  std::printf("workspace  %s\n", bytes_text(static_cast<double>(runner.workspace_bytes())).c_str());
  std::printf("time       %s, median of %zu, %.3g GFLOP/s\n", time_text(us).c_str(),
              result.times.size(), 2e-3 * macs / us);
  if (result.verification) std::printf("%s\n", result.verification->sentence().c_str());
  std::printf("output     %s, %s of %s\n", printable(*args.output).c_str(),
              join(request.output_grid().shape).c_str(), dtype_name(request.desc.output_dtype));
}

}  // namespace

int run_command(const RunArgs& args) {
  const int64_t repeat = args.repeat ? parse_integer("--repeat", *args.repeat, 1, 1000000) : 1;
  if (!args.output) refuse("--output FILE is missing");
  if (!args.problem.input) refuse("--input FILE is missing");
  if (!args.problem.filters) refuse("--filters FILE is missing");
  Request request = make_request(args.problem);
  const tconv_options options = plan_options(args.choice);
  Runner runner(request, options);
  OutputFile file(*args.output);  // an output that cannot be written is known before the work
  Operands operands = load_operands(request, std::nullopt);
  runner.bind(operands);

  Result result;
  {
    Progress progress("running", args.json);
    result.times = runner.timed_runs(repeat, progress);
  }
  if (verification_wanted(args)) {
    Progress progress("verifying", args.json);
    result.verification = verify_output(request, operands, verify_options(options, progress));
  }
  if (result.verification && !result.verification->right()) {
    const std::string& message = result.verification->mismatch;
    Record record = report(args, request, runner, result);
    throw Failure(TCONV_MISMATCH, message, record.set_failure(message, TCONV_MISMATCH).line());
  }
  write_npy(file, request.desc.output_dtype, operands.output.data(), request.output_grid());
  file.commit();
  if (args.json) {
    std::puts(report(args, request, runner, result).line().c_str());
  } else {
    print(args, request, runner, result);
  }
  return TCONV_OK;
}

}  // namespace tconv::cli
