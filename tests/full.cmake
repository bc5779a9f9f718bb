# SPDX-License-Identifier: Apache-2.0
# full.cmake: the checks that are no GoogleTest program. The quick ones always run; TCONV_TEST_ALL
# (scripts/test --all) adds those that build something else or need the packages of `setup --all`.
# tconv_check_unless_proven: not where nothing that decides has changed (proven.cmake).
#
# The label names the kind: program, source, package, build, parity. COST brings the longest to the
# front. What builds something takes one core and lets another check have the other one (TCONV_JOBS):
# so neither waits while CMake configures or the last test runs. PROCESSORS 2 marks what cannot.

# tconv_check(NAME LABEL COST PROCESSORS COMMAND...)
function(tconv_check name label cost processors)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS ${label} COST ${cost} PROCESSORS ${processors}
    TIMEOUT 1800 ENVIRONMENT "TCONV_JOBS=${processors}")
endfunction()
# tconv_check_unless_proven(NAME LABEL COST PROCESSORS READS PATTERN... COMMAND WORD...)
function(tconv_check_unless_proven name label cost processors)
  tconv_proven(command ${name} ${ARGN})
  tconv_check(${name} ${label} ${cost} ${processors} ${command})
  tconv_may_be_proven(${name})
endfunction()
set(scripts ${PROJECT_SOURCE_DIR}/scripts)
set(checks ${PROJECT_SOURCE_DIR}/tests/scripts)

if(TARGET tconv_cli)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  tconv_check(program program 10 1 ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/cli/test_cli.py
    $<TARGET_FILE:tconv_cli>)
  if(TCONV_WITH_CUDA)  # a program without CUDA looks for no driver
    add_library(old_driver SHARED ${PROJECT_SOURCE_DIR}/tests/cli/old_driver.cpp)
    set_target_properties(old_driver PROPERTIES OUTPUT_NAME cuda SUFFIX .so.1
      LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/old_driver)
    set_property(TEST program APPEND PROPERTY
      ENVIRONMENT "TCONV_OLD_DRIVER=${PROJECT_BINARY_DIR}/tests/old_driver")
  endif()
endif()
if(TCONV_SANITIZE)
  if(TEST program)  # hundreds of short runs, of which room for stacks in use after return takes two thirds
    set_property(TEST program APPEND PROPERTY ENVIRONMENT
      "ASAN_OPTIONS=detect_stack_use_after_return=0:strict_string_checks=1")
  endif()
  return()  # the rest would check the same sources again
endif()
tconv_check(source_rules source 1 1 ${scripts}/lint rules)
tconv_check(lint_rules source 1 1 ${checks}/lint_rules)
tconv_check(exported_symbols package 1 1 ${checks}/exported_symbols $<TARGET_FILE:tconv>)
tconv_check(face_is_complete package 1 1 ${PROJECT_SOURCE_DIR}/tests/package/face_is_complete)
tconv_check(needed_libraries package 1 1
  ${checks}/needed_libraries $<TARGET_FILE:tconv> "${CMAKE_CUDA_RUNTIME_LIBRARY}")
tconv_check(setup_script source 1 1 ${checks}/setup_script)
tconv_check(doc_paths source 1 1 ${checks}/doc_paths)
foreach(family IN LISTS TCONV_FAMILIES)
  if(TARGET print_plan_${family})
    tconv_check(example_${family} source 1 1 ${PROJECT_SOURCE_DIR}/tests/cuda/${family}/draw_example
      $<TARGET_FILE:print_plan_${family}>)
  endif()
endforeach()
tconv_check(gpu_check_steps source 6 1 ${checks}/gpu_check_steps)
tconv_check(proven_fires source 4 1 ${checks}/proven_fires)

if(TCONV_WITH_CUDA)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  # Skipped, not passed, where scripts/setup could not get the disassembler.
  set(whole "")
  if(TCONV_TEST_ALL)
    set(whole --whole)
  endif()
  tconv_check(static_gates package 5 2 ${Python3_EXECUTABLE}
    ${PROJECT_SOURCE_DIR}/tests/static_gates/static_gates ${whole}
    --build ${PROJECT_BINARY_DIR})
  set_tests_properties(static_gates PROPERTIES SKIP_RETURN_CODE 77)
  tconv_check_unless_proven(static_gates_fire source 5 1
    READS tests/static_gates/*.py tests/static_gates/*.cu tests/static_gates/static_gates
      cmake/keep_messages tests/emulator/mutation_*.py scripts/lint_parts/files.py
    COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/static_gates/test_fires.py
      ${CMAKE_CUDA_COMPILER})
  tconv_check(static_gates_sass source 1 1 ${Python3_EXECUTABLE}
    ${PROJECT_SOURCE_DIR}/tests/static_gates/test_sass.py)
endif()

if(NOT TCONV_TEST_ALL)
  return()
endif()

# What a check configures with CMake, and how.
set(building CMakeLists.txt CMakePresets.json cmake/* scripts/lib.sh)
# Besides: where headers and libraries come from. That everything compiles is the build's to show.
tconv_check_unless_proven(gpu_rehearsal build 1000 1
  READS ${building} *CMakeLists.txt scripts/gpu* scripts/pack_gpu_deps bench/gpu/* bench/probes/*
    bench/suites/* tests/gpu/* tests/*_gpu.cpp src/cli/*
  COMMAND ${checks}/gpu_rehearsal)
tconv_check_unless_proven(sanitizers build 1100 1
  READS ${building} tests/CMakeLists.txt include/* src/host/* src/cli/* src/cuda/*.cpp src/cuda/*.h
    tests/host/* tests/cuda/*.cpp tests/cli/* tests/support/* bench/suites/core.csv
  COMMAND ${checks}/sanitizers)
tconv_check(left_out build 800 1 ${checks}/left_out)
tconv_check(clang_tidy source 750 1 ${scripts}/lint tidy)
tconv_check_unless_proven(fuzzers build 700 1
  READS ${building} tests/fuzz/* src/host/problem/*.cpp src/host/conventions/*.cpp
    src/host/explain/explain_problem.cpp src/cli/convert.cpp src/cli/npy.cpp src/cli/picture_file.*
    src/cli/text.cpp
  COMMAND ${checks}/fuzzers)
tconv_check(new_family build 600 1 ${checks}/new_family)
# Other compilers, and other machines; skipped, not passed, where scripts/setup --all could not get them.
tconv_check_unless_proven(newest_nvcc build 350 1
  READS scripts/lib.sh scripts/requirements_cuda.txt src/cuda/gather.cu src/host/device/gpu.h
    src/cuda/runtime/*
  COMMAND ${checks}/newest_nvcc $<TARGET_FILE:tconv_static>)
tconv_check_unless_proven(second_compiler build 350 1
  READS scripts/lib.sh scripts/requirements_cuda12.txt src/*.cu src/cuda/runtime/gpu_cuda.cpp
  COMMAND ${checks}/second_compiler)
tconv_check_unless_proven(aarch64 build 350 1 READS scripts/lib.sh src/*.cpp COMMAND ${checks}/aarch64)
tconv_check(consumers package 500 1 ${checks}/consumers ${PROJECT_BINARY_DIR})
tconv_check_unless_proven(lint_tidy source 450 1 READS scripts/lint_parts/*.py COMMAND ${checks}/lint_tidy)
tconv_check(source_format source 400 1 ${scripts}/lint format)

# Equality with other frameworks, each in the virtual environment of `setup --all`; and what these
# checks make of a framework that aborts, refuses or is wrong.
tconv_check(parity_machinery parity 300 1 ${PROJECT_SOURCE_DIR}/build/deps/oracles/bin/python
  ${PROJECT_SOURCE_DIR}/tests/parity/test_parity.py)
# What they are measured against, with the frameworks of the same environment; what reports are drawn of,
# with what `setup --all` fetched for them.
tconv_check(rivals parity 300 1 ${PROJECT_SOURCE_DIR}/build/deps/oracles/bin/python -B
  ${PROJECT_SOURCE_DIR}/tests/bench/test_rivals.py)
set_tests_properties(rivals PROPERTIES ENVIRONMENT "TCONV_LIBRARY=$<TARGET_FILE:tconv>")
tconv_check(report source 300 1 ${PROJECT_SOURCE_DIR}/tests/bench/test_report.py)
tconv_check(fit_costs source 100 1 ${PROJECT_SOURCE_DIR}/build/deps/oracles/bin/python -B
  ${PROJECT_SOURCE_DIR}/tests/bench/test_fit_costs.py)
tconv_check_unless_proven(python_package parity 320 1
  READS tests/parity/* tests/python/* python/* integrations/common/* pyproject.toml include/* src/host/* src/cli/*
    CMakeLists.txt cmake/*
  COMMAND ${checks}/python_package ${PROJECT_BINARY_DIR})
if(NOT TARGET tconv_cli)
  return()
endif()
foreach(oracle IN ITEMS tensorflow pytorch onnxruntime jax onnx_nodes)
  tconv_check_unless_proven(parity_${oracle} parity 300 1
    READS tests/parity/* include/* src/host/* src/cli/* CMakeLists.txt
    COMMAND ${PROJECT_SOURCE_DIR}/build/deps/oracles/bin/python
      ${PROJECT_SOURCE_DIR}/tests/parity/parity_${oracle}.py)
  set_property(TEST parity_${oracle} APPEND PROPERTY
    ENVIRONMENT "TCONV_PROGRAM=$<TARGET_FILE:tconv_cli>")
endforeach()
