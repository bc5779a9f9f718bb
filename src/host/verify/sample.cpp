// SPDX-License-Identifier: Apache-2.0
// sample.cpp: which outputs to look at where all are too many. Kernels go wrong by phase, by window
// class, at borders, at the edges of tiles, in the last channels: so each axis lists such
// positions, and the lists are paired so that every position of every list occurs at least once.
#include <algorithm>
#include <random>
#include <unordered_set>
#include <vector>

#include "src/host/problem/decomposition.h"
#include "src/host/verify/verify.h"

namespace tconv::host {
namespace {

using Random = std::mt19937_64;

/// A number in [0, extent); the same on every platform.
int64_t below(Random& random, int64_t extent) {
  return static_cast<int64_t>(random() % static_cast<uint64_t>(extent));
}

/// Different positions of one axis, the most telling first, at most `capacity`.
class Picks {
 public:
  Picks(int64_t extent, int64_t capacity, Random& random)
      : extent_(extent), capacity_(static_cast<std::size_t>(capacity)), random_(random) {
    for (const int64_t at : {int64_t{0}, extent - 1, int64_t{1}, extent - 2}) add(at);
  }

  void add(int64_t at) {
    if (at < 0 || at >= extent_ || values_.size() >= capacity_) return;
    if (seen_.insert(at).second) values_.push_back(at);
  }
  /// [begin, end), or its ends and random positions between them where it is long.
  void add_run(int64_t begin, int64_t end, int64_t most) {
    begin = std::clamp<int64_t>(begin, 0, extent_);
    end = std::clamp<int64_t>(end, begin, extent_);
    if (end - begin <= most) {
      for (int64_t at = begin; at < end; ++at) add(at);
      return;
    }
    add(begin), add(end - 1);
    for (int64_t i = 2; i < most; ++i) add(begin + below(random_, end - begin));
  }
  void add_random(int64_t count) { add_run(0, extent_, count); }

  const std::vector<int64_t>& values() const { return values_; }
  void shuffle() { std::ranges::shuffle(values_, random_); }

 private:
  int64_t extent_;
  std::size_t capacity_;
  Random& random_;
  std::vector<int64_t> values_;
  std::unordered_set<int64_t> seen_;
};

/// Calls visit(position) on both sides of some edges between blocks of 8 .. 128 in [0, extent): the
/// first, the last and one between, for each block size that a kernel may have.
template <typename Visit>
void visit_block_edges(int64_t extent, Random& random, Visit&& visit) {
  for (const int64_t block : {8, 16, 32, 64, 128, 256}) {
    const int64_t last = (extent - 1) / block;
    if (last < 1) return;
    for (const int64_t edge : {int64_t{1}, last, 1 + below(random, last)}) {
      visit(edge * block - 1), visit(edge * block);
    }
  }
}

/// Phases that behave differently: all of them where they are few, else both ends and a random one
/// of every window class, and some that no tap reaches.
std::vector<int64_t> telling_phases(const Axis& axis, int64_t most, Random& random) {
  std::vector<int64_t> phases;
  if (axis.stride <= most) {
    for (int64_t phase = 0; phase < axis.stride; ++phase) phases.push_back(phase);
    return phases;
  }
  const AxisDecomposition parts = decompose(axis);
  for (const WindowClass& part : parts.classes) {
    if (static_cast<int64_t>(phases.size()) + 6 > most) break;
    for (const int64_t j : {int64_t{0}, part.phase_count - 1, below(random, part.phase_count)}) {
      phases.push_back(part.first_phase + part.phase_step * j);
    }
  }
  // Phases without taps lie beside the classes and, where the stride is large, nearly everywhere.
  if (!phases.empty()) phases.push_back((phases.back() + 1) % axis.stride);
  for (int i = 0; i < 2; ++i) phases.push_back(below(random, axis.stride));
  return phases;
}

/// A random output position of `phase`; out of range if the phase has none.
int64_t random_of_phase(const Axis& axis, int64_t phase, Random& random) {
  const int64_t extent = phase_extent(axis, phase);
  return extent == 0 ? axis.out : phase + axis.stride * below(random, extent);
}

Picks spatial_picks(const Axis& axis, const std::vector<int64_t>& phases, int64_t capacity,
                    Random& random) {
  Picks picks(axis.out, capacity, random);
  for (const int64_t phase : phases) picks.add(random_of_phase(axis, phase, random));
  // The border: outputs whose window is cut by the first or by the last input pixel.
  const int64_t border = std::max<int64_t>(capacity / 8, 4);
  picks.add_run(0, axis.keff() - 1 - axis.pad_begin, border);
  picks.add_run((axis.in - 1) * axis.stride - axis.pad_begin + 1, axis.out, border);
  for (const int64_t phase : phases) {
    const int64_t extent = phase_extent(axis, phase);
    if (extent > 0) picks.add(phase), picks.add(phase + axis.stride * (extent - 1));
  }
  visit_block_edges(axis.out, random, [&](int64_t p) { picks.add(p); });
  // Kernels that go phase by phase have their tiles in the coordinate within the phase.
  visit_block_edges(phase_extent(axis, 0), random, [&](int64_t q) {
    const int64_t phase = phases[static_cast<std::size_t>(below(random, std::ssize(phases)))];
    if (q < phase_extent(axis, phase)) picks.add(phase + axis.stride * q);
  });
  picks.add_random(32);
  return picks;
}

Picks channel_picks(const Problem& problem, int64_t capacity, Random& random) {
  const int64_t extent = problem.desc().out_c, per_group = problem.out_c_per_group();
  Picks picks(extent, capacity, random);
  if (extent <= capacity / 2) picks.add_run(0, extent, extent);
  const int64_t group = below(random, problem.desc().groups);
  for (const int64_t g : {int64_t{1}, problem.desc().groups - 1, group}) {
    picks.add(g * per_group - 1), picks.add(g * per_group);
  }
  visit_block_edges(extent, random, [&](int64_t k) { picks.add(k); });
  visit_block_edges(per_group, random, [&](int64_t k) { picks.add(group * per_group + k); });
  picks.add_random(64);
  return picks;
}

/// Different coordinates, kept as positions in a dense NHWC output, until `limit` are there.
class Sample {
 public:
  Sample(const Extents& extents, int64_t limit)
      : extents_(extents),
        order_(dense_strides(Layout::nhwc, extents)),
        limit_(static_cast<std::size_t>(limit)) {}

  bool full() const { return indices_.size() >= limit_; }
  std::size_t size() const { return indices_.size(); }
  std::size_t room() const { return limit_ - indices_.size(); }
  void add(const Coordinate& at) {
    if (!full() && at.p < extents_.h && at.q < extents_.w) {
      indices_.insert(order_.offset(at.n, at.p, at.q, at.k));
    }
  }
  std::vector<Coordinate> sorted() const {
    std::vector<int64_t> indices(indices_.begin(), indices_.end());
    std::ranges::sort(indices);
    std::vector<Coordinate> result;
    result.reserve(indices.size());
    for (const int64_t i : indices) {
      result.push_back(
          {i / order_.n, i / order_.h % extents_.h, i / order_.w % extents_.w, i % extents_.c});
    }
    return result;
  }

 private:
  Extents extents_;
  Strides order_;
  std::size_t limit_;
  std::unordered_set<int64_t> indices_;
};

class Sampler {
 public:
  Sampler(const Problem& problem, uint64_t seed, int64_t limit)
      : extents_(problem.output_extents()),
        h_(normalise(problem.desc().h)),
        w_(normalise(problem.desc().w)),
        random_(seed),
        phases_h_(telling_phases(h_, std::max<int64_t>(limit / 8, 4), random_)),
        phases_w_(telling_phases(w_, std::max<int64_t>(limit / 8, 4), random_)),
        n_(extents_.n, std::max<int64_t>(limit / 4, 1), random_),
        p_(spatial_picks(h_, phases_h_, std::max<int64_t>(limit / 4, 1), random_)),
        q_(spatial_picks(w_, phases_w_, std::max<int64_t>(limit / 4, 1), random_)),
        k_(channel_picks(problem, std::max<int64_t>(limit / 4, 1), random_)),
        sample_(extents_, limit) {
    n_.add_random(16);
  }

  std::vector<Coordinate> draw() {
    add_corners();
    sweep();
    add_phase_pairs();
    add_pixel_blocks();
    // Whatever the limit still allows: half at telling positions, half anywhere. Drawing what is
    // already there ends it early where nearly all outputs are chosen.
    for (std::size_t before = 0; !sample_.full() && before < sample_.size();) {
      before = sample_.size();
      const std::size_t swept = sweep();
      for (std::size_t i = 0; i < swept; ++i) sample_.add(anywhere());
    }
    return sample_.sorted();
  }

 private:
  Coordinate anywhere() {
    return {below(random_, extents_.n), below(random_, extents_.h), below(random_, extents_.w),
            below(random_, extents_.c)};
  }

  void add_corners() {
    for (int corner = 0; corner < 16; ++corner) {
      sample_.add({(corner & 8) != 0 ? extents_.n - 1 : 0, (corner & 1) != 0 ? extents_.h - 1 : 0,
                   (corner & 2) != 0 ? extents_.w - 1 : 0, (corner & 4) != 0 ? extents_.c - 1 : 0});
    }
  }

  /// Every picked position of every axis once, in random company. Returns how many it drew.
  std::size_t sweep() {
    std::size_t longest = 0;
    for (Picks* picks : {&n_, &p_, &q_, &k_}) {
      picks->shuffle();
      longest = std::max(longest, picks->values().size());
    }
    const auto at = [](const Picks& picks, std::size_t i) {
      return picks.values()[i % picks.values().size()];
    };
    for (std::size_t i = 0; i < longest; ++i) {
      sample_.add({at(n_, i), at(p_, i), at(q_, i), at(k_, i)});
    }
    return longest;
  }

  /// A kernel's unit of work is a pair of phases or classes, one of each axis.
  void add_phase_pairs() {
    const int64_t h_count = std::ssize(phases_h_), w_count = std::ssize(phases_w_);
    const int64_t pairs = h_count * w_count;
    const auto room = static_cast<int64_t>(sample_.room() / 2);
    for (int64_t i = 0; i < std::min(pairs, room); ++i) {
      const int64_t pair = pairs <= room ? i : below(random_, pairs);
      Coordinate at = anywhere();
      at.p = random_of_phase(h_, phases_h_[static_cast<std::size_t>(pair / w_count)], random_);
      at.q = random_of_phase(w_, phases_w_[static_cast<std::size_t>(pair % w_count)], random_);
      sample_.add(at);
    }
  }

  /// Implicit GEMMs cut all pixels of all images, taken as one row, into tiles.
  void add_pixel_blocks() {
    const int64_t pixels = extents_.n * extents_.h * extents_.w;
    visit_block_edges(pixels, random_, [&](int64_t pixel) {
      sample_.add({pixel / extents_.w / extents_.h, pixel / extents_.w % extents_.h,
                   pixel % extents_.w, below(random_, extents_.c)});
    });
    const int64_t h_extent = phase_extent(h_, 0), w_extent = phase_extent(w_, 0);
    visit_block_edges(extents_.n * h_extent * w_extent, random_, [&](int64_t pixel) {
      sample_.add({pixel / w_extent / h_extent, pixel / w_extent % h_extent * h_.stride,
                   pixel % w_extent * w_.stride, below(random_, extents_.c)});
    });
  }

  Extents extents_;
  Axis h_, w_;
  Random random_;
  std::vector<int64_t> phases_h_, phases_w_;
  Picks n_, p_, q_, k_;
  Sample sample_;
};

}  // namespace

std::vector<Coordinate> stratified_sample(const Problem& problem, uint64_t seed, int64_t limit) {
  if (problem.empty_output() || limit <= 0) return {};
  const Extents extents = problem.output_extents();
  if (extents.count() > limit) return Sampler(problem, seed, limit).draw();
  Sample all(extents, limit);
  for (int64_t n = 0; n < extents.n; ++n) {
    for (int64_t p = 0; p < extents.h; ++p) {
      for (int64_t q = 0; q < extents.w; ++q) {
        for (int64_t k = 0; k < extents.c; ++k) all.add({n, p, q, k});
      }
    }
  }
  return all.sorted();
}

}  // namespace tconv::host
