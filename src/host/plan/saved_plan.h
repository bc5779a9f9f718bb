// SPDX-License-Identifier: Apache-2.0
// saved_plan.h: a plan written down, so that a later process takes the same row and tile without
// choosing anew, and hears of it where they would no longer be the same.
#pragma once

#include <span>
#include <string>

#include "src/host/plan/plan.h"

namespace tconv::host {

/// JSON: format and library version, the problem's key, options, device, row, tile and, of a
/// vendor's row, engine, knobs and the library's version, bytes of workspace and packed filters. No
/// pointer of the caller's.
std::string save(const Plan& plan);

/// The plan that `text` describes, for the CPU, the GPU that is current, or its device model.
/// `callbacks`: whose log and callers_threads it gets; its other fields are not looked at. Throws
/// InvalidProblem where the text is no saved plan, Unsupported ("stale", and each field that
/// differs) where this library or device does not give that plan.
Plan load_plan(const std::string& text, const Options& callbacks,
               std::span<const Kernel* const> table = kernel_table());

}  // namespace tconv::host
