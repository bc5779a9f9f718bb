// SPDX-License-Identifier: Apache-2.0
// run.h: Plan -> run. Checks what the caller hands over, then enqueues.
#pragma once

#include <cstddef>

#include "src/host/device/gpu.h"
#include "src/host/plan/plan.h"
#include "src/host/plan/tensors.h"

namespace tconv::host {

/// Checks device and pointers, then enqueues. Throws before anything is enqueued.
void run(const Plan& plan, const Tensors& tensors, const StatedBytes& stated, Stream stream);

/// run's checks of one problem's pointers, for callers that have no plan (verify, diagnose).
void check_tensors(const Problem& problem, const Tensors& tensors, const StatedBytes& stated,
                   bool packed_filters = false);

/// The same where they are in host memory, which is looked at: filters in the problem's order are
/// no packed ones.
void check_host_tensors(const Problem& problem, const Tensors& tensors, const StatedBytes& stated);

void prepack(const Plan& plan, const void* filters, void* packed, std::size_t packed_bytes,
             Stream stream);

/// `samples` times `runs` runs on the caller's tensors, by events on `stream` or the host's clock.
/// Waits for the last. Writes the microseconds of one run for each sample.
void time_runs(const Plan& plan, const Tensors& tensors, const StatedBytes& stated, Stream stream,
               int samples, int runs, double* us_per_run);

/// `samples` times `runs` runs on tensors in host memory, whatever the device: memory of the device
/// and the workspace are allocated for this call, filters are in the problem's order and packed
/// here if the plan wants that, the output is copied back at the end. Writes the microseconds of
/// one run, copies not counted, for each sample, if `us_per_run` is not null.
void run_host(const Plan& plan, const Tensors& tensors, const StatedBytes& stated, int samples,
              int runs, double* us_per_run);

}  // namespace tconv::host
