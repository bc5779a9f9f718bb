// SPDX-License-Identifier: Apache-2.0
// command_verify.cpp: tconv verify: a plan's result, or somebody else's, against the reference; or
// a plan against another row.
#include <tconv/printable.h>

#include <cstdio>
#include <filesystem>

#include "src/cli/commands.h"
#include "src/cli/output_file.h"
#include "src/cli/record.h"
#include "src/cli/runner.h"
#include "src/cli/shape_diagnosis.h"
#include "src/cli/suite.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

tconv_verify_options scoped_options(const VerifyArgs& args, Progress& progress) {
  tconv_verify_options options = verify_options(plan_options(args.choice), progress);
  if (args.scope) {
    options.scope = parse_choice("--scope", *args.scope, {"auto", "whole", "sample"});
  }
  return options;
}

/// Without files and --data there is nothing to run on: then random data.
std::optional<Generator> generator_of(const VerifyArgs& args) {
  const std::optional<Generator> typed = parse_generator(args.data);
  if (typed || args.problem.input || args.problem.filters) return typed;
  return Generator{};
}

/// The file of --got. With --diagnose the refusal of another shape says what explains it.
NpyReader open_got(const VerifyArgs& args, const Request& request) {
  NpyReader file("--got", *args.got);
  require_dtype(file, args.problem);
  const std::vector<int64_t>& got = file.header().shape;
  try {
    check_output_shape(file, request);
  } catch (const Failure& failure) {
    if (!args.diagnose) throw;
    const std::vector<ShapeMistake> mistakes =
        shape_mistakes(request, args.problem.convention.value_or("tensorflow"), got);
    Record record;
    record.set("key", request.key()).set("file", *args.got);
    record.set("shape", got).set_json("diagnosis", describe(mistakes, true));
    record.set_failure(failure.what(), failure.exit_code());
    throw Failure(failure.exit_code(),
                  failure.what() + std::string("\n") + describe(mistakes, false), record.line());
  }
  return file;
}

/// What the reference computes, by the row of that name.
Buffer expected_output(const Request& request, Operands& operands, const tconv_options& choice) {
  auto options = sized<tconv_options>();
  options.device = TCONV_DEVICE_CPU;
  options.kernels = "reference";
  options.threads = choice.threads;
  Runner reference(request, options);
  Buffer expected(operands.output.size(), "expected output");
  std::swap(expected, operands.output);
  reference.bind(operands);
  reference.run();
  std::swap(expected, operands.output);
  return expected;
}

void dump(const std::string& folder, const Request& request, Operands& operands,
          const tconv_options& choice) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw Failure(TCONV_DEVICE_ERROR, "cannot make the folder " + folder + ": " + error.message());
  const auto write = [&](const char* name, tconv_dtype dtype, const Buffer& data,
                         const Grid& grid) {
    OutputFile file(folder + "/" + name + ".npy");
    write_npy(file, dtype, data.data(), grid);
    file.commit();
  };
  const tconv_problem_desc& desc = request.desc;
  write("input", desc.dtype, operands.input, request.input_grid());
  write("filters", desc.dtype, operands.filters, request.filter_grid());
  if (desc.has_bias != 0) write("bias", desc.bias_dtype, operands.bias, request.channel_grid());
  if (desc.activation == TCONV_PRELU) {
    write("slopes", desc.dtype == TCONV_F64 ? TCONV_F64 : TCONV_F32, operands.slopes,
          request.channel_grid());
  }
  if (desc.has_residual != 0) {
    write("residual", desc.output_dtype, operands.residual, request.residual_grid());
  }
  write("got", desc.output_dtype, operands.output, request.output_grid());
  write("expected", desc.output_dtype, expected_output(request, operands, choice),
        request.output_grid());
}

std::string diagnose(const Request& request, Operands& operands,
                     const tconv_verify_options& options, bool json) {
  const tconv_tensors tensors = operands.tensors();
  return text_of([&](char** text) {
    return tconv_diagnose(request.problem.get(), &tensors, &options, text_format(json), text);
  });
}

void print_subject(const char* subject, const Request& request) {
  std::printf("problem    %s\n", request.key());
  std::printf("result     %s\n", printable(subject).c_str());
}

void print_result(const char* subject, const Request& request, const Verification& result,
                  const std::string& diagnosis) {
  print_subject(subject, request);
  std::printf("%s%s\n", result.right() ? "" : "MISMATCH: ", result.sentence().c_str());
  if (!diagnosis.empty()) std::printf("%s\n", diagnosis.c_str());
}

std::string subject_of(const Runner& runner) {
  return format("%s, row %s, tile %s", runner.device(), runner.kernel(), runner.tile());
}

/// The plan of --against, on the runner's device; null: the runner's own.
Plan other_plan(const VerifyArgs& args, const Request& request, const Runner& runner) {
  if (*args.against == "itself") return nullptr;
  tconv_options options = plan_options(args.choice);
  options.device = tconv_plan_device(runner.plan());
  options.kernels = args.against->c_str();
  options.tile = nullptr;
  try {
    return make_plan(request.problem.get(), options);
  } catch (const Failure& failure) {
    throw Failure(failure.exit_code(), "--against " + *args.against + ": " + failure.what());
  }
}

int compare_one(const VerifyArgs& args, Request request) {
  const Runner runner(request, plan_options(args.choice));
  const Plan other = other_plan(args, request, runner);
  Operands operands = load_operands(request, generator_of(args));
  const Comparison result = runner.compare(other.get(), operands);
  if (args.json) {
    Record record;
    record.set("key", request.key());
    runner.describe(record);
    record.set("against", *args.against);
    result.describe(record);
    std::puts(record.line().c_str());
  } else {
    print_subject((subject_of(runner) + ", against " + *args.against).c_str(), request);
    std::printf("%s%s\n", result.right() ? "" : "MISMATCH: ", result.sentence().c_str());
  }
  return result.right() ? TCONV_OK : TCONV_MISMATCH;
}

int verify_one(const VerifyArgs& args, Request request) {
  const tconv_options choice = plan_options(args.choice);
  const std::optional<Generator> generator = generator_of(args);
  std::optional<Runner> runner;
  std::optional<NpyReader> got;
  if (!args.got) {
    runner.emplace(request, choice);
  } else {
    got.emplace(open_got(args, request));
    require_memory(operand_bytes(request));
  }
  Operands operands = load_operands(request, generator);
  Record record;
  record.set("key", request.key());
  std::string subject;
  if (args.got) {
    got->read_to(request.output_grid(), request.desc.output_dtype, operands.output.data());
    record.set("file", *args.got);
    subject = *args.got;
  } else {
    runner->describe(record);
    runner->bind(operands);
    Progress progress("running", args.json);
    runner->timed_runs(1, progress);
    subject = subject_of(*runner);
  }
  Progress progress("verifying", args.json);
  const tconv_verify_options options = scoped_options(args, progress);
  const Verification result = verify_output(request, operands, options);
  std::string diagnosis;
  if (args.diagnose) {
    progress.set_label("diagnosing");
    diagnosis = diagnose(request, operands, options, args.json);
  }
  progress.clear();
  if (args.dump) dump(*args.dump, request, operands, choice);
  if (args.json) {
    result.describe(record);
    if (args.diagnose) record.set_json("diagnosis", diagnosis);
    std::puts(record.line().c_str());
  } else {
    print_result(subject.c_str(), request, result, diagnosis);
  }
  return result.right() ? TCONV_OK : TCONV_MISMATCH;
}

/// The progress of one row within the whole suite.
struct SuiteProgress {
  Progress progress;
  double done = 0, weight = 0, total = 0;

  static void callback(double share, void* self) {
    auto* suite = static_cast<SuiteProgress*>(self);
    suite->progress.update((suite->done + share * suite->weight) / suite->total);
  }
};

struct SuiteCounts {
  int64_t verified = 0, mismatched = 0, not_run = 0;
};

/// What is to be printed of a row: a cell, and whatever needs lines of its own.
struct RowText {
  std::string cell, below;

  static RowText mismatch(const std::string& sentence) {
    return {"MISMATCH", paragraph(one_line(sentence))};
  }
};

/// Verifies, or compares with --against.
RowText check_row(const VerifyArgs& args, Request& request, Runner& runner, SuiteProgress& progress,
                  SuiteCounts& counts, Record& record) {
  if (args.against) {
    const Plan other = other_plan(args, request, runner);
    Operands operands = load_operands(request, generator_of(args));
    const Comparison result = runner.compare(other.get(), operands);
    record.set("against", *args.against);
    result.describe(record);
    ++(result.right() ? counts.verified : counts.mismatched);
    return result.right() ? RowText{result.brief(), ""} : RowText::mismatch(result.sentence());
  }
  Operands operands = load_operands(request, generator_of(args));
  runner.bind(operands);
  runner.run();
  tconv_verify_options options = scoped_options(args, progress.progress);
  options.progress = SuiteProgress::callback;
  options.progress_user = &progress;
  const Verification result = verify_output(request, operands, options);
  result.describe(record);
  ++(result.right() ? counts.verified : counts.mismatched);
  if (result.right()) return {result.brief(), ""};
  RowText text = RowText::mismatch(result.sentence());
  if (!args.diagnose) return text;
  record.set_json("diagnosis", diagnose(request, operands, options, true));
  text.below += diagnose(request, operands, options, false) + "\n";
  return text;
}

/// One line of the table; what cannot run here says why.
Record verify_row(const VerifyArgs& args, const SuiteRow& row, SuiteProgress& progress,
                  SuiteCounts& counts) {
  Request request = row.request();
  Record record;
  record.set("name", row.name).set("key", request.key());
  std::string cells;
  RowText text;
  try {
    Runner runner(request, plan_options(args.choice));
    runner.describe(record);
    cells = row_cell(runner.kernel(), runner.tile()) + " ";
    text = check_row(args, request, runner, progress, counts, record);
  } catch (const Failure& failure) {
    if (failure.exit_code() != TCONV_UNSUPPORTED && failure.exit_code() != TCONV_DEVICE_ERROR) {
      throw;
    }
    ++counts.not_run;
    text = {"not run", paragraph(one_line(failure.what()))};
    record.set("not_run", failure.what());
  }
  progress.progress.clear();
  if (!args.json) {
    std::fputs((named_line(row.name, cells + text.cell) + text.below).c_str(), stdout);
    std::fflush(stdout);
  }
  return record;
}

int verify_suite(const VerifyArgs& args) {
  if (args.got) refuse("--got cannot be given with --suite");
  if (args.dump) refuse("--dump cannot be given with --suite");
  const std::vector<SuiteRow> suite = load_suite(args.suite, args.problem);
  SuiteProgress progress{Progress("verifying the suite", args.json)};
  for (const SuiteRow& row : suite) progress.total += row.request().info.useful_macs;
  SuiteCounts counts;
  std::vector<Record> rows;
  if (!args.json) {
    const char* what = args.against ? "elements that agree" : "verified elements";
    std::fputs(named_line("problem", row_cell("row", "tile") + " " + what).c_str(), stdout);
  }
  for (const SuiteRow& row : suite) {
    progress.weight = row.request().info.useful_macs;
    rows.push_back(verify_row(args, row, progress, counts));
    progress.done += progress.weight;
  }
  if (args.json) {
    Record record;
    record.set("verified", counts.verified)
        .set("mismatched", counts.mismatched)
        .set("not_run", counts.not_run)
        .set("rows", rows);
    std::puts(record.line().c_str());
  } else {
    std::printf("%lld verified, %lld wrong, %lld not run\n",
                static_cast<long long>(counts.verified), static_cast<long long>(counts.mismatched),
                static_cast<long long>(counts.not_run));
  }
  if (counts.mismatched > 0) return TCONV_MISMATCH;
  return counts.verified > 0 ? TCONV_OK : TCONV_UNSUPPORTED;
}

}  // namespace

int verify_command(const VerifyArgs& args) {
  if (args.against) {
    if (args.got) refuse("--got cannot be given with --against");
    if (args.dump) refuse("--dump cannot be given with --against");
    if (args.diagnose) refuse("--diagnose cannot be given with --against");
    if (args.scope) refuse("--scope cannot be given with --against: all elements are compared");
  }
  if (args.suite.suite) return verify_suite(args);
  Request request = std::move(make_requests(args.suite, args.problem).front());
  return args.against ? compare_one(args, std::move(request))
                      : verify_one(args, std::move(request));
}

}  // namespace tconv::cli
