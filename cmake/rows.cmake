# SPDX-License-Identifier: Apache-2.0
# rows.cmake: TCONV_ROWS, which rows of the kernel table are built. Included before whatever looks
# for what a row needs; sets TCONV_ROWS_LEFT_OUT.
#
# The names are those that src/host/kernel_table.h declares: a new family needs no line here. Left
# out, a row's src/cuda/NAME*.cu are not compiled, and kernel_table.cpp sees TCONV_WITHOUT_NAME.
set(TCONV_ROWS "all" CACHE STRING "Rows to build: all, or a list such as reference,gather,cudnn")

function(tconv_read_rows left_out)
  set(table ${PROJECT_SOURCE_DIR}/src/host/kernel_table.h)
  set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${table})
  file(READ ${table} text)
  string(REGEX MATCHALL "extern const Kernel [^;]*" declared "${text}")
  string(REGEX MATCHALL "[a-z0-9_]+_kernel" known "${declared}")
  list(TRANSFORM known REPLACE "_kernel$" "")
  set(missing "${known}")
  string(REPLACE "," ";" wanted "${TCONV_ROWS}")
  if("all" IN_LIST wanted)
    set(missing "")
  endif()
  foreach(row IN LISTS wanted)
    if(NOT row IN_LIST known AND NOT row STREQUAL "all")
      list(JOIN known ", " names)
      message(FATAL_ERROR "TCONV_ROWS: '${row}' is no row; there are ${names}, or all")
    endif()
    list(REMOVE_ITEM missing ${row})
  endforeach()
  if("reference" IN_LIST missing)
    message(FATAL_ERROR "TCONV_ROWS: 'reference' cannot be left out: verification compares with it, "
      "and it answers what every other row declines")
  endif()
  if(missing)
    list(JOIN missing ", " names)
    message(STATUS "tconv: left out by TCONV_ROWS: ${names}")
  endif()
  set(${left_out} "${missing}" PARENT_SCOPE)
endfunction()
tconv_read_rows(TCONV_ROWS_LEFT_OUT)

# After cuda.cmake. Takes the left-out rows out of `sources`, a list of src/cuda/*.cu.
macro(tconv_leave_out_rows sources)
  if("gather" IN_LIST TCONV_ROWS_LEFT_OUT)
    message(FATAL_ERROR "TCONV_ROWS: 'gather' cannot be left out of a build with CUDA: it answers "
      "what every other row for CUDA declines (TCONV_CUDA=OFF builds without CUDA)")
  endif()
  foreach(row IN LISTS TCONV_ROWS_LEFT_OUT)
    list(FILTER ${sources} EXCLUDE REGEX "/src/cuda/${row}(_[a-z0-9_]*)?\\.cu$")
  endforeach()
endmacro()
