# SPDX-License-Identifier: Apache-2.0
# families.cmake: the families of kernels. A new family is one folder (or file) and one word here:
# the library's table, what is compiled, the emulator, the gates and the mutations follow from it.
#
#   TCONV_FAMILIES        the words; preferred first where estimates tie, and of each device the last
#                         one takes everything
#   src/cuda/WORD/, or src/cuda/WORD.cu                a family whose device is CUDA
#   src/host/cpu/WORD/, or src/host/cpu/WORD.cpp       a family of the CPU
#
# Each defines `constinit const Kernel WORD_kernel` (src/host/plan/kernel.h). A folder's .cpp files
# plan: they are compiled with and without CUDA, unless a vendor's library that they need is not there.
set(TCONV_FAMILIES cudnn igemm_sm80 gather simd reference)
set(TCONV_FAMILIES_UNAVAILABLE "")  # who looks for a vendor's library and finds none adds the family here
set(TCONV_ROWS "all" CACHE STRING
  "Families to build: all, or a list such as reference,gather,cudnn")

# tconv_family_sources(FAMILY DEVICE SOURCES): where a word's files are. DEVICE becomes cuda or cpu.
function(tconv_family_sources family device sources)
  set(cuda ${PROJECT_SOURCE_DIR}/src/cuda/${family})
  set(cpu ${PROJECT_SOURCE_DIR}/src/host/cpu/${family})
  file(GLOB_RECURSE of_cuda CONFIGURE_DEPENDS ${cuda}/*.cu ${cuda}/*.cpp)
  file(GLOB_RECURSE of_cpu CONFIGURE_DEPENDS ${cpu}/*.cpp)
  foreach(file IN ITEMS ${cuda}.cu ${cpu}.cpp)
    if(EXISTS ${file})
      set(single ${file})
    endif()
  endforeach()
  if(of_cuda OR single MATCHES "[.]cu$")
    set(${device} cuda PARENT_SCOPE)
  elseif(of_cpu OR single)
    set(${device} cpu PARENT_SCOPE)
  else()
    message(FATAL_ERROR "TCONV_FAMILIES: '${family}' has neither src/cuda/${family}/ nor "
      "src/cuda/${family}.cu, src/host/cpu/${family}/ or src/host/cpu/${family}.cpp")
  endif()
  set(${sources} ${single} ${of_cuda} ${of_cpu} PARENT_SCOPE)
endfunction()

# tconv_left_out_families(LEFT_OUT): the words that TCONV_ROWS does not name.
function(tconv_left_out_families left_out)
  set(missing "${TCONV_FAMILIES}")
  string(REPLACE "," ";" wanted "${TCONV_ROWS}")
  if("all" IN_LIST wanted)
    set(missing "")
  endif()
  foreach(family IN LISTS wanted)
    if(NOT family IN_LIST TCONV_FAMILIES AND NOT family STREQUAL "all")
      list(JOIN TCONV_FAMILIES ", " names)
      message(FATAL_ERROR
        "TCONV_ROWS: '${family}' is no family; there are ${names}, or all")
    endif()
    list(REMOVE_ITEM missing ${family})
  endforeach()
  if("reference" IN_LIST missing)
    message(FATAL_ERROR "TCONV_ROWS: 'reference' cannot be left out: verification compares with it, "
      "and it answers what every other family declines")
  endif()
  if(missing)
    list(JOIN missing ", " names)
    message(STATUS "tconv: left out by TCONV_ROWS: ${names}")
  endif()
  set(${left_out} "${missing}" PARENT_SCOPE)
endfunction()
tconv_left_out_families(TCONV_FAMILIES_LEFT_OUT)

# tconv_without_absent_tests(TESTS): takes the tests of families that this build has not out of the
# list TESTS. Their folders are tests/cuda/WORD/ and tests/host/cpu/WORD/.
function(tconv_without_absent_tests name_of_list)
  set(kept "${${name_of_list}}")
  foreach(family IN LISTS TCONV_FAMILIES_ABSENT)
    list(FILTER kept EXCLUDE REGEX "^${PROJECT_SOURCE_DIR}/tests/(cuda|host/cpu)/${family}/")
  endforeach()
  set(${name_of_list} "${kept}" PARENT_SCOPE)
endfunction()

# tconv_family_table(FOLDER FAMILY...): writes FOLDER/families.inc, from which
# src/host/plan/kernel_table.cpp makes the table.
function(tconv_family_table folder)
  set(text "// Made by cmake/families.cmake.\n")
  foreach(family IN LISTS ARGN)
    string(APPEND text "TCONV_FAMILY(${family})\n")
  endforeach()
  file(GENERATE OUTPUT ${folder}/families.inc CONTENT "${text}")
endfunction()
