// SPDX-License-Identifier: Apache-2.0
// measure.cpp: see measure.h.
#include "bench/gpu/measure.h"

#include <algorithm>
#include <optional>

#include "bench/gpu/timed_plan.h"
#include "src/host/problem/errors.h"

namespace tconv::bench {
namespace {

/// Runs that are longer than this are timed apart, a few times: they would stretch every round.
constexpr double kSlowUs = 50e3;
constexpr int kSlowSamples = 3;
/// A sample of gather's that takes longer is taken once, not again beside every few rivals.
constexpr double kPatienceUs = 20e3;
/// So many proposals share their rounds.
constexpr std::size_t kChunk = 6;
constexpr int64_t kMostSets = TimedPlan::kMostLaunches;
constexpr const char* kStates[] = {"cold", "warm"};

/// A plan of a row other than gather, to be timed.
struct Wanted {
  std::string row;
  host::Proposal proposal;
};

/// A row's plan on the way to its results.
struct Entry {
  std::string row;
  host::Proposal proposal;  ///< of gather: empty but for the tile
  std::optional<TimedPlan> timed;
  Verdict verdict;
  bool no_bound = false;
  bool slow() const { return timed->first_us() > kSlowUs; }
};

class Measurement {
 public:
  Measurement(const Machine& machine, const Unit& unit, ResultLines& results)
      : machine_(machine),
        unit_(unit),
        layer_(*unit.layer),
        problem_(layer_.problem),
        results_(results),
        data_(problem_, 1),
        buffers_(problem_, data_,
                 rotating_sets(static_cast<int64_t>(problem_.least_bytes()),
                               machine.device.l2_bytes, kMostSets),
                 stream()),
        check_(problem_, data_, machine.compare, stream()) {}

  UnitResult run() {
    start_gather();
    if (gather_.timed) time_gather();
    // Ours first, so that they share the rounds of the rival's first choices.
    std::vector<Wanted> wanted = own_tiles();
    add_proposals(wanted);
    const ExpectedTimes expected = expected_times(layer_);
    const double plan_seconds = expected.plan_s[0] + expected.plan_s[1];
    for (std::size_t begin = 0; begin < wanted.size(); begin += kChunk) {
      const std::size_t end = std::min(wanted.size(), begin + kChunk);
      if (begin > 0 && !machine_.has_time(plan_seconds * static_cast<double>(end - begin))) {
        result_.complete = false;
        return result_;
      }
      measure_chunk(std::span(wanted).subspan(begin, end - begin));
    }
    return result_;
  }

 private:
  host::Stream stream() const { return machine_.launcher.stream(); }

  host::Options options(const std::string& row, const std::string& tile) const {
    host::Options options{.device = host::DeviceKind::cuda, .kernels = {row}, .tile = tile};
    if (row != "cudnn") return options;
    // The rival at its best: whatever engine, up to 1 GiB, filters packed once in its own order.
    options.workspace_limit = int64_t{1} << 30;
    options.deterministic = false;
    options.unbounded_error = true;
    options.prepacked_filters = true;
    return options;
  }

  // ---- Lines. -----------------------------------------------------------------------------------

  Json line(const Entry& entry, const char* status) const {
    Json json = {
        {"kind", "timing"},         {"id", result_id(problem_, entry.row, entry.proposal.tile)},
        {"unit", unit_.id()},       {"problem", problem_.key()},
        {"suite_row", layer_.name}, {"batch", layer_.batch},
        {"row", entry.row},         {"plan", entry.proposal.tile},
        {"status", status}};
    if (!layer_.structure.empty()) json["structure"] = layer_.structure;
    if (!entry.proposal.from.empty()) json["heuristic"] = entry.proposal.from;
    if (!entry.proposal.notes.empty()) json["notes"] = entry.proposal.notes;
    return json;
  }

  void not_timed(const Entry& entry, const char* status, const std::string& reason) {
    Json json = line(entry, status);
    json["reason"] = reason;
    if (std::string(status) == "mismatch") json["verified"] = false;
    results_.append(json);
  }

  void add_verdict(const Entry& entry, Json& json) const {
    const Verdict& verdict = entry.verdict;
    json["verified"] = verdict.right;
    json["bound"] = entry.no_bound ? "none derived: 2 % of the sum of magnitudes" : "derived";
    json["sampled"] = verdict.sampled;
    json["sample_error_over_bound"] = verdict.sample_ratio;
    if (verdict.whole_bound <= 0) return;
    json["largest_distance_from_gather"] = verdict.whole_worst;
    json["distance_bound"] = verdict.whole_bound;
  }

  void append_timed(const Entry& entry, bool cold, const std::vector<double>& us,
                    const std::vector<double>& gather_us, const Rounds& rounds) {
    Json json = line(entry, "timed");
    const char* state = kStates[cold ? 0 : 1];
    // What is slow has one result: its operands leave the caches anyway.
    if (!entry.slow()) json["id"] = json["id"].get<std::string>() + "|" + state;
    json["state"] = state;
    const double middle = median(us);
    json["us"] = middle;
    const Interval interval = bootstrap_median(us, 1);
    json["us_low"] = interval.low, json["us_high"] = interval.high;
    if (!gather_us.empty() && entry.row != "gather") {
      const Interval ratio = bootstrap_ratio(gather_us, us, 1);
      json["gather_over_this"] = median(gather_us) / middle;
      json["ratio_low"] = ratio.low, json["ratio_high"] = ratio.high;
    }
    const double roofline = machine_.ceilings.roofline_us(problem_);
    if (roofline > 0) json["roofline_us"] = roofline, json["roofline_share"] = roofline / middle;
    json["rounds"] = us.size();
    json["rounds_dropped"] = rounds.dropped;
    json["steady"] = rounds.steady;
    json["launches"] = entry.timed->launches();
    json["sets"] = cold ? buffers_.sets() : 1;
    json["footprint_bytes"] =
        cold ? buffers_.footprint_bytes() : static_cast<int64_t>(problem_.least_bytes());
    json["workspace_bytes"] = entry.timed->plan().workspace_bytes();
    json["filters"] =
        entry.timed->plan().options().prepacked_filters ? "prepacked, not timed" : "as they are";
    add_verdict(entry, json);
    results_.append(json);
  }

  bool has(const Entry& entry) const {
    const std::string id = result_id(problem_, entry.row, entry.proposal.tile);
    return results_.has(id) || (results_.has(id + "|cold") && results_.has(id + "|warm"));
  }

  // ---- Rows. ------------------------------------------------------------------------------------

  /// Plans, poisons, runs, verifies. False, with a line that says why, where that does not work.
  bool start(Entry& entry) {
    try {
      machine_.launcher.forget_error();
      host::Plan plan = make_plan(problem_, options(entry.row, entry.proposal.tile),
                                  machine_.device, machine_.table);
      entry.proposal.tile = plan.tile();
      buffers_.poison(0, stream());
      machine_.launcher.forget_error();  // of an engine that cuDNN tried and refused
      entry.timed.emplace(machine_.launcher, buffers_, std::move(plan));
      entry.timed->run(0);
      const void* output = buffers_.tensors(0, false).output;
      if (entry.row == "gather") {
        const host::DeviceMemory scratch(static_cast<std::size_t>(problem_.output_bytes()));
        entry.verdict = check_.keep_expected(output, scratch.data());
      } else {
        entry.verdict = check_.check(output, entry.no_bound);
      }
    } catch (const host::Unsupported& reason) {
      not_timed(entry, "not run", reason.what());
      return false;
    } catch (const host::DeviceError& error) {
      fail(entry, error);
      return false;
    }
    if (entry.verdict.right) return true;
    ++result_.mismatches;
    not_timed(entry, "mismatch", entry.verdict.words);
    return false;
  }

  /// A device error ends the program, unless the device still answers (out of memory, say).
  void fail(Entry& entry, const host::DeviceError& error) {
    entry.timed.reset();
    not_timed(entry, "device error", error.what());
    machine_.launcher.forget_error();
    host::gpu().synchronise(stream());
  }

  /// False, with a line, where the device fails.
  bool capture(Entry& entry, bool cold) {
    try {
      entry.timed->capture(cold);
      return true;
    } catch (const host::DeviceError& error) {
      fail(entry, error);
      return false;
    }
  }

  void start_gather() {
    gather_.row = "gather";
    if (!start(gather_) || !capture(gather_, true)) gather_.timed.reset();
  }

  /// Its own result: beside no rival, and only where there is none yet.
  void time_gather() {
    if (has(gather_)) return;
    Entry* alone[] = {&gather_};
    time(alone);
  }

  /// All proposals, or the reason why there are none.
  std::vector<host::Proposal> ask(bool first_only, std::string& reason) const {
    for (const host::Kernel* row : machine_.table) {
      if (std::string("cudnn") != row->name) continue;
      const host::Options asked = options("cudnn", "");
      reason = row->declines(problem_, asked, machine_.device);
      if (!reason.empty()) return {};
      try {
        return row->proposals(problem_, asked, machine_.device, first_only);
      } catch (const host::Unsupported& unsupported) {
        reason = unsupported.what();
        return {};
      }
    }
    reason = "this build has no row cudnn";
    return {};
  }

  /// Our rows beside gather: of the part `first` the tile that the planner takes, else all tiles
  /// that take the problem.
  std::vector<Wanted> own_tiles() const {
    std::vector<Wanted> wanted;
    for (const host::Kernel* row : machine_.table) {
      const std::string name = row->name;
      if (row->device != host::DeviceKind::cuda || name == "gather" || name == "cudnn" ||
          !row->declines(problem_, options(name, ""), machine_.device).empty()) {
        continue;
      }
      for (const std::string& tile : tiles_of(*row)) {
        Wanted own{.row = name, .proposal = {.tile = tile}};
        if (!has({.row = name, .proposal = own.proposal})) wanted.push_back(std::move(own));
      }
    }
    return wanted;
  }

  std::vector<std::string> tiles_of(const host::Kernel& row) const {
    std::vector<std::string> tiles;
    const auto add = [&](const std::string& tile) {
      try {
        const host::Plan plan =
            make_plan(problem_, options(row.name, tile), machine_.device, machine_.table);
        tiles.emplace_back(plan.tile());
      } catch (const host::Unsupported&) {  // this tile does not take the problem
      }
    };
    if (unit_.part == Part::first) {
      add("");
    } else {
      for (const char* tile : row.tiles) add(tile);
    }
    return tiles;
  }

  /// Those of cuDNN that are to be timed now: of the part `first` three for each way to ask it.
  void add_proposals(std::vector<Wanted>& wanted) {
    const bool first = unit_.part == Part::first;
    const auto admitted = [](const host::Proposal& p) { return p.excluded.empty(); };
    std::string reason;
    std::vector<host::Proposal> all = ask(first, reason);
    // Heuristic A may know nothing but TF32, which strict f32 excludes.
    if (first && std::ranges::none_of(all, admitted)) all = ask(false, reason);
    if (std::ranges::none_of(all, admitted)) {
      if (reason.empty()) reason = "all that cuDNN proposes is excluded: " + all.front().excluded;
      const Entry none{.row = "cudnn"};
      if (!has(none)) not_timed(none, "not run", reason);
    }
    if (!first && !all.empty()) append_list(all);
    constexpr int kFirst = 3;
    int fused = 0, after = 0;
    for (host::Proposal& proposal : all) {
      if (!admitted(proposal)) continue;
      int& of_form = proposal.tile.ends_with("+epilogue") ? after : fused;
      if (first && of_form++ >= kFirst) continue;
      if (!has({.row = "cudnn", .proposal = proposal})) {
        wanted.push_back({.row = "cudnn", .proposal = std::move(proposal)});
      }
    }
  }

  /// What the heuristics propose, with what is not timed and why.
  void append_list(const std::vector<host::Proposal>& all) {
    const std::string id = "proposals|" + problem_.key();
    if (results_.has(id)) return;
    Json json = {{"kind", "proposals"},
                 {"id", id},
                 {"problem", problem_.key()},
                 {"suite_row", layer_.name},
                 {"list", Json::array()}};
    for (const host::Proposal& proposal : all) {
      Json one = {{"plan", proposal.tile}, {"heuristic", proposal.from}};
      if (!proposal.notes.empty()) one["notes"] = proposal.notes;
      if (!proposal.excluded.empty()) one["not_timed"] = proposal.excluded;
      json["list"].push_back(std::move(one));
    }
    results_.append(json);
  }

  /// Whether gather is quick enough to be in every chunk's rounds.
  bool gather_keeps_up() const {
    return gather_.timed &&
           gather_.timed->first_us() * static_cast<double>(buffers_.sets()) < kPatienceUs;
  }

  void measure_chunk(std::span<Wanted> chunk) {
    std::vector<Entry> entries;
    entries.reserve(chunk.size());
    for (Wanted& wanted : chunk) {
      Entry& entry = entries.emplace_back();
      entry.row = std::move(wanted.row);
      entry.proposal = std::move(wanted.proposal);
      for (const char* note : {"FFT", "sums in less", "narrows"}) {
        entry.no_bound = entry.no_bound || entry.proposal.notes.find(note) != std::string::npos;
      }
      if (!start(entry) || !capture(entry, true)) entries.pop_back();
    }
    std::vector<Entry*> fast;
    for (Entry& entry : entries) {
      if (entry.slow()) {
        Entry* alone[] = {&entry};
        time(alone);
      } else {
        fast.push_back(&entry);
      }
    }
    if (fast.empty()) return;
    if (gather_keeps_up()) fast.push_back(&gather_);
    time(fast);
  }

  /// Once more on the last set of buffers, after it was timed on all of them. False, with a line,
  /// if that is wrong.
  bool still_right(Entry& entry) {
    const int64_t last = buffers_.sets() - 1;
    buffers_.poison(last, stream());
    entry.timed->run(last);
    Verdict again{.right = true};
    check_.check_whole(buffers_.tensors(last, false).output, entry.no_bound, again);
    if (again.right) return true;
    ++result_.mismatches;
    entry.timed.reset();
    not_timed(entry, "mismatch", "after it was timed: " + again.words);
    return false;
  }

  /// Cold, then warm; gather's own line is written where it is timed alone.
  void time(std::span<Entry*> entries) {
    for (const bool cold : {true, false}) {
      std::vector<Entry*> able;
      for (Entry* entry : entries) {
        if (!entry->timed || (!cold && entry->slow())) continue;
        if (capture(*entry, cold)) able.push_back(entry);
      }
      if (!able.empty()) time(able, cold);
    }
  }

  void time(const std::vector<Entry*>& entries, bool cold) {
    std::vector<Contender> contenders;
    for (Entry* entry : entries) {
      contenders.push_back({entry->proposal.tile, [entry] { return entry->timed->sample(); }});
    }
    RoundSettings settings = machine_.rounds;
    const bool slow = entries.front()->slow();
    if (slow) settings.rounds = settings.most = kSlowSamples;
    const Rounds rounds =
        run_rounds(contenders, slow ? std::span<const Contender>() : machine_.anchors, settings);
    std::vector<double> gather_us;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (entries[i] == &gather_) gather_us = rounds.us[i];
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (entries[i] == &gather_ && entries.size() > 1) continue;
      if (!still_right(*entries[i])) continue;
      append_timed(*entries[i], cold, rounds.us[i], gather_us, rounds);
    }
  }

  const Machine& machine_;
  const Unit& unit_;
  const Layer& layer_;
  const host::Problem& problem_;
  ResultLines& results_;
  HostData data_;
  RotatingBuffers buffers_;
  OutputCheck check_;
  Entry gather_;
  UnitResult result_;
};

}  // namespace

std::string result_id(const host::Problem& problem, const std::string& row,
                      const std::string& plan) {
  return problem.key() + "|" + row + "|" + plan;
}

double Ceilings::roofline_us(const host::Problem& problem) const {
  const double macs_per_us =
      problem.desc().dtype == host::DType::f32 ? f32_macs_per_us : f16_macs_per_us;
  if (bytes_per_us <= 0 || macs_per_us <= 0) return 0;
  return std::max(problem.useful_macs() / macs_per_us, problem.least_bytes() / bytes_per_us);
}

UnitResult measure(const Machine& machine, const Unit& unit, ResultLines& results) {
  results.append({{"kind", "begin"}, {"unit", unit.id()}});
  const UnitResult result = Measurement(machine, unit, results).run();
  if (result.complete) results.append({{"kind", "end"}, {"unit", unit.id()}});
  return result;
}

}  // namespace tconv::bench
