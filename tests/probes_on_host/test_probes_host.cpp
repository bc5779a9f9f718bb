// SPDX-License-Identifier: Apache-2.0
// The probes in the model: does each come to the right verdict under either behaviour of the
// hardware, and does it notice when an answer is wrong? Rates are the CPU's and mean nothing here.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace {

struct Answers {
  int exit_code = -1;
  std::map<std::string, std::string> verdicts;
  std::map<std::string, std::string> observed;
  std::map<std::string, double> measured;
  std::string wrong;
};

Answers run(const std::string& probe, const std::string& model) {
  setenv("TCONV_MODEL", model.c_str(), 1);
  const std::string command =
      std::string(PROBE_FOLDER) + "/host_probe_" + probe + " --seconds 300 2>/dev/null";
  Answers answers;
  FILE* output = popen(command.c_str(), "r");
  std::string text;
  std::array<char, 4096> part;
  while (std::fgets(part.data(), part.size(), output) != nullptr) {
    text = part.data();
    const auto line = nlohmann::json::parse(text);
    if (line.contains("decides")) {
      answers.verdicts[line["decides"]] = line["verdict"];
    } else if (line.contains("observed")) {
      answers.observed[line["observed"]] = line["value"];
    } else if (line.contains("measured")) {
      answers.measured[line["measured"]] = line["value"];
    } else if (line.contains("wrong")) {
      answers.wrong += line["wrong"].get<std::string>() + "; ";
    }
  }
  answers.exit_code = WEXITSTATUS(pclose(output));
  return answers;
}

TEST(ProbesOnHost, ShiftedDescriptorFindsSwizzleByAddress) {
  const Answers answers = run("shifted_descriptor", "");
  EXPECT_EQ(answers.exit_code, 0) << answers.wrong;
  EXPECT_EQ(answers.verdicts.at("H2 halo"), "H2 shifts descriptors in a dense halo, base_offset 0");
}

TEST(ProbesOnHost, ShiftedDescriptorFindsSwizzleByPattern) {
  const Answers answers = run("shifted_descriptor", "pattern");
  EXPECT_EQ(answers.exit_code, 0) << answers.wrong;
  EXPECT_EQ(answers.verdicts.at("H2 halo"),
            "H2 shifts descriptors in a halo of 16 pixels a row, base_offset (addr>>7)&7");
}

TEST(ProbesOnHost, ShiftedDescriptorNoticesAnotherLayout) {
  const Answers answers = run("shifted_descriptor", "unswizzled");
  EXPECT_EQ(answers.exit_code, 1);
  EXPECT_NE(answers.wrong.find("TMA did not swizzle"), std::string::npos) << answers.wrong;
}

TEST(ProbesOnHost, NumericsFindsRoundingToNearest) {
  const Answers answers = run("numerics", "");
  EXPECT_EQ(answers.exit_code, 0) << answers.wrong;
  EXPECT_EQ(answers.verdicts.at("error bound"), "round to nearest");
  EXPECT_EQ(answers.verdicts.at("tf32 operands"), "cvt.rna");
  EXPECT_EQ(answers.observed.at("TMA of type TFLOAT32"), "unchanged");
}

TEST(ProbesOnHost, NumericsFindsTruncationAndItsLastBit) {
  const Answers answers = run("numerics", "truncate tma_rounds");
  EXPECT_EQ(answers.exit_code, 0) << answers.wrong;
  EXPECT_EQ(answers.observed.at("wgmma f16: 1 + 1.5 * 2^-24"), "truncated");
  EXPECT_EQ(
      answers.measured.at("mma.sync f16: products beside a product of 1 count down to 2^-j, j"),
      25);
  EXPECT_EQ(answers.measured.at("wgmma e4m3: products beside a product of 1 count down to 2^-j, j"),
            13);
  EXPECT_EQ(answers.observed.at("TMA of type TFLOAT32"), "to nearest, ties to even");
  EXPECT_EQ(answers.verdicts.at("tf32 operands"), "TMA rounds");
}

TEST(ProbesOnHost, TmaBoxesFindsTheOrderOfIm2colCorners) {
  const Answers by_w = run("tma_boxes", "");
  EXPECT_EQ(by_w.exit_code, 0) << by_w.wrong;
  EXPECT_EQ(by_w.observed.at("im2col column"),
            "corners in the order W, H, coordinates of the tensor");
  const Answers by_h = run("tma_boxes", "corners_hw");
  EXPECT_EQ(by_h.exit_code, 0) << by_h.wrong;
  EXPECT_EQ(by_h.observed.at("im2col column"),
            "corners in the order H, W, coordinates of the tensor");
}

TEST(ProbesOnHost, MnMajorFindsWhichOffsetIsWhich) {
  const Answers answers = run("mn_major", "");
  EXPECT_EQ(answers.exit_code, 0) << answers.wrong;
  EXPECT_EQ(answers.verdicts.at("NCHW operands of wgmma"),
            "boxes as loaded: leading offset between boxes of 64 pixels");
  const Answers exchanged = run("mn_major", "exchanged");
  EXPECT_EQ(exchanged.exit_code, 0) << exchanged.wrong;
  EXPECT_EQ(exchanged.verdicts.at("NCHW operands of wgmma"), "boxes as loaded, offsets exchanged");
}

TEST(ProbesOnHost, ExactProbesFindTheModelRight) {
  for (const char* probe : {"nchw", "l2_paths", "phase_order"}) {
    const Answers answers = run(probe, "");
    EXPECT_EQ(answers.exit_code, 0) << probe << ": " << answers.wrong;
  }
}

TEST(ProbesOnHost, ExactProbesNoticeAnotherLayout) {
  for (const char* probe : {"nchw", "mn_major", "tma_boxes", "l2_paths"}) {
    const Answers answers = run(probe, "unswizzled");
    EXPECT_EQ(answers.exit_code, 1) << probe;
    EXPECT_FALSE(answers.wrong.empty()) << probe;
  }
}

}  // namespace
