// SPDX-License-Identifier: Apache-2.0
// counters_table.cpp: see counters_table.h.
#include "src/cli/counters_table.h"

#include <cmath>

#include "src/cli/text.h"

namespace tconv::cli {
namespace {

constexpr double kLongUs = 5;

/// "1.234", or a dash for what the row does not predict.
std::string cell(const char* pattern, double value) {
  return value > 0 ? format(pattern, value) : "-";
}

std::string line(const std::vector<std::string>& cells) {
  constexpr int kWidths[] = {48, 10, 10, 8, 13, 7, 9, 9, 9, 9, 8, 10, 9, 9};
  std::string text = format("%-*.*s", kWidths[0], kWidths[0], cells[0].c_str());
  for (std::size_t i = 1; i < cells.size(); ++i) {
    text += format(i < 5 ? " %-*s" : " %*s", kWidths[i], cells[i].c_str());
  }
  return text + "\n";
}

std::string mean(const std::vector<double>& values) {
  double logarithms = 0;
  for (const double value : values) logarithms += std::log(value);
  const auto count = static_cast<double>(values.size());
  return values.empty()
             ? "no rows"
             : format("%.3f", std::exp(logarithms / count)) + format(" of %zu rows", values.size());
}

}  // namespace

std::string CountersTable::heading() {
  return line({"problem", "row", "tile", "mode", "box", "issued", "L2 MB", "L2", "DRAM MB",
               "shared", "waves", "time", "share of", "over"}) +
         line({"", "", "", "", "", "/useful", "", "/roofline", "", "Mcycles", "", "", "roofline",
               "r.+launch"});
}

std::string CountersTable::add(const std::string& name, const Record& counters) {
  const auto number = [&](const char* field) { return counters.number(field); };
  const double roofline = number("roofline_us"), issued = number("issued_over_useful");
  const double l2 = roofline > 0 ? number("l2_us") / roofline : 0;
  const bool is_long = counters.text("bound_by") == "arithmetic" && roofline > kLongUs;
  if (is_long && issued > 0) issued_over_useful_.push_back(issued);
  if (!is_long && l2 > 0) l2_over_roofline_.push_back(l2);
  const double moved = number("l2_read_bytes") + number("l2_write_bytes"),
               us = number("estimate_us");
  return line({name, counters.text("kernel"), counters.text("tile"), counters.text("mode"),
               counters.text("box"), cell("%.3f", issued), cell("%.2f", moved * 1e-6),
               cell("%.2f", l2), cell("%.2f", number("dram_bytes") * 1e-6),
               cell("%.3f", number("shared_wavefronts") * 1e-6), cell("%.2f", number("waves")),
               us > 0 ? time_text(us) : "-", cell("%.0f %%", 100 * number("roofline_share")),
               cell("%.2f", number("over_roofline_and_launch"))});
}

std::string CountersTable::means() const {
  return "\ngeometric means\n"
         "  bound by arithmetic, roofline over 5 us: issued/useful " +
         mean(issued_over_useful_) + "\n  elsewhere: L2/roofline " + mean(l2_over_roofline_) +
         " (those that predict what L2 moves)\n";
}

}  // namespace tconv::cli
