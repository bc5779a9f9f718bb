// SPDX-License-Identifier: Apache-2.0
// test_packing_cuda.cpp: packed filters in a GPU's memory: the header is copied there, and looked
// at where a run is verified. The GPU is a fake, whose device memory is the host's.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"
#include "src/host/run/run.h"
#include "tests/support/fake_gpu.h"
#include "tests/support/fake_rows.h"
#include "tests/support/support.h"

namespace tconv::test {
namespace {

class PackingCuda : public testing::Test {
 protected:
  PackingCuda() {
    fake_.on_launch = rows::compute;
    operands_.workspace.resize(4096);
    prepack(plan_, operands_.filters.data(), packed_.data(), packed_.size(), nullptr);
  }
  void run_packed() {
    Tensors tensors = operands_.tensors();
    tensors.filters = packed_.data();
    run(plan_, tensors, {.workspace = operands_.workspace.size()}, nullptr);
  }
  /// The message of the refusal, before which nothing is launched or allocated.
  template <typename Body>
  std::string refusal(Body&& body) {
    const int64_t before = fake_.launches + fake_.allocations;
    std::string what;
    try {
      body();
    } catch (const InvalidProblem& e) {
      what = e.what();
    }
    EXPECT_EQ(fake_.launches + fake_.allocations, before);
    return what;
  }

  FakeGpu fake_;
  const Problem problem_ = [] {
    ProblemDesc d;
    d.in_c = 30, d.out_c = 4;  // filters that are longer than a header
    d.h = d.w = {.in = 3, .kernel = 3, .stride = 2, .pad_begin = 1, .out = 6};
    return Problem(d);
  }();
  const Kernel* const table_[1] = {&rows::kFake};
  const Plan plan_ = make_plan(problem_, {.prepacked_filters = true, .verify = true}, table_);
  Operands operands_ = small_integers(problem_, 1);
  Bytes packed_ = Bytes(plan_.packed_filter_bytes());
};

TEST_F(PackingCuda, VerifiedRunsReadPackedFiltersAndTheirHeader) {
  EXPECT_EQ(packed_key_at(packed_.data(), packed_.size()), plan_.packed_key());
  EXPECT_NO_THROW(run_packed());
  std::swap(packed_[sizeof(PackedHeader)], packed_.back());
  EXPECT_NO_THROW(run_packed()) << "it is verified with what is packed";
  fake_.on_launch = [](const Launch& launch) {
    rows::compute(launch);
    const auto& arguments = *static_cast<const rows::Arguments*>(launch.arguments[0]);
    static_cast<float*>(arguments.tensors.output)[5] += 1;
  };
  EXPECT_THROW(run_packed(), Mismatch);
  packed_[sizeof(PackedHeader::magic)] = std::byte{'x'};  // the key's first letter
  const std::string what = refusal([&] { run_packed(); });
  EXPECT_NE(what.find("tensors.filters"), std::string::npos) << what;
  EXPECT_NE(what.find(plan_.packed_key()), std::string::npos) << what;
}

TEST_F(PackingCuda, RunHostPacksNothingTwice) {
  operands_.filters = packed_;
  const std::string what =
      refusal([&] { run_host(plan_, operands_.tensors(), {}, 1, 1, nullptr); });
  EXPECT_NE(what.find(plan_.packed_key()), std::string::npos) << what;
  EXPECT_NE(what.find("hwoi"), std::string::npos) << what;
}

}  // namespace
}  // namespace tconv::test
