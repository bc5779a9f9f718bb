// SPDX-License-Identifier: Apache-2.0
// saved_plan.cpp: see saved_plan.h.
#include "src/host/plan/saved_plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "src/host/device/device_models.h"
#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

// ---- Writing ------------------------------------------------------------------------------------

/// What of a device decides a plan: all that `tconv devices` says and families look at. Of a CPU
/// the cores alone, where they are the number of threads; its instructions are the tile's name.
Json device_json(const DeviceFacts& device, const Options& options) {
  Json json = Json::parse(list_devices({device}, "", true))["devices"][0];
  if (device.kind != DeviceKind::cuda) {
    return options.threads == 0 ? Json{{"device", json["device"]}, {"cores", json["cores"]}}
                                : Json{{"device", json["device"]}};
  }
  for (const char* no_part : {"ordinal", "memory_bytes", "rates_from", "cudnn_properties"}) {
    json.erase(no_part);
  }
  return json;
}

/// One list, for writing and reading.
template <typename AnyOptions, typename Visit>
void each_option(AnyOptions& options, Visit&& visit) {
  visit("workspace_limit", options.workspace_limit);
  visit("math", options.math);
  visit("deterministic", options.deterministic);
  visit("prepacked_filters", options.prepacked_filters);
  visit("verify", options.verify);
  visit("unbounded_error", options.unbounded_error);
  visit("threads", options.threads);
  visit("device_model", options.device_model);
}

Json options_json(const Options& options) {
  Json json;
  each_option(options, [&](const char* name, const auto& value) { json[name] = value; });
  return json;
}

Json to_json(const Plan& plan) {
  Json json = {{"tconv_plan", kFormat},
               {"version", TCONV_VERSION},
               {"key", plan.problem().key()},
               {"name", plan.problem().name()},
               {"options", options_json(plan.options())},
               {"device", device_json(plan.device(), plan.options())},
               {"kernel", plan.kernel().name},
               {"tile", plan.tile()}};
  if (!plan.state().vendor.empty()) json["vendor"] = plan.state().vendor;
  json["workspace_bytes"] = plan.state().workspace_bytes;
  json["packed_filter_bytes"] = plan.packed_filter_bytes();
  return json;
}

// ---- Reading ------------------------------------------------------------------------------------

[[noreturn]] void refuse_text(const std::string& why) {
  throw InvalidProblem("the saved plan: " + why +
                       ", but it must be the text that tconv_plan_save gave");
}

Json parse(const std::string& text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) refuse_text("it is not JSON");
  if (!json.is_object() || !json.contains("tconv_plan")) refuse_text("it has no field tconv_plan");
  return json;
}

/// json[name] as a T; refuses where it is missing or of another type.
template <typename T>
void read(const Json& json, const char* name, T& to) {
  const auto field = json.is_object() ? json.find(name) : json.end();
  if (field == json.end()) refuse_text(std::string(name) + " is missing");
  const bool fits = std::is_same_v<T, std::string> ? field->is_string()
                    : std::is_same_v<T, bool>      ? field->is_boolean()
                                                   : field->is_number_integer();
  if (!fits) refuse_text(std::string(name) + " is " + field->dump());
  if constexpr (std::is_enum_v<T>) {
    to = static_cast<T>(field->template get<int>());
  } else {
    to = field->template get<T>();
  }
}
std::string text_of(const Json& json, const char* name) {
  std::string text;
  read(json, name, text);
  return text;
}

Options options_of(const Json& json, const Options& callbacks) {
  Options options;
  if (!json.contains("options")) refuse_text("options is missing");
  each_option(options, [&](const char* name, auto& to) { read(json["options"], name, to); });
  if (options.math < Math::strict || options.math > Math::tf32x3) {
    refuse_text("math is " + std::to_string(static_cast<int>(options.math)));
  }
  if (options.threads < 0 || options.threads > 4096) {
    refuse_text("threads is " + std::to_string(options.threads));
  }
  options.kernels = {text_of(json, "kernel")};
  options.tile = text_of(json, "tile");
  options.log = callbacks.log;
  options.callers_threads = callbacks.callers_threads;
  return options;
}

/// Collects what differs, a line each.
class Differences {
 public:
  void compare(const std::string& field, const Json& saved, const Json& here) {
    if (saved != here) add(field, "saved " + saved.dump() + ", here " + here.dump());
  }
  /// Every field that either has.
  void compare_all(const std::string& object, const Json& saved, const Json& here) {
    const auto value = [](const Json& json, const std::string& key) {
      return json.contains(key) ? json[key] : Json();
    };
    for (const auto& [key, unused] : saved.items()) {
      compare(name_in(object, key), saved[key], value(here, key));
    }
    for (const auto& [key, unused] : here.items()) {
      if (!saved.contains(key)) compare(name_in(object, key), Json(), here[key]);
    }
  }
  void add(const std::string& field, const std::string& what) {
    lines_ += "\n  " + field + ": " + what;
  }
  void throw_if_any(const std::string& key) const {
    if (!lines_.empty()) throw Unsupported("the saved plan for " + key + " is stale:" + lines_);
  }

 private:
  static std::string name_in(std::string object, const std::string& key) {
    return object.append(".").append(key);
  }

  std::string lines_;
};

bool has_tile(const Kernel& kernel, const std::string& tile) {
  return (kernel.proposed_tiles != nullptr && tile.starts_with(kernel.proposed_tiles)) ||
         std::ranges::any_of(kernel.tiles, [&](const char* t) { return tile == t; });
}

/// What this build no longer has, before it is asked for.
void compare_names(const Json& saved, const Options& options, std::span<const Kernel* const> table,
                   Differences& differences) {
  differences.compare("version", saved.value("version", Json()), TCONV_VERSION);
  const auto row = std::ranges::find_if(
      table, [&](const Kernel* kernel) { return options.kernels.front() == kernel->name; });
  if (row == table.end()) {
    differences.add("kernel", "saved \"" + options.kernels.front() + "\", which is not built in");
  } else if (!has_tile(**row, options.tile)) {
    differences.add("tile", "saved \"" + options.tile + "\", which the row does not have");
  }
}

/// What `body` gives; Unsupported makes the field stale.
template <typename Body>
auto or_stale(const char* field, const Problem& problem, Differences& differences, Body&& body) {
  try {
    return body();
  } catch (const Unsupported& reason) {
    differences.add(field, reason.what());
    differences.throw_if_any(problem.key());
    throw;  // not reached
  }
}

DeviceFacts device_of(const Options& options) {
  if (!options.device_model.empty()) return device_model(options.device_model);
  return options.device == DeviceKind::cpu ? cpu_facts() : cuda_facts();
}

}  // namespace

std::string save(const Plan& plan) {
  return to_json(plan).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Plan load_plan(const std::string& text, const Options& callbacks,
               std::span<const Kernel* const> table) {
  const Json saved = parse(text);
  Differences differences;
  differences.compare("tconv_plan", saved["tconv_plan"], kFormat);
  differences.throw_if_any("an unknown format");
  ProblemDesc desc = parse_key(text_of(saved, "key"));
  desc.name = text_of(saved, "name");
  const Problem problem(desc);
  Options options = options_of(saved, callbacks);
  if (!saved.contains("device") || !saved["device"].is_object()) refuse_text("device is missing");
  const std::string kind = text_of(saved["device"], "device");
  if (kind != "cpu" && kind != "cuda") refuse_text("device.device is \"" + kind + "\"");
  options.device = kind == "cpu" ? DeviceKind::cpu : DeviceKind::cuda;
  int64_t workspace_bytes = 0, packed_filter_bytes = 0;
  read(saved, "workspace_bytes", workspace_bytes);
  read(saved, "packed_filter_bytes", packed_filter_bytes);

  compare_names(saved, options, table, differences);
  const DeviceFacts device =
      or_stale("device", problem, differences, [&] { return device_of(options); });
  differences.compare_all("device", saved["device"], device_json(device, options));
  differences.throw_if_any(problem.key());
  Plan plan = or_stale("tile", problem, differences,
                       [&] { return make_plan(problem, options, device, table); });
  differences.compare("tile", options.tile, plan.tile());
  differences.compare("vendor", saved.value("vendor", Json()),
                      plan.state().vendor.empty() ? Json() : Json(plan.state().vendor));
  differences.compare("workspace_bytes", workspace_bytes, plan.state().workspace_bytes);
  differences.compare("packed_filter_bytes", packed_filter_bytes, plan.packed_filter_bytes());
  differences.throw_if_any(problem.key());
  return plan;
}

}  // namespace tconv::host
