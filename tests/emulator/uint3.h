// SPDX-License-Identifier: Apache-2.0
// uint3.h: CUDA's, apart, so that the scheduler can define what shim.h declares as const.
#pragma once

struct uint3 {
  unsigned x, y, z;
};
