// SPDX-License-Identifier: Apache-2.0
// program.cpp: the program: commands, their own options, help, exit codes.
#include "src/cli/program.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <new>

#include "src/cli/commands.h"
#include "src/cli/failure.h"
#include "src/cli/record.h"
#include "src/cli/shared_options.h"
#include "src/cli/suggestion.h"
#include "src/cli/text.h"

namespace tconv::cli {
namespace {

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
    check_options(argc, argv);
    try {
      app_.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
      const auto asked = app_.get_subcommands();
      std::fputs((asked.empty() ? whole_help() : help_of(*asked.front())).c_str(), stdout);
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

  /// CLI11 would list an unknown option together with its value, and suggest nothing.
  void check_options(int argc, char** argv) const {
    const CLI::App* command = &app_;
    for (const auto& [app, action] : actions_) {
      if (argc > 1 && app->get_name() == argv[1]) command = app;
    }
    std::vector<std::string> known;
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
    const std::string typed = command == &app_ ? "tconv" : "tconv " + command->get_name();
    for (int i = 1; i < argc; ++i) {
      const std::string word(argv[i]), name = word.substr(0, word.find('='));
      if (!name.starts_with("--") || name == "--") continue;
      if (std::ranges::find(known, name) != known.end()) continue;
      const std::string meant = nearest(name, known);
      refuse(format("%s has no option %s%s%s%s (see %s --help)", typed.c_str(), name.c_str(),
                    meant.empty() ? "" : "; did you mean ", meant.c_str(), meant.empty() ? "" : "?",
                    typed.c_str()));
    }
  }

  /// As CLI11 has it, but with the usage first, and the program's name in it.
  static std::string help_of(const CLI::App& command) {
    std::string help = command.help("tconv");
    const std::size_t usage = help.find("Usage:"), end = help.find('\n', usage);
    if (end == std::string::npos) return help;
    return help.substr(usage, end + 1 - usage) + "\n" + help.substr(0, usage) +
           help.substr(end + 1);
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
        "tconv shape --convention pytorch --input-shape 1,64,8,8 --filter-shape 64,32,3,3 \\\n"
        "    --strides 2 --padding 1",
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
  const std::string message = with_suggestion(failure.what());
  const bool json = std::any_of(argv, argv + argc,
                                [](const char* word) { return std::string(word) == "--json"; });
  if (json) {
    const std::string& line = failure.json();
    std::puts(line.empty() ? Record().set_failure(message, failure.exit_code()).line().c_str()
                           : line.c_str());
  }
  std::fflush(stdout);
  std::fprintf(stderr, "tconv: %s\n", message.c_str());
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
