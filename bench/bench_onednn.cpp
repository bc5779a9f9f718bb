// SPDX-License-Identifier: Apache-2.0
// bench_onednn.cpp: a run of the row `simd` against oneDNN called directly.
//
// Both sides get packed filters, the same NHWC f32 activations and the same bias; the direct side
// is deconvolution_forward with the weights format of oneDNN's own choice. They are timed
// alternately, and a row's ratio is median direct time / median time of run: above 1 this library
// is faster. Operands are small integers, so the two results must be equal, and that is checked.
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <dnnl.hpp>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/host/plan/plan.h"
#include "src/host/run/run.h"
#include "tests/support/support.h"

namespace {

using namespace tconv::host;
using tconv::test::Bytes;
using tconv::test::Operands;

// ---- The suite.
// -----------------------------------------------------------------------------------

/// The fields of one line; a quoted field may hold commas.
std::vector<std::string> split_csv(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return fields;
}

ProblemDesc parse_layer(const std::map<std::string, std::string>& row) {
  const auto number = [&](const std::string& column) { return std::stoll(row.at(column)); };
  const auto axis = [&](const std::string& a, const std::string& begin, const std::string& end) {
    Axis result{.in = number("in_" + a),
                .kernel = number("kernel_" + a),
                .stride = number("stride_" + a),
                .dilation = number("dilation_" + a),
                .pad_begin = number(begin)};
    result.out = result.full() - number(begin) - number(end) + number("out_pad_" + a);
    return result;
  };
  ProblemDesc d;
  d.name = row.at("network") + " " + row.at("layer");
  d.batch = number("batch_infer");
  d.in_c = number("in_c"), d.out_c = number("out_c"), d.groups = number("groups");
  d.h = axis("h", "pad_top", "pad_bottom");
  d.w = axis("w", "pad_left", "pad_right");
  d.has_bias = number("bias") != 0;
  return d;
}

/// The dense layers of a suite; layers with equal geometry once.
std::vector<Problem> load_suite(const std::string& path, bool with_bias) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read the suite " + path);
  std::string line;
  std::getline(file, line);
  const std::vector<std::string> header = split_csv(line);
  std::vector<Problem> layers;
  std::set<std::string> seen;
  while (std::getline(file, line)) {
    const std::vector<std::string> fields = split_csv(line);
    std::map<std::string, std::string> row;
    for (std::size_t i = 0; i < std::min(header.size(), fields.size()); ++i) {
      row[header[i]] = fields[i];
    }
    ProblemDesc desc = parse_layer(row);
    desc.has_bias = desc.has_bias && with_bias;
    const Problem problem(desc);
    if (desc.groups == 1 && seen.insert(problem.key()).second) layers.push_back(problem);
  }
  return layers;
}

// ---- The two sides.
// --------------------------------------------------------------------------------

/// oneDNN as its documentation says: weights in the format it prefers, reordered once.
class Direct {
 public:
  Direct(const Problem& problem, Operands& operands, void* output)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using Desc = dnnl::memory::desc;
    using Tag = dnnl::memory::format_tag;
    constexpr auto kF32 = dnnl::memory::data_type::f32;
    const ProblemDesc& d = problem.desc();
    const dnnl::memory::dims weights_dims = {d.out_c, d.in_c, d.h.kernel, d.w.kernel};
    const Desc input({d.batch, d.in_c, d.h.in, d.w.in}, kF32, Tag::nhwc);
    const Desc output_desc({d.batch, d.out_c, d.h.out, d.w.out}, kF32, Tag::nhwc);
    const Desc weights(weights_dims, kF32, Tag::any);
    const Desc bias = d.has_bias ? Desc({d.out_c}, kF32, Tag::a) : Desc();
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::deconvolution_forward::primitive_desc pd({dnnl::prop_kind::forward_inference,
                                                          dnnl::algorithm::deconvolution_direct,
                                                          input,
                                                          weights,
                                                          bias,
                                                          output_desc,
                                                          {d.h.stride, d.w.stride},
                                                          {d.h.dilation - 1, d.w.dilation - 1},
                                                          {d.h.pad_begin, d.w.pad_begin},
                                                          {d.h.pad_end(), d.w.pad_end()}},
                                                         attributes, engine_);
    implementation_ = pd.impl_info_str();
    primitive_ = dnnl::deconvolution_forward(pd);
    const FilterStrides s = problem.filter_strides();
    dnnl::memory plain(Desc(weights_dims, kF32, dnnl::memory::dims{s.k, s.c, s.r, s.s}), engine_,
                       operands.filters.data());
    dnnl::memory packed(pd.weights_desc(), engine_);
    dnnl::reorder(plain, packed).execute(stream_, plain, packed);
    stream_.wait();
    arguments_ = {{DNNL_ARG_SRC, dnnl::memory(input, engine_, operands.input.data())},
                  {DNNL_ARG_WEIGHTS, packed},
                  {DNNL_ARG_DST, dnnl::memory(output_desc, engine_, output)},
                  {DNNL_ARG_SCRATCHPAD, dnnl::memory(pd.scratchpad_desc(), engine_)}};
    if (d.has_bias) {
      arguments_.insert({DNNL_ARG_BIAS, dnnl::memory(bias, engine_, operands.bias.data())});
    }
  }
  void run() {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }
  const std::string& implementation() const { return implementation_; }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
  std::string implementation_;
};

/// The library: a plan with prepacked filters.
class Ours {
 public:
  Ours(const Problem& problem, Operands& operands, const Options& options)
      : plan_(make_plan(problem, options)),
        packed_(plan_.packed_filter_bytes()),
        workspace_(plan_.workspace_bytes() + 1),
        tensors_(operands.tensors()) {
    prepack(plan_, operands.filters.data(), packed_.data(), packed_.size(), nullptr);
    tensors_.filters = packed_.data();
    tensors_.workspace = workspace_.data();
    stated_.workspace = workspace_.size();
  }
  void run() { tconv::host::run(plan_, tensors_, stated_, nullptr); }

 private:
  Plan plan_;
  Bytes packed_, workspace_;
  Tensors tensors_;
  StatedBytes stated_;
};

// ---- Timing.
// ----------------------------------------------------------------------------------------

template <typename Side>
double seconds(Side& side, int calls) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) side.run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / calls;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Measurement {
  double direct_us = 0, ours_us = 0;
  int rounds = 0;
  bool equal = false;
  std::string implementation;
  double ratio() const { return direct_us / ours_us; }
};

/// Alternates until the budget is spent, at least five rounds. Short calls are timed in batches, so
/// that the clock does not count.
Measurement measure(const Problem& problem, const Options& options, double budget) {
  constexpr double kBatchSeconds = 1e-3;
  constexpr int kLeastRounds = 5, kMostRounds = 101;
  Operands operands = tconv::test::small_integers(problem, 1);
  Bytes direct_output(operands.output.size(), tconv::test::kPoison);
  Direct direct(problem, operands, direct_output.data());
  Ours ours(problem, operands, options);
  seconds(direct, 1), seconds(ours, 1);
  const double once = std::max(seconds(direct, 1), seconds(ours, 1));
  const int calls = std::max(1, static_cast<int>(kBatchSeconds / once));

  std::vector<double> direct_times, our_times;
  double spent = 0;
  for (int round = 0; round < kLeastRounds || (round < kMostRounds && spent < budget); ++round) {
    // Whoever goes second finds the operands in the cache: they take turns.
    if (round % 2 == 0) direct_times.push_back(seconds(direct, calls));
    our_times.push_back(seconds(ours, calls));
    if (round % 2 == 1) direct_times.push_back(seconds(direct, calls));
    spent += (direct_times.back() + our_times.back()) * calls;
  }
  return {.direct_us = median(direct_times) * 1e6,
          .ours_us = median(our_times) * 1e6,
          .rounds = static_cast<int>(our_times.size()),
          .equal = direct_output == operands.output,
          .implementation = direct.implementation()};
}

// ---- The program.
// --------------------------------------------------------------------------------------

struct Arguments {
  std::string suite = "bench/suites/core.csv";
  std::string match;
  double budget = 0.5, max_gflop = 40;
  int threads = 0;
  bool no_bias = false, json = false;
};

nlohmann::ordered_json to_json(const Problem& problem, const Measurement& m) {
  return {{"name", problem.name()},   {"key", problem.key()},
          {"direct_us", m.direct_us}, {"run_us", m.ours_us},
          {"ratio", m.ratio()},       {"rounds", m.rounds},
          {"equal", m.equal},         {"direct_implementation", m.implementation}};
}

int bench(const Arguments& arguments) {
  Options options{.kernels = {"simd"}, .prepacked_filters = true, .threads = arguments.threads};
  omp_set_num_threads(thread_count(arguments.threads));
  nlohmann::ordered_json rows = nlohmann::ordered_json::array(), skipped = rows;
  double log_sum = 0;
  bool all_equal = true;
  for (const Problem& problem : load_suite(arguments.suite, !arguments.no_bias)) {
    if (problem.key().find(arguments.match) == std::string::npos) continue;
    const double gflop = 2e-9 * problem.useful_macs();
    if (gflop > arguments.max_gflop) {
      skipped.push_back({{"key", problem.key()}, {"gflop", gflop}});
      if (!arguments.json)
        std::printf("  skipped: %6.1f GFLOP  %s\n", gflop, problem.key().c_str());
      continue;
    }
    const Measurement m = measure(problem, options, arguments.budget);
    log_sum += std::log(m.ratio());
    all_equal = all_equal && m.equal;
    rows.push_back(to_json(problem, m));
    if (arguments.json) continue;
    std::printf("%6.2fx  direct %10.1f us  run %10.1f us  %7.1f GFLOP/s  %-18s %s%s\n", m.ratio(),
                m.direct_us, m.ours_us, gflop * 1e6 / m.ours_us, m.implementation.c_str(),
                problem.key().c_str(), m.equal ? "" : "  DIFFERENT RESULTS");
    std::fflush(stdout);
  }
  if (rows.empty()) throw std::runtime_error("no layer was measured");
  const double mean = std::exp(log_sum / static_cast<double>(rows.size()));
  if (arguments.json) {
    std::cout << nlohmann::ordered_json{{"geometric_mean", mean},
                                        {"layers", rows.size()},
                                        {"max_gflop", arguments.max_gflop},
                                        {"bias", !arguments.no_bias},
                                        {"rows", rows},
                                        {"skipped", skipped}}
                     .dump(1)
              << "\n";
  } else {
    std::printf("geometric mean %.3f over %zu layers (%zu above %g GFLOP skipped)\n", mean,
                rows.size(), skipped.size(), arguments.max_gflop);
  }
  return all_equal ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("run of the row simd, with prepacked filters, against oneDNN called directly");
  app.add_option("--suite", arguments.suite, "suite, as CSV")->capture_default_str();
  app.add_option("--match", arguments.match, "only problems whose key contains this");
  app.add_option("--budget", arguments.budget, "seconds for each layer")->capture_default_str();
  app.add_option("--max-gflop", arguments.max_gflop, "skip layers with more work (and say so)")
      ->capture_default_str();
  app.add_option("--threads", arguments.threads, "threads of both sides; 0: one per core");
  app.add_flag("--no-bias", arguments.no_bias, "leave out the bias that the suite's layers have");
  app.add_flag("--json", arguments.json, "one JSON object on stdout");
  CLI11_PARSE(app, argc, argv);
  try {
    return bench(arguments);
  } catch (const std::exception& error) {
    std::cerr << "bench_onednn: " << error.what() << "\n";
    return 4;
  }
}
