// SPDX-License-Identifier: Apache-2.0
// old_driver.cpp: a libcuda.so.1 that says it is of CUDA 11.4 and can do nothing else, for
// test_gpu.py: what the program says where the driver is too old.

// NOLINTBEGIN(readability-identifier-naming,misc-use-internal-linkage): the driver's names
extern "C" {

__attribute__((visibility("default"))) int cuDriverGetVersion(int* version) {
  *version = 11040;
  return 0;
}
__attribute__((visibility("default"))) int cuInit(unsigned /*flags*/) { return 0; }

}  // extern "C"
// NOLINTEND(readability-identifier-naming,misc-use-internal-linkage)
