# SPDX-License-Identifier: Apache-2.0
# broken_gather.cmake: copies of the kernel `gather` with one line broken. Each must make
# test_gather_host fail, or the test has a hole there.
add_library(test_gather_host_objects OBJECT test_gather_host.cpp)
target_link_libraries(test_gather_host_objects PRIVATE tconv_objects GTest::gtest)
target_compile_options(test_gather_host_objects PRIVATE $<$<CONFIG:Release>:-O1>)
file(GLOB gather_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cuda/*.cu
                                           ${PROJECT_SOURCE_DIR}/src/cuda/*.cuh)

function(tconv_broken_gather name file expression)
  set(copy ${CMAKE_CURRENT_BINARY_DIR}/broken_gather/${name})
  set(breaker ${CMAKE_CURRENT_SOURCE_DIR}/scripts/break_source)
  add_custom_command(OUTPUT ${copy}/src/cuda/gather.cu VERBATIM DEPENDS ${gather_sources} ${breaker}
    COMMAND ${breaker} ${PROJECT_SOURCE_DIR}/src/cuda ${copy} ${file} ${expression})
  add_custom_target(broken_gather_${name}_source DEPENDS ${copy}/src/cuda/gather.cu)
  tconv_gather_on_host(broken_gather_${name}_objects ${copy})
  add_dependencies(broken_gather_${name}_objects broken_gather_${name}_source)
  add_executable(broken_gather_${name} $<TARGET_OBJECTS:test_gather_host_objects>
    $<TARGET_OBJECTS:broken_gather_${name}_objects>)
  target_link_libraries(broken_gather_${name} PRIVATE tconv_objects GTest::gtest GTest::gtest_main)
  add_test(NAME broken_gather_${name}
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/must_fail $<TARGET_FILE:broken_gather_${name}>)
  set_tests_properties(broken_gather_${name} PROPERTIES LABELS mutation)
endfunction()

tconv_broken_gather(wrong_group gather.cu "s/first_c = k \\/ d/first_c = 0 * k \\/ d/")
tconv_broken_gather(last_output gather.cu "s/i >= d\\.outputs/i >= d.outputs - 1/")
tconv_broken_gather(last_channel gather.cu "s/c < d\\.in_c_per_group/c + 1 < d.in_c_per_group/")
tconv_broken_gather(flipped_taps gather.cu "s/filters\\.offset\\(r, s,/filters.offset(d.h.kernel - 1 - r, s,/")
tconv_broken_gather(residual_strides gather.cu "s/d\\.residual\\.offset/d.output.offset/")
tconv_broken_gather(padding gather.cu "s/input_index\\(d\\.h, p, r\\)/input_index(d.h, p + 1, r)/")
tconv_broken_gather(steps index.cuh "s/\\.h = step_of<Index>\\(e\\.h, strides\\.h\\)/.h = step_of<Index>(e.h, e.w * strides.w)/")
tconv_broken_gather(not_fused ptx/fma.cuh "s/return __fmaf_rn\\(a, b, sum\\)/return a * b + sum/")
tconv_broken_gather(bias_type epilogue.cuh "s/load_value<Sum>\\(e\\.bias_type/load_value<Sum>(e.output_type/")
tconv_broken_gather(prelu_channel epilogue.cuh "s/slopes\\)\\[k\\]/slopes)[0 * k]/")
tconv_broken_gather(overflow epilogue.cuh "s/exp\\(x < 0 \\? x : -x\\)/exp(-x)/")
tconv_broken_gather(erf_sign epilogue.cuh "s/= static_cast<Sum>\\(-0\\.70710678/= static_cast<Sum>(0.70710678/")
