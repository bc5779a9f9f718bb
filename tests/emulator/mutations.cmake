# SPDX-License-Identifier: Apache-2.0
# mutations.cmake: does the test of a kernel notice when the kernel is broken? (mutate.py)
find_package(Python3 COMPONENTS Interpreter QUIET)
if(NOT Python3_Interpreter_FOUND OR NOT CMAKE_EXPORT_COMPILE_COMMANDS)
  message(STATUS "tconv: left out: mutations of kernels (they need Python 3 and "
    "CMAKE_EXPORT_COMPILE_COMMANDS)")
  return()
endif()
set(mutate ${CMAKE_CURRENT_LIST_DIR}/mutate.py)
add_test(NAME mutate_driver COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/test_mutate.py
  ${CMAKE_CXX_COMPILER})
set_tests_properties(mutate_driver PROPERTIES LABELS mutation COST 20 TIMEOUT 300)

# tconv_mutations(NAME SOURCE file... IN objects TEST program FILTER tests [FIRST tests]
#                 [HOST file...] [WITHOUT file...] [TIMEOUT s] [JOBS n] [FILES file...]
#                 [RANDOM count [BEGIN text END text]]):
# broken/NAME.json, and RANDOM random mutations of FILES (default: SOURCE), whose survivors
# explained/NAME.json explains. SOURCE are the kernel's translation units, IN the library of
# tconv_emulated_kernels() that has them, TEST a program of this folder that links it, FILTER which
# of its tests are run, FIRST those that need only the first of SOURCE: they are run before the
# others are compiled. HOST are units of the library that the list breaks, too, WITHOUT those that
# others of SOURCE stand for.
function(tconv_mutations name)
  cmake_parse_arguments(m "" "IN;TEST;FILTER;FIRST;TIMEOUT;JOBS;RANDOM;BEGIN;END" "SOURCE;FILES;HOST;WITHOUT" ${ARGN})
  set(sources "")
  foreach(source IN LISTS m_SOURCE)
    list(APPEND sources --source ${source}@${m_IN})
  endforeach()
  set(units "")
  foreach(source IN LISTS m_SOURCE m_HOST m_WITHOUT)
    get_filename_component(unit ${source} NAME)
    string(REPLACE "." "[.]" unit "${unit}")
    list(APPEND units ${unit})
  endforeach()
  list(JOIN units "|" units)
  if(m_HOST)
    list(APPEND sources --copy src/host)
    list(TRANSFORM m_HOST REPLACE "(.+)" "--source=\\1@tconv_objects" OUTPUT_VARIABLE host)
    list(APPEND sources ${host})
  endif()
  # Everything that the test links, but the units.
  set(objects $<TARGET_OBJECTS:${m_TEST}> $<TARGET_OBJECTS:emulated_test_kernels>
    $<TARGET_PROPERTY:tconv_emulated_library,INTERFACE_SOURCES>)
  set(libraries $<TARGET_FILE:GTest::gtest_main> $<TARGET_FILE:GTest::gmock>
    $<TARGET_FILE:GTest::gtest> $<TARGET_FILE:Boost::context> ${TCONV_BACKTRACE}
    $<$<TARGET_EXISTS:DNNL::dnnl>:$<TARGET_FILE:DNNL::dnnl>>
    $<$<TARGET_EXISTS:OpenMP::OpenMP_CXX>:${OpenMP_CXX_FLAGS}> -pthread)
  # Behind the unit: of functions in headers its copies win, the mutated ones.
  set(rest ${CMAKE_CURRENT_BINARY_DIR}/mutations_${name})
  file(GENERATE OUTPUT ${rest}.objects
    CONTENT "$<JOIN:$<FILTER:${objects},EXCLUDE,/(${units})[.]>,\n>\n")
  file(GENERATE OUTPUT ${rest}.libraries CONTENT "$<JOIN:${libraries},\n>\n")
  if(NOT m_TIMEOUT)
    set(m_TIMEOUT 30)
  endif()
  if(NOT m_JOBS)
    set(m_JOBS 1)  # CTest runs something else beside it
  endif()
  set(run "{program} --gtest_fail_fast=1 --gtest_filter")
  set(first "")
  if(m_FIRST)
    set(first --first-run "${run}=${m_FIRST}")
  endif()
  set(command Python3::Interpreter ${mutate} --project ${PROJECT_SOURCE_DIR}
    --copy src/cuda --copy tests/emulator/kernels --one-by-one src/cuda ${sources}
    --database ${PROJECT_BINARY_DIR}/compile_commands.json
    --timeout ${m_TIMEOUT} --jobs ${m_JOBS}
    --link "${CMAKE_CXX_COMPILER} {objects} @${rest}.objects @${rest}.libraries -o {program}"
    --run "${run}=${m_FILTER}" ${first})
  add_test(NAME mutations_broken_${name}
    COMMAND ${command} broken ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/broken/${name}.json)
  set(tests mutations_broken_${name})
  if(m_RANDOM)
    if(NOT m_FILES)
      set(m_FILES ${m_SOURCE})
    endif()
    list(TRANSFORM m_FILES PREPEND --file= OUTPUT_VARIABLE files)
    set(explained ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/explained/${name}.json)
    add_test(NAME mutations_random_${name}
      COMMAND ${command} random ${m_RANDOM} ${files} --explained ${explained}
        "--begin=${m_BEGIN}" "--end=${m_END}")
    list(APPEND tests mutations_random_${name})
  endif()
  set_tests_properties(${tests} PROPERTIES LABELS mutation COST 600 PROCESSORS ${m_JOBS} TIMEOUT 1800)
endfunction()

if(TCONV_TEST_ALL)
  # Of the kernel alone: index ranges, estimates and the epilogue's functions have tests of their own.
  tconv_mutations(gather SOURCE src/cuda/gather.cu IN emulated_kernels TEST test_gather_emulated
    FILTER * RANDOM 23 BEGIN "// Prologue" END "// ---- The row")
  set(igemm src/cuda/igemm_sm80/)
  tconv_mutations(igemm_sm80 SOURCE tests/cuda/igemm_sm80/narrow/narrow_phases.cu
      tests/cuda/igemm_sm80/narrow/narrow.cu src/cuda/igemm_sm80/row.cu
    IN emulated_narrow_kernels WITHOUT ${igemm}instances/f16.cu ${igemm}instances/f16_ihwo.cu ${igemm}instances/tf32.cu
      ${igemm}instances/3xtf32.cu
    TEST test_igemm_narrow_emulated FILTER * FIRST *.Phases* TIMEOUT 120 HOST src/cuda/igemm_sm80/box.cpp src/cuda/igemm_sm80/plan.cpp
    RANDOM 60 FILES ${igemm}copy.cuh ${igemm}kernel.cuh ${igemm}multiply.cuh ${igemm}producer.cuh
      ${igemm}store.cuh ${igemm}tile.cuh)
  set(kernels tests/emulator/kernels)
  tconv_mutations(matrix_product SOURCE ${kernels}/matrix_product.cu IN emulated_test_kernels
    TEST test_teaching_kernels FILTER TeachingMatrixProduct.* RANDOM 60)
  tconv_mutations(reduction SOURCE ${kernels}/reduction.cu IN emulated_test_kernels
    TEST test_teaching_kernels FILTER TeachingReduction.* RANDOM 30)
  tconv_mutations(transpose SOURCE ${kernels}/transpose.cu IN emulated_test_kernels
    TEST test_teaching_kernels FILTER *TeachingTranspose.* RANDOM 30)
endif()
