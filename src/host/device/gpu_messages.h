// SPDX-License-Identifier: Apache-2.0
// gpu_messages.h: what is said when a GPU cannot be used, apart from the runtime that finds it out,
// so that it can be tested without one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tconv::host {

std::string driver_missing_words();
/// Versions as the runtime gives them, 12040 for 12.4.
std::string driver_too_old_words(int driver, int runtime);
std::string no_device_words();
std::string cuda_failed_words(const std::string& error);

/// Why code for `built` ("80-real,90a-real,120-virtual") does not run on a GPU of compute
/// capability `sm`; empty if some of it does.
std::string architecture_gap(std::string_view built, int sm);

/// "CALL failed (error) for PURPOSE", and what to do where that is known.
std::string failed_call_words(const std::string& call, const std::string& error,
                              const std::string& purpose, const std::string& advice = "");
std::string out_of_memory_advice(std::size_t free_bytes, std::size_t total_bytes);
/// After an error that spoils the process's CUDA context.
std::string spoilt_context_advice();

}  // namespace tconv::host
