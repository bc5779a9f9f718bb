// SPDX-License-Identifier: Apache-2.0
// explain_problem.cpp: one problem in its own words, in those of the three conventions, and taken
// apart into window classes, for people (text) and programs (JSON).
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "src/host/conventions/conventions.h"
#include "src/host/explain/explain.h"
#include "src/host/problem/decomposition.h"

namespace tconv::host {
namespace {

using Json = nlohmann::ordered_json;

/// An axis may have as many classes as its kernel has taps; no reader wants more than these.
constexpr int64_t kShownClasses = 32;
/// Where even counting them would take memory, they are not made at all.
constexpr int64_t kCountedClasses = 1 << 20;

constexpr std::array<const char*, 2> kAxisNames = {"height", "width"};

std::array<Axis, 2> axes_of(const Problem& problem) { return {problem.desc().h, problem.desc().w}; }

// ---- The axes --------------------------------------------------------------------------------

Json to_json(const Axis& axis) {
  return {{"in", axis.in},
          {"kernel", axis.kernel},
          {"stride", axis.stride},
          {"dilation", axis.dilation},
          {"pad_begin", axis.pad_begin},
          {"pad_end", axis.pad_end()},
          {"out", axis.out}};
}

// ---- The conventions -------------------------------------------------------------------------

void put(Json& json, const char* field, const std::optional<Numbers>& numbers) {
  if (numbers) json[field] = *numbers;
}

Json to_json(const TensorFlowArgs& args) {
  Json json = {{"input_shape", args.input_shape}, {"filter_shape", args.filter_shape}};
  put(json, "output_shape", args.output_shape);
  json["strides"] = args.strides;
  json["padding"] = args.padding;
  if (!args.explicit_paddings.empty()) json["explicit_paddings"] = args.explicit_paddings;
  json["data_format"] = args.data_format;
  put(json, "dilations", args.dilations);
  if (args.groups != 0) json["groups"] = args.groups;
  return json;
}

Json to_json(const PyTorchArgs& args) {
  Json json = {{"input_shape", args.input_shape}, {"weight_shape", args.weight_shape}};
  put(json, "stride", args.stride);
  put(json, "padding", args.padding);
  put(json, "output_padding", args.output_padding);
  json["groups"] = args.groups;
  put(json, "dilation", args.dilation);
  json["memory_format"] = args.memory_format;
  return json;
}

Json to_json(const OnnxArgs& args) {
  Json json = {{"x_shape", args.x_shape}, {"w_shape", args.w_shape}};
  json["auto_pad"] = args.auto_pad;
  put(json, "dilations", args.dilations);
  json["group"] = args.group;
  put(json, "output_padding", args.output_padding);
  put(json, "pads", args.pads);
  put(json, "strides", args.strides);
  return json;
}

/// A convention's part: its call and the output sizes that are legal with these pads, or the reason
/// why it has no such call.
template <typename Args>
Json convention(const Problem& problem,
                std::optional<Args> (*as_call)(const Problem&, std::string*)) {
  std::string why;
  const std::optional<Args> args = as_call(problem, &why);
  if (!args) return {{"reason", why}};
  const OutputSizes sizes = output_sizes(*args);
  Json legal;
  for (int i = 0; i < 2; ++i) legal[kAxisNames[i]] = {sizes.low[i], sizes.high[i]};
  return {{"call", to_json(*args)}, {"legal_output", std::move(legal)}};
}

// ---- The window classes ----------------------------------------------------------------------

Json to_json(const WindowClass& c) {
  return {{"first_phase", c.first_phase},
          {"phase_step", c.phase_step},
          {"phase_count", c.phase_count},
          {"first_tap", c.first_tap},
          {"tap_step", c.tap_step},
          {"tap_count", c.tap_count},
          {"shift", c.shift},
          {"input_step", c.input_step}};
}

Json window_classes(const Axis& axis) {
  const Axis normal = normalise(axis);
  Json json = {{"stride", normal.stride}};
  if (const int64_t bound = class_bound(axis); bound > kCountedClasses) {
    json["class_bound"] = bound;
    return json;
  }
  const AxisDecomposition parts = decompose(axis);
  json["class_count"] = parts.class_count();
  json["tapless_phases"] = parts.tapless_phases;
  json["classes"] = Json::array();
  for (const WindowClass& c : parts.classes) {
    if (static_cast<int64_t>(json["classes"].size()) == kShownClasses) break;
    json["classes"].push_back(to_json(c));
  }
  return json;
}

Json to_json(const Problem& problem) {
  const ProblemDesc& d = problem.desc();
  const std::array<Axis, 2> axes = axes_of(problem);
  Json json = {{"key", problem.key()},
               {"batch", d.batch},
               {"in_channels", d.in_c},
               {"out_channels", d.out_c},
               {"groups", d.groups},
               {"layout", name_of(d.layout)},
               {"filter_order", name_of(d.filter_order)}};
  for (int i = 0; i < 2; ++i) json["axes"][kAxisNames[i]] = to_json(axes[i]);
  json["conventions"] = {{"tensorflow", convention<TensorFlowArgs>(problem, as_tensorflow)},
                         {"pytorch", convention<PyTorchArgs>(problem, as_pytorch)},
                         {"onnx", convention<OnnxArgs>(problem, as_onnx)}};
  for (int i = 0; i < 2; ++i) json["window_classes"][kAxisNames[i]] = window_classes(axes[i]);
  return json;
}

// ---- Text: the same facts, laid out
// --------------------------------------------------------------

std::string right(const std::string& text, std::size_t width) {
  return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}
std::string left(const std::string& text, std::size_t width) {
  return text + std::string(width > text.size() ? width - text.size() : 0, ' ');
}

/// Rows of cells, the first column to the left, the others to the right.
std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> width(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += i == 0 ? left(row[i], width[i]) : "  " + right(row[i], width[i]);
    }
    text += '\n';
  }
  return text;
}

std::string axes_text(const Json& axes) {
  std::vector<std::vector<std::string>> rows = {{"axis"}};
  for (const auto& [field, value] : axes["height"].items()) rows[0].push_back(field);
  for (const char* name : kAxisNames) {
    rows.push_back({name});
    for (const Json& value : axes[name]) rows.back().push_back(value.dump());
  }
  return table(rows);
}

/// [2, 2] as "[2, 2]": Json puts no blanks.
std::string list_text(const Json& value) {
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const Json& item : value) text += (text.empty() ? "" : ", ") + list_text(item);
  return "[" + text + "]";
}

/// The call as it is typed: tensors go by position, TensorFlow's explicit pads are nested and its
/// groups follow from the shapes.
Json typed(Json call) {
  for (const char* field :
       {"input_shape", "filter_shape", "weight_shape", "x_shape", "w_shape", "memory_format"}) {
    call.erase(field);
  }
  if (call.contains("data_format")) call.erase("groups");
  if (!call.contains("explicit_paddings")) return call;
  const Json pads = call["explicit_paddings"], none = {0, 0};
  const Json h = {pads[0], pads[1]}, w = {pads[2], pads[3]};
  const bool nhwc = call["data_format"] == "NHWC";
  call["padding"] = nhwc ? Json::array({none, h, w, none}) : Json::array({none, none, h, w});
  call.erase("explicit_paddings");
  return call;
}

std::string arguments_text(const Json& call) {
  const Json arguments = typed(call);
  std::string text;
  for (const auto& [field, value] : arguments.items()) {
    if (!text.empty()) text += ", ";
    text += field + "=";
    text += value.is_string() ? "'" + value.get<std::string>() + "'" : list_text(value);
  }
  return text;
}

std::string interval_text(const Json& interval) {
  if (interval[0] == interval[1]) return interval[0].dump();
  return interval[0].dump() + " to " + interval[1].dump();
}

/// `fields`: what else there is to know of the tensors.
std::string convention_text(const char* name, const Json& part, const char* function,
                            const std::vector<const char*>& fields) {
  const std::string indent(12, ' ');
  std::string text = left(name, indent.size());
  if (part.contains("reason")) {
    return text + "cannot say it: " + part["reason"].get<std::string>() + "\n";
  }
  const Json& call = part["call"];
  text += std::string(function) + ("(" + arguments_text(call)) + ")\n" + indent;
  for (const char* field : fields) {
    if (!call.contains(field)) continue;
    text += (field == fields[0] ? "" : ", ") + std::string(field) + " " + list_text(call[field]);
  }
  const Json& legal = part["legal_output"];
  return text + "\n" + indent + "legal output sizes: height " + interval_text(legal["height"]) +
         ", width " + interval_text(legal["width"]) + "\n";
}

/// " + 2*t", " - t", or nothing where the index has only the value 0.
std::string term(const char* sign, const Json& step, const char* index, const Json& count) {
  if (count == 1) return "";
  return sign + (step == 1 ? "" : step.dump() + "*") + index;
}

/// ", t < 4", or nothing where the index has only the value 0.
std::string range(const char* index, const Json& count) {
  return count == 1 ? "" : std::string(", ") + index + " < " + count.dump();
}

std::string class_text(const Json& c) {
  const auto shift = c["shift"].get<int64_t>();
  const Json &phases = c["phase_count"], &taps = c["tap_count"];
  std::string text = "  phase " + c["first_phase"].dump();
  text += term(" + ", c["phase_step"], "j", phases) + range("j", phases);
  text += "; tap " + c["first_tap"].dump() + term(" + ", 1, "j", phases);
  text += term(" + ", c["tap_step"], "t", taps) + range("t", taps) + "; input q";
  if (shift != 0) text += (shift < 0 ? " - " : " + ") + std::to_string(shift < 0 ? -shift : shift);
  return text + term(" - ", c["input_step"], "t", taps) + "\n";
}

std::string classes_text(const char* name, const Json& part) {
  std::string text = std::string(name) + ": ";
  if (part.contains("class_bound")) {
    return text + "up to " + part["class_bound"].dump() + " window classes\n";
  }
  text += part["class_count"].dump() + (part["class_count"] == 1 ? " class" : " classes") +
          " of output q*" + part["stride"].dump() + " + phase\n";
  for (const Json& c : part["classes"]) text += class_text(c);
  const int64_t tapless = part["tapless_phases"].get<int64_t>();
  const int64_t hidden = part["class_count"].get<int64_t>() - (tapless > 0 ? 1 : 0) -
                         static_cast<int64_t>(part["classes"].size());
  if (hidden > 0) text += "  and " + std::to_string(hidden) + " more\n";
  if (tapless > 0) text += "  phases that no tap reaches: " + std::to_string(tapless) + "\n";
  return text;
}

std::string to_text(const Json& json) {
  const Json& conventions = json["conventions"];
  std::string text = "problem " + json["key"].get<std::string>() + "\n\n";
  text += axes_text(json["axes"]) + "\n";
  text += convention_text("tensorflow", conventions["tensorflow"], "tf.nn.conv2d_transpose",
                          {"input_shape", "filter_shape", "groups"});
  text += convention_text("pytorch", conventions["pytorch"], "torch.nn.functional.conv_transpose2d",
                          {"input_shape", "weight_shape", "memory_format"});
  text += convention_text("onnx", conventions["onnx"], "ConvTranspose", {"x_shape", "w_shape"});
  text += "\nwindow classes\n";
  for (const char* name : kAxisNames) text += classes_text(name, json["window_classes"][name]);
  return text;
}

}  // namespace

std::string describe(const Problem& problem, bool json) {
  const Json all = to_json(problem);
  return json ? all.dump(2) + "\n" : to_text(all);
}

}  // namespace tconv::host
