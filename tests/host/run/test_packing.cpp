// SPDX-License-Identifier: Apache-2.0
// test_packing.cpp: packed filters have an identity: equal keys exactly where packings can be
// exchanged, a header that run reads, and a way back for verification.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "src/host/cpu/reference.h"
#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "tests/support/fake_kernels.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

constexpr std::size_t kHeader = sizeof(PackedHeader);

/// Filters of distinct values, in the problem's order, that are functions of tap and channels.
Bytes distinct_filters(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  Bytes filters(static_cast<std::size_t>(problem.filter_bytes()) + 1, kPoison);
  const FilterStrides at = problem.filter_strides();
  uint64_t i = 0;
  for (int64_t r = 0; r < d.h.kernel; ++r) {
    for (int64_t s = 0; s < d.w.kernel; ++s) {
      for (int64_t k = 0; k < problem.out_c_per_group(); ++k) {
        for (int64_t c = 0; c < d.in_c; ++c) {
          store(d.dtype, filters.data(), at.offset(r, s, k, c),
                std::ldexp(1 + static_cast<double>(i % 128) / 128, static_cast<int>(i / 128 % 24)));
          ++i;
        }
      }
    }
  }
  return filters;
}

Bytes packed_by(const Plan& plan, const Bytes& filters) {
  Bytes packed(plan.packed_filter_bytes(), kPoison);
  prepack(plan, filters.data(), packed.data(), packed.size(), nullptr);
  return packed;
}

/// A plan of each tile of the CPU's families that takes the problem.
std::vector<Plan> plans_of(const Problem& problem) {
  std::vector<Plan> plans;
  for (const Kernel* kernel : kernel_table()) {
    if (kernel->device != DeviceKind::cpu) continue;
    for (const char* tile : kernel->tiles) {
      try {
        plans.push_back(make_plan(problem, {.device = DeviceKind::cpu,
                                            .kernels = {kernel->name},
                                            .tile = tile,
                                            .prepacked_filters = true}));
      } catch (const Unsupported&) {  // instructions that this processor lacks; not depthwise
      }
    }
  }
  return plans;
}

std::string refusal(const std::function<void()>& call) {
  try {
    call();
  } catch (const InvalidProblem& e) {
    return e.what();
  }
  return "";
}

// Filters of one shape and type, at many sizes, strides, layouts and orders, by every tile:
// packings of the same filters, compared byte by byte, pair by pair. A family that states its order
// in words may have two words for one order; where elements' places make the key it is exact.
TEST(Packing, EqualKeysMeanPackingsThatCanBeExchanged) {
  int same = 0, other = 0;
  for (const DType type : {DType::f16, DType::f32}) {
    for (const auto& [in_c, out_c, kernel] :
         {std::tuple<int64_t, int64_t, int64_t>{1, 16, 1}, {4, 40, 3}, {3, 5, 2}, {33, 8, 1}}) {
      std::map<std::string, std::string> contents;  // by key, and the reverse
      std::map<std::string, std::string> keys;
      for (const int64_t size : {1, 2, 5, 9, 16, 33, 64}) {
        for (const FilterOrder order : {FilterOrder::hwoi, FilterOrder::ihwo, FilterOrder::iohw}) {
          ProblemDesc d;
          d.dtype = type;
          d.in_c = in_c, d.out_c = out_c;
          d.filter_order = order;
          d.layout = size % 2 == 0 ? Layout::nhwc : Layout::nchw;
          d.h = d.w = {.in = size, .kernel = kernel, .stride = 1 + size % 3};
          d.h.out = d.w.out = d.h.full();
          const Problem problem(d);
          for (const Plan& plan : plans_of(problem)) {
            const Bytes packed = packed_by(plan, distinct_filters(problem));
            const std::string text(reinterpret_cast<const char*>(packed.data()), packed.size());
            EXPECT_EQ(plan.packed_key(), packed_key_at(packed.data(), packed.size()));
            const auto [content, is_new_key] = contents.emplace(plan.packed_key(), text);
            ASSERT_EQ(content->second, text) << plan.packed_key() << " " << problem.key();
            ++(is_new_key ? other : same);
            if (plan.kernel().packed_order != nullptr) continue;
            const auto key = keys.emplace(text.substr(kHeader), plan.packed_key()).first;
            ASSERT_EQ(key->second, plan.packed_key()) << problem.key() << " " << plan.tile();
          }
        }
      }
    }
  }
  EXPECT_GT(other, 15);
  EXPECT_GT(same, 500);
}

TEST(Packing, EveryFamilysPackingCanBeUndone) {
  std::mt19937_64 random(5);
  for (int i = 0; i < enumeration(2000, 100); ++i) {
    const Problem problem(random_desc(random));
    const Bytes filters = uniform(problem, random()).filters;
    for (const Plan& plan : plans_of(problem)) {
      if (plan.packed_filter_bytes() == 0) continue;
      const Bytes packed = packed_by(plan, filters);
      const auto back = unpack(problem, plan.kernel(), plan.state(), packed.data() + kHeader);
      ASSERT_TRUE(std::equal(back.begin(), back.end(), filters.begin()))
          << problem.key() << " " << plan.kernel().name << " " << plan.tile();
    }
  }
}

// More elements than a 16-bit type has values.
TEST(Packing, LargeFiltersOfSmallTypesCanBeUndone) {
  for (const DType type : {DType::f16, DType::bf16}) {
    ProblemDesc d;
    d.dtype = type;
    d.in_c = 96, d.out_c = 97;
    d.h = d.w = {.in = 1, .kernel = 3, .out = 3};
    const Problem problem(d);
    const Bytes filters = uniform(problem, 3).filters;
    for (const Plan& plan : plans_of(problem)) {
      const Bytes packed = packed_by(plan, filters);
      const auto back = unpack(problem, plan.kernel(), plan.state(), packed.data() + kHeader);
      ASSERT_TRUE(std::equal(back.begin(), back.end(), filters.begin())) << plan.tile();
    }
  }
}

Problem up2(int64_t size, int64_t channels) {
  ProblemDesc d;
  d.in_c = channels, d.out_c = channels;
  d.h = d.w = {.in = size, .kernel = 4, .stride = 2, .pad_begin = 1, .out = 2 * size};
  return Problem(d);
}

TEST(Packing, RunRefusesAnotherKeysPackingByName) {
  int refused = 0;
  std::vector<Plan> plans;
  for (const int64_t size : {1, 4, 32}) {
    for (Plan& plan : plans_of(up2(size, 8))) plans.push_back(std::move(plan));
  }
  const Bytes filters = distinct_filters(plans[0].problem());
  for (const Plan& packer : plans) {
    const Bytes packed = packed_by(packer, filters);
    for (const Plan& plan : plans) {
      Operands operands = uniform(plan.problem(), 1);
      operands.filters.assign(std::max(packed.size(), plan.packed_filter_bytes()), kPoison);
      std::copy(packed.begin(), packed.end(), operands.filters.begin());
      operands.workspace.resize(plan.workspace_bytes() + 1);
      const std::string what = refusal([&] {
        run(plan, operands.tensors(), {.workspace = operands.workspace.size()}, nullptr);
      });
      const std::string mine = plan.packed_key(), its = packer.packed_key();
      ASSERT_EQ(what.empty(), mine == its) << what << "\n" << mine << "\n" << its;
      if (what.empty()) continue;
      ++refused;
      EXPECT_NE(what.find("tensors.filters"), std::string::npos) << what;
      EXPECT_NE(what.find(mine), std::string::npos) << what;
      EXPECT_NE(what.find(its), std::string::npos) << what;
      EXPECT_EQ(operands.output, Bytes(operands.output.size(), kPoison));
    }
  }
  EXPECT_GT(refused, 0);
}

TEST(Packing, PackedWherePlainIsMeantAndTheReverseAreRefused) {
  const Problem problem = up2(4, 8);
  const Plan packing = make_plan(problem, {.kernels = {"simd"}, .prepacked_filters = true});
  const Plan plain = make_plan(problem, {.kernels = {"reference"}});
  Operands operands = uniform(problem, 1);
  operands.workspace.resize(packing.workspace_bytes() + 1);
  const StatedBytes stated{.workspace = operands.workspace.size()};
  operands.filters.resize(packing.packed_filter_bytes());
  std::string what = refusal([&] { run(packing, operands.tensors(), stated, nullptr); });
  EXPECT_NE(what.find("no packed filters"), std::string::npos) << what;
  EXPECT_NE(what.find(packing.packed_key()), std::string::npos) << what;
  operands.filters = packed_by(packing, operands.filters);
  EXPECT_EQ(refusal([&] { run(packing, operands.tensors(), stated, nullptr); }), "");
  what = refusal([&] { run(plain, operands.tensors(), stated, nullptr); });
  EXPECT_NE(what.find(packing.packed_key()), std::string::npos) << what;
  EXPECT_NE(what.find("hwoi"), std::string::npos) << what;
  Bytes again(packing.packed_filter_bytes());
  what = refusal(
      [&] { prepack(packing, operands.filters.data(), again.data(), again.size(), nullptr); });
  EXPECT_NE(what.find(packing.packed_key()), std::string::npos) << what;
}

// A key in a damaged header is not sent to the terminal as it is.
TEST(Packing, HeadersOfOthersAreReadWithCare) {
  PackedHeader header = make_packed_header("a\x1b[2Jb");
  EXPECT_EQ(packed_key_at(&header, sizeof header), "a\\x1b[2Jb");
  std::memset(header.key, 'x', sizeof header.key);  // no end
  EXPECT_EQ(packed_key_at(&header, sizeof header).size(), sizeof header.key);
  EXPECT_EQ(packed_key_at(&header, sizeof header - 1), "");
  header.magic[14] = '2';
  EXPECT_EQ(packed_key_at(&header, sizeof header), "");
  EXPECT_EQ(make_packed_header(std::string(1000, 'k')).key[239], '\0');
}

TEST(Packing, ResizedPlansHaveTheKeyThatTheyWouldFind) {
  for (const Plan& plan : plans_of(up2(5, 20))) {
    if (plan.kernel().fixed_size != nullptr) continue;
    for (const int64_t size : {1, 3, 40}) {
      const Plan other = resized(plan, 2, size, size);
      EXPECT_STREQ(other.packed_key(), plan.packed_key());
      EXPECT_EQ(packed_key(other.problem(), other.kernel(), 0, other.state()), plan.packed_key());
    }
  }
}

// ---- Verified runs. -----------------------------------------------------------------------------

/// The reference, packed in reverse or in a way that loses elements; spoiled after the sums.
struct ReversingState : KernelState {};
std::shared_ptr<const KernelState> reversing_state(const Problem& problem, int, const Options& o,
                                                   const DeviceFacts&) {
  auto state = std::make_shared<ReversingState>();
  if (o.prepacked_filters) {
    state->packed_filter_bytes = static_cast<std::size_t>(problem.filter_bytes());
  }
  return state;
}
void reverse(const Problem& problem, const KernelState&, const void* filters, void* packed,
             Stream) {
  const DType type = problem.desc().dtype;
  const auto count = problem.filter_bytes() / static_cast<int64_t>(size_of(type));
  for (int64_t i = 0; i < count; ++i) store(type, packed, count - 1 - i, load(type, filters, i));
}
void forget(const Problem&, const KernelState& state, const void*, void* packed, Stream) {
  std::memset(packed, 0, state.packed_filter_bytes);
}
bool spoil = false;
void run_reversed(const Problem& problem, const KernelState& state, const Tensors& tensors,
                  Stream) {
  Bytes filters(state.packed_filter_bytes);
  reverse(problem, state, tensors.filters, filters.data(), nullptr);
  Tensors plain = tensors;
  plain.filters = filters.data();
  reference_conv2d_transpose(problem, plain, 1);
  if (spoil) static_cast<float*>(tensors.output)[3] += 1;
}

Kernel reversing(decltype(Kernel::prepack) prepack) {
  Kernel kernel = fake("reversing", takes_all, reversing_state);
  kernel.launch = run_reversed;
  kernel.prepack = prepack;
  return kernel;
}

class VerifiedPacking : public testing::Test {
 protected:
  void run_with(const Kernel& kernel) {
    const Plan plan = make_plan(problem_, {.prepacked_filters = true, .verify = true}, cpu_facts(),
                                std::vector<const Kernel*>{&kernel});
    Operands operands = uniform(problem_, 1);
    operands.filters = packed_by(plan, operands.filters);
    run(plan, operands.tensors(), {}, nullptr);
  }
  const Problem problem_ = up2(4, 3);
};

TEST_F(VerifiedPacking, ComparesWithTheFiltersThatWerePacked) {
  const Kernel kernel = reversing(reverse);
  spoil = false;
  EXPECT_NO_THROW(run_with(kernel));
  spoil = true;
  EXPECT_THROW(run_with(kernel), Mismatch);
}

TEST_F(VerifiedPacking, RefusesWhatCannotBeUndone) {
  spoil = false;
  const Kernel kernel = reversing(forget);
  try {
    run_with(kernel);
    FAIL() << "ran unverified";
  } catch (const Unsupported& e) {
    EXPECT_NE(std::string(e.what()).find("reversing"), std::string::npos) << e.what();
  }
}

TEST_F(VerifiedPacking, EveryFamilyOfTheCpu) {
  std::mt19937_64 random(8);
  for (int i = 0; i < 50; ++i) {
    const Problem problem(random_desc(random));
    const Bytes filters = uniform(problem, 1).filters;
    for (const Plan& made : plans_of(problem)) {
      Options options = made.options();
      options.verify = true;
      const Plan plan = make_plan(problem, options);
      Operands operands = uniform(problem, 2);
      operands.filters = packed_by(plan, filters);
      operands.workspace.resize(plan.workspace_bytes() + 1);
      EXPECT_NO_THROW(
          run(plan, operands.tensors(), {.workspace = operands.workspace.size()}, nullptr))
          << problem.key() << " " << plan.tile();
    }
  }
}

// ---- Where a family says nothing. ---------------------------------------------------------------

TEST(Packing, WithoutWordsOfTheFamilyTheKeyNamesFamilyTileAndProblem) {
  const Kernel kernel = reversing(reverse);
  const Problem small = up2(4, 3), large = up2(5, 3);
  const auto key = [&](const Problem& problem, int tile) {
    const auto state = reversing_state(problem, 0, {.prepacked_filters = true}, {});
    return packed_key(problem, kernel, tile, *state);
  };
  EXPECT_EQ(key(small, 0).find("reversing/0:"), 0u);
  EXPECT_EQ(key(small, 0), key(small, 0));
  EXPECT_NE(key(small, 0), key(small, 1));
  EXPECT_NE(key(small, 0), key(large, 0));
}

TEST(Packing, NothingPackedHasNoKey) {
  EXPECT_STREQ(make_plan(up2(4, 3), {.kernels = {"simd"}}).packed_key(), "");
  EXPECT_EQ(make_plan(up2(4, 3), {.kernels = {"simd"}}).packed_filter_bytes(), 0u);
}

}  // namespace
}  // namespace tconv::test
