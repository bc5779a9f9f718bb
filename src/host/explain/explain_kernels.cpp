// SPDX-License-Identifier: Apache-2.0
// explain_kernels.cpp: the table of families, in words or JSON.
#include <nlohmann/json.hpp>

#include "src/host/explain/explain.h"

namespace tconv::host {
namespace {

/// "    tiles    a, b, c", on lines of at most 100 characters.
std::string list_line(const std::string& what, const nlohmann::ordered_json& names) {
  constexpr std::size_t kWidth = 100, kIndent = 13;
  std::string text, line = "    " + what + std::string(kIndent - 4 - what.size(), ' ');
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string name = names[i].get<std::string>() + (i + 1 < names.size() ? ", " : "");
    if (line.size() + name.size() > kWidth + 1 && line.size() > kIndent) {  // 1: a space at the end
      text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
      line = std::string(kIndent, ' ');
    }
    line += name;
  }
  return text + line + "\n";
}

}  // namespace

std::string list_kernels(bool json) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  std::string text;
  for (const Kernel* kernel : kernel_table()) {
    nlohmann::ordered_json dtypes = nlohmann::ordered_json::array();
    for (const DType type : kernel->dtypes) dtypes.push_back(name_of(type));
    nlohmann::ordered_json tiles = nlohmann::ordered_json::array();
    for (const char* tile : kernel->tiles) tiles.push_back(tile);
    list.push_back({{"name", kernel->name},
                    {"device", name_of(kernel->device)},
                    {"tiles", tiles},
                    {"dtypes", dtypes},
                    {"layouts", {"NHWC", "NCHW"}},
                    {"border", name_of(kernel->border)},
                    {"resizable", kernel->fixed_size == nullptr}});
    if (kernel->fixed_size != nullptr) list.back()["fixed_size"] = kernel->fixed_size;
    text += std::string(kernel->name) + "  " + name_of(kernel->device) + "\n" +
            list_line("dtypes", dtypes) + list_line("layouts", list.back()["layouts"]) +
            list_line("border", {name_of(kernel->border)}) +
            list_line("resized", {kernel->fixed_size == nullptr ? "yes" : kernel->fixed_size}) +
            list_line("tiles", tiles);
  }
  return json ? list.dump() : text;
}

}  // namespace tconv::host
