// SPDX-License-Identifier: Apache-2.0
// test_struct_size.cpp: every struct of the C face, as callers of older and newer headers pass it:
// cut at each place where a header could have ended, and followed by what is not known here.
#include <gtest/gtest.h>
#include <tconv/tconv.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace tconv {
namespace {

using Bytes = std::vector<unsigned char>;

constexpr int64_t kShape[] = {1, 4, 4, 1}, kFilterShape[] = {3, 3, 1, 1}, kOnes[] = {1, 1, 1, 1};
alignas(64) float input[16], filters[9], output[16];

const Problem& simple() {
  static const Problem problem("f32:nhwc:n1:c1:k1:h4k3s1p1o4:w4k3s1p1o4");
  return problem;
}

/// One struct of one function: what the call comes to, results included, as text.
struct Case {
  const char* name;
  Bytes whole;
  bool is_written;  ///< by the call, which is told by the struct afterwards
  std::function<tconv_status(void*)> call;
};

template <typename Struct>
Case make(const char* name, Struct s, bool is_written, std::function<tconv_status(Struct*)> call) {
  s.struct_size = sizeof s;
  Bytes whole(sizeof s);
  std::memcpy(whole.data(), &s, sizeof s);
  return {name, whole, is_written, [call](void* p) { return call(static_cast<Struct*>(p)); }};
}

tconv_tensors tensors() {
  return {
      .struct_size = sizeof(tconv_tensors), .input = input, .filters = filters, .output = output};
}

template <typename Handle, typename Destroy>
tconv_status destroyed(tconv_status status, Handle* handle, Destroy destroy) {
  destroy(handle);
  return status;
}

std::vector<Case> inputs() {
  return {
      make<tconv_problem_desc>("desc", simple().desc(), false,
                               [](auto* s) {
                                 tconv_problem* made = nullptr;
                                 const tconv_status status = tconv_problem_create(s, &made);
                                 return destroyed(status, made, tconv_problem_destroy);
                               }),
      make<tconv_options>("options", {.kernels = "reference", .threads = 1}, false,
                          [](auto* s) {
                            tconv_plan* made = nullptr;
                            const auto* problem = simple().c_handle();
                            const tconv_status status = tconv_plan_create(problem, s, &made);
                            return destroyed(status, made, tconv_plan_destroy);
                          }),
      make<tconv_tensors>("tensors", tensors(), false,
                          [](auto* s) {
                            Options options;
                            options.kernels = "reference";
                            const Plan plan(simple(), options);
                            return tconv_run(plan.c_handle(), s, nullptr);
                          }),
      make<tconv_verify_options>("options", {.seed = 3}, false,
                                 [](auto* s) {
                                   const tconv_tensors t = tensors();
                                   auto report = detail::sized<tconv_verify_report>();
                                   return tconv_verify(simple().c_handle(), &t, s, &report);
                                 }),
      make<tconv_tensorflow_args>("args",
                                  {.input_shape = kShape,
                                   .input_rank = 4,
                                   .filter_shape = kFilterShape,
                                   .filter_rank = 4,
                                   .strides = kOnes,
                                   .strides_count = 2},
                                  false,
                                  [](auto* s) {
                                    auto desc = detail::sized<tconv_problem_desc>();
                                    return tconv_problem_desc_from_tensorflow(s, &desc);
                                  }),
      make<tconv_pytorch_args>(
          "args", {.input_shape = kOnes, .input_rank = 4, .weight_shape = kOnes, .weight_rank = 4},
          false,
          [](auto* s) {
            auto desc = detail::sized<tconv_problem_desc>();
            return tconv_problem_desc_from_pytorch(s, &desc);
          }),
      make<tconv_onnx_args>("args", {.x_shape = kOnes, .x_rank = 4, .w_shape = kOnes, .w_rank = 4},
                            false, [](auto* s) {
                              auto desc = detail::sized<tconv_problem_desc>();
                              return tconv_problem_desc_from_onnx(s, &desc);
                            })};
}

std::vector<Case> outputs() {
  const auto args = [] {
    auto a = detail::sized<tconv_tensorflow_args>();
    a.input_shape = kShape, a.input_rank = 4, a.filter_shape = kFilterShape, a.filter_rank = 4;
    a.strides = kOnes, a.strides_count = 2;
    return a;
  };
  return {
      make<tconv_problem_desc>(
          "desc", {}, true, [](auto* s) { return tconv_problem_get_desc(simple().c_handle(), s); }),
      make<tconv_problem_desc>("desc", {}, true,
                               [args](auto* s) {
                                 const tconv_tensorflow_args a = args();
                                 return tconv_problem_desc_from_tensorflow(&a, s);
                               }),
      make<tconv_problem_info>(
          "info", {}, true, [](auto* s) { return tconv_problem_get_info(simple().c_handle(), s); }),
      make<tconv_output_sizes>("sizes", {}, true,
                               [args](auto* s) {
                                 const tconv_tensorflow_args a = args();
                                 return tconv_tensorflow_output_sizes(&a, s);
                               }),
      make<tconv_verify_report>("report", {}, true,
                                [](auto* s) {
                                  const tconv_tensors t = tensors();
                                  return tconv_verify(simple().c_handle(), &t, nullptr, s);
                                }),
      make<tconv_comparison>("comparison", {}, true, [](auto* s) {
        Options options;
        options.kernels = "reference";
        const Plan plan(simple(), options);
        const tconv_tensors t = tensors();
        return tconv_compare_host(plan.c_handle(), nullptr, &t, s);
      })};
}

void set_size(Bytes& bytes, std::size_t size) { std::memcpy(bytes.data(), &size, sizeof size); }

/// Calls with the first `size` bytes of `given`, or, where it is shorter, with zeros behind; what
/// lies behind these in memory is no zero, and must stay as it is. Returns status and message;
/// `given` becomes what was written.
std::string outcome(const Case& c, Bytes& given, std::size_t size) {
  given.resize(size, 0);
  set_size(given, size);
  Bytes memory = given;
  memory.resize(size + 512, 0xab);
  const tconv_status status = c.call(memory.data());
  given.assign(memory.begin(), memory.begin() + static_cast<std::ptrdiff_t>(size));
  for (std::size_t i = size; i < memory.size(); ++i) {
    if (memory[i] != 0xab) return "byte " + std::to_string(i) + " of " + std::to_string(size);
  }
  return std::to_string(status) + (status == TCONV_OK ? "" : std::string(" ") + tconv_last_error());
}

TEST(StructSize, AnOlderCallersStructMeansZerosForWhatItLacks) {
  int taken = 0;
  for (const Case& c : inputs()) {
    for (std::size_t size = 16; size <= c.whole.size(); size += 8) {
      Bytes cut(c.whole.begin(), c.whole.begin() + static_cast<std::ptrdiff_t>(size));
      Bytes zeros = cut;
      const std::string got = outcome(c, cut, size);
      EXPECT_EQ(got, outcome(c, zeros, c.whole.size())) << c.name << " cut to " << size;
      EXPECT_EQ(got.find("struct_size"), std::string::npos) << got;
      taken += got == "0" ? 1 : 0;
    }
  }
  EXPECT_GE(taken, 40) << "what is missing has defaults";
}

TEST(StructSize, AnOlderCallersStructIsWrittenToItsEndAndNoFurther) {
  for (const Case& c : outputs()) {
    Bytes all = c.whole;
    ASSERT_EQ(outcome(c, all, c.whole.size()), "0") << c.name;
    for (std::size_t size = 16; size <= c.whole.size(); size += 8) {
      Bytes cut(size, 0), expected(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(size));
      set_size(expected, size);
      EXPECT_EQ(outcome(c, cut, size), "0") << c.name << " cut to " << size;
      EXPECT_EQ(cut, expected) << c.name << " cut to " << size;
    }
  }
}

TEST(StructSize, ANewerCallersStructIsServedWhereNothingUnknownIsAskedFor) {
  for (const std::vector<Case>& cases : {inputs(), outputs()}) {
    for (const Case& c : cases) {
      Bytes same = c.whole, longer = c.whole;
      EXPECT_EQ(outcome(c, longer, c.whole.size() + 24), outcome(c, same, c.whole.size()));
      same.resize(longer.size(), 0);
      set_size(same, longer.size());
      EXPECT_EQ(longer, same) << c.name;

      Bytes asks = c.whole;
      asks.resize(c.whole.size() + 24, 0);
      asks[c.whole.size() + 9] = 1;
      const std::string refusal = outcome(c, asks, asks.size());
      EXPECT_EQ(refusal.find("2 " + std::string(c.name) + ".struct_size = "), 0U) << refusal;
      EXPECT_NE(refusal.find("byte " + std::to_string(c.whole.size() + 9)), std::string::npos)
          << refusal;
    }
  }
}

TEST(StructSize, WhatNoHeaderHasIsRefused) {
  for (const std::vector<Case>& cases : {inputs(), outputs()}) {
    for (const Case& c : cases) {
      for (const std::size_t size : {std::size_t{0}, std::size_t{8}, c.whole.size() + 4,
                                     std::size_t{4104}, ~std::size_t{0}}) {
        Bytes given = c.whole;
        set_size(given, size);
        EXPECT_EQ(c.call(given.data()), TCONV_INVALID) << c.name << " " << size;
        const std::string refusal = tconv_last_error();
        EXPECT_EQ(refusal.find(std::string(c.name) + ".struct_size"), 0U) << refusal;
      }
    }
  }
}

}  // namespace
}  // namespace tconv
