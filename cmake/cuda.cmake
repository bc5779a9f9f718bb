# SPDX-License-Identifier: Apache-2.0
# cuda.cmake: is there a CUDA compiler, and for which architectures is it asked? Included by the
# project; says in one line what was found and sets
#
#   TCONV_WITH_CUDA            ON where there is one
#   TCONV_CUDA_OPTIONS         what every .cu file is compiled with
#   TCONV_CUDA_BUILT           for which architectures, e.g. 80-real,90a-real,80-virtual
#   TCONV_CUDART               the CUDA runtime to link
#
# Options:
#   TCONV_CUDA                 OFF builds without, whatever is installed
#   TCONV_CUDA_ARCHITECTURES   machine code for these, e.g. "90a" for a quick build
#   TCONV_CUDA_PTX             besides, PTX that newer GPUs compile when they load it
#   CMAKE_CUDA_RUNTIME_LIBRARY Static (default) or Shared: how the CUDA runtime is linked
option(TCONV_CUDA "The rows for CUDA; without nvcc they are left out" ON)
set(TCONV_CUDA_ARCHITECTURES "80;86;89;90a;100;120" CACHE STRING
  "GPU architectures to make machine code for")
set(TCONV_CUDA_PTX "newest" CACHE STRING
  "Architecture of the PTX for later GPUs: a number, `newest` plain number of the list, or OFF")

# A function: what looking for a compiler sets in passing stays in here.
function(tconv_find_cuda compiler reason)
  set(${compiler} "" PARENT_SCOPE)
  if(NOT TCONV_CUDA)
    set(${reason} "TCONV_CUDA=OFF" PARENT_SCOPE)
  elseif(TCONV_SANITIZE)
    set(${reason} "sanitizers are for host code" PARENT_SCOPE)
  else()
    include(CheckLanguage)
    check_language(CUDA)
    set(${compiler} "${CMAKE_CUDA_COMPILER}" PARENT_SCOPE)
    set(${reason} "nvcc was not found" PARENT_SCOPE)
  endif()
endfunction()

# CMake's own CUDA_ARCHITECTURES is not used: CMake 3.25 takes no `90a`. Kernels call the library's
# constexpr functions: hence the relaxed constexpr.
function(tconv_cuda_options options built)
  set(list --expt-relaxed-constexpr -Xptxas=-warn-spills)
  set(names "")
  set(highest 0)
  set(highest_feature_set 0)
  foreach(architecture IN LISTS TCONV_CUDA_ARCHITECTURES)
    if(NOT architecture MATCHES "^([0-9]+)[af]?$")
      message(FATAL_ERROR
        "TCONV_CUDA_ARCHITECTURES: '${architecture}' is no architecture like 80 or 90a")
    endif()
    # PTX for a feature set such as 90a runs on no later GPU, and PTX of a plain number that has
    # machine code is made anyway: for another, nvcc would compile everything once more.
    if(architecture STREQUAL CMAKE_MATCH_1 AND CMAKE_MATCH_1 GREATER highest)
      set(highest ${CMAKE_MATCH_1})
    elseif(CMAKE_MATCH_1 GREATER highest_feature_set)
      set(highest_feature_set ${CMAKE_MATCH_1})
    endif()
    list(APPEND list --generate-code=arch=compute_${architecture},code=sm_${architecture})
    list(APPEND names ${architecture}-real)
  endforeach()
  set(ptx "${TCONV_CUDA_PTX}")
  if("${ptx}" STREQUAL "newest")
    set(ptx ${highest})
    if(NOT ptx)
      set(ptx ${highest_feature_set})
    endif()
  endif()
  if(ptx)
    list(APPEND list --generate-code=arch=compute_${ptx},code=compute_${ptx})
    list(APPEND names ${ptx}-virtual)
  endif()
  list(JOIN names "," names)
  set(${options} "${list}" PARENT_SCOPE)
  set(${built} "${names}" PARENT_SCOPE)
endfunction()

set(TCONV_WITH_CUDA OFF)
tconv_find_cuda(tconv_cuda_compiler tconv_cuda_reason)
if(tconv_cuda_compiler)
  if(NOT DEFINED CMAKE_CUDA_RUNTIME_LIBRARY)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  endif()
  set(CMAKE_CUDA_ARCHITECTURES OFF)
  tconv_cuda_options(TCONV_CUDA_OPTIONS TCONV_CUDA_BUILT)
  enable_language(CUDA)
  find_package(CUDAToolkit REQUIRED)
  set(TCONV_WITH_CUDA ON)
  # CMake 3.25.1 does not know that nvcc 12 and later take it.
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
  set(CMAKE_CUDA_FLAGS_RELEASE "-O2 -DNDEBUG")
  if(NOT CMAKE_CUDA_COMPILER_LAUNCHER)  # keep_messages: what ptxas warns of, for tests/static_gates/static_gates
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${PROJECT_SOURCE_DIR}/scripts/keep_messages)
    if(CCACHE)
      list(APPEND CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
    endif()
  endif()
  set(TCONV_CUDART CUDA::cudart_static)
  if(CMAKE_CUDA_RUNTIME_LIBRARY STREQUAL Shared)
    set(TCONV_CUDART CUDA::cudart)
  endif()
  message(STATUS "tconv: rows for CUDA: gather (nvcc ${CMAKE_CUDA_COMPILER_VERSION}; "
    "${TCONV_CUDA_BUILT}; CUDA runtime ${CMAKE_CUDA_RUNTIME_LIBRARY})")
else()
  message(STATUS "tconv: left out: CUDA (${tconv_cuda_reason}); plans are for the CPU")
endif()
