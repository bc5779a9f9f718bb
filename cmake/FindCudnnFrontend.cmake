# SPDX-License-Identifier: Apache-2.0
# FindCudnnFrontend: the headers of cuDNN and of NVIDIA's header-only cudnn_frontend. No library is
# linked: cuDNN is opened at run time. Gives CudnnFrontend::headers, CudnnFrontend_VERSION, and
# CUDNN_VERSION_STRING. scripts/setup fetches the frontend into build/deps.
find_path(CUDNN_INCLUDE_DIR cudnn_backend.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
find_path(CUDNN_FRONTEND_INCLUDE_DIR cudnn_frontend_ExecutionPlan.h
  HINTS ${PROJECT_SOURCE_DIR}/build/deps/cudnn_frontend/include
        ${PROJECT_SOURCE_DIR}/gpu_deps/cudnn_frontend/include)
mark_as_advanced(CUDNN_INCLUDE_DIR CUDNN_FRONTEND_INCLUDE_DIR)

# tconv_read_version(VARIABLE HEADER PREFIX PART...): the numbers of `#define PREFIX_PART n`.
function(tconv_read_version variable header prefix)
  set(numbers "")
  if(EXISTS ${header})
    foreach(part IN LISTS ARGN)
      file(STRINGS ${header} line REGEX "define ${prefix}_${part} +[0-9]+")
      string(REGEX REPLACE ".* ([0-9]+).*" "\\1" number "${line}")
      list(APPEND numbers ${number})
    endforeach()
  endif()
  list(JOIN numbers "." version)
  set(${variable} "${version}" PARENT_SCOPE)
endfunction()
tconv_read_version(CUDNN_VERSION_STRING ${CUDNN_INCLUDE_DIR}/cudnn_version.h CUDNN
  MAJOR MINOR PATCHLEVEL)
tconv_read_version(CudnnFrontend_VERSION
  ${CUDNN_FRONTEND_INCLUDE_DIR}/cudnn_frontend_version.h CUDNN_FRONTEND
  MAJOR_VERSION MINOR_VERSION PATCH_VERSION)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CudnnFrontend
  REQUIRED_VARS CUDNN_INCLUDE_DIR CUDNN_FRONTEND_INCLUDE_DIR VERSION_VAR CudnnFrontend_VERSION)
if(CudnnFrontend_FOUND AND NOT TARGET CudnnFrontend::headers)
  add_library(CudnnFrontend::headers INTERFACE IMPORTED)
  target_include_directories(CudnnFrontend::headers SYSTEM INTERFACE
    ${CUDNN_FRONTEND_INCLUDE_DIR} ${CUDNN_INCLUDE_DIR} ${CUDAToolkit_INCLUDE_DIRS})
endif()
