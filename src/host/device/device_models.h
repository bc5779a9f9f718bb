// SPDX-License-Identifier: Apache-2.0
// device_models.h: GPUs that are not here, so that plans can be made for them, and the rates of
// those that are.
#pragma once

#include <string>
#include <vector>

#include "src/host/device/device.h"

namespace tconv::host {

/// The facts of a model by name (device_model_names()), or of the first GPU in a file that holds
/// the JSON of `tconv devices --json`. Throws InvalidProblem naming file, field and value.
DeviceFacts device_model(const std::string& name_or_file);
/// "h200, h100, ..."
std::string device_model_names();

/// Sets the rates of a GPU whose name, sm, cores and clock are known: the table's where it has this
/// GPU, else scaled from clock and cores. A bandwidth that is known is kept.
void set_model_rates(DeviceFacts& facts);

/// All facts of `devices`, as `tconv devices` prints them; `absence` of a GPU, or "".
std::string list_devices(const std::vector<DeviceFacts>& devices, const std::string& absence,
                         bool json);

}  // namespace tconv::host
