// SPDX-License-Identifier: Apache-2.0
// library.cpp: see library.h.
#include "src/cli/library.h"

#include <cstdio>

#include "src/cli/record.h"

namespace tconv::cli {

void say_once_why_no_gpu(const std::string& json) {
  static bool said = false;  // suites make many plans
  const std::string why = said ? "" : Record::parse(json).value().text("gpu_not_used");
  if (why.empty()) return;
  std::fprintf(stderr, "tconv: note: the GPU is not used: %s\n", why.c_str());
  said = true;
}

Plan make_plan(const tconv_problem* problem, const tconv_options& options) {
  tconv_plan* made = nullptr;
  check(tconv_plan_create(problem, &options, &made));
  Plan plan(made);
  if (options.device == TCONV_DEVICE_AUTO && options.device_model == nullptr) {
    say_once_why_no_gpu(
        text_of([&](char** text) { return tconv_plan_explain(made, TCONV_JSON, text); }));
  }
  return plan;
}

}  // namespace tconv::cli
