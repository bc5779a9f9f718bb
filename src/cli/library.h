// SPDX-License-Identifier: Apache-2.0
// library.h: the C interface with owners for its handles and exceptions for its codes.
#pragma once

#include <tconv/tconv_c.h>

#include <memory>
#include <string>

#include "src/cli/failure.h"

namespace tconv::cli {

template <auto destroy>
struct Destroyer {
  template <typename Handle>
  void operator()(Handle* handle) const {
    destroy(handle);
  }
};
using Problem = std::unique_ptr<tconv_problem, Destroyer<tconv_problem_destroy>>;
using Plan = std::unique_ptr<tconv_plan, Destroyer<tconv_plan_destroy>>;

/// A struct of the interface: all zero but its struct_size.
template <typename Struct>
Struct sized() {
  Struct result{};
  result.struct_size = sizeof(Struct);
  return result;
}

/// The text that `call(char** text)` hands over.
template <typename Call>
std::string text_of(Call&& call) {
  char* text = nullptr;
  check(call(&text));
  const std::unique_ptr<char, Destroyer<tconv_text_free>> owner(text);
  return text;
}

inline Problem make_problem(const tconv_problem_desc& desc) {
  tconv_problem* problem = nullptr;
  check(tconv_problem_create(&desc, &problem));
  return Problem(problem);
}

inline Plan make_plan(const tconv_problem* problem, const tconv_options& options) {
  tconv_plan* plan = nullptr;
  check(tconv_plan_create(problem, &options, &plan));
  return Plan(plan);
}

inline tconv_problem_desc desc_of(const tconv_problem* problem) {
  auto desc = sized<tconv_problem_desc>();
  check(tconv_problem_get_desc(problem, &desc));
  return desc;
}

inline tconv_problem_info info_of(const tconv_problem* problem) {
  auto info = sized<tconv_problem_info>();
  check(tconv_problem_get_info(problem, &info));
  return info;
}

inline tconv_text_format text_format(bool json) { return json ? TCONV_JSON : TCONV_TEXT; }

}  // namespace tconv::cli
