// SPDX-License-Identifier: Apache-2.0
// convert.cpp: the loops of convert.h.
#include "src/host/cpu/onednn/convert.h"

namespace tconv::host {

void widen_row(DType type, const void* from, int64_t count, float* to, int64_t to_stride) {
  with_narrow_type(type, [&]<typename T>() {
    const T* row = static_cast<const T*>(from);
    if (to_stride == 1) {  // a loop of its own: only this one becomes vector code
      for (int64_t i = 0; i < count; ++i) to[i] = widen_branchless(row[i]);
    } else {
      for (int64_t i = 0; i < count; ++i) to[i * to_stride] = widen_branchless(row[i]);
    }
  });
}

void add_row(DType type, const void* from, int64_t count, float* to) {
  with_narrow_type(type, [&]<typename T>() {
    const T* row = static_cast<const T*>(from);
    for (int64_t i = 0; i < count; ++i) to[i] += widen_branchless(row[i]);
  });
}

void narrow_row(DType type, const float* from, int64_t count, void* to) {
  with_narrow_type(type, [&]<typename T>() {
    T* row = static_cast<T*>(to);
    for (int64_t i = 0; i < count; ++i) row[i] = narrow<T>(from[i]);
  });
}

}  // namespace tconv::host
