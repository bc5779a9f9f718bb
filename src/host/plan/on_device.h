// SPDX-License-Identifier: Apache-2.0
// on_device.h: what every call that touches a plan's device does: it asks first whether the device
// is here and current, and names the problem in what fails.
#pragma once

#include <string>

#include "src/host/plan/plan.h"
#include "src/host/problem/errors.h"

namespace tconv::host {

/// "row gather on KEY: " and what failed: the seam to a device knows only its own call.
std::string with_problem(const Plan& plan, const char* error);
/// Calls `body`; a DeviceError leaves it as a RunError. May be nested.
template <typename Body>
decltype(auto) naming_the_problem(const Plan& plan, Body&& body) {
  try {
    return body();
  } catch (const RunError&) {
    throw;
  } catch (const DeviceError& error) {
    throw RunError(with_problem(plan, error.what()));
  }
}

/// Refuses a plan whose device is not here or not current, and a CUDA error that was pending.
void check_device(const Plan& plan);

}  // namespace tconv::host
