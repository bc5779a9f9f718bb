# SPDX-License-Identifier: Apache-2.0
# googletest.cmake: GoogleTest as it is installed, or compiled from its sources where only those are
# there (Debian's package googletest, scripts/pack_gpu_deps). Gives GTest::gtest and GTest::gtest_main.
find_package(GTest QUIET)
if(NOT GTest_FOUND)
  find_path(GTEST_SOURCE_DIR src/gtest-all.cc
    PATH_SUFFIXES src/googletest/googletest src/googletest)
  mark_as_advanced(GTEST_SOURCE_DIR)
  if(NOT GTEST_SOURCE_DIR)
    message(FATAL_ERROR "GoogleTest was not found, neither installed nor as sources: scripts/setup")
  endif()
  # Its own CMakeLists.txt wants the folder above it for a version number.
  add_library(gtest STATIC ${GTEST_SOURCE_DIR}/src/gtest-all.cc)
  add_library(gtest_main STATIC ${GTEST_SOURCE_DIR}/src/gtest_main.cc)
  target_include_directories(gtest SYSTEM PUBLIC ${GTEST_SOURCE_DIR}/include PRIVATE ${GTEST_SOURCE_DIR})
  target_link_libraries(gtest PUBLIC Threads::Threads)
  target_link_libraries(gtest_main PUBLIC gtest)
  foreach(library IN ITEMS gtest gtest_main)
    target_compile_options(${library} PRIVATE -w)
    add_library(GTest::${library} ALIAS ${library})
  endforeach()
  message(STATUS "tconv: GoogleTest is compiled from ${GTEST_SOURCE_DIR}")
endif()
