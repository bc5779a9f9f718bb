// SPDX-License-Identifier: Apache-2.0
// unlock.h: which single option stands between a caller and a faster family.
#pragma once

#include <optional>
#include <string>

#include "src/host/plan/plan.h"

namespace tconv::host {

/// What a plan would be with one option changed.
struct Unlocked {
  std::string option;  ///< of tconv_options: "prepacked_filters"
  std::string words;   ///< "with prepacked filters"
  std::string kernel, tile;
  double estimate_us = 0;
};

/// The option that, changed alone, gives the fastest plan; none where no option gives one that is
/// at least 5 % faster. Options that name devices, families and tiles stay as they are. What would
/// be chosen is prepared, so that no vendor's library is promised that is not here.
std::optional<Unlocked> unlocked_by_one_option(const Plan& plan);

}  // namespace tconv::host
