# SPDX-License-Identifier: Apache-2.0
# mutations.cmake: does the test of a kernel notice when the kernel is broken? (mutate.py)
#
# A family has its own folder with mutations.json, and needs nothing here.
file(GLOB TCONV_MUTATED_FAMILIES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/cuda/*/mutations.json
  ${CMAKE_CURRENT_LIST_DIR}/mutations/*/mutations.json)

find_package(Python3 COMPONENTS Interpreter QUIET)
if(NOT Python3_Interpreter_FOUND OR NOT CMAKE_EXPORT_COMPILE_COMMANDS)
  message(STATUS "tconv: left out: mutations of kernels (they need Python 3 and "
    "CMAKE_EXPORT_COMPILE_COMMANDS)")
  return()
endif()
foreach(test IN ITEMS mutate mutation_results)
  tconv_proven(command test_${test} READS tests/emulator/*.py
    COMMAND $<TARGET_FILE:Python3::Interpreter> ${CMAKE_CURRENT_LIST_DIR}/test_${test}.py
      ${CMAKE_CXX_COMPILER})
  add_test(NAME test_${test} COMMAND ${command})
  tconv_may_be_proven(test_${test})
  set_tests_properties(test_${test} PROPERTIES LABELS mutation COST 20 TIMEOUT 600)
endforeach()

find_program(TCONV_QUICK_LINKER ld.gold)  # links in half the time, of a sixth of what a mutation costs

# tconv_mutations(FILE): the target renew_mutations_FAMILY tries all and writes results.json, the test
# mutations_FAMILY (TCONV_TEST_ALL) compares with it.
function(tconv_mutations file)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  get_filename_component(folder ${file} DIRECTORY)
  get_filename_component(name ${folder} NAME)
  file(READ ${file} json)
  string(JSON test GET "${json}" test)
  if(NOT TARGET ${test})  # of a family that this build has not
    return()
  endif()
  set(made ${CMAKE_CURRENT_BINARY_DIR}/mutations)
  # Everything that the test links; the driver leaves out the units that it compiles itself.
  set(objects $<TARGET_OBJECTS:${test}> $<TARGET_OBJECTS:emulated_test_kernels>
    $<TARGET_PROPERTY:tconv_emulated_library,INTERFACE_SOURCES>)
  set(libraries $<TARGET_FILE:GTest::gtest_main> $<TARGET_FILE:GTest::gmock>
    $<TARGET_FILE:GTest::gtest> $<TARGET_FILE:Boost::context> ${TCONV_BACKTRACE}
    -pthread)
  file(GENERATE OUTPUT ${made}/${name}.objects CONTENT "$<JOIN:${objects},\n>\n")
  file(GENERATE OUTPUT ${made}/${name}.libraries CONTENT "$<JOIN:${libraries},\n>\n")
  set(link ${CMAKE_CXX_COMPILER})
  if(TCONV_QUICK_LINKER)
    string(APPEND link " -fuse-ld=gold")
  endif()
  set(launcher "")
  if(CMAKE_CXX_COMPILER_LAUNCHER)
    set(launcher --launcher ${CMAKE_CXX_COMPILER_LAUNCHER})
  endif()
  set(arguments ${file} --project ${PROJECT_SOURCE_DIR}
    --database ${PROJECT_BINARY_DIR}/compile_commands.json --link ${link}
    --objects ${made}/${name}.objects --libraries ${made}/${name}.libraries ${launcher}
    --compiler "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}" --output ${made})
  set(mutate Python3::Interpreter ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/mutate.py)
  add_custom_target(renew_mutations_${name} COMMAND ${mutate} renew ${arguments} USES_TERMINAL VERBATIM)
  add_dependencies(renew_mutations_${name} ${test})
  add_dependencies(renew_mutations renew_mutations_${name})
  if(TCONV_TEST_ALL)
    add_test(NAME mutations_${name} COMMAND ${mutate} check ${arguments} --jobs 1)
    set_tests_properties(mutations_${name} PROPERTIES LABELS mutation COST 120 TIMEOUT 1800)
  endif()
endfunction()

add_custom_target(renew_mutations)
foreach(file IN LISTS TCONV_MUTATED_FAMILIES)
  tconv_mutations(${file})
endforeach()
