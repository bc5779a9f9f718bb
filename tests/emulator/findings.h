// SPDX-License-Identifier: Apache-2.0
// findings.h: how a launch's findings are kept, and where in the source an instruction is.
#pragma once

#include <cstdint>
#include <source_location>
#include <string>

#include "tests/emulator/emulator.h"

namespace tconv::emulator {

/// "gather.cu:58 (gather), index.cuh:40": the line of a return address and its inlined callers'.
std::string line_of(uintptr_t pc);
Site site_of(const std::source_location& where);

/// True the second time, so that one bad line is one finding. Ten thousand repetitions switch the
/// checks of races off: the run then ends in reasonable time.
bool already_reported(const char* kind, uintptr_t pc);
void report_at_pc(const char* kind, uintptr_t pc, const std::string& detail);
void report_at(const char* kind, const std::source_location& where, const std::string& detail,
               int thread = -1);
/// Of a launch as a whole.
void report_launch(const char* kind, const std::string& detail);

/// While it lives, findings stand at this line, whatever pc is given.
class PlaceOfFindings {
 public:
  explicit PlaceOfFindings(const std::source_location& where);
  PlaceOfFindings(const PlaceOfFindings&) = delete;
  PlaceOfFindings& operator=(const PlaceOfFindings&) = delete;
  ~PlaceOfFindings();
};

/// Leaves the running thread for good; the launch ends here.
[[noreturn]] void abandon_launch();

/// The report that findings go to; forgets what was reported.
void begin_findings(Report& report);
/// Resolves the places: the first look into the debug information costs 70 ms.
void end_findings();

}  // namespace tconv::emulator
