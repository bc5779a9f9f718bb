// SPDX-License-Identifier: Apache-2.0
// command_explain.cpp: tconv explain, shape, kernels and devices: what the library says.
#include <cstdio>

#include "src/cli/commands.h"
#include "src/cli/convention_options.h"
#include "src/cli/counters_table.h"
#include "src/cli/operands.h"
#include "src/cli/record.h"
#include "src/cli/runner.h"
#include "src/cli/suite.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

std::string explain_plan(const tconv_plan* plan, bool json) {
  return text_of([&](char** text) { return tconv_plan_explain(plan, text_format(json), text); });
}

std::string counters_of(const tconv_plan* plan, bool json) {
  return text_of([&](char** text) { return tconv_plan_counters(plan, text_format(json), text); });
}

std::string suite_heading() {
  return named_line("problem", row_cell("row", "tile") +
                                   format(" %10s %9s %9s", "workspace", "estimate", "roofline"));
}

std::string suite_line(const std::string& name, const Record& plan) {
  const double us = plan.number("estimate_us");
  return named_line(
      name,
      row_cell(plan.text("kernel"), plan.text("tile")) +
          format(" %10s %9s %7.0f %%", bytes_text(plan.number("workspace_bytes")).c_str(),
                 time_text(us).c_str(), us > 0 ? 100 * plan.number("roofline_us") / us : 0.0));
}

int explain_suite(const ExplainArgs& args, const tconv_options& options) {
  std::vector<Record> rows;
  CountersTable table;
  int64_t impossible = 0;
  const auto print = [&](const std::string& text) {
    if (!args.json) std::fputs(text.c_str(), stdout);
  };
  print(args.counters ? CountersTable::heading() : suite_heading());
  for (const SuiteRow& row : load_suite(args.suite, args.problem)) {
    const Request request = row.request();
    try {
      const Plan plan = make_plan(request.problem.get(), options);
      Record record = Record::parse(explain_plan(plan.get(), true)).value();
      if (args.counters) {
        const std::string counters = counters_of(plan.get(), true);
        print(table.add(row.name, Record::parse(counters).value()));
        record.set_json("counters", counters);
      } else {
        print(suite_line(row.name, record));
      }
      rows.push_back(std::move(record));
    } catch (const Failure& failure) {
      if (failure.exit_code() != TCONV_UNSUPPORTED) throw;
      ++impossible;
      print(named_line(row.name, "not possible") + paragraph(one_line(failure.what())));
      rows.emplace_back();
      rows.back().set("key", request.key()).set("name", row.name).set("reason", failure.what());
    }
  }
  if (args.counters) print(table.means());
  if (args.json) std::puts(Record().set("rows", rows).line().c_str());
  return impossible == static_cast<int64_t>(rows.size()) ? TCONV_UNSUPPORTED : TCONV_OK;
}

/// The taps of one output, with values if there are files or --data.
std::string explain_at(const ExplainArgs& args, Request& request, const tconv_plan* plan) {
  const std::vector<int64_t> at = parse_integers("--at", *args.at);
  if (at.size() != 4) {
    refuse("--at", "'" + *args.at + "'", "four numbers: image, output row, column, channel");
  }
  const std::optional<Generator> generator = parse_generator(args.data);
  const bool values = generator || (request.input && request.filters);
  Operands operands;
  if (values) {
    require_memory(operand_bytes(request));
    operands = load_operands(request, generator);
  }
  return text_of([&](char** text) {
    return tconv_plan_explain_at(plan, operands.input.data(), operands.filters.data(), at[0], at[1],
                                 at[2], at[3], text_format(args.json), text);
  });
}

void print_sizes(const tconv_output_sizes& sizes, bool height) {
  std::puts("legal output sizes");
  for (int i = height ? 0 : 1; i < 2; ++i) {
    const auto low = static_cast<long long>(sizes.low[i]);
    const auto high = static_cast<long long>(sizes.high[i]);
    std::printf("  %-7s %s\n", i == 0 ? "height" : "width",
                (low == high ? format("%lld", low) : format("%lld to %lld", low, high)).c_str());
  }
  std::puts("");
}

Record sizes_record(const tconv_output_sizes& sizes, bool height) {
  Record record;
  if (height) record.set("height", std::vector<int64_t>{sizes.low[0], sizes.high[0]});
  record.set("width", std::vector<int64_t>{sizes.low[1], sizes.high[1]});
  return record;
}

std::string describe(const Request& request, bool json) {
  return text_of([&](char** text) {
    return tconv_problem_describe(request.problem.get(), text_format(json), text);
  });
}

int print_list(tconv_status (*list)(tconv_text_format, char**), const ListArgs& args) {
  std::string text = text_of([&](char** out) { return list(text_format(args.json), out); });
  if (!text.ends_with('\n')) text += '\n';
  std::fputs(text.c_str(), stdout);
  return TCONV_OK;
}

}  // namespace

int explain_command(const ExplainArgs& args) {
  const tconv_options options = plan_options(args.choice);
  if (args.suite.suite) {
    if (args.at) refuse("--at cannot be given with --suite");
    return explain_suite(args, options);
  }
  Request request = std::move(make_requests(args.suite, args.problem).front());
  const Plan plan = make_plan(request.problem.get(), options);
  const std::string text = explain_plan(plan.get(), args.json);
  const std::string counters = args.counters ? counters_of(plan.get(), args.json) : "";
  const std::string at = args.at ? explain_at(args, request, plan.get()) : "";
  if (args.json) {
    Record record = Record::parse(text).value();
    if (args.counters) record.set_json("counters", counters);
    if (args.at) record.set_json("at", at);
    std::puts(record.line().c_str());
  } else {
    std::printf("%s%s%s%s%s", text.c_str(), args.counters ? "\n" : "", counters.c_str(),
                args.at ? "\n" : "", at.c_str());
  }
  return TCONV_OK;
}

int shape_command(const ShapeArgs& args) {
  Record record;
  if (!args.problem.problem) {
    // The sizes come first: they are the answer where the rest is refused for want of a legal one.
    const auto shape = [](const char* option, const Typed& text, const char* file_option,
                          const Typed& path) {
      std::optional<NpyReader> file;
      if (path) file.emplace(file_option, *path);
      return stated_shape(option, text, file_option, file);
    };
    const std::vector<int64_t> input =
        shape("--input-shape", args.problem.input_shape, "--input", args.problem.input);
    const std::vector<int64_t> filters =
        shape("--filter-shape", args.problem.filter_shape, "--filters", args.problem.filters);
    const ConventionOptions convention(args.problem, input, filters);
    const tconv_output_sizes sizes = convention.output_sizes();
    const bool height = convention.file_dimensions().height;
    if (args.json) {
      record.set_json("legal_output_sizes", sizes_record(sizes, height).line());
    } else {
      print_sizes(sizes, height);
    }
  }
  try {
    const std::string text = describe(make_request(args.problem), args.json);
    if (args.json) {
      record.set_json("problem", text);
    } else {
      std::printf("%s", text.c_str());
    }
  } catch (const Failure& failure) {
    record.set_failure(failure.what(), failure.exit_code());
    throw Failure(failure.exit_code(), failure.what(), record.line());
  }
  if (args.json) std::puts(record.line().c_str());
  return TCONV_OK;
}

int kernels_command(const ListArgs& args) { return print_list(tconv_kernels, args); }
int devices_command(const ListArgs& args) { return print_list(tconv_devices, args); }

}  // namespace tconv::cli
