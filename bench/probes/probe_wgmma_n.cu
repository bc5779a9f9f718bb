// SPDX-License-Identifier: Apache-2.0
// probe_wgmma_n.cu: the rate of wgmma against N, with A from shared memory (SS) and from registers
// (RS). A model says that each m64nNk16 reads (2048 + 32 N) bytes of shared memory, 128 a clock,
// and takes at least N / 2 clocks. Not yet run on a GPU.
#include <map>

#include "bench/probes/wgmma_rate.cuh"

namespace tconv::probes {
namespace {

constexpr int kWork = 200000;

struct Shares {
  std::map<int, double> ss;
  std::map<int, double> rs;
};

// Percent of the full rate, the better of two and four warpgroups where both fit.
template <typename Unit, int kN>
double share(Report& report, const char* form, const char* predicted) {
  constexpr bool kSmall = kN <= 64;
  const std::string what = std::string(form) + " N = " + std::to_string(kN);
  WgmmaRate rate = measure_wgmma < Unit, kN, kSmall ? 512 : 256 > (report, what, 256, kWork, 1000);
  if constexpr (kSmall) {
    const WgmmaRate four = measure_wgmma<Unit, kN, 512>(report, what, 512, kWork, 1000);
    rate = four.clocks < rate.clocks ? four : rate;
  }
  const double percent = 100 * (kN / 2.0) / rate.clocks;
  report.measured(what + ": clocks of an SM for one m64nNk16", rate.clocks, "clocks",
                  std::to_string(kN / 2).append(" at the full rate").c_str());
  report.measured(what + ": share of the full rate", percent, "%", predicted);
  return percent;
}

template <int kN>
void one_n(Report& report, Shares& shares, const char* predicted) {
  shares.ss[kN] = share<SsF16, kN>(report, "SS", predicted);
  shares.rs[kN] = share<RsF16, kN>(report, "RS", "100 [E]");
}

void measure(Report& report) {
  Shares shares;
  one_n<8>(report, shares, "22 [E]");
  one_n<16>(report, shares, "40 [E]");
  one_n<24>(report, shares, "55 [E]");
  one_n<32>(report, shares, "67 [E]");
  one_n<48>(report, shares, "86 [E]");
  one_n<64>(report, shares, "100 [E]");
  one_n<96>(report, shares, "100 [E]");
  one_n<128>(report, shares, "100 [E]");
  one_n<192>(report, shares, "100 [E]");
  one_n<256>(report, shares, "100 [E]");
  if (shares.ss[256] < 70 || shares.ss[256] > 105) {
    report.wrong("SS N = 256 is not near the full rate: the count of clocks or the loop is wrong");
  }
  int least = 256;
  for (const auto& [n, percent] : shares.ss) {
    least = percent >= 90 && n < least ? n : least;
  }
  report.decides("least N",
                 "phases are merged into N until N reaches the least N with 90 % of the full rate",
                 std::to_string(least));
  report.decides("A from registers",
                 "if RS is at least 1.2 times SS at N = 32, small Co takes A from registers",
                 shares.rs[32] >= 1.2 * shares.ss[32] ? "RS for small Co" : "SS everywhere");
}

}  // namespace
}  // namespace tconv::probes

int main(int argc, char** argv) {
  return tconv::probes::run(
      argc, argv,
      {"wgmma_n",
       "Which share of its full rate does wgmma reach for each N, with A from "
       "shared memory and from registers?",
       tconv::probes::About::Needs::kHopper},
      tconv::probes::measure);
}
