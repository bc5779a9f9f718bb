// SPDX-License-Identifier: Apache-2.0
// command_bench.cpp: tconv bench: rows of the table against each other, each verified first.
//
// Rounds of (row, row, ...) in turn, so that a machine that slows down slows all of them; one
// sample is as many runs as fill 200 us; reported are the median and the spread of the samples.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <thread>

#include "src/cli/bench_results.h"
#include "src/cli/commands.h"
#include "src/cli/runner.h"
#include "src/cli/suite.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

constexpr double kSampleUs = 200;  // the clock's and the scheduler's grain do not show in less
constexpr int64_t kLeastRounds = 3;

struct Settings {
  int64_t rounds = 9;
  double budget_us = 20e6;           // of one row of one problem
  std::vector<std::string> kernels;  // "" is the planner's choice
  tconv_options options{};
  int64_t threads = 0;
};

/// One row on one problem.
struct Contender {
  std::string kernel;
  std::optional<Runner> runner;
  Record record;
  std::vector<double> samples;  ///< us of one run
  int64_t iterations = 1;       ///< runs of one sample
  int64_t rounds = 0;           ///< 0: not to be timed
};

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&seconds));
  return text;
}

/// What --device means here.
std::string device_name(const ChoiceArgs& args) {
  if (args.device_model) return "cuda";
  if (args.device && *args.device != "auto") return *args.device;
  const std::string json = text_of([](char** text) { return tconv_devices(TCONV_JSON, text); });
  say_once_why_no_gpu(json);
  return Record::parse(json).value().text("cuda").empty() ? "cuda" : "cpu";
}

/// --kernel a,b or all: every row of the device in question.
std::vector<std::string> kernel_names(const ChoiceArgs& args) {
  if (!args.kernel) return {""};
  if (*args.kernel != "all") return split(*args.kernel, ',');
  const std::string device = device_name(args);
  const std::string json = text_of([](char** text) { return tconv_kernels(TCONV_JSON, text); });
  std::vector<std::string> names;
  for (const Record& kernel : Record::parse_array(json)) {
    if (kernel.text("device") == device) names.push_back(kernel.text("name"));
  }
  return names;
}

Settings make_settings(const BenchArgs& args) {
  Settings settings;
  if (args.rounds) settings.rounds = parse_integer("--rounds", *args.rounds, kLeastRounds, 100000);
  if (args.seconds) {
    const double seconds = parse_real("--seconds", *args.seconds);
    if (seconds <= 0) refuse("--seconds", *args.seconds, "more than 0");
    settings.budget_us = seconds * 1e6;
  }
  settings.options = plan_options(args.choice);
  settings.kernels = kernel_names(args.choice);
  settings.threads =
      settings.options.threads > 0 ? settings.options.threads : std::thread::hardware_concurrency();
  return settings;
}

/// Fields that every result has, timed or not.
Record common_record(const Settings& settings, const Request& request, const std::string& kernel) {
  Record record;
  record.set("name", request.name())
      .set("key", request.key())
      .set("kernel", kernel)
      .set("threads", settings.threads)
      .set("filters", settings.options.prepacked_filters != 0 ? "prepacked" : "plain")
      .set("version", tconv_version())
      .set("date", now());
  return record;
}

void set_not_run(Contender& contender, const std::string& why) {
  contender.rounds = 0;
  contender.record.set("status", "not run").set("reason", why);
}

/// Makes the plan; a row that declines, or that the model says is far too slow, is a result too.
Contender make_contender(const Settings& settings, const Request& request,
                         const std::string& kernel) {
  Contender contender;
  contender.kernel = kernel;
  contender.record = common_record(settings, request, kernel);
  tconv_options options = settings.options;
  options.kernels = kernel.empty() ? nullptr : kernel.c_str();
  try {
    contender.runner.emplace(request, options);
  } catch (const Failure& failure) {
    if (failure.exit_code() == TCONV_UNSUPPORTED || failure.exit_code() == TCONV_DEVICE_ERROR) {
      set_not_run(contender, failure.what());
      return contender;
    }
    throw;
  }
  const std::string explained = text_of(
      [&](char** text) { return tconv_plan_explain(contender.runner->plan(), TCONV_JSON, text); });
  const Record facts = Record::parse(explained).value();
  contender.record.set("machine", facts.text("device"))
      .set("useful_macs", request.info.useful_macs)
      .set("least_bytes", request.info.least_bytes)
      .set("roofline_us", facts.number("roofline_us"));
  contender.runner->describe(contender.record);
  contender.rounds = settings.rounds;
  const double estimate = contender.runner->estimate_us() * static_cast<double>(kLeastRounds);
  if (estimate > settings.budget_us) {
    set_not_run(contender, format("%lld runs are estimated at %s, --seconds allows %s",
                                  static_cast<long long>(kLeastRounds), time_text(estimate).c_str(),
                                  time_text(settings.budget_us).c_str()));
  }
  return contender;
}

/// Verifies, then finds out how many runs make a sample and how many samples the budget allows.
void prepare(const Settings& settings, const Request& request, Operands& operands,
             Contender& contender) {
  Runner& runner = *contender.runner;
  runner.bind(operands);
  operands.output.poison();
  Progress silent("", true);
  runner.timed_runs(1, silent);
  const Verification verification =
      verify_output(request, operands, verify_options(settings.options, silent));
  verification.describe(contender.record);
  if (!verification.right()) {
    contender.rounds = 0;
    contender.record.set("status", "mismatch").set("reason", verification.mismatch);
    return;
  }
  double us = runner.timed_runs(1, silent).front();
  // Where threads have yet to wake up, one quick run can seem a thousand times as long as it is,
  // and samples would become too short.
  constexpr double kQuickUs = 20000;
  if (us < kQuickUs) us = std::ranges::min(runner.timed_runs(5, silent));
  us = std::max(0.01, us);
  contender.iterations = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(kSampleUs / us)));
  const double sample_us = us * static_cast<double>(contender.iterations);
  const auto affordable = static_cast<int64_t>(settings.budget_us / sample_us);
  if (affordable < kLeastRounds) {
    set_not_run(contender, format("one run takes %s, --seconds allows %s for %lld",
                                  time_text(us).c_str(), time_text(settings.budget_us).c_str(),
                                  static_cast<long long>(kLeastRounds)));
    return;
  }
  contender.rounds = std::min(settings.rounds, affordable);
}

void finish(const Request& request, Contender& contender) {
  std::vector<double>& samples = contender.samples;
  std::sort(samples.begin(), samples.end());
  const double us = median(samples);
  const auto quartile = [&](double share) {
    return samples[static_cast<std::size_t>(share * static_cast<double>(samples.size() - 1))];
  };
  contender.record.set("status", "timed")
      .set("median_us", us)
      .set("least_us", samples.front())
      .set("spread", (quartile(0.75) - quartile(0.25)) / us)
      .set("rounds", samples.size())
      .set("iterations", contender.iterations)
      .set("gflops", 2e-3 * request.info.useful_macs / us)
      .set("roofline_share", contender.record.number("roofline_us") / us);
}

/// The table on stdout, or the records of --json.
class Report {
 public:
  Report(const BenchArgs& args, bool json) : json_(json) {
    if (args.against) against_ = Results("--against", *args.against), compared_ = true;
    if (json_) return;
    print("problem",
          row_cell("row", "tile") + format(" %8s %8s %6s %7s%s", "median", "GFLOP/s", "roof",
                                           "spread", compared_ ? " then/now" : ""));
  }

  void add(const Record& record, bool earlier) {
    const std::string status = record.text("status");
    mismatches_ += status == "mismatch";
    timed_ += status == "timed";
    const double ratio = compared_ ? against_.ratio(record) : 0;
    if (ratio > 0) ratios_.push_back(ratio);
    if (json_) {
      rows_.push_back(Record::parse(record.line()).value());
      if (ratio > 0) rows_.back().set("ratio", ratio);
      return;
    }
    const std::string name = record.text("name").empty() ? record.text("key") : record.text("name");
    const std::string row = row_cell(record.text("kernel"), record.text("tile"));
    const std::string below = earlier ? paragraph("(from --out)") : "";
    if (status != "timed") {
      print(name, row + " " + status, paragraph(one_line(record.text("reason"))) + below);
      return;
    }
    std::string cells =
        format(" %8s %8.1f %4.0f %% %5.1f %%", time_text(record.number("median_us")).c_str(),
               record.number("gflops"), 100 * record.number("roofline_share"),
               100 * record.number("spread"));
    if (compared_) cells += ratio > 0 ? format(" %8.3f", ratio) : format(" %8s", "-");
    print(name, row + cells, below);
  }

  int end() const {
    if (json_) {
      Record record;
      if (compared_) {
        record.set("compared", ratios_.size()).set("geometric_mean", geometric_mean(ratios_));
      }
      std::puts(record.set("rows", rows_).line().c_str());
    } else if (compared_ && ratios_.empty()) {
      std::puts("nothing to compare: --against has none of these results");
    } else if (compared_) {
      std::printf("earlier/now over %zu results: geometric mean %.3f (above 1: faster now)\n",
                  ratios_.size(), geometric_mean(ratios_));
    }
    if (mismatches_ > 0) return TCONV_MISMATCH;
    return timed_ > 0 ? TCONV_OK : TCONV_UNSUPPORTED;
  }

 private:
  static void print(const std::string& name, const std::string& rest,
                    const std::string& below = "") {
    std::fputs((named_line(name, rest) + below).c_str(), stdout);
    std::fflush(stdout);
  }

  bool json_, compared_ = false;
  Results against_;
  int64_t mismatches_ = 0, timed_ = 0;
  std::vector<double> ratios_;
  std::vector<Record> rows_;
};

bool to_time(const Contender& contender) { return contender.rounds > 0; }

/// Times the contenders of one problem in turn.
void time_all(const Settings& settings, Request& request, std::vector<Contender>& contenders,
              const std::function<void(double)>& progress) {
  if (std::none_of(contenders.begin(), contenders.end(), to_time)) return;
  Operands operands = load_operands(request, Generator{});
  for (Contender& contender : contenders) {
    if (to_time(contender)) prepare(settings, request, operands, contender);
  }
  for (int64_t round = 0; round < settings.rounds; ++round) {
    for (Contender& contender : contenders) {
      if (round < contender.rounds) {
        contender.samples.push_back(contender.runner->sample_us(contender.iterations));
      }
    }
    progress(static_cast<double>(round + 1) / static_cast<double>(settings.rounds));
  }
  for (Contender& contender : contenders) {
    if (to_time(contender)) finish(request, contender);
  }
}

}  // namespace

int bench_command(const BenchArgs& args) {
  const Settings settings = make_settings(args);
  std::vector<Request> requests = make_requests(args.suite, args.problem);
  ResultFile file(args.out);
  Report report(args, args.json);
  Progress progress("bench", args.json);
  double done = 0;
  const auto total = static_cast<double>(requests.size());
  for (Request& request : requests) {
    std::vector<Contender> contenders;
    for (const std::string& kernel : settings.kernels) {
      Contender contender = make_contender(settings, request, kernel);
      const Record* earlier = file.earlier().find(result_identity(contender.record));
      if (earlier != nullptr && earlier->text("status") == "timed") {
        progress.clear();
        report.add(*earlier, true);
      } else {
        contenders.push_back(std::move(contender));
      }
    }
    time_all(settings, request, contenders,
             [&](double share) { progress.update((done + share) / total); });
    progress.clear();
    for (const Contender& contender : contenders) {
      file.append(contender.record);
      report.add(contender.record, false);
    }
    progress.update(++done / total);
  }
  progress.clear();
  return report.end();
}

}  // namespace tconv::cli
