// SPDX-License-Identifier: Apache-2.0
#include "src/host/plan/reasons.h"

#include <algorithm>

namespace tconv::host {

std::vector<ReasonGroup> reason_groups(std::span<const Candidate> candidates) {
  std::vector<ReasonGroup> groups;
  for (const Candidate& candidate : candidates) {
    const auto same = [&](const ReasonGroup& group) {
      return group.kernel == candidate.kernel && group.reason == candidate.reason;
    };
    auto group = std::ranges::find_if(groups, same);
    if (group == groups.end()) {
      group = groups.insert(group, {candidate.kernel, candidate.reason, {}});
    }
    group->tiles.push_back(&candidate);
  }
  return groups;
}

}  // namespace tconv::host
