# SPDX-License-Identifier: Apache-2.0
# proven.cmake: what costs much and depends on few files runs in `scripts/test --all` only where those
# changed, and once in ten times (tests/scripts/proven). Other builds run it always.

# tconv_proven(VARIABLE NAME [SAMPLE|TENTH] READS PATTERN... COMMAND WORD...): VARIABLE is what add_test gets as
# its command. The scripts and sources that the command names need not be in READS. Afterwards
# tconv_may_be_proven(NAME): CTest shows what was left out as skipped.
function(tconv_proven variable name)
  cmake_parse_arguments(PARSE_ARGV 2 given "SAMPLE;TENTH" "" "READS;COMMAND")
  set(${variable} ${given_COMMAND} PARENT_SCOPE)
  if(TCONV_TEST_ALL)
    set(less "")
    if(given_SAMPLE)
      set(less --sample)
    elseif(given_TENTH)
      set(less --tenth)
    endif()
    set(${variable} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/scripts/proven ${name} ${less} --reads ${given_READS} -- ${given_COMMAND}
      PARENT_SCOPE)
  endif()
endfunction()
function(tconv_may_be_proven)
  set_tests_properties(${ARGN} PROPERTIES SKIP_RETURN_CODE 77)
endfunction()
