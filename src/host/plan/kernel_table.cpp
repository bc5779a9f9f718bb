// SPDX-License-Identifier: Apache-2.0
// kernel_table.cpp: the table, made of the families that this build has (cmake/families.cmake).
#include "src/host/plan/kernel_table.h"

namespace tconv::host {

#define TCONV_FAMILY(name) extern const Kernel name##_kernel;
#include "families.inc"
#undef TCONV_FAMILY

std::span<const Kernel* const> kernel_table() {
#define TCONV_FAMILY(name) &name##_kernel,
  static constexpr const Kernel* table[] = {
#include "families.inc"
  };
#undef TCONV_FAMILY
  return table;
}

}  // namespace tconv::host
