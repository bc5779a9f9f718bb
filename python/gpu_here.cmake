# SPDX-License-Identifier: Apache-2.0
# gpu_here.cmake: what to build of CUDA, where nobody says: code for the GPU that is here, for nothing
# else could run (scripts/lib.sh decides likewise). A wheel for others names TCONV_CUDA=ON itself.
if(DEFINED TCONV_CUDA)
  return()
endif()
execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
  OUTPUT_VARIABLE capability ERROR_QUIET RESULT_VARIABLE failed)
if(NOT failed AND capability MATCHES "^([0-9]+)[.]([0-9])" AND CMAKE_MATCH_1 GREATER_EQUAL 8)
  set(architecture ${CMAKE_MATCH_1}${CMAKE_MATCH_2})
  if(architecture EQUAL 90)
    set(architecture 90a)
  endif()
  if(NOT DEFINED TCONV_CUDA_ARCHITECTURES)
    set(TCONV_CUDA_ARCHITECTURES ${architecture})
  endif()
else()
  set(TCONV_CUDA OFF)
endif()
