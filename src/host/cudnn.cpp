// SPDX-License-Identifier: Apache-2.0
// cudnn.cpp: the row `cudnn`: cuDNN's backward-data convolution through NVIDIA's header-only
// cudnn_frontend. Not yet run on a GPU.
//
//   [filters -> the order of cuDNN's layouts]  [cuDNN: one execution plan]  [epilogue of ours]
//
// What is around the plan is decided when it is made: the problem's own filters and a fused
// epilogue are tried first (cudnn_graph.h), and of each such form the first configuration of
// cuDNN's heuristics A, B and FALLBACK, in that order, that keeps the caller's rules
// (cudnn_plans.h). No clock is looked at. The engine, its knobs and our kernels around it are the
// tile's name.
//
// Of cudnn_frontend its classes over single descriptors serve, not its class Graph: that one takes
// eight times as long to compile, opens the CUDA runtime and NVRTC by name, and prints.
//
// A CUDA graph captured from a run must not outlive the plan: cuDNN frees the code of engines that
// it compiled at run time together with the plan.
#include <dlfcn.h>

// Only this file has these classes: another version of them in the same program, linked statically,
// would otherwise be the same symbols.
#define cudnn_frontend tconv_cudnn_frontend
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#define NV_CUDNN_FRONTEND_DISABLE_LOGGING
#define CUDNN_FRONTEND_SKIP_JSON_LIB
#include <cudnn.h>
#include <cudnn_frontend_ExecutionPlan.h>
#include <cudnn_frontend_Heuristics.h>
#include <cudnn_frontend_Operation.h>
#include <cudnn_frontend_OperationGraph.h>
#include <cudnn_frontend_VariantPack.h>

#include <array>
#include <map>
#include <mutex>
#include <optional>

#include "cudnn_graph.h"
#include "cudnn_plans.h"
#include "errors.h"
#include "handle_pool.h"
#include "repack.h"

namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;  // what the frontend looks its functions up in
}

namespace tconv::host {
namespace {

namespace fe = cudnn_frontend;

// ---- The library. -------------------------------------------------------------------------------

std::string open_cudnn() {
  const std::string name = "libcudnn.so." + std::to_string(CUDNN_MAJOR);
  // The copy that the process already has, if any: two would not share their handles.
  void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* error = dlerror();
    return "cuDNN cannot be opened: " + std::string(error != nullptr ? error : name);
  }
  fe::cudnn_dlhandle = library;
  constexpr std::size_t kOldest = 90200;  // from here on cuDNN tells a workspace before it builds
  const std::size_t version = fe::detail::get_backend_version();
  if (version < kOldest) {
    return "cuDNN " + std::to_string(version) + " is older than " + std::to_string(kOldest);
  }
  return "";
}

/// Opens cuDNN once and keeps it: why it cannot be used, empty if it can.
const std::string& cudnn_absence() {
  static const std::string absence = open_cudnn();
  return absence;
}

void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw DeviceError(std::string(what) + " failed: " + fe::detail::get_error_string(status));
}

// ---- Handles. -----------------------------------------------------------------------------------

using Pool = HandlePool<cudnnHandle_t>;
using Handle = HandleLease<cudnnHandle_t>;

/// What this row keeps for a device. Never destroyed: see HandlePool.
struct Device {
  /// Planning may take as long as compiling does; runs do not wait for it: it has its own handle.
  std::mutex planning;
  cudnnHandle_t planner = nullptr;
  Pool runners;
};

Device& device_at(int ordinal) {
  static std::mutex mutex;
  static auto& devices = *new std::map<int, Device>;
  const std::lock_guard lock(mutex);
  return devices[ordinal];
}

/// Makes the handles of one more plan, on the current device. Under device.planning.
void make_handles(Device& device) {
  cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
  const auto create = [&](cudnnHandle_t& handle) {
    status = fe::detail::create_handle(&handle);
    return status == CUDNN_STATUS_SUCCESS;
  };
  const bool has_planner = device.planner != nullptr || create(device.planner);
  if (has_planner && device.runners.grow(create)) return;
  throw Unsupported(std::string("cuDNN cannot be started: ") +
                    fe::detail::get_error_string(status));
}

// ---- The operations. ----------------------------------------------------------------------------

cudnnDataType_t cudnn_type(DType type) {
  switch (type) {
    case DType::f16: return CUDNN_DATA_HALF;
    case DType::bf16: return CUDNN_DATA_BFLOAT16;
    case DType::f64: return CUDNN_DATA_DOUBLE;
    case DType::f32: break;
  }
  return CUDNN_DATA_FLOAT;
}

/// cuDNN's descriptors of a graph. Creating them makes cuDNN check the graph; no device is asked.
struct Operations {
  std::map<int64_t, fe::Tensor> tensors;
  std::vector<fe::Operation> list;

  explicit Operations(const CudnnGraph& graph) {
    for (const CudnnTensor& tensor : graph.tensors) tensors.emplace(tensor.id, describe(tensor));
    list.push_back(convolution(graph));
    for (const CudnnPointwise& operation : graph.pointwise) list.push_back(pointwise(operation));
  }

  /// Without a handle nothing but the graph itself is checked.
  fe::OperationGraph graph(cudnnHandle_t handle) const {
    std::vector<const fe::Operation*> pointers;
    pointers.reserve(list.size());
    for (const fe::Operation& operation : list) pointers.push_back(&operation);
    return fe::OperationGraphBuilder()
        .setHandle(handle)
        .setOperationGraph(static_cast<int64_t>(pointers.size()), pointers.data())
        .build();
  }

 private:
  static fe::Tensor describe(const CudnnTensor& tensor) {
    return fe::TensorBuilder()
        .setDim(4, tensor.extents.data())
        .setStride(4, tensor.strides.data())
        .setId(tensor.id)
        .setAlignment(tensor.alignment)
        .setDataType(cudnn_type(tensor.dtype))
        .setVirtual(tensor.is_virtual)
        .build();
  }

  fe::Operation convolution(const CudnnGraph& graph) const {
    const auto description =
        fe::ConvDescBuilder()
            .setComputeType(graph.f64_sums ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT)
            .setMathMode(CUDNN_CROSS_CORRELATION)
            .setSpatialDimCount(2)
            .setSpatialStride(2, graph.strides.data())
            .setPrePadding(2, graph.pre_pads.data())
            .setPostPadding(2, graph.post_pads.data())
            .setDilation(2, graph.dilations.data())
            .build();
    return fe::OperationBuilder(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
        .setdxDesc(tensors.at(graph.sums))
        .setdyDesc(tensors.at(kInput))
        .setwDesc(tensors.at(kFilters))
        .setcDesc(description)
        .setAlpha(1.0)
        .setBeta(0.0)
        .build();
  }

  fe::Operation pointwise(const CudnnPointwise& operation) const {
    auto description = fe::PointWiseDescBuilder();
    description.setComputeType(CUDNN_DATA_FLOAT);
    switch (operation.kind) {
      case CudnnPointwise::Kind::identity: description.setMode(CUDNN_POINTWISE_IDENTITY); break;
      case CudnnPointwise::Kind::add: description.setMode(CUDNN_POINTWISE_ADD); break;
      case CudnnPointwise::Kind::clip:
        description.setMode(CUDNN_POINTWISE_RELU_FWD)
            .setMode(CUDNN_PROPAGATE_NAN)
            .setReluLowerClip(operation.lower)
            .setReluUpperClip(operation.upper)
            .setReluLowerClipSlope(operation.slope);
        break;
    }
    auto builder = fe::OperationBuilder(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    builder.setxDesc(tensors.at(operation.input))
        .setyDesc(tensors.at(operation.output))
        .setpwDesc(description.build());
    if (operation.operand != 0) builder.setbDesc(tensors.at(operation.operand));
    return builder.build();
  }
};

// ---- Engine configurations. ---------------------------------------------------------------------

/// Up to `most` values of an attribute of a descriptor.
template <typename T>
std::vector<T> attribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                         cudnnBackendAttributeType_t type, std::size_t most) {
  std::vector<T> values(most);
  int64_t count = 0;
  check(fe::detail::get_attribute(descriptor, name, type, static_cast<int64_t>(most), &count,
                                  values.data()),
        "cuDNN's description of an engine");
  values.resize(static_cast<std::size_t>(count));
  return values;
}

std::optional<PlanNote> note_of(cudnnBackendNumericalNote_t note) {
  switch (note) {
    case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: return PlanNote::tensor_core;
    case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS: return PlanNote::down_converts;
    case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION: return PlanNote::reduced_sums;
    case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC: return PlanNote::nondeterministic;
    case CUDNN_NUMERICAL_NOTE_FFT:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6:
    case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13: return PlanNote::transform;
    default: return std::nullopt;
  }
}

EngineConfig describe(const fe::ManagedOpaqueDescriptor& descriptor) {
  EngineConfig config;
  std::vector<std::pair<cudnnBackendKnobType_t, int64_t>> knobs;
  check(fe::detail::get_engine_id_and_knobs(descriptor, config.engine, knobs),
        "cuDNN's description of an engine");
  for (const auto& [type, value] : knobs) config.knobs.push_back({type, value});

  const auto engine = fe::make_shared_backend_pointer(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine->get_backend_descriptor();
  int64_t count = 0;
  check(fe::detail::get_attribute(descriptor->get_backend_descriptor(), CUDNN_ATTR_ENGINECFG_ENGINE,
                                  CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw),
        "cuDNN's description of an engine");
  for (const auto note : attribute<cudnnBackendNumericalNote_t>(
           raw, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
           CUDNN_NUMERICAL_NOTE_TYPE_COUNT)) {
    if (const auto known = note_of(note)) config.notes.push_back(*known);
  }
  for (const auto note : attribute<cudnnBackendBehaviorNote_t>(raw, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE,
                                                               CUDNN_TYPE_BEHAVIOR_NOTE,
                                                               CUDNN_BEHAVIOR_NOTE_TYPE_COUNT)) {
    if (note == CUDNN_BEHAVIOR_NOTE_REQUIRES_FILTER_INT8x32_REORDER ||
        note == CUDNN_BEHAVIOR_NOTE_REQUIRES_BIAS_INT8x32_REORDER) {
      config.notes.push_back(PlanNote::reorders_filters);
    }
  }
  return config;
}

/// What the heuristics propose, the best first. A mode that fails proposes nothing.
fe::EngineConfigList proposals(fe::OperationGraph& graph) {
  fe::EngineConfigList all;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK}) {
    try {
      auto heuristics =
          fe::EngineHeuristicsBuilder_v8().setOperationGraph(graph).setHeurMode(mode).build();
      const auto& configs = heuristics.getEngineConfig(heuristics.getEngineConfigCount());
      all.insert(all.end(), configs.begin(), configs.end());
    } catch (const fe::cudnnException&) {  // NOLINT(bugprone-empty-catch): the next mode may know
    }
  }
  return all;
}

// ---- The state. ---------------------------------------------------------------------------------

/// device_bytes stays 0: cuDNN does not say what its handles and plans hold on the device.
struct CudnnState : KernelState {
  CudnnGraph graph;
  CudnnForm form;
  std::optional<fe::ExecutionPlan> plan;
  Device* device = nullptr;
  /// cuDNN does not promise that one plan may be executed by two threads at once.
  mutable std::mutex executing;
  bool packs_on_launch = false;
  std::size_t filters_offset = 0, sums_offset = 0;  // pieces of the workspace, after cuDNN's
};

std::size_t rounded_up(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

/// Plans one form; why that fails, or empty. Under device.planning.
std::string plan_form(const Problem& problem, const Options& options, CudnnState& state) {
  const auto filter_bytes = static_cast<std::size_t>(problem.filter_bytes());
  state.packs_on_launch = state.form.packed_filters && !options.prepacked_filters;
  const std::size_t ours = rounded_up(state.packs_on_launch ? filter_bytes : 0) +
                           rounded_up(static_cast<std::size_t>(state.graph.result_bytes));
  PlanRules rules = {problem.desc().dtype, options.math, options.deterministic,
                     options.workspace_limit};
  if (rules.workspace_limit >= 0) {
    rules.workspace_limit -= static_cast<int64_t>(ours);
    if (rules.workspace_limit < 0) {
      return "our kernels around cuDNN need " + std::to_string(ours) + " bytes of workspace";
    }
    rules.workspace_limit = rules.workspace_limit / 256 * 256;  // pieces are aligned
  }

  const Operations operations(state.graph);
  fe::OperationGraph graph = operations.graph(state.device->planner);
  const fe::EngineConfigList descriptors = proposals(graph);
  std::vector<EngineConfig> configs;
  for (const auto& descriptor : descriptors) configs.push_back(describe(descriptor));
  const PlanChoice choice = choose_plan(configs, rules, [&](std::size_t i) -> PlanBuild {
    try {
      state.plan.emplace(fe::ExecutionPlanBuilder()
                             .setHandle(state.device->planner)
                             .setEngineConfig(descriptors[i], graph.getTag())
                             .build());
      return {.workspace_bytes = state.plan->getWorkspaceSize(), .refusal = {}};
    } catch (const fe::cudnnException& error) {
      return {.workspace_bytes = 0, .refusal = error.what()};
    }
  });
  if (!choice.found()) return choice.reason;

  state.filters_offset = rounded_up(static_cast<std::size_t>(choice.workspace_bytes));
  state.sums_offset = state.filters_offset + rounded_up(state.packs_on_launch ? filter_bytes : 0);
  state.workspace_bytes = state.filters_offset + ours;
  if (options.prepacked_filters) state.packed_filter_bytes = filter_bytes;
  state.tile_name = name_of(configs[choice.index]) + (state.packs_on_launch ? "+repack" : "") +
                    (state.form.epilogue == CudnnEpilogue::after ? "+epilogue" : "");
  return "";
}

std::string words_for(const CudnnForm& form) {
  const char* epilogue = form.epilogue == CudnnEpilogue::fused   ? "epilogue fused, "
                         : form.epilogue == CudnnEpilogue::after ? "epilogue after, "
                                                                 : "";
  return std::string(epilogue) + (form.packed_filters ? "filters repacked" : "filters as they are");
}

// ---- The row of the table. ----------------------------------------------------------------------

std::string declines(const Problem& problem, const Options&, const DeviceFacts& device) {
  if (!device.is_here()) {
    return "cuDNN chooses its engine on the GPU itself, and " + device.name + " is a model of one";
  }
  return cudnn_cannot_express(problem);
}

/// Model numbers, not measured: shares of the data sheet's rates.
double estimate_us(const Problem& problem, int, const Options& options, const DeviceFacts& device) {
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
  if (d.filter_order == FilterOrder::hwoi && !options.prepacked_filters) {
    bytes += 2 * static_cast<double>(problem.filter_bytes());
  }
  return kCallUs + std::max(macs / rate, bytes / device.bytes_per_us);
}

std::shared_ptr<const KernelState> prepare(const Problem& problem, int, const Options& options,
                                           const DeviceFacts& facts) {
  if (!cudnn_absence().empty()) throw Unsupported(cudnn_absence());
  Device& device = device_at(facts.ordinal);
  const std::lock_guard lock(device.planning);
  make_handles(device);
  std::string reasons;
  for (const CudnnForm& form : cudnn_forms(problem, options.prepacked_filters)) {
    auto state = std::make_shared<CudnnState>();
    state->device = &device;
    state->form = form;
    state->graph = make_cudnn_graph(problem, form);
    std::string reason;
    try {
      reason = plan_form(problem, options, *state);
    } catch (const std::exception& error) {  // the frontend's, and a function that cuDNN lacks
      reason = error.what();
    }
    if (reason.empty()) {
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
  try {
    const auto pack = fe::VariantPackBuilder()
                          .setWorkspacePointer(tensors.workspace)
                          .setDataPointers(count, pointers.data())
                          .setUids(count, ids.data())
                          .build();
    const std::lock_guard lock(state.executing);
    const Handle handle(state.device->runners);  // last: who holds one waits for nothing
    check(fe::detail::set_stream(handle.get(), static_cast<cudaStream_t>(stream)),
          "cudnnSetStream");
    check(fe::detail::execute(handle.get(), state.plan->get_raw_desc(), pack.get_raw_desc()),
          "cudnnBackendExecute");
  } catch (const fe::cudnnException& error) {
    throw DeviceError(std::string("cuDNN failed: ") + error.what());
  }
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

constexpr const char* kTiles[] = {"heuristic"};
constexpr DType kTypes[] = {DType::f16, DType::bf16, DType::f32, DType::f64};

}  // namespace

std::string cudnn_refusal(const CudnnGraph& graph) {
  if (!cudnn_absence().empty()) return cudnn_absence();
  try {
    Operations(graph).graph(nullptr);
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

constinit const Kernel cudnn_kernel = {.name = "cudnn",
                                       .device = DeviceKind::cuda,
                                       .tiles = kTiles,
                                       .dtypes = kTypes,
                                       .declines = declines,
                                       .estimate_us = estimate_us,
                                       .prepare = prepare,
                                       .launch = launch,
                                       .prepack = prepack,
                                       .fixed_size = "cuDNN chooses its engine for one size"};

}  // namespace tconv::host
