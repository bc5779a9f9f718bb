// SPDX-License-Identifier: Apache-2.0
// kernel_table.cpp: the table. A new family of kernels is one file and one line here, for CUDA
// within `#ifdef TCONV_WITH_CUDA` and `#ifndef TCONV_WITHOUT_NAME` (cmake/rows.cmake).
#include "kernel_table.h"

namespace tconv::host {

std::span<const Kernel* const> kernel_table() {
  static constexpr const Kernel* table[] = {
#ifdef TCONV_WITH_CUDNN
      &cudnn_kernel,
#endif
#ifdef TCONV_WITH_CUDA
#ifndef TCONV_WITHOUT_IGEMM_SM80
      &igemm_sm80_kernel,
#endif
      &gather_kernel,
#endif
#ifdef TCONV_WITH_ONEDNN
      &onednn_kernel,
#endif
      &reference_kernel,
  };
  return table;
}

}  // namespace tconv::host
