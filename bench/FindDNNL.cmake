# SPDX-License-Identifier: Apache-2.0
# FindDNNL: oneDNN by its header and library alone. Its own package file also demands OpenCL's
# development files wherever it was built with a GPU runtime, which the CPU engine does not need.
# Gives DNNL::dnnl and DNNL_VERSION, or DNNL_WHY_NOT: what was found, and what about it does not do.
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp)
find_library(DNNL_LIBRARY dnnl)
mark_as_advanced(DNNL_INCLUDE_DIR DNNL_LIBRARY)
if(DNNL_INCLUDE_DIR AND EXISTS ${DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h)
  file(STRINGS ${DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h lines
       REGEX "define DNNL_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
  string(REGEX REPLACE "[^;0-9]*_[A-Z]+ +([0-9]+)" "\\1" numbers "${lines}")
  list(JOIN numbers "." DNNL_VERSION)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DNNL REQUIRED_VARS DNNL_LIBRARY DNNL_INCLUDE_DIR
                                  VERSION_VAR DNNL_VERSION HANDLE_VERSION_RANGE)
if(DNNL_FOUND AND NOT TARGET DNNL::dnnl)
  add_library(DNNL::dnnl UNKNOWN IMPORTED)
  set_target_properties(DNNL::dnnl PROPERTIES IMPORTED_LOCATION ${DNNL_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})
elseif(NOT DNNL_FOUND)
  set(DNNL_WHY_NOT "oneDNN was not found")
  if(DNNL_INCLUDE_DIR AND NOT DNNL_LIBRARY)
    set(DNNL_WHY_NOT "oneDNN's headers are in ${DNNL_INCLUDE_DIR}, its library was not found")
  elseif(DNNL_INCLUDE_DIR)
    set(DNNL_WHY_NOT "oneDNN ${DNNL_VERSION} in ${DNNL_INCLUDE_DIR} has another interface than the \
${DNNL_FIND_VERSION_MIN_MAJOR}.x that bench_onednn is written for")
  endif()
endif()
