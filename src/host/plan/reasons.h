// SPDX-License-Identifier: Apache-2.0
// reasons.h: why not the other families, each reason once, whatever the number of tiles.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "src/host/plan/plan.h"

namespace tconv::host {

/// The tiles of one family that one reason excludes; of the chosen one the reason is empty.
struct ReasonGroup {
  const Kernel* kernel = nullptr;
  std::string reason;
  std::vector<const Candidate*> tiles;
};

/// In the order in which each first occurs. Points into `candidates`.
std::vector<ReasonGroup> reason_groups(std::span<const Candidate> candidates);

}  // namespace tconv::host
