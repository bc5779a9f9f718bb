// SPDX-License-Identifier: Apache-2.0
// shuffle.h: which lane a shuffle reads from: lane `operand` of the segment, the one that far below
// or above, or the one whose number differs in these bits.
#pragma once

namespace tconv::emulator {

enum class Shuffle { idx, up, down, bfly };

}  // namespace tconv::emulator
