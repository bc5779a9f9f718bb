# SPDX-License-Identifier: Apache-2.0
# googletest.cmake: GoogleTest as it is installed, or compiled from its sources where only those are
# there (Debian's package googletest, scripts/pack_gpu_deps). Gives GTest::gtest, GTest::gtest_main and
# GTest::gmock. Any folder may include it.
find_package(GTest QUIET)
if(GTest_FOUND OR TARGET GTest::gtest)
  return()
endif()
find_path(GTEST_SOURCE_DIR googletest/src/gtest-all.cc PATH_SUFFIXES src/googletest)
mark_as_advanced(GTEST_SOURCE_DIR)
if(NOT GTEST_SOURCE_DIR)
  message(FATAL_ERROR "GoogleTest was not found, neither installed nor as sources: scripts/setup")
endif()
message(STATUS "tconv: GoogleTest is compiled from ${GTEST_SOURCE_DIR}")

# tconv_googletest(NAME FOLDER SOURCE USED...): one of its libraries, without our warnings.
function(tconv_googletest name folder source)
  set(folder ${GTEST_SOURCE_DIR}/${folder})
  add_library(${name} STATIC EXCLUDE_FROM_ALL ${folder}/src/${source})
  target_include_directories(${name} SYSTEM PUBLIC ${folder}/include PRIVATE ${folder})
  target_compile_options(${name} PRIVATE -w)
  target_link_libraries(${name} PUBLIC ${ARGN})
  add_library(GTest::${name} ALIAS ${name})
endfunction()
tconv_googletest(gtest googletest gtest-all.cc Threads::Threads)
tconv_googletest(gtest_main googletest gtest_main.cc gtest)
tconv_googletest(gmock googlemock gmock-all.cc gtest)
