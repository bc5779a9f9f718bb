// SPDX-License-Identifier: Apache-2.0
// constants.h: the tensors that a launch may only read, from the types of its kernel's parameters.
#pragma once

#include <vector>

#include "tests/emulator/device_side.h"
#include "tests/emulator/memory.h"

namespace tconv::emulator {

/// While it lives, those allocations are constant: a write is a finding, and reads need no look at
/// races.
class Constants {
 public:
  Constants(const KernelType& type, void* const* arguments);
  Constants(const Constants&) = delete;
  Constants& operator=(const Constants&) = delete;
  ~Constants();

 private:
  std::vector<Range> made_constant_;
};

}  // namespace tconv::emulator
