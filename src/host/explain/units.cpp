// SPDX-License-Identifier: Apache-2.0
#include "src/host/explain/units.h"

#include <array>
#include <cmath>
#include <cstdio>

namespace tconv::host {
namespace {

constexpr double kAlmost = 0.9995;  // what rounds to 1000 is one of the next unit

std::string format(const char* pattern, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, value);
  return text.data();
}

}  // namespace

std::string time_text(double us) {
  if (us < 1e3 * kAlmost) return format("%.3g us", us);
  if (us < 1e6 * kAlmost) return format("%.3g ms", us / 1e3);
  const double seconds = us / 1e6;
  if (seconds < 99.95) return format("%.3g s", seconds);
  if (seconds < 600) return format("%.0f s", seconds);
  if (seconds < 6000) return format("%.0f min", seconds / 60);
  return format("%.3g h", seconds / 3600);
}

std::string count_text(double count) {
  for (const char* unit : {"", "k", "M", "G", "T", "P"}) {
    if (std::fabs(count) < 1e3 * kAlmost) return format("%.3g ", count) + unit;
    count /= 1e3;
  }
  return format("%.3g E", count);
}

}  // namespace tconv::host
