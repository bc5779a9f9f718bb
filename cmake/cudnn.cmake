# SPDX-License-Identifier: Apache-2.0
# cudnn.cmake: can the row `cudnn` be built? Included after cuda.cmake; says in one line what was
# found and sets TCONV_WITH_CUDNN. Only headers are needed: the library is opened at run time.
option(TCONV_CUDNN "The row `cudnn`; without cuDNN's headers it is left out" ON)

set(TCONV_WITH_CUDNN OFF)
if(NOT TCONV_CUDNN)
  set(tconv_cudnn_reason "TCONV_CUDNN=OFF")
elseif("cudnn" IN_LIST TCONV_FAMILIES_LEFT_OUT)
  set(tconv_cudnn_reason "not in TCONV_ROWS")
elseif(NOT TCONV_WITH_CUDA)
  set(tconv_cudnn_reason "it is built with the rows for CUDA")
else()
  list(PREPEND CMAKE_MODULE_PATH ${PROJECT_SOURCE_DIR}/cmake)
  find_package(CudnnFrontend 1.32 QUIET)
  if(CudnnFrontend_FOUND)
    set(TCONV_WITH_CUDNN ON)
  elseif(NOT CUDNN_INCLUDE_DIR)
    set(tconv_cudnn_reason "cuDNN's headers were not found")
  else()
    set(tconv_cudnn_reason "cudnn_frontend was not found; scripts/setup fetches it")
  endif()
endif()
if(TCONV_WITH_CUDNN)
  message(STATUS "tconv: rows for CUDA: cudnn (headers of cuDNN ${CUDNN_VERSION_STRING}, "
    "cudnn_frontend ${CudnnFrontend_VERSION}; opened at run time)")
else()
  message(STATUS "tconv: left out: the row cudnn (${tconv_cudnn_reason})")
endif()
