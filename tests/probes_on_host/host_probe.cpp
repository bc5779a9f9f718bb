// SPDX-License-Identifier: Apache-2.0
// host_probe.cpp: a probe's own source, compiled by the host compiler for the model.
#include "tests/probes_on_host/model.h"
// After the model, whose words it needs.
#include PROBE_SOURCE
