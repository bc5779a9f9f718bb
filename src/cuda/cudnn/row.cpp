// SPDX-License-Identifier: Apache-2.0
// row.cpp: the family `cudnn`: cuDNN's backward-data convolution through NVIDIA's header-only
// cudnn_frontend. Not yet run on a GPU.
//
//   [filters -> the order of cuDNN's layouts]  [cuDNN: one execution plan]  [epilogue of ours]
//
// What is around the plan is decided when it is made: the problem's own filters and a fused
// epilogue are tried first (graph.h), and of each such form the first configuration of
// cuDNN's heuristics A, B and FALLBACK, in that order, that keeps the caller's rules
// (engine_choice.h). No clock is looked at. The engine, its knobs and our kernels around it are the
// tile's name.
//
// A CUDA graph captured from a run must not outlive the plan: cuDNN frees the code of engines that
// it compiled at run time together with the plan.
#include <algorithm>
#include <array>

#include "src/cuda/cudnn/library.h"
#include "src/cuda/runtime/repack.h"
#include "src/host/plan/kernel.h"
#include "src/host/problem/errors.h"

namespace tconv::host {
namespace {

/// Tiles are named after engines.
constexpr const char* kEnginePrefix = "engine";

// ---- The state. ---------------------------------------------------------------------------------

/// device_bytes stays 0: cuDNN does not say what its handles and plans hold on the device.
struct CudnnState : KernelState {
  CudnnGraph graph;
  CudnnForm form;
  std::unique_ptr<CudnnPlan> plan;
  bool packs_on_launch = false;
  std::size_t filters_offset = 0, sums_offset = 0;  // pieces of the workspace, after cuDNN's
};

std::size_t rounded_up(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

/// What the tile's name says beside the engine's.
std::string suffix_of(const CudnnForm& form, const Options& options) {
  return std::string(form.packed_filters && !options.prepacked_filters ? "+repack" : "") +
         (form.epilogue == CudnnEpilogue::after ? "+epilogue" : "");
}

PlanRules rules_of(const Problem& problem, const Options& options) {
  return {.dtype = problem.desc().dtype,
          .math = options.math,
          .deterministic = options.deterministic,
          .workspace_limit = options.workspace_limit,
          .unbounded_error = options.unbounded_error};
}

/// Asks the heuristics in turn: all of them, or until one has proposed the tile that `options`
/// name. Returns which of the configurations may be taken, in order.
std::vector<std::size_t> ask(CudnnQuery& query, const Options& options, const std::string& suffix) {
  std::vector<std::size_t> wanted;
  const bool named = options.tile.starts_with(kEnginePrefix);
  std::size_t seen = 0;
  for (int heuristic = 0; heuristic < kCudnnHeuristics; ++heuristic) {
    query.ask(heuristic);
    for (; seen < query.configs().size(); ++seen) {
      const bool is_it = name_of(query.configs()[seen]) + suffix == options.tile;
      if (!named || is_it) wanted.push_back(seen);
      if (named && is_it) return wanted;
    }
  }
  return wanted;
}

/// Plans one form; why that fails, or empty.
std::string plan_form(const Problem& problem, const Options& options, const DeviceFacts& device,
                      CudnnState& state) {
  const auto filter_bytes = static_cast<std::size_t>(problem.filter_bytes());
  state.packs_on_launch = state.form.packed_filters && !options.prepacked_filters;
  const std::size_t ours = rounded_up(state.packs_on_launch ? filter_bytes : 0) +
                           rounded_up(static_cast<std::size_t>(state.graph.result_bytes));
  PlanRules rules = rules_of(problem, options);
  if (rules.workspace_limit >= 0) {
    rules.workspace_limit -= static_cast<int64_t>(ours);
    if (rules.workspace_limit < 0) {
      return "our kernels around cuDNN need " + std::to_string(ours) + " bytes of workspace";
    }
    rules.workspace_limit = rules.workspace_limit / 256 * 256;  // pieces are aligned
  }

  CudnnQuery query(device, state.graph);
  const std::string suffix = suffix_of(state.form, options);
  const std::vector<std::size_t> wanted = ask(query, options, suffix);
  if (wanted.empty() && !query.configs().empty()) {
    return "cuDNN's heuristics propose no " + options.tile;
  }
  std::vector<EngineConfig> configs;
  configs.reserve(wanted.size());
  for (const std::size_t i : wanted) configs.push_back(query.configs()[i]);
  const PlanChoice choice = choose_plan(configs, rules, [&](std::size_t i) -> PlanBuild {
    PlanBuild built;
    state.plan = query.build(wanted[i], built.refusal);
    if (state.plan != nullptr) built.workspace_bytes = state.plan->workspace_bytes();
    return built;
  });
  if (!choice.found()) return choice.reason;

  state.filters_offset = rounded_up(static_cast<std::size_t>(choice.workspace_bytes));
  state.sums_offset = state.filters_offset + rounded_up(state.packs_on_launch ? filter_bytes : 0);
  state.workspace_bytes = state.filters_offset + ours;
  if (options.prepacked_filters) state.packed_filter_bytes = filter_bytes;
  state.vendor = "cuDNN " + cudnn_version();
  state.tile_name = name_of(configs[choice.index]) + suffix;
  return "";
}

std::string words_for(const CudnnForm& form) {
  const char* epilogue = form.epilogue == CudnnEpilogue::fused   ? "epilogue fused, "
                         : form.epilogue == CudnnEpilogue::after ? "epilogue after, "
                                                                 : "";
  return std::string(epilogue) + (form.packed_filters ? "filters repacked" : "filters as they are");
}

// ---- The entry of the table.
// -----------------------------------------------------------------------

std::string declines(const Problem& problem, const Options&, const DeviceFacts& device) {
  if (!device.is_here() && device.cudnn_properties.empty()) {
    return "cuDNN chooses its engine on the GPU itself, and " + device.name +
           " is a model of one, without cuDNN's properties of it";
  }
  return cudnn_cannot_express(problem);
}

/// Model numbers, not measured: shares of the data sheet's rates.
Considered consider(const Problem& problem, int, const Options& options,
                    const DeviceFacts& device) {
  constexpr double kCallUs = 10;  // a run is often several kernels of cuDNN's
  constexpr double kTensorShare = 0.4, kVectorShare = 0.5;
  const ProblemDesc& d = problem.desc();
  const bool narrow = size_of(d.dtype) == 2;
  const bool tensor_cores = narrow || (d.dtype == DType::f32 && options.math == Math::tf32);
  double rate =
      kVectorShare * (d.dtype == DType::f64 ? device.f64_macs_per_us : device.f32_macs_per_us);
  double macs = problem.useful_macs();
  if (tensor_cores) {
    // Tiles are filled up to whole instructions: few channels in a group waste the rest.
    const auto padded_share = [](int64_t channels) {
      return static_cast<double>(ceil_div(channels, 16) * 16) / static_cast<double>(channels);
    };
    macs *= padded_share(problem.in_c_per_group()) * padded_share(problem.out_c_per_group());
    rate = kTensorShare * (narrow ? device.f16_tensor_macs_per_us : device.tf32_tensor_macs_per_us);
  }
  double bytes = problem.least_bytes();
  // Its tensor-core engines are for NHWC: other layouts are transposed there and back.
  if (tensor_cores && d.layout == Layout::nchw) bytes *= 3;
  const bool inner_inputs = problem.filter_strides().c == 1 && d.in_c > 1;  // HWOI, OHWI
  if (inner_inputs && !options.prepacked_filters) {
    bytes += 2 * static_cast<double>(problem.filter_bytes());
  }
  return {.estimate_us = kCallUs + std::max(macs / rate, bytes / device.bytes_per_us)};
}

std::shared_ptr<const KernelState> prepare(const Problem& problem, int, const Options& options,
                                           const DeviceFacts& device) {
  if (!cudnn_absence().empty()) throw Unsupported(cudnn_absence());
  std::string reasons;
  for (const CudnnForm& form : cudnn_forms(problem, options.prepacked_filters)) {
    auto state = std::make_shared<CudnnState>();
    state->form = form;
    state->graph = make_cudnn_graph(problem, form);
    std::string reason;
    try {
      reason = plan_form(problem, options, device, *state);
    } catch (const std::exception& error) {  // the frontend's, and a function that cuDNN lacks
      reason = error.what();
    }
    if (reason.empty()) {
      if (!device.is_here()) return state;  // nothing of it is touched
      if (form.packed_filters) load_repack(problem);
      if (form.epilogue == CudnnEpilogue::after) load_epilogue(problem);
      return state;
    }
    reasons += (reasons.empty() ? "" : "; ") + words_for(form) + ": " + reason;
  }
  throw Unsupported(reasons);
}

void execute(const CudnnState& state, const Tensors& tensors, const void* filters, void* result,
             Stream stream) {
  std::array<int64_t, 4> ids{};
  std::array<void*, 4> pointers{};
  int64_t count = 0;
  const auto add = [&](int64_t id, const void* pointer) {
    ids[static_cast<std::size_t>(count)] = id;
    pointers[static_cast<std::size_t>(count++)] = const_cast<void*>(pointer);
  };
  for (const CudnnTensor& tensor : state.graph.tensors) {
    switch (tensor.id) {
      case kInput: add(kInput, tensors.input); break;
      case kFilters: add(kFilters, filters); break;
      case kBias: add(kBias, tensors.bias); break;
      case kResult: add(kResult, result); break;
      default: break;  // between two operations
    }
  }
  const auto used = static_cast<std::size_t>(count);
  state.plan->execute(std::span(ids).first(used), std::span(pointers).first(used),
                      tensors.workspace, stream);
}

void launch(const Problem& problem, const KernelState& kernel_state, const Tensors& tensors,
            Stream stream) {
  const auto& state = static_cast<const CudnnState&>(kernel_state);
  // cuDNN's engines ask the driver, which knows no device on a thread that has not yet called the
  // runtime: any call about a stream makes it known.
  gpu().is_capturing(stream);
  auto* workspace = static_cast<std::byte*>(tensors.workspace);
  const void* filters = tensors.filters;
  if (state.packs_on_launch) {
    void* packed = workspace + state.filters_offset;
    enqueue_repack(problem, packed_filter_strides(problem), filters, packed, stream);
    filters = packed;
  }
  void* result = state.graph.result_is_output ? tensors.output : workspace + state.sums_offset;
  execute(state, tensors, filters, result, stream);
  if (state.form.epilogue == CudnnEpilogue::after) {
    enqueue_epilogue(problem, result, state.graph.result_strides, tensors, stream);
  }
}

void prepack(const Problem& problem, const KernelState&, const void* filters, void* packed,
             Stream stream) {
  enqueue_repack(problem, packed_filter_strides(problem), filters, packed, stream);
}

void add_proposals(const Problem& problem, const Options& options, const DeviceFacts& device,
                   const CudnnForm& form, bool first_only, std::vector<Proposal>& proposals) {
  CudnnQuery query(device, make_cudnn_graph(problem, form));
  const int last = first_only ? 1 : kCudnnHeuristics;
  for (int heuristic = 0; heuristic < last; ++heuristic) query.ask(heuristic);
  const PlanRules rules = rules_of(problem, options);
  const std::string suffix = suffix_of(form, options);
  for (const EngineConfig& config : query.configs()) {
    Proposal proposal{.tile = name_of(config) + suffix,
                      .from = kCudnnHeuristicNames[config.heuristic],
                      .notes = notes_of(config),
                      .excluded = excluded(config, rules)};
    const auto same = [&](const Proposal& other) { return other.tile == proposal.tile; };
    if (std::ranges::none_of(proposals, same)) proposals.push_back(std::move(proposal));
  }
}

std::vector<Proposal> proposals(const Problem& problem, const Options& options,
                                const DeviceFacts& device, bool first_only) {
  if (!cudnn_absence().empty()) throw Unsupported(cudnn_absence());
  std::vector<Proposal> all;
  std::string reason;
  for (const CudnnForm& form : cudnn_forms(problem, options.prepacked_filters)) {
    try {
      add_proposals(problem, options, device, form, first_only, all);
    } catch (const std::exception& error) {  // the frontend's: this form cannot be asked for
      reason = error.what();
    }
  }
  if (all.empty()) throw Unsupported(reason.empty() ? "cuDNN's heuristics propose none" : reason);
  return all;
}

void describe_device(DeviceFacts& device) {
  device.cudnn_properties = cudnn_device_properties(device.ordinal);
}

constexpr const char* kTiles[] = {"heuristic"};
constexpr DType kTypes[] = {DType::f16, DType::bf16, DType::f32, DType::f64};

}  // namespace

extern const Kernel cudnn_kernel;  // the table's name of it (cmake/families.cmake)
constinit const Kernel cudnn_kernel = {.name = "cudnn",
                                       .device = DeviceKind::cuda,
                                       .tiles = kTiles,
                                       .dtypes = kTypes,
                                       .declines = declines,
                                       .consider = consider,
                                       .prepare = prepare,
                                       .launch = launch,
                                       .prepack = prepack,
                                       .packed_strides = packed_filter_strides,
                                       .border = Border::unknown,
                                       .fixed_size = "cuDNN chooses its engine for one size",
                                       .proposed_tiles = kEnginePrefix,
                                       .proposals = proposals,
                                       .describe_device = describe_device};

}  // namespace tconv::host
