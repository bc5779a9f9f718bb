// SPDX-License-Identifier: Apache-2.0
// explain.cpp: a plan, and one output element, in words or JSON.
#include "src/host/explain/explain.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "src/host/explain/units.h"
#include "src/host/plan/reasons.h"
#include "src/host/plan/unlock.h"
#include "src/host/problem/errors.h"
#include "tconv/printable.h"

namespace tconv::host {
namespace {

using Json = nlohmann::ordered_json;

/// JSON has no infinity and no NaN: they are the strings "inf", "-inf" and "nan".
Json number_json(double number) {
  return std::isfinite(number) ? Json(number) : Json(number_text(number, 0));
}

/// The same number as text.
std::string number_of(const Json& number) {
  return number.is_string() ? number.get<std::string>() : number.dump();
}

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

/// The fastest multiply-adds that the device has for this problem.
double macs_per_us(const Plan& plan) {
  const DeviceFacts& device = plan.device();
  const DType type = plan.problem().desc().dtype;
  if (device.kind != DeviceKind::cuda) {
    return device.f32_macs_per_us * (type == DType::f64 ? 0.5 : 1);
  }
  if (type == DType::f64) return device.f64_macs_per_us;
  const double tensor = type != DType::f32                    ? device.f16_tensor_macs_per_us
                        : plan.options().math == Math::tf32   ? device.tf32_tensor_macs_per_us
                        : plan.options().math == Math::tf32x3 ? device.tf32_tensor_macs_per_us / 3
                                                              : 0;
  return std::max(device.f32_macs_per_us, tensor);
}

/// What a vendor's library proposes for the plan's device, or why it proposes nothing.
Json proposals_json(const Plan& plan, const Kernel& kernel) {
  Json list = Json::array();
  try {
    for (const Proposal& proposal :
         kernel.proposals(plan.problem(), plan.options(), plan.device(), false)) {
      list.push_back({{"tile", proposal.tile}, {"from", proposal.from}});
      if (!proposal.notes.empty()) list.back()["notes"] = proposal.notes;
      if (!proposal.excluded.empty()) list.back()["excluded"] = proposal.excluded;
    }
  } catch (const Unsupported& reason) {
    return {{"reason", reason.what()}};
  }
  return list;
}

/// For GPUs that are not here: on one that is, the chosen tile says it, and `bench` measures all.
bool lists_proposals(const Plan& plan, const Candidate& candidate) {
  return candidate.kernel->proposals != nullptr && !plan.device().is_here() &&
         candidate.kernel->declines(plan.problem(), plan.options(), plan.device()).empty();
}

bool has_estimate(const Candidate& candidate) {
  return candidate.estimate_us > 0 && std::isfinite(candidate.estimate_us);
}

Json candidate_json(const Candidate& candidate, double roofline, bool chosen) {
  Json json = {{"kernel", candidate.kernel->name},
               {"tile", candidate.kernel->tiles[static_cast<std::size_t>(candidate.tile)]},
               {"chosen", chosen}};
  if (has_estimate(candidate)) {
    json["estimate_us"] = candidate.estimate_us;
    json["roofline_share"] = roofline / candidate.estimate_us;
  }
  if (!chosen) json["reason"] = candidate.reason;
  return json;
}

Json plan_json(const Plan& plan) {
  const Problem& problem = plan.problem();
  const double roofline = roofline_us(plan);
  Json json = {{"key", problem.key()},
               {"name", problem.name()},
               {"device", plan.device().name},
               {"kernel", plan.kernel().name},
               {"tile", plan.tile()},
               {"workspace_bytes", plan.workspace_bytes()},
               {"packed_filter_bytes", plan.packed_filter_bytes()},
               {"device_bytes", plan.state().device_bytes},
               {"estimate_us", plan.estimate_us()},
               {"roofline_us", roofline},
               {"useful_macs", problem.useful_macs()},
               {"least_bytes", problem.least_bytes()},
               {"rows", Json::array()}};
  if (plan.packed_filter_bytes() > 0) json["packed_key"] = plan.packed_key();
  if (!plan.device_note().empty()) json["device_note"] = plan.device_note();
  if (plan.passes_over_gpu()) json["gpu_not_used"] = plan.device_note();
  if (!plan.resized_from().empty()) json["resized_from"] = plan.resized_from();
  for (const Candidate& candidate : plan.candidates()) {
    json["rows"].push_back(candidate_json(candidate, roofline, candidate.reason.empty()));
    if (!lists_proposals(plan, candidate)) continue;
    json["rows"].back()["proposals"] = proposals_json(plan, *candidate.kernel);
  }
  if (const std::optional<Unlocked> faster = unlocked_by_one_option(plan)) {
    json["unlock"] = {{"option", faster->option},
                      {"words", faster->words},
                      {"kernel", faster->kernel},
                      {"tile", faster->tile},
                      {"estimate_us", faster->estimate_us}};
  }
  return json;
}

std::string proposals_text(const Plan& plan, const Kernel& kernel) {
  const Json list = proposals_json(plan, kernel);
  if (list.is_object())
    return "        proposes nothing: " + list["reason"].get<std::string>() + "\n";
  std::string text;
  for (const Json& proposal : list) {
    text += "        " + proposal["from"].get<std::string>() + " " +
            proposal["tile"].get<std::string>();
    if (proposal.contains("notes")) text += ", " + proposal["notes"].get<std::string>();
    if (proposal.contains("excluded")) {
      text += ": not allowed " + proposal["excluded"].get<std::string>();
    }
    text += "\n";
  }
  return text;
}

std::string tile_text(const Candidate& candidate, double roofline) {
  std::string text = candidate.kernel->tiles[static_cast<std::size_t>(candidate.tile)];
  if (!has_estimate(candidate)) return text;
  return text + "  " + time_text(candidate.estimate_us) + ", " +
         format("%.0f", 100 * roofline / candidate.estimate_us) + " % of the roofline";
}

/// One line where there is one tile, or where nothing is known of any; else a line for each.
std::string group_text(const ReasonGroup& group, double roofline) {
  const std::string name = group.kernel->name;
  const bool chosen = group.reason.empty();
  const std::string verdict = chosen ? "  chosen" : "  not chosen: " + group.reason;
  const std::string mark = chosen ? "  * " : "    ";
  if (group.tiles.size() == 1) {
    return mark + name + "/" + tile_text(*group.tiles.front(), roofline) + verdict + "\n";
  }
  std::string list, lines;
  for (const Candidate* candidate : group.tiles) {
    const std::string tile = tile_text(*candidate, roofline);
    list += (list.empty() ? "" : ", ") + tile;
    lines += "        " + tile + "\n";
  }
  const auto known = [](const Candidate* candidate) { return has_estimate(*candidate); };
  if (std::ranges::none_of(group.tiles, known)) return mark + name + "/" + list + verdict + "\n";
  return mark + name + verdict + "\n" + lines;
}

std::string plan_text(const Plan& plan) {
  const Problem& problem = plan.problem();
  const double roofline = roofline_us(plan);
  std::ostringstream out;
  out << "problem    " << problem.key() << "\n";
  if (!problem.name().empty()) out << "name       " << problem.name() << "\n";
  out << "device     " << plan.device().name << "\n";
  if (!plan.device_note().empty()) out << "no GPU     " << plan.device_note() << "\n";
  if (!plan.resized_from().empty()) out << "resized    from " << plan.resized_from() << "\n";
  out << "row        " << plan.kernel().name << ", tile " << plan.tile() << "\n"
      << "workspace  " << plan.workspace_bytes() << " bytes";
  if (plan.options().prepacked_filters) {
    out << ", prepacked filters " << plan.packed_filter_bytes() << " bytes, key "
        << plan.packed_key();
  }
  out << "\nwork       " << count_text(problem.useful_macs()) << " useful multiply-adds, "
      << count_text(problem.least_bytes()) << "B at least; roofline (model) " << time_text(roofline)
      << "\n\nrows, as the planner saw them (times are estimates):\n";
  for (const ReasonGroup& group : reason_groups(plan.candidates())) {
    out << group_text(group, roofline);
    if (lists_proposals(plan, *group.tiles.front())) out << proposals_text(plan, *group.kernel);
  }
  if (const std::optional<Unlocked> faster = unlocked_by_one_option(plan)) {
    out << "\n"
        << faster->words << ": " << faster->kernel << ", " << time_text(faster->estimate_us)
        << "\n";
  }
  return out.str();
}

// ---- One output element ----------------------------------------------------------------------

struct Tap {
  int64_t r, s, h, w;
};

std::vector<Tap> taps_of(const ProblemDesc& d, int64_t p, int64_t q) {
  std::vector<Tap> taps;
  for (int64_t r = 0; r < d.h.kernel; ++r) {
    const int64_t h = input_index(d.h, p, r);
    if (h == kNoInput) continue;
    for (int64_t s = 0; s < d.w.kernel; ++s) {
      const int64_t w = input_index(d.w, q, s);
      if (w != kNoInput) taps.push_back({r, s, h, w});
    }
  }
  return taps;
}

void check_coordinate(const char* name, int64_t value, int64_t extent) {
  if (value < 0 || value >= extent) {
    refuse(std::string("at ") + name, value, "in [0, " + std::to_string(extent) + ")");
  }
}

/// The products of one tap: so many are listed, and as many more that are infinite or NaN, because
/// somebody may look for where a NaN comes from. The rest is only summed.
constexpr int64_t kListedProducts = 8;

/// Adds what the tap gives to `total`.
Json tap_json(const Problem& problem, const Tensors& tensors, const Tap& tap, int64_t n, int64_t k,
              double& total) {
  const ProblemDesc& d = problem.desc();
  Json json = {{"tap", {tap.r, tap.s}}, {"input_pixel", {tap.h, tap.w}}};
  if (tensors.input == nullptr) return json;
  const int64_t first_c = k / problem.out_c_per_group() * problem.in_c_per_group();
  double sum = 0;
  int64_t listed_besides = 0;
  json["products"] = Json::array();
  for (int64_t c = first_c; c < first_c + problem.in_c_per_group(); ++c) {
    const double x = load(d.dtype, tensors.input, d.input_strides.offset(n, tap.h, tap.w, c));
    const double f =
        load(d.dtype, tensors.filters,
             problem.filter_strides().offset(tap.r, tap.s, k % problem.out_c_per_group(), c));
    const bool is_besides =
        c - first_c >= kListedProducts && !std::isfinite(x * f) && listed_besides < kListedProducts;
    listed_besides += is_besides ? 1 : 0;
    if (c - first_c < kListedProducts || is_besides) {
      json["products"].push_back({{"c", c},
                                  {"input", number_json(x)},
                                  {"filter", number_json(f)},
                                  {"product", number_json(x * f)}});
    }
    sum += x * f;
  }
  json["sum"] = number_json(sum);
  total += sum;
  return json;
}

Json element_json(const Plan& plan, const Tensors& tensors, int64_t n, int64_t p, int64_t q,
                  int64_t k) {
  const Problem& problem = plan.problem();
  const ProblemDesc& d = problem.desc();
  Json json = {{"key", problem.key()},
               {"output", {n, p, q, k}},
               {"phase", {p % d.h.stride, q % d.w.stride}},
               {"channels", problem.in_c_per_group()},
               {"group", k / problem.out_c_per_group()},
               {"kernel", plan.kernel().name},
               {"tile", plan.tile()},
               {"taps", Json::array()}};
  double sum = 0;
  for (const Tap& tap : taps_of(d, p, q)) {
    json["taps"].push_back(tap_json(problem, tensors, tap, n, k, sum));
  }
  if (tensors.input != nullptr) json["sum"] = number_json(sum);
  return json;
}

std::string element_text(const Json& json) {
  std::ostringstream out;
  const auto& at = json["output"];
  out << "output n=" << at[0] << " p=" << at[1] << " q=" << at[2] << " k=" << at[3] << " of "
      << json["key"].get<std::string>() << "\nphase (" << json["phase"][0] << ", "
      << json["phase"][1] << "), group " << json["group"] << ", " << json["taps"].size()
      << " taps of " << json["channels"] << " input channels; computed by "
      << json["kernel"].get<std::string>() << ", tile " << json["tile"].get<std::string>() << "\n";
  for (const Json& tap : json["taps"]) {
    out << "  tap (" << tap["tap"][0] << ", " << tap["tap"][1] << ") x input pixel ("
        << tap["input_pixel"][0] << ", " << tap["input_pixel"][1] << ")";
    if (tap.contains("sum")) {
      out << " = " << number_of(tap["sum"]) << "\n";
      for (const Json& product : tap["products"]) {
        out << "      c=" << product["c"] << ": " << number_of(product["input"]) << " * "
            << number_of(product["filter"]) << " = " << number_of(product["product"]) << "\n";
      }
      const auto listed = static_cast<int64_t>(tap["products"].size());
      const auto hidden = json["channels"].get<int64_t>() - listed;
      if (hidden > 0) out << "      and " << hidden << " more channels\n";
    } else {
      out << "\n";
    }
  }
  if (json["taps"].empty())
    out << "  no tap reaches it: its sum is 0, the epilogue still applies\n";
  if (json.contains("sum"))
    out << "sum " << number_of(json["sum"]) << ", before bias, residual, activation\n";
  return out.str();
}

}  // namespace

double roofline_us(const Plan& plan) {
  return std::max(plan.problem().useful_macs() / macs_per_us(plan),
                  plan.problem().least_bytes() / plan.device().bytes_per_us);
}

std::string explain(const Plan& plan, bool json) {
  // A name need not be UTF-8.
  return json ? plan_json(plan).dump(-1, ' ', false, Json::error_handler_t::replace)
              : plan_text(plan);
}

std::string explain_at(const Plan& plan, const void* input, const void* filters, int64_t n,
                       int64_t p, int64_t q, int64_t k, bool json) {
  const Extents extents = plan.problem().output_extents();
  check_coordinate("n", n, extents.n);
  check_coordinate("p", p, extents.h);
  check_coordinate("q", q, extents.w);
  check_coordinate("k", k, extents.c);
  if ((input == nullptr) != (filters == nullptr)) {
    refuse(input == nullptr ? "input" : "filters", "null", "given with the other, or both null");
  }
  const Json element = element_json(plan, {.input = input, .filters = filters}, n, p, q, k);
  return json ? element.dump() : element_text(element);
}

}  // namespace tconv::host
