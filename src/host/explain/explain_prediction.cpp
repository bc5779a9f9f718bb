// SPDX-License-Identifier: Apache-2.0
// explain_prediction.cpp: what a plan predicts, in words or JSON. Decides nothing.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "src/host/explain/explain.h"
#include "src/host/explain/units.h"

namespace tconv::host {
namespace {

using Json = nlohmann::ordered_json;

/// What every family has: time against the roofline, and which side of it is the higher.
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

Json prediction_json(const Plan& plan) {
  Json json = common_json(plan);
  if (plan.kernel().predict == nullptr || plan.problem().empty_output()) return json;
  const Prediction p = plan.kernel().predict(plan.problem(), plan.state(), plan.device());
  json["mode"] = p.mode;
  json["box"] = p.box;
  json["blocks"] = p.blocks;
  json["waves"] = p.waves;
  json["issued_macs"] = p.issued_macs;
  json["dram_bytes"] = p.dram_bytes;
  if (plan.problem().useful_macs() > 0) {
    json["issued_over_useful"] = p.issued_macs / plan.problem().useful_macs();
  }
  // Every family reads something; one that predicts no reads leaves them out.
  if (p.l2.sum() == 0) return json;
  json["l2_input_bytes"] = p.l2.input;
  json["l2_filter_bytes"] = p.l2.filters;
  json["l2_output_bytes"] = p.l2.output;
  json["l2_us"] = p.l2.sum() / l2_bytes_per_us(plan.device());
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
  const auto bytes = [&](const char* field) { return count_text(json[field].get<double>()) + "B"; };
  return "L2         " + bytes("l2_input_bytes") + " of input, " + bytes("l2_filter_bytes") +
         " of filters, " + bytes("l2_output_bytes") + " of outputs, " +
         time_text(json["l2_us"].get<double>()) + " at the model's rate\n";
}

std::string prediction_text(const Json& json) {
  const auto text = [&](const char* field) { return json[field].get<std::string>(); };
  std::string out =
      "predicted  (model numbers)\nrow        " + text("kernel") + ", tile " + text("tile");
  if (!json.contains("mode")) {
    out += ": predicts nothing else\n";
  } else {
    out += ", mode " + text("mode") + ", box " + text("box") + "\nblocks     " +
           number(json, "blocks", "%.0f") + ", " + number(json, "waves", "%.2f") +
           " waves\nmacs       " + count_text(json["issued_macs"].get<double>()) + " issued, " +
           count_text(json["useful_macs"].get<double>()) + " useful";
    if (json.contains("issued_over_useful")) {
      out += ", issued/useful " + number(json, "issued_over_useful", "%.3f");
    }
    out += "\n" + (json.contains("l2_us") ? l2_text(json) : "");
    out += "DRAM       " + count_text(json["dram_bytes"].get<double>()) + "B\n";
  }
  out += "roofline   " + time_text(json["roofline_us"].get<double>()) + ", bound by " +
         text("bound_by") + "\n";
  if (!json.contains("estimate_us")) return out;
  return out + "time       " + time_text(json["estimate_us"].get<double>()) + ", " +
         number(json, "roofline_share", "%.0f", 100) + " % of the roofline, " +
         number(json, "over_roofline_and_launch", "%.2f") + " x (roofline + launch)\n";
}

}  // namespace

std::string explain_counters(const Plan& plan, bool json) {
  const Json all = prediction_json(plan);
  return json ? all.dump() : prediction_text(all);
}

}  // namespace tconv::host
