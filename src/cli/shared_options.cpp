// SPDX-License-Identifier: Apache-2.0
// shared_options.cpp: see shared_options.h.
#include "src/cli/shared_options.h"

#include "src/cli/text.h"

namespace tconv::cli {

std::string wrapped(const std::string& description) {
  std::string text;
  for (const std::string& given : split(description, '\n')) {
    std::size_t length = 0;
    if (!text.empty()) text += '\n';
    for (const std::string& word : split(given, ' ')) {
      const bool fits = length == 0 || length + 1 + word.size() <= kLineWidth - kColumn;
      if (length > 0) text += fits ? ' ' : '\n';
      length = (fits && length > 0 ? length + 1 : 0) + word.size();
      text += word;
    }
  }
  return text;
}

void add_problem(CLI::App& app, ProblemArgs& args, bool generated) {
  Options options(app);
  options.group(kProblem);
  options.text("--problem", args.problem, "KEY", "the whole problem, as `tconv explain` prints it");
  options.text("--input", args.input, "FILE",
               ".npy file of the input: f16, f32, f64, ml_dtypes' bf16;\nintegers with --dtype");
  options.text("--filters", args.filters, "FILE", ".npy file of the filters");
  options.text("--input-shape", args.input_shape, "N,H,W,C",
               "instead of --input; order of the data format, or N,C,H,W; with one axis\n"
               "N,W,C or N,C,L; pytorch: without N, too");
  options.text("--filter-shape", args.filter_shape, "KH,KW,CO,CI",
               "instead of --filters; pytorch, onnx: CI,CO,KH,KW; CO of one group;\n"
               "3 numbers (no KH): one axis, and options have one number for it");
  options.text("--strides", args.strides, "A[,B]", "one for both axes, or H,W (1)");
  options.text("--dilations", args.dilations, "A[,B]", "likewise (1)");
  options.text("--groups", args.groups, "G", "groups of channels (1)");
  const char* bias = generated
                         ? "add a bias per output channel, [C] or [1,1,1,C] (N,C,H,W: [C,1,1]);\n"
                           "without FILE: generated"
                         : "add a bias per output channel, [C] or [1,1,1,C] (N,C,H,W: [C,1,1])";
  const char* residual = generated ? "add a tensor like the output; without FILE: generated"
                                   : "add a tensor like the output";
  if (generated) {
    options.optional_text("--bias", args.bias, "FILE", bias);
    options.optional_text("--residual", args.residual, "FILE", residual);
  } else {
    options.text("--bias", args.bias, "FILE", bias);
    options.text("--residual", args.residual, "FILE", residual);
  }
  options.text("--activation", args.activation, "NAME",
               "relu, leaky_relu:0.1, prelu:FILE (a slope per channel, or one), clamp:0,6,\n"
               "sigmoid, tanh, gelu, gelu_tanh or silu");
  options.text("--dtype", args.dtype, "TYPE",
               "f16, bf16, f32 or f64: files are converted (the type of the files of input and\n"
               "filters, which must be the same then; or f32)");
  options.text("--output-dtype", args.output_dtype, "TYPE", "of output and residual (--dtype)");
  options.text("--convention", args.convention, "NAME", "tensorflow, pytorch or onnx");
  options.text("--filter-order", args.filter_order, "NAME",
               "of the filters in file and memory: hwoi, ihwo, iohw or ohwi (TFLite, WebNN,\n"
               "Core ML); o of one group (hwoi; pytorch, onnx: iohw)");
  options.group(kTensorFlow);
  options.text("--padding", args.padding, "PAD",
               "SAME, VALID or top,bottom,left,right (SAME); pytorch: P[,Q]");
  options.text("--output-shape", args.output_shape, "N,H,W,C",
               "or H,W (SAME: in*stride); onnx: N,C,H,W or H,W");
  options.text("--data-format", args.data_format, "NAME",
               "NHWC or NCHW (NHWC); one axis: NWC or NCW");
  options.group(kPyTorch);
  options.text("--output-padding", args.output_padding, "A[,B]", "one for both axes, or H,W (0)");
  options.text("--output-size", args.output_size, "H,W",
               "or N,C,H,W: in place of --output-padding, as a module's forward takes it");
  options.text("--memory-format", args.memory_format, "NAME",
               "contiguous or channels_last: how the row sees the tensors; files are\n"
               "N,C,H,W either way (contiguous)");
  options.group(kOnnx);
  options.text("--pads", args.pads, "HB,WB,HE,WE",
               "begin of H and W, end of H and W; one axis: begin, end (0)");
  options.text("--auto-pad", args.auto_pad, "MODE",
               "NOTSET, SAME_UPPER, SAME_LOWER or VALID (NOTSET)");
}

void add_choice(CLI::App& app, ChoiceArgs& args) {
  Options options(app);
  options.group(kChoice);
  options.text("--device", args.device, "NAME", "auto, cpu or cuda (auto)");
  options.text("--device-model", args.device_model, "NAME|FILE",
               "plan for a GPU that is not here: h200, h100, a100, l4, rtx4090,\n"
               "rtx5090, b200, a10, t4, gb10, or the JSON that\n"
               "`tconv devices --json` printed on a machine that has it");
  options.text("--kernel", args.kernel, "NAME[,NAME]", "only these rows of `tconv kernels`");
  options.text("--tile", args.tile, "NAME", "only this tile");
  options.text("--math", args.math, "MODE", "of f32: strict, tf32 or 3xtf32 (strict)");
  options.text("--workspace-limit", args.workspace_limit, "BYTES", "0: no workspace at all");
  options.flag("--allow-nondeterministic", args.allow_nondeterministic,
               "rows whose result may differ from run to run");
  options.text("--threads", args.threads, "N", "of rows of the CPU (one per core)");
  options.flag("--prepack", args.prepack, "filters in the row's own order, made before the run");
}

void add_data(CLI::App& app, DataArgs& args) {
  Options options(app);
  options.group(kData);
  options.text("--data", args.data, "KIND",
               "random: uniform in [-1, 1)\n"
               "arange: 1, 2, 3 ...; 16-bit types: (i mod 251 + 1)/256, exact in both\n"
               "impulse: input 1 at the middle of image 0, channel 0; filters arange");
  options.text("--data-seed", args.seed, "N", "of random (0)");
}

void add_suite(CLI::App& app, SuiteArgs& args) {
  Options options(app);
  options.group(kSuite);
  options.text("--suite", args.suite, "NAME", "core: 106 layers of real networks; or a CSV file");
  options.text("--batch", args.batch, "NAME", "infer or large (infer)");
  options.text("--match", args.match, "RE", "only rows whose name this regular expression finds");
}

}  // namespace tconv::cli
