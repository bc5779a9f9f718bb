// SPDX-License-Identifier: Apache-2.0
// test_emulator.cpp: the emulator sees what is wrong in small kernels that are wrong, says where,
// says nothing of kernels that are right, and counts what can be counted by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "src/host/problem/errors.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/kernels/faults.h"

namespace tconv::emulator {
namespace {

using cuda::faults::FaultArgs;
using testing::Contains;
using testing::HasSubstr;
using testing::StartsWith;

using Launch = void (*)(const FaultArgs&);

class EmulatorTest : public testing::Test {
 protected:
  static constexpr int kFloats = 1024;
  EmulatorTest() {
    configure({});
    x_ = static_cast<float*>(allocate(kFloats * sizeof(float), "x"));
    y_ = static_cast<float*>(allocate(kFloats * sizeof(float), "y"));
    std::iota(x_, x_ + kFloats, 1.0F);
    set_written(x_, kFloats * sizeof(float), true);
    set_constant(x_, kFloats * sizeof(float), true);
  }
  ~EmulatorTest() override {
    release(y_);
    release(x_);
    configure({});
    forget_reports();
  }

  FaultArgs args(int count, unsigned threads = 64, unsigned blocks = 1) const {
    return {x_, y_, count, threads, blocks};
  }

  const Report& run(Launch launch, const FaultArgs& args) {
    try {
      launch(args);
    } catch (const host::DeviceError& error) {
      EXPECT_FALSE(reports().back().clean()) << error.what();
    }
    return reports().back();
  }

  /// One finding of `kind`, at a line of faults.cu.
  void expect_finding(Launch launch, const FaultArgs& args, const std::string& kind,
                      const std::string& detail = "") {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      configure({.seed = seed});
      const Report& report = run(launch, args);
      ASSERT_FALSE(report.clean()) << "seed " << seed;
      const Finding& first = report.findings.front();
      EXPECT_EQ(first.kind, kind) << first.text();
      EXPECT_THAT(first.where, HasSubstr("faults.cu:"));
      EXPECT_THAT(first.detail, HasSubstr(detail));
      EXPECT_GE(first.thread, 0);
    }
  }

  void expect_clean(Launch launch, const FaultArgs& args) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      configure({.seed = seed});
      const Report& report = run(launch, args);
      EXPECT_TRUE(report.clean()) << report.text();
    }
  }

  float *x_ = nullptr, *y_ = nullptr;
};

TEST_F(EmulatorTest, RunsEveryThreadOfEveryBlock) {
  expect_clean(cuda::faults::launch_copy, args(600, 96, 7));
  for (int i = 0; i < 600; ++i) ASSERT_EQ(y_[i], x_[i]) << i;
  EXPECT_TRUE(std::isnan(y_[600]));
  const Counters& counters = reports().back().counters;
  EXPECT_EQ(counters.threads, 7U * 96U);
  EXPECT_EQ(counters.blocks, 7U);
}

TEST_F(EmulatorTest, SaysNothingOfWhatIsRight) {
  expect_clean(cuda::faults::launch_reverse, args(64));
  for (int i = 0; i < 64; ++i) ASSERT_EQ(y_[i], x_[63 - i]);
  expect_clean(cuda::faults::launch_two_sums, args(64));
  expect_clean(cuda::faults::launch_producer, args(256));
  for (int i = 0; i < 256; ++i) ASSERT_EQ(y_[i], x_[i / 32 * 32 + 31 - i % 32]);
  expect_clean(cuda::faults::launch_pipeline, args(1024, 64));
  float sum = 0;
  for (int step = 0; step < 4; ++step) {
    for (int i = 0; i < 4; ++i) sum += x_[(step * 64 + 1) * 4 + i];
  }
  EXPECT_EQ(y_[0], sum);
  expect_clean(cuda::faults::launch_struct_copy, args(256));
  EXPECT_EQ(y_[255], x_[255]);
}

TEST_F(EmulatorTest, FindsAccessesOutOfBounds) {
  expect_finding(cuda::faults::launch_copy, args(kFloats + 1, 128, 9), "read out of bounds",
                 "x+4096");
  expect_finding(cuda::faults::launch_past_shared, args(64), "write out of bounds", "shared+256");
  FaultArgs elsewhere = args(64);
  std::vector<float> host(64);
  elsewhere.x = host.data();
  expect_finding(cuda::faults::launch_copy, elsewhere, "read out of bounds",
                 "outside every tensor");
  expect_finding(cuda::faults::launch_past_local, args(4), "local array out of bounds", "index 4");
  expect_clean(cuda::faults::launch_past_local, args(3));
}

TEST_F(EmulatorTest, FindsWritesToConstantTensors) {
  FaultArgs backwards = args(64);
  backwards.y = x_;
  expect_finding(cuda::faults::launch_copy, backwards, "write to a constant tensor", "x+");
}

TEST_F(EmulatorTest, FindsReadsOfUnwrittenMemory) {
  expect_finding(cuda::faults::launch_unwritten_shared, args(64), "read of unwritten memory",
                 "shared+252");
  FaultArgs from_y = args(64);
  from_y.x = y_ + 512;
  expect_finding(cuda::faults::launch_copy, from_y, "read of unwritten memory", "y+");
}

TEST_F(EmulatorTest, FindsMisalignedAccesses) {
  expect_finding(cuda::faults::launch_misaligned, args(64), "misaligned access", "4 bytes at once");
}

TEST_F(EmulatorTest, FindsBarriersThatNotAllReach) {
  expect_finding(cuda::faults::launch_divergence, args(64), "barrier divergence", "thread");
  expect_finding(cuda::faults::launch_early_exit, args(40), "barrier divergence", "24 threads");
  expect_finding(cuda::faults::launch_lonely_barrier, args(64), "deadlock", "bar.sync");
}

TEST_F(EmulatorTest, FindsRacesWhateverTheOrder) {
  expect_finding(cuda::faults::launch_every_block, args(64, 64, 2), "race", "another block");
  // Whoever reads before the other wrote reads what nobody wrote; the other way round it is a race.
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    configure({.seed = seed});
    EXPECT_FALSE(run(cuda::faults::launch_reverse_unsynced, args(64)).clean());
    EXPECT_FALSE(run(cuda::faults::launch_two_sums_unsynced, args(64)).clean());
  }
}

TEST_F(EmulatorTest, NamesBlockThreadAndLine) {
  run(cuda::faults::launch_copy, args(kFloats + 1, 128, 9));
  const Finding& finding = reports().back().findings.front();
  EXPECT_EQ(finding.block[0], 8U);
  EXPECT_EQ(finding.thread, 0);
  EXPECT_THAT(finding.where, HasSubstr("(copy)"));
  EXPECT_THAT(finding.text(), HasSubstr("block 8,0,0 thread 0"));
}

TEST_F(EmulatorTest, RepeatsARunBySeed) {
  std::vector<uint64_t> orders;
  for (const uint64_t seed : {1, 1, 2}) {
    configure({.seed = seed});
    orders.push_back(run(cuda::faults::launch_reverse, args(64)).order_hash);
  }
  EXPECT_EQ(orders[0], orders[1]);
  EXPECT_NE(orders[0], orders[2]);
}

TEST_F(EmulatorTest, LeavesOutOneSite) {
  for (const Launch launch : {cuda::faults::launch_reverse, cuda::faults::launch_two_sums,
                              cuda::faults::launch_pipeline, cuda::faults::launch_producer}) {
    const FaultArgs a = args(launch == cuda::faults::launch_pipeline   ? 1024
                             : launch == cuda::faults::launch_producer ? 256
                                                                       : 64);
    configure({});
    const std::vector<SyncSite> sites = run(launch, a).sites;
    ASSERT_FALSE(sites.empty());
    for (const SyncSite& site : sites) {
      configure({.drop = {site.site}});
      const Report& report = run(launch, a);
      EXPECT_FALSE(report.clean()) << site.name << " at " << site.site.text();
    }
  }
}

TEST_F(EmulatorTest, CountsSwitchesBarriersAndSites) {
  const Report& report = run(cuda::faults::launch_barriers, args(10));
  EXPECT_EQ(report.counters.barriers, 10U);
  ASSERT_EQ(report.sites.size(), 1U);
  EXPECT_EQ(report.sites[0].name, "__syncthreads");
  EXPECT_EQ(report.sites[0].executions, 640U);
  EXPECT_GE(report.switches, 640U);
}

// ---- Requests. ----------------------------------------------------------------------------------

TEST_F(EmulatorTest, CountsCoalescedRequests) {
  configure({.count = true});
  const Counters counters = run(cuda::faults::launch_copy, args(256, 64, 4)).counters;
  EXPECT_EQ(counters.global_loads.requests, 8U);
  EXPECT_EQ(counters.global_loads.sectors, 32U);
  EXPECT_EQ(counters.global_loads.lines, 8U);
  EXPECT_EQ(counters.global_loads.useful_bytes, 1024U);
  EXPECT_EQ(counters.global_stores.requests, 8U);
  EXPECT_EQ(counters.global_stores.moved_bytes(), 1024U);
}

TEST_F(EmulatorTest, CountsPartialWarps) {
  configure({.count = true});
  const Counters counters = run(cuda::faults::launch_copy, args(40, 64, 1)).counters;
  EXPECT_EQ(counters.global_loads.requests, 2U);
  EXPECT_EQ(counters.global_loads.lanes, 40U);
  EXPECT_EQ(counters.global_loads.sectors, 5U);
}

TEST_F(EmulatorTest, KeepsLanesTogetherThatSkipIterations) {
  configure({.count = true});
  const Report& report = run(cuda::faults::launch_skipping, args(9, 32));
  // Nine iterations, each one request, and the read after the loop: 32 or, where i is odd, 21
  // lanes.
  EXPECT_EQ(report.counters.global_loads.requests, 10U);
  EXPECT_EQ(report.counters.global_loads.lanes, 6U * 32U + 4U * 21U);
  EXPECT_EQ(report.counters.global_loads.lines, 10U);
}

TEST_F(EmulatorTest, CountsBankConflicts) {
  configure({.count = true});
  for (const auto& [pitch, wavefronts] : {std::pair{32, 32U * 32U}, {33, 32U}, {34, 2U * 32U}}) {
    cuda::faults::launch_columns(args(0, 32), pitch);
    const Counters& counters = reports().back().counters;
    EXPECT_EQ(counters.shared_loads.requests, 32U);
    EXPECT_EQ(counters.shared_loads.wavefronts, wavefronts) << pitch;
    EXPECT_EQ(counters.shared_loads.ideal, 32U);
  }
}

TEST_F(EmulatorTest, CountsAStructAsOneAccess) {
  configure({.count = true});
  const Report& report = run(cuda::faults::launch_struct_copy, args(256));
  EXPECT_EQ(report.counters.global_loads.requests, 2U);
  EXPECT_EQ(report.counters.global_loads.sectors, 32U);
  ASSERT_EQ(report.instructions.size(), 2U);
  EXPECT_EQ(report.instructions[0].bytes, 16);
}

TEST_F(EmulatorTest, CountsCopiesThatGoOn) {
  configure({.count = true});
  const Counters& counters = run(cuda::faults::launch_pipeline, args(1024, 64)).counters;
  EXPECT_EQ(counters.async_copies.requests, 8U);
  EXPECT_EQ(counters.async_copies.sectors, 128U);
  EXPECT_EQ(counters.barriers, 8U);
  EXPECT_EQ(y_[0], [&] {
    float sum = 0;
    for (int step = 0; step < 4; ++step) {
      for (int i = 0; i < 4; ++i) sum += x_[(step * 64 + 1) * 4 + i];
    }
    return sum;
  }());
}

// ---- The seam. ----------------------------------------------------------------------------------

TEST_F(EmulatorTest, RefusesWhatNoGpuTakes) {
  EXPECT_THROW(cuda::faults::launch_copy(args(1, 1025)), host::DeviceError);
  EXPECT_THROW(cuda::faults::launch_copy(args(1, 64, 0)), host::DeviceError);
  EXPECT_THROW(cuda::faults::launch_columns(args(0, 32), 100000), host::DeviceError);
}

TEST_F(EmulatorTest, IsOutOfMemoryInWords) {
  try {
    emulated_gpu().allocate(std::size_t{5} << 30);
    FAIL();
  } catch (const host::DeviceError& error) {
    EXPECT_THAT(error.what(), HasSubstr("5368709120 bytes"));
  }
}

}  // namespace
}  // namespace tconv::emulator
