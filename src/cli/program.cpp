// SPDX-License-Identifier: Apache-2.0
// program.cpp: the program: commands, options, help, exit codes. The only file that compiles CLI11.
#include "src/cli/program.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <new>

#include "src/cli/commands.h"
#include "src/cli/failure.h"
#include "src/cli/record.h"

namespace tconv::cli {
namespace {

constexpr const char* kProblem = "Problem";
constexpr const char* kTensorFlow = "Problem, --convention tensorflow (the default)";
constexpr const char* kPyTorch = "Problem, --convention pytorch";
constexpr const char* kOnnx = "Problem, --convention onnx";
constexpr const char* kChoice = "Choice of the row";
constexpr const char* kSuite = "Whole suite instead of one problem";
constexpr const char* kData = "Generated data";
constexpr const char* kOwn = "Options";
constexpr std::size_t kColumn = 36;  // where descriptions begin

/// Options of one command, added with fewer words.
class Options {
 public:
  explicit Options(CLI::App& app) : app_(app) {}

  Options& group(const char* name) {
    group_ = name;
    return *this;
  }
  /// An option with a value that is kept as text.
  CLI::Option* text(const char* name, Typed& target, const char* value, const char* description) {
    const auto keep = [&target](const CLI::results_t& values) {
      target = values.empty() ? "" : values.back();
      return true;
    };
    return app_.add_option(name, keep, description)->type_name(value)->group(group_);
  }
  /// The same, and the value may be left out.
  void optional_text(const char* name, Typed& target, const char* value, const char* description) {
    text(name, target, value, description)->expected(0, 1);
  }
  CLI::Option* flag(const char* name, bool& target, const char* description) {
    return app_.add_flag(name, target, description)->group(group_);
  }

 private:
  CLI::App& app_;
  const char* group_ = kOwn;
};

void add_problem(CLI::App& app, ProblemArgs& args, bool generated) {
  Options options(app);
  options.group(kProblem);
  options.text("--problem", args.problem, "KEY", "the whole problem, as `tconv explain` prints it");
  options.text("--input", args.input, "FILE",
               ".npy file of the input: f16, f32, f64, ml_dtypes' bf16;\nintegers with --dtype");
  options.text("--filters", args.filters, "FILE", ".npy file of the filters");
  options.text("--input-shape", args.input_shape, "N,H,W,C",
               "instead of --input; order of the data format, or N,C,H,W");
  options.text("--filter-shape", args.filter_shape, "KH,KW,CO,CI",
               "instead of --filters; pytorch, onnx: CI,CO,KH,KW; CO of one group");
  options.text("--strides", args.strides, "A[,B]", "one for both axes, or H,W (1)");
  options.text("--dilations", args.dilations, "A[,B]", "likewise (1)");
  options.text("--groups", args.groups, "G", "groups of channels (1)");
  const char* bias = generated ? "add a bias per output channel; without FILE: generated"
                               : "add a bias per output channel";
  const char* residual = generated ? "add a tensor like the output; without FILE: generated"
                                   : "add a tensor like the output";
  if (generated) {
    options.optional_text("--bias", args.bias, "FILE", bias);
    options.optional_text("--residual", args.residual, "FILE", residual);
  } else {
    options.text("--bias", args.bias, "FILE", bias);
    options.text("--residual", args.residual, "FILE", residual);
  }
  options.text("--activation", args.activation, "NAME",
               "relu, leaky_relu:0.1, prelu:FILE, clamp:0,6, sigmoid, tanh,\n"
               "gelu, gelu_tanh or silu");
  options.text("--dtype", args.dtype, "TYPE",
               "f16, bf16, f32 or f64: files are converted (the type of the files of input and\n"
               "filters, which must be the same then; or f32)");
  options.text("--output-dtype", args.output_dtype, "TYPE", "of output and residual (--dtype)");
  options.text("--convention", args.convention, "NAME", "tensorflow, pytorch or onnx");
  options.group(kTensorFlow);
  options.text("--padding", args.padding, "PAD",
               "SAME, VALID or top,bottom,left,right (SAME); pytorch: P[,Q]");
  options.text("--output-shape", args.output_shape, "N,H,W,C",
               "or H,W (SAME: in*stride); onnx: N,C,H,W or H,W");
  options.text("--data-format", args.data_format, "NAME", "NHWC or NCHW (NHWC)");
  options.group(kPyTorch);
  options.text("--output-padding", args.output_padding, "A[,B]", "one for both axes, or H,W (0)");
  options.text("--memory-format", args.memory_format, "NAME",
               "contiguous or channels_last: how the row sees the tensors; files are\n"
               "N,C,H,W either way (contiguous)");
  options.group(kOnnx);
  options.text("--pads", args.pads, "HB,WB,HE,WE", "begin of H and W, end of H and W (0)");
  options.text("--auto-pad", args.auto_pad, "MODE",
               "NOTSET, SAME_UPPER, SAME_LOWER or VALID (NOTSET)");
}

void add_choice(CLI::App& app, ChoiceArgs& args) {
  Options options(app);
  options.group(kChoice);
  options.text("--device", args.device, "NAME", "auto, cpu or cuda (auto)");
  options.text("--device-model", args.device_model, "NAME|FILE",
               "plan for a GPU that is not here: h200, h100, a100, l4, rtx4090,\n"
               "rtx5090, b200, a10, t4, gb10, or the JSON that\n"
               "`tconv devices --json` printed on a machine that has it");
  options.text("--kernel", args.kernel, "NAME[,NAME]", "only these rows of `tconv kernels`");
  options.text("--tile", args.tile, "NAME", "only this tile");
  options.text("--math", args.math, "MODE", "of f32: strict, tf32 or 3xtf32 (strict)");
  options.text("--workspace-limit", args.workspace_limit, "BYTES", "0: no workspace at all");
  options.flag("--allow-nondeterministic", args.allow_nondeterministic,
               "rows whose result may differ from run to run");
  options.text("--threads", args.threads, "N", "of rows of the CPU (one per core)");
  options.flag("--prepack", args.prepack, "filters in the row's own order, made before the run");
}

void add_data(CLI::App& app, DataArgs& args) {
  Options options(app);
  options.group(kData);
  options.text("--data", args.data, "KIND",
               "random: uniform in [-1, 1)\n"
               "arange: 1, 2, 3 ...; 16-bit types: (i mod 251 + 1)/256, exact in both\n"
               "impulse: input 1 at the middle of image 0, channel 0; filters arange");
  options.text("--data-seed", args.seed, "N", "of random (0)");
}

void add_suite(CLI::App& app, SuiteArgs& args) {
  Options options(app);
  options.group(kSuite);
  options.text("--suite", args.suite, "NAME", "core: 106 layers of real networks; or a CSV file");
  options.text("--batch", args.batch, "NAME", "infer or large (infer)");
  options.text("--match", args.match, "RE", "only rows whose name this regular expression finds");
}

/// All commands, their arguments, and what runs them.
class Program {
 public:
  Program() {
    app_.name("tconv");
    app_.set_version_flag("--version", std::string("tconv ") + tconv_version());
    app_.get_formatter()->column_width(kColumn);
    add_run();
    add_verify();
    add_explain();
    add_shape();
    add_upscale();
    add_bench();
    add_lists();
  }

  int main(int argc, char** argv) {
    check_command(argc, argv);
    try {
      app_.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
      const auto asked = app_.get_subcommands();
      std::fputs((asked.empty() ? whole_help() : asked.front()->help()).c_str(), stdout);
      return TCONV_OK;
    } catch (const CLI::Success& success) {  // --version
      std::puts(success.what());
      return TCONV_OK;
    } catch (const CLI::ParseError& error) {
      refuse(std::string(error.what()) + " (see tconv --help)");
    }
    for (const auto& [command, action] : actions_) {
      if (command->parsed()) return action();
    }
    return TCONV_OK;  // not reached: check_command found one
  }

 private:
  /// CLI11 would only say that some argument was not expected.
  void check_command(int argc, char** argv) const {
    const std::string first = argc < 2 ? "" : argv[1];
    if (first.starts_with('-')) return;
    std::string names;
    for (const auto& [command, action] : actions_) {
      if (command->get_name() == first) return;
      names += (names.empty() ? "" : ", ") + command->get_name();
    }
    refuse("command", "'" + first + "'", "one of " + names + " (see tconv --help)");
  }

  CLI::App& command(const char* name, const char* description, const char* example,
                    std::function<int()> action) {
    CLI::App* command = app_.add_subcommand(name, description);
    command->footer(std::string("Example:\n  ") + example);
    actions_.emplace_back(command, std::move(action));
    return *command;
  }

  void add_run() {
    CLI::App& app = command("run", "Reads .npy files, runs one plan, writes a .npy file",
                            "tconv run --input x.npy --filters f.npy --strides 2 --output y.npy",
                            [this] { return run_command(run_); });
    Options options(app);
    options.text("--output", run_.output, "FILE", ".npy file to write; bf16 is written as f32");
    options.text("--repeat", run_.repeat, "N", "runs, each timed (1)");
    options.flag("--verify", run_.verify, "compare with the reference before writing");
    options.flag("--json", run_.json, "one JSON object on stdout");
    add_problem(app, run_.problem, false);
    add_choice(app, run_.choice);
  }

  void add_verify() {
    CLI::App& app =
        command("verify", "Compares a plan's result, or a file, with the reference",
                "tconv verify --input x.npy --filters f.npy --strides 2 --got y.npy --diagnose\n"
                "  tconv verify --suite core --match 'U-Net'",
                [this] { return verify_command(verify_); });
    Options options(app);
    options.text("--got", verify_.got, "FILE", "check this result instead of running a plan");
    options.text("--against", verify_.against, "ROW|itself",
                 "compare every element with what this row of the same device gives, there,\n"
                 "instead of with the reference; itself: the same row, run again");
    options.flag("--diagnose", verify_.diagnose, "name the usual mistake that explains the result");
    options.text("--scope", verify_.scope, "NAME", "auto, whole or sample (auto: whole if quick)");
    options.text("--dump", verify_.dump, "DIR", "write input, filters, expected, got ... as .npy");
    options.flag("--json", verify_.json, "one JSON object on stdout");
    add_problem(app, verify_.problem, true);
    add_data(app, verify_.data);
    add_suite(app, verify_.suite);
    add_choice(app, verify_.choice);
  }

  void add_explain() {
    CLI::App& app = command(
        "explain", "Says which row a plan takes, and why not the others",
        "tconv explain --input-shape 1,16,16,64 --filter-shape 4,4,32,64 --strides 2 --at 0,3,3,0",
        [this] { return explain_command(explain_); });
    Options options(app);
    options.text("--at", explain_.at, "N,H,W,C",
                 "the taps that make this output: image, output row, column, channel;\n"
                 "with files or --data also the values");
    options.flag("--counters", explain_.counters,
                 "what the plan predicts: multiply-adds issued and useful, bytes by level,\n"
                 "wavefronts of shared memory, waves, time");
    options.flag("--json", explain_.json, "one JSON object on stdout");
    add_problem(app, explain_.problem, true);
    add_data(app, explain_.data);
    add_suite(app, explain_.suite);
    add_choice(app, explain_.choice);
  }

  void add_shape() {
    CLI::App& app = command(
        "shape", "Prints legal output sizes, pads, and the problem in the other conventions",
        "tconv shape --convention pytorch --input-shape 1,64,8,8 --filter-shape 64,32,3,3 "
        "--strides 2 --padding 1",
        [this] { return shape_command(shape_); });
    Options(app).flag("--json", shape_.json, "one JSON object on stdout");
    add_problem(app, shape_.problem, true);
  }

  void add_upscale() {
    CLI::App& app = command("upscale", "Enlarges a PNG or JPEG picture",
                            "tconv upscale photo.jpg big.png --scale 2 --verify",
                            [this] { return upscale_command(upscale_); });
    app.add_option("picture", upscale_.picture, "PNG or JPEG")->required();
    app.add_option("target", upscale_.target,
                   "picture to write: .png (8 or 16 bits, as picture) or .jpg")
        ->required();
    Options options(app);
    options.text("--scale", upscale_.scale, "N", "1 to 16 (2)");
    options.text("--kernel-shape", upscale_.kernel_shape, "NAME", "cubic or bilinear (cubic)");
    options.flag("--verify", upscale_.verify, "compare with the reference before writing");
    options.flag("--json", upscale_.json, "one JSON object on stdout");
    add_choice(app, upscale_.choice);
  }

  void add_bench() {
    CLI::App& app = command("bench", "Times rows against each other, each verified first",
                            "tconv bench --suite core --match DCGAN --kernel all --out r.jsonl",
                            [this] { return bench_command(bench_); });
    Options options(app);
    options.text("--rounds", bench_.rounds, "N", "interleaved samples of each row (9)");
    options.text("--seconds", bench_.seconds, "S",
                 "of one row of one problem at most; slower rows are reported as not run (20)");
    options.text("--out", bench_.out, "FILE",
                 "append one JSON line per result; results that are there are not repeated");
    options.text("--against", bench_.against, "FILE",
                 "print the ratio to the results of this file");
    options.flag("--json", bench_.json, "one JSON object on stdout");
    add_problem(app, bench_.problem, true);
    add_suite(app, bench_.suite);
    add_choice(app, bench_.choice);
  }

  void add_lists() {
    CLI::App& kernels =
        command("kernels", "Lists the rows that are built in", "tconv kernels --json",
                [this] { return kernels_command(kernels_); });
    Options(kernels).flag("--json", kernels_.json, "a JSON array on stdout");
    CLI::App& devices = command("devices", "Lists the devices that are there", "tconv devices",
                                [this] { return devices_command(devices_); });
    Options(devices).flag("--json", devices_.json, "JSON on stdout");
  }

  /// Every command with the options that are its own, then the shared ones, once.
  std::string whole_help() const {
    std::string text =
        "tconv: 2-D transposed convolution (conv2d_transpose)\n\n"
        "Usage: tconv COMMAND [OPTIONS]\n"
        "       tconv COMMAND --help    all options of one command\n"
        "       tconv --version\n\n"
        "Exit codes: 0 done; 1 verification failed; 2 wrong usage, problem or file; 3 valid, but "
        "not\n"
        "possible here; 4 device, memory or output error.\n";
    CLI::Formatter formatter;
    formatter.column_width(kColumn);
    const auto add_group = [&](const CLI::App& command, const std::string& group) {
      const auto options = command.get_options(
          [&](const CLI::Option* option) { return option->get_group() == group; });
      std::vector<const CLI::Option*> named;
      for (const CLI::Option* option : options) {
        if (option->nonpositional() && option != command.get_help_ptr()) named.push_back(option);
      }
      if (!named.empty()) text += formatter.make_group(group, false, named);
    };
    for (const auto& [command, action] : actions_) {
      text += "\n" + command->get_name() + ": " + command->get_description() + "\n";
      add_group(*command, kOwn);
      text += command->get_footer() + "\n";
    }
    text +=
        "\nOptions that several commands share (run, verify, explain, bench; shape: Problem;\n"
        "upscale: Choice; bench, verify, explain: suites; verify, explain: data)\n";
    const CLI::App& richest = *app_.get_subcommand("verify");
    for (const char* group : {kProblem, kTensorFlow, kPyTorch, kOnnx, kChoice, kSuite, kData}) {
      add_group(richest, group);
    }
    return text;
  }

  CLI::App app_{"2-D transposed convolution"};
  RunArgs run_;
  VerifyArgs verify_;
  ExplainArgs explain_;
  ShapeArgs shape_;
  UpscaleArgs upscale_;
  BenchArgs bench_;
  ListArgs kernels_, devices_;
  std::vector<std::pair<const CLI::App*, std::function<int()>>> actions_;
};

}  // namespace

namespace {

/// The message for stderr; with --json the object for stdout, too. Options may not have been
/// parsed, so what was typed is asked.
int report(const Failure& failure, int argc, char** argv) {
  const bool json = std::any_of(argv, argv + argc,
                                [](const char* word) { return std::string(word) == "--json"; });
  if (json) {
    const std::string& line = failure.json();
    std::puts(line.empty()
                  ? Record().set_failure(failure.what(), failure.exit_code()).line().c_str()
                  : line.c_str());
  }
  std::fflush(stdout);
  std::fprintf(stderr, "tconv: %s\n", failure.what());
  return failure.exit_code();
}

}  // namespace

int run_program(int argc, char** argv) {
  try {
    const int exit_code = Program().main(argc, argv);
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
    std::fputs("tconv: cannot write to stdout\n", stderr);
    return TCONV_DEVICE_ERROR;
  } catch (const Failure& failure) {
    return report(failure, argc, argv);
  } catch (const std::bad_alloc&) {
    return report({TCONV_DEVICE_ERROR, "out of memory"}, argc, argv);
  } catch (const std::exception& error) {
    return report({TCONV_DEVICE_ERROR, error.what()}, argc, argv);
  }
}

}  // namespace tconv::cli
