// SPDX-License-Identifier: Apache-2.0
// explain_prediction.cpp: what a plan predicts, in words or JSON. Decides nothing.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "src/host/plan/plan.h"

namespace tconv::host {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const PredictedRequests& r) {
  return {{"requests", r.requests}, {"sectors", r.sectors}};
}

/// What every row has: time against the roofline, and which side of it is the higher.
Json common_json(const Plan& plan) {
  const Problem& problem = plan.problem();
  const double roofline = roofline_us(plan), us = plan.estimate_us();
  const double memory_us = problem.least_bytes() / plan.device().bytes_per_us;
  Json json = {{"kernel", plan.kernel().name},
               {"tile", plan.tile()},
               {"roofline_us", roofline},
               {"bound_by", roofline > memory_us ? "arithmetic" : "memory"},
               {"useful_macs", problem.useful_macs()}};
  if (us > 0) {
    json["estimate_us"] = us;
    json["roofline_share"] = roofline / us;
    json["over_roofline_and_launch"] = us / (roofline + kModelLaunchUs);
  }
  return json;
}

Json counters_json(const Plan& plan) {
  Json json = common_json(plan);
  if (plan.kernel().counters == nullptr || plan.problem().empty_output()) return json;
  const PlanCounters c = plan.kernel().counters(plan.problem(), plan.state(), plan.device());
  json["mode"] = c.mode;
  json["box"] = c.box;
  json["blocks"] = c.blocks;
  json["waves"] = c.waves;
  json["issued_macs"] = c.issued_macs;
  json["dram_bytes"] = c.dram_bytes;
  if (plan.problem().useful_macs() > 0) {
    json["issued_over_useful"] = c.issued_macs / plan.problem().useful_macs();
  }
  // Every row reads something; one that predicts no reads leaves them out.
  if (c.l2_read_bytes() == 0) return json;
  json["l2_read_bytes"] = c.l2_read_bytes();
  json["l2_filter_bytes"] = c.filter_bytes;
  json["l2_write_bytes"] = c.l2_write_bytes();
  json["l2_us"] = (c.l2_read_bytes() + c.l2_write_bytes()) / l2_bytes_per_us(plan.device());
  json["shared_wavefronts"] = c.shared_wavefronts;
  json["copies"] = to_json(c.copies);
  json["loads"] = to_json(c.loads);
  json["stores"] = to_json(c.stores);
  return json;
}

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string number(const Json& json, const char* field, const char* pattern, double scale = 1) {
  return format(pattern, json[field].get<double>() * scale);
}

std::string l2_text(const Json& json) {
  const auto requests = [&](const char* name) {
    return number(json[name], "requests", "%.0f") + " requests, " +
           number(json[name], "sectors", "%.0f") + " sectors";
  };
  return "L2         " + number(json, "l2_read_bytes", "%.4g", 1e-6) + " MB read, of filters " +
         number(json, "l2_filter_bytes", "%.4g", 1e-6) + " MB, " +
         number(json, "l2_write_bytes", "%.4g", 1e-6) + " MB written, " +
         number(json, "l2_us", "%.3g") + " us at the model's rate\n           copies " +
         requests("copies") + "; loads " + requests("loads") + "; stores " + requests("stores") +
         "\nshared     " + number(json, "shared_wavefronts", "%.4g") +
         " wavefronts of the main loop's reads\n";
}

std::string counters_text(const Json& json) {
  const auto text = [&](const char* field) { return json[field].get<std::string>(); };
  std::string out =
      "predicted  (model numbers)\nrow        " + text("kernel") + ", tile " + text("tile");
  if (!json.contains("mode")) {
    out += ": predicts no counters\n";
  } else {
    out += ", mode " + text("mode") + ", box " + text("box") + "\nblocks     " +
           number(json, "blocks", "%.0f") + ", " + number(json, "waves", "%.2f") +
           " waves\nmacs       " + number(json, "issued_macs", "%.4g") + " issued, " +
           number(json, "useful_macs", "%.4g") + " useful";
    if (json.contains("issued_over_useful")) {
      out += ", issued/useful " + number(json, "issued_over_useful", "%.3f");
    }
    out += "\n" + (json.contains("l2_us") ? l2_text(json) : "");
    out += "DRAM       " + number(json, "dram_bytes", "%.4g", 1e-6) + " MB\n";
  }
  out += "roofline   " + number(json, "roofline_us", "%.3g") + " us, bound by " + text("bound_by") +
         "\n";
  if (!json.contains("estimate_us")) return out;
  return out + "time       " + number(json, "estimate_us", "%.4g") + " us, " +
         number(json, "roofline_share", "%.0f", 100) + " % of the roofline, " +
         number(json, "over_roofline_and_launch", "%.2f") + " x (roofline + launch)\n";
}

}  // namespace

std::string explain_counters(const Plan& plan, bool json) {
  const Json all = counters_json(plan);
  return json ? all.dump() : counters_text(all);
}

}  // namespace tconv::host
