// SPDX-License-Identifier: Apache-2.0
// explain.h: problems, plans and output elements in words or JSON. Decides nothing.
#pragma once

#include <cstdint>
#include <string>

#include "src/host/plan/plan.h"

namespace tconv::host {

/// The problem as each convention says it (or why it cannot), and its window classes.
std::string describe(const Problem& problem, bool json);

/// The families that are built in.
std::string list_kernels(bool json);

/// The whole decision.
std::string explain(const Plan& plan, bool json);
/// The time below which no kernel can go on this model of the device.
double roofline_us(const Plan& plan);
/// What a run of the plan will do, as its family predicts it: text or JSON.
std::string explain_counters(const Plan& plan, bool json);
/// The taps and products that make one output element; input and filters may be null together.
std::string explain_at(const Plan& plan, const void* input, const void* filters, int64_t n,
                       int64_t p, int64_t q, int64_t k, bool json);

}  // namespace tconv::host
