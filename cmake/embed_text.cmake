# SPDX-License-Identifier: Apache-2.0
# Writes a C++ file that holds a text file as a constant.
#   cmake -DINPUT=file.csv -DOUTPUT=file.cpp -DNAME=kConstant -P embed_text.cmake
# defines `extern const char* const kConstant` in namespace tconv::cli.
foreach(argument IN ITEMS INPUT OUTPUT NAME)
  if(NOT ${argument})
    message(FATAL_ERROR "embed_text: -D${argument}=... is missing")
  endif()
endforeach()
file(READ "${INPUT}" text)
string(FIND "${text}" ")embedded\"" end_of_literal)
if(NOT end_of_literal EQUAL -1)
  message(FATAL_ERROR "embed_text: ${INPUT} contains the end of a raw string literal")
endif()
get_filename_component(source "${INPUT}" NAME)
file(WRITE "${OUTPUT}" "// Generated from ${source}; do not edit.
namespace tconv::cli {
extern const char* const ${NAME};
const char* const ${NAME} = R\"embedded(${text})embedded\";
}  // namespace tconv::cli
")
