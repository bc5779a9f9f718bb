// SPDX-License-Identifier: Apache-2.0
// devices.h: the machines that plans can be made for here.
#pragma once

#include <vector>

#include "src/host/device/device.h"

namespace tconv::host {

/// All devices, the preferred first. Starts CUDA. With what vendors' libraries say of them, if
/// wanted: that opens the libraries, and is left out where there are none.
std::vector<DeviceFacts> all_devices(bool in_vendors_words = false);

}  // namespace tconv::host
