// SPDX-License-Identifier: Apache-2.0
// report.cpp: findings and counters as values: sums and text.
#include "tests/emulator/emulator.h"

namespace tconv::emulator {

void Requests::add(const Requests& other) {
  requests += other.requests;
  lanes += other.lanes;
  useful_bytes += other.useful_bytes;
  sectors += other.sectors;
  lines += other.lines;
  wavefronts += other.wavefronts;
  ideal += other.ideal;
}

void Counters::add(const Counters& other) {
  launches += other.launches;
  blocks += other.blocks;
  threads += other.threads;
  barriers += other.barriers;
  multiply_adds += other.multiply_adds;
  useful_multiply_adds += other.useful_multiply_adds;
  global_loads.add(other.global_loads);
  global_stores.add(other.global_stores);
  async_copies.add(other.async_copies);
  shared_loads.add(other.shared_loads);
  shared_stores.add(other.shared_stores);
  ldmatrix.add(other.ldmatrix);
}

std::string Finding::text() const {
  return kind + " at " + where + ", block " + std::to_string(block[0]) + "," +
         std::to_string(block[1]) + "," + std::to_string(block[2]) + " thread " +
         std::to_string(thread) + (detail.empty() ? "" : ": " + detail);
}

std::string Report::text() const {
  std::string text;
  for (const Finding& finding : findings) text += (text.empty() ? "" : "\n") + finding.text();
  return text;
}

}  // namespace tconv::emulator
