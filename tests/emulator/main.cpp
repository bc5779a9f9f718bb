// SPDX-License-Identifier: Apache-2.0
// main.cpp: tconv_emulated: the program tconv, whose rows for CUDA run in the emulator, with a few
// options of its own before or after tconv's.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "src/cli/program.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/print.h"

namespace {

using namespace tconv::emulator;  // NOLINT(google-build-using-namespace): its program

struct OwnOptions {
  uint64_t seed = 1;
  bool counters = false, list_sync = false, json = false;
  std::vector<std::string> drop;
};

/// "gather.cu:58"; anything else is refused by CLI11 with this function's words.
std::string check_site(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const bool right = colon != std::string::npos && colon > 0 && colon + 1 < text.size() &&
                     text.find_first_not_of("0123456789", colon + 1) == std::string::npos;
  return right ? "" : "'" + text + "', but it must be FILE:LINE as --list-sync prints it";
}

Site site_of(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  return {text.substr(0, colon), static_cast<unsigned>(std::stoul(text.substr(colon + 1)))};
}

void add_options(CLI::App& app, OwnOptions& own, bool counts_here) {
  app.set_help_flag();  // tconv's own
  app.allow_extras();
  app.add_option("--seed", own.seed, "of the order in which the threads of a block run (1)")
      ->type_name("N");
  if (counts_here) {
    app.add_flag("--counters", own.counters,
                 "print what each kernel asked of memory and of the arithmetic");
  }
  app.add_flag("--list-sync", own.list_sync, "print the synchronisation sites that the run met");
  app.add_option("--drop-sync", own.drop, "leave out a synchronisation site; may be repeated")
      ->type_name("FILE:LINE")
      ->check(CLI::Validator(check_site, ""))
      ->take_all();
}

bool has(const std::vector<std::string>& arguments, const char* name) {
  return std::find(arguments.begin(), arguments.end(), name) != arguments.end();
}

void print_help(const CLI::App& app) {
  std::fputs(
      "tconv_emulated: tconv, whose rows for CUDA run on the CPU, every thread watched.\n"
      "An access, a race or a barrier that no kernel may do ends with exit code 4 and says block,\n"
      "thread, file and line. Besides tconv's own options, at any place:\n",
      stdout);
  CLI::Formatter formatter;
  formatter.column_width(36);
  std::fputs(formatter.make_group("Emulator", false, app.get_options()).c_str(), stdout);
  std::fputs("\n", stdout);
}

int run_with(const OwnOptions& own, const std::vector<std::string>& arguments) {
  Config config{.seed = own.seed, .count = own.counters};
  for (const std::string& site : own.drop) config.drop.push_back(site_of(site));
  configure(config);
  std::vector<char*> argv;
  std::vector<std::string> kept = arguments;
  for (std::string& argument : kept) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const int exit_code = tconv::cli::run_program(static_cast<int>(kept.size()), argv.data());
  // With --json stdout belongs to tconv's one object.
  std::FILE* const out = own.json ? stderr : stdout;
  if (own.counters) std::fputs(counters_text(reports(), own.json).c_str(), out);
  if (own.list_sync) std::fputs(sites_text(reports(), own.json).c_str(), out);
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> given(argv + 1, argv + argc);
  OwnOptions own;
  CLI::App app;
  // `explain --counters` is tconv's: what a plan predicts, without a run.
  add_options(app, own, !has(given, "explain"));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "tconv_emulated: %s\n", error.what());
    return 2;
  }
  std::vector<std::string> arguments = app.remaining();
  own.json = has(arguments, "--json");
  if (has(arguments, "--help") || has(arguments, "-h")) print_help(app);
  arguments.insert(arguments.begin(), argv[0]);
  return run_with(own, arguments);
}
