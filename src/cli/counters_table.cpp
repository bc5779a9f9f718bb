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

std::string number_line(const std::vector<std::string>& numbers) {
  std::string text = "   ";
  for (const std::string& number : numbers) text += format(" %10s", number.c_str());
  return text + "\n";
}

/// Two lines a plan: what it is, and its numbers below.
std::string lines(const std::string& name, const std::vector<std::string>& kinds,
                  const std::vector<std::string>& numbers) {
  std::string first;
  for (const std::string& kind : kinds) first += format("%-16s ", kind.c_str());
  return named_line(name, first) + number_line(numbers);
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
  return lines("problem", {row_cell("row", "tile"), "mode", "box"},
               {"macs", "L2 MB", "L2", "DRAM MB", "waves", "time", "roofline", "time over"}) +
         number_line({"/useful", "", "/roofline", "", "", "", "", "r.+launch"});
}

std::string CountersTable::add(const std::string& name, const Record& counters) {
  const auto number = [&](const char* field) { return counters.number(field); };
  const double roofline = number("roofline_us"), issued = number("issued_over_useful");
  const double l2 = roofline > 0 ? number("l2_us") / roofline : 0;
  const bool is_long = counters.text("bound_by") == "arithmetic" && roofline > kLongUs;
  if (is_long && issued > 0) issued_over_useful_.push_back(issued);
  if (!is_long && l2 > 0) l2_over_roofline_.push_back(l2);
  const double moved =
      number("l2_input_bytes") + number("l2_filter_bytes") + number("l2_output_bytes");
  const double us = number("estimate_us");
  return lines(name,
               {row_cell(counters.text("kernel"), counters.text("tile")), counters.text("mode"),
                counters.text("box")},
               {cell("%.3f", issued), cell("%.2f", moved * 1e-6), cell("%.2f", l2),
                cell("%.2f", number("dram_bytes") * 1e-6), cell("%.2f", number("waves")),
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
