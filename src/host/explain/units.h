// SPDX-License-Identifier: Apache-2.0
// units.h: numbers as people read them, of three digits at most.
#pragma once

#include <string>

namespace tconv::host {

/// "19.7 us", "24 ms", "2.5 s", "41 min", "7.2 h".
std::string time_text(double us);
/// "1.07 G", "12.6 M", "950": decimal multiples, as of multiply-adds and, with "B" behind, of
/// bytes.
std::string count_text(double count);

}  // namespace tconv::host
