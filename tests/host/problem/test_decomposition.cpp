// SPDX-License-Identifier: Apache-2.0
// test_decomposition.cpp: window classes against the definition (axis.h), exhaustively.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/host/problem/decomposition.h"

namespace tconv::host {
namespace {

std::string to_string(const Axis& a) {
  return "in " + std::to_string(a.in) + " k " + std::to_string(a.kernel) + " s " +
         std::to_string(a.stride) + " d " + std::to_string(a.dilation) + " p " +
         std::to_string(a.pad_begin) + " out " + std::to_string(a.out);
}

/// A phase and its place within a class.
struct Member {
  const WindowClass* window = nullptr;
  int64_t j = 0;
};

/// Who has each phase; a phase that two classes claim is a failure.
std::vector<Member> members(const AxisDecomposition& parts) {
  std::vector<Member> owner(static_cast<std::size_t>(parts.axis.stride));
  for (const WindowClass& c : parts.classes) {
    EXPECT_GT(c.phase_count, 0);
    for (int64_t j = 0; j < c.phase_count; ++j) {
      const int64_t phase = c.first_phase + c.phase_step * j;
      EXPECT_GE(phase, 0);
      EXPECT_LT(phase, parts.axis.stride);
      if (phase < 0 || phase >= parts.axis.stride) continue;
      Member& member = owner[static_cast<std::size_t>(phase)];
      EXPECT_EQ(member.window, nullptr) << "phase " << phase << " is in two classes";
      member = {&c, j};
    }
  }
  return owner;
}

/// The (tap, input) pairs of output p, as its class says.
std::vector<std::pair<int64_t, int64_t>> reads(const AxisDecomposition& parts,
                                               const std::vector<Member>& owner, int64_t p) {
  std::vector<std::pair<int64_t, int64_t>> pairs;
  const auto [c, j] = owner[static_cast<std::size_t>(p % parts.axis.stride)];
  for (int64_t t = 0; c != nullptr && t < c->tap_count; ++t) {
    const int64_t input = p / parts.axis.stride + c->shift - c->input_step * t;
    if (0 <= input && input < parts.axis.in) {
      pairs.emplace_back(c->first_tap + j + c->tap_step * t, input);
    }
  }
  return pairs;
}

/// The same, by the definition.
std::vector<std::pair<int64_t, int64_t>> defined_reads(const Axis& axis, int64_t p) {
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (int64_t r = 0; r < axis.kernel; ++r) {
    if (const int64_t i = input_index(axis, p, r); i != kNoInput) pairs.emplace_back(r, i);
  }
  return pairs;
}

/// How many (input, tap) pairs land on an output, by scattering.
int64_t scattered(const Axis& axis) {
  int64_t pairs = 0;
  for (int64_t i = 0; i < axis.in; ++i) {
    for (int64_t r = 0; r < axis.kernel; ++r) {
      const int64_t p = i * axis.stride - axis.pad_begin + r * axis.dilation;
      pairs += 0 <= p && p < axis.out ? 1 : 0;
    }
  }
  return pairs;
}

/// Each phase is where phase_window says, and each tap of the filter is in exactly one phase.
void expect_partition(const AxisDecomposition& parts, const std::vector<Member>& owner) {
  std::vector<int> uses(static_cast<std::size_t>(parts.axis.kernel));
  int64_t tapless = 0;
  for (int64_t phase = 0; phase < parts.axis.stride; ++phase) {
    const auto [c, j] = owner[static_cast<std::size_t>(phase)];
    const PhaseWindow window = phase_window(parts.axis, phase);
    ASSERT_EQ(window.tap_count, c == nullptr ? 0 : c->tap_count) << "phase " << phase;
    tapless += c == nullptr ? 1 : 0;
    if (c == nullptr) continue;
    EXPECT_EQ(window.first_tap, c->first_tap + j);
    EXPECT_EQ(window.tap_step, c->tap_step);
    EXPECT_EQ(window.shift, c->shift);
    EXPECT_EQ(window.input_step, c->input_step);
    for (int64_t t = 0; t < window.tap_count; ++t) {
      const int64_t tap = window.first_tap + window.tap_step * t;
      ASSERT_LT(tap, parts.axis.kernel);
      ++uses[static_cast<std::size_t>(tap)];
    }
  }
  EXPECT_EQ(tapless, parts.tapless_phases);
  for (const int count : uses) EXPECT_EQ(count, 1);
}

/// Two classes that read the same window would be one.
void expect_fewest(const AxisDecomposition& parts) {
  std::set<std::pair<int64_t, int64_t>> windows;
  for (const WindowClass& c : parts.classes) windows.emplace(c.shift, c.tap_count);
  EXPECT_EQ(windows.size(), parts.classes.size());
  EXPECT_TRUE(std::ranges::is_sorted(parts.classes, {}, &WindowClass::first_phase));
}

/// Compares every output of `axis` with the definition; returns the (output, tap, input) triples.
int64_t check(const Axis& axis) {
  const AxisDecomposition parts = decompose(axis);
  const std::vector<Member> owner = members(parts);
  expect_partition(parts, owner);
  expect_fewest(parts);
  EXPECT_GE(class_bound(axis), parts.class_count());
  int64_t triples = 0;
  for (int64_t p = 0; p < axis.out; ++p) {
    auto pairs = reads(parts, owner, p);
    std::ranges::sort(pairs);
    EXPECT_EQ(pairs, defined_reads(axis, p)) << "output " << p;
    triples += static_cast<int64_t>(pairs.size());
  }
  EXPECT_EQ(triples, scattered(axis));
  return triples;
}

TEST(Decomposition, GivesEveryTripleOfTheDefinition) {
  int64_t triples = 0, axes = 0;
  for (int64_t s = 1; s <= 9; ++s) {
    for (int64_t k = 1; k <= 9; ++k) {
      for (int64_t d = 1; d <= 5; ++d) {
        for (int64_t p = -3; p <= 9; ++p) {
          for (const int64_t in : {0, 1, 2, 4, 9}) {
            Axis axis{.in = in, .kernel = k, .stride = s, .dilation = d, .pad_begin = p};
            for (const int64_t out : {int64_t{1}, axis.full() - p - 1, axis.full() - p + s}) {
              axis.out = std::max<int64_t>(out, 0);
              triples += check(axis);
              ++axes;
              if (HasFailure()) FAIL() << to_string(axis);
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(axes, 9 * 9 * 5 * 13 * 5 * 3);
  EXPECT_GT(triples, 700'000);
}

TEST(Decomposition, HasAtMostThreeClassesWithoutDilation) {
  std::array<int, 4> seen{};
  for (int64_t s = 1; s <= 32; ++s) {
    for (int64_t k = 1; k < 70; ++k) {
      for (int64_t p = -4; p < 40; ++p) {
        const Axis axis{.in = 2, .kernel = k, .stride = s, .pad_begin = p};
        const int64_t classes = decompose(axis).class_count();
        ASSERT_GE(classes, 1) << to_string(axis);
        ASSERT_LE(classes, k % s == 0 ? 2 : 3) << to_string(axis);
        if (k == s && p == 0) {
          ASSERT_EQ(classes, 1) << to_string(axis);
        }
        ++seen[static_cast<std::size_t>(classes)];
      }
    }
  }
  for (const int classes : {1, 2, 3}) EXPECT_GT(seen[static_cast<std::size_t>(classes)], 0);
}

TEST(Decomposition, MakesOneProductOfOneInputPixel) {
  for (int64_t k = 1; k <= 9; ++k) {
    for (int64_t s = 1; s <= 9; ++s) {
      const AxisDecomposition parts = decompose({.in = 1, .kernel = k, .stride = s, .out = k});
      ASSERT_EQ(parts.classes.size(), 1u);
      EXPECT_EQ(parts.axis.stride, k);
      EXPECT_EQ(parts.tapless_phases, 0);
      EXPECT_EQ(parts.classes[0], (WindowClass{.phase_count = k, .tap_step = k, .tap_count = 1}));
    }
  }
}

// What the vendors' tables call fcn32s, hifigan and istft: few classes of many phases.
TEST(Decomposition, KnowsWideUpsampling) {
  const auto classes = [](int64_t k, int64_t s, int64_t p) {
    return decompose({.in = 16, .kernel = k, .stride = s, .pad_begin = p}).classes;
  };
  EXPECT_EQ(classes(64, 32, 0),
            (std::vector<WindowClass>{{.phase_count = 32, .tap_step = 32, .tap_count = 2}}));
  EXPECT_EQ(
      classes(64, 32, 16),
      (std::vector<WindowClass>{
          {.phase_count = 16, .first_tap = 16, .tap_step = 32, .tap_count = 2},
          {.first_phase = 16, .phase_count = 16, .tap_step = 32, .tap_count = 2, .shift = 1}}));
  EXPECT_EQ(classes(1024, 256, 0).size(), 1u);
}

// ---- Sizes at which nothing may be done per phase
// ------------------------------------------------

/// The class of `phase`, found without walking phases.
Member find(const AxisDecomposition& parts, int64_t phase) {
  for (const WindowClass& c : parts.classes) {
    const int64_t distance = phase - c.first_phase;
    if (distance < 0 || distance % c.phase_step != 0) continue;
    if (distance / c.phase_step < c.phase_count) return {&c, distance / c.phase_step};
  }
  return {};
}

/// The definition, in 128 bits, for one output of the phase.
void expect_defined(const Axis& axis, int64_t phase, const PhaseWindow& window) {
  for (const int64_t t : {int64_t{0}, window.tap_count / 2, window.tap_count - 1}) {
    const __int128 tap = static_cast<__int128>(window.tap_step) * t + window.first_tap;
    const __int128 input = static_cast<__int128>(window.input_step) * -t + window.shift;
    EXPECT_TRUE(0 <= tap && tap < axis.kernel);
    EXPECT_TRUE(input * axis.stride - axis.pad_begin + tap * axis.dilation == phase)
        << "phase " << phase << " tap " << static_cast<int64_t>(tap);
  }
}

int64_t check_sampled(const Axis& axis) {
  const AxisDecomposition parts = decompose(axis);
  expect_fewest(parts);
  EXPECT_GE(class_bound(axis), parts.class_count());
  int64_t phases = 0, with_taps = 0;
  for (const WindowClass& c : parts.classes) phases += c.phase_count;
  EXPECT_EQ(phases + parts.tapless_phases, axis.stride);
  std::set<int64_t> sample = {0, 1, axis.stride / 3, axis.stride / 2, axis.stride - 1};
  for (const WindowClass& c : parts.classes) {
    const int64_t last = c.first_phase + (c.phase_count - 1) * c.phase_step;
    EXPECT_TRUE(0 <= c.first_phase && last < axis.stride);
    for (const int64_t phase : {c.first_phase - 1, c.first_phase, last, last + 1}) {
      if (0 <= phase && phase < axis.stride) sample.insert(phase);
    }
  }
  for (const int64_t phase : sample) {
    const PhaseWindow window = phase_window(axis, phase);
    const auto [c, j] = find(parts, phase);
    EXPECT_EQ(c == nullptr ? 0 : c->tap_count, window.tap_count) << "phase " << phase;
    if (c == nullptr || window.tap_count == 0) continue;
    EXPECT_EQ(c->first_tap + j, window.first_tap);
    EXPECT_EQ(c->shift, window.shift);
    expect_defined(axis, phase, window);
    ++with_taps;
  }
  return with_taps;
}

TEST(Decomposition, HandlesHugeSizesWithoutWorkPerPhase) {
  constexpr int64_t k31 = int64_t{1} << 31, k40 = int64_t{1} << 40, k60 = int64_t{1} << 60;
  const std::vector<Axis> axes = {
      {.in = 3, .kernel = 3, .stride = 46'889},
      {.in = 3, .kernel = 100'000, .stride = 46'889, .pad_begin = 46'000},
      {.in = 3, .kernel = 46'889, .stride = 46'889, .dilation = 3, .pad_begin = 7},
      {.in = 2, .kernel = 5, .stride = k31, .pad_begin = 2},
      {.in = 2, .kernel = k40, .stride = k31, .pad_begin = -5},
      {.in = 2, .kernel = k40 + 1, .stride = k31 + 1, .dilation = 6, .pad_begin = k60},
      {.in = 2, .kernel = 7, .stride = k60, .dilation = k40, .pad_begin = 3 * k40},
      {.in = 2, .kernel = 7, .stride = k60 + 1, .dilation = k40 + 15, .pad_begin = -k60},
      {.in = k31, .kernel = 1'000, .stride = k31 - 1, .dilation = k40 + 1, .pad_begin = k60},
      {.in = 2, .kernel = k60, .stride = k60 - 1, .dilation = 1, .pad_begin = k60 + 12'345},
  };
  for (const Axis& axis : axes) {
    EXPECT_GE(check_sampled(axis), 2) << to_string(axis);
    if (HasFailure()) FAIL() << to_string(axis);
  }
}

// A legal problem without channels may have such a filter: no list of its classes can be made.
TEST(Decomposition, BoundsItsClassesBeforeMakingThem) {
  constexpr int64_t k30 = int64_t{1} << 30;
  EXPECT_LE(class_bound({.in = 2, .kernel = k30, .stride = k30}), 3);
  EXPECT_GT(class_bound({.in = 2, .kernel = k30, .stride = k30 + 1, .dilation = k30}), k30 / 2);
}

}  // namespace
}  // namespace tconv::host
