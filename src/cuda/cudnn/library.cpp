// SPDX-License-Identifier: Apache-2.0
// library.cpp: cuDNN's library through NVIDIA's header-only cudnn_frontend. Not yet run on a
// GPU.
//
// Of cudnn_frontend its classes over single descriptors serve, not its class Graph: that one takes
// eight times as long to compile, opens the CUDA runtime and NVRTC by name, and prints.
#include "src/cuda/cudnn/library.h"

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

#include "src/cuda/cudnn/handle_pool.h"
#include "src/host/problem/errors.h"

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

// ---- Plans. -------------------------------------------------------------------------------------

class Plan final : public CudnnPlan {
 public:
  Plan(fe::ExecutionPlan plan, Device* device) : plan_(std::move(plan)), device_(device) {}
  int64_t workspace_bytes() const override { return plan_.getWorkspaceSize(); }

  void execute(std::span<const int64_t> ids, std::span<void* const> pointers, void* workspace,
               Stream stream) const override {
    if (device_ == nullptr) throw DeviceError("cuDNN's plan is for a GPU that is not here");
    try {
      // The builder takes no const; it copies what it is given.
      const auto pack =
          fe::VariantPackBuilder()
              .setWorkspacePointer(workspace)
              .setDataPointers(static_cast<int64_t>(pointers.size()),
                               const_cast<void**>(pointers.data()))
              .setUids(static_cast<int64_t>(ids.size()), const_cast<int64_t*>(ids.data()))
              .build();
      const std::lock_guard lock(executing_);
      const Handle handle(device_->runners);  // last: who holds one waits for nothing
      check(fe::detail::set_stream(handle.get(), static_cast<cudaStream_t>(stream)),
            "cudnnSetStream");
      check(fe::detail::execute(handle.get(), plan_.get_raw_desc(), pack.get_raw_desc()),
            "cudnnBackendExecute");
    } catch (const fe::cudnnException& error) {
      throw DeviceError(std::string("cuDNN failed: ") + error.what());
    }
  }

 private:
  fe::ExecutionPlan plan_;
  Device* device_;
  /// cuDNN does not promise that one plan may be executed by two threads at once.
  mutable std::mutex executing_;
};

using Properties = std::shared_ptr<fe::DeviceProperties>;

/// A GPU that is not here, as cuDNN described it where it was.
Properties read_properties(const DeviceFacts& device) {
  auto properties = std::make_shared<fe::DeviceProperties>();
  const std::string& text = device.cudnn_properties;
  auto error = properties->deserialize({text.begin(), text.end()});
  if (error.is_good()) return properties;
  throw Unsupported("cuDNN cannot read its properties of " + device.name + ": " +
                    error.get_message());
}

}  // namespace

// ---- The library. -------------------------------------------------------------------------------

const std::string& cudnn_absence() {
  static const std::string absence = open_cudnn();
  return absence;
}

std::string cudnn_version() {
  if (!cudnn_absence().empty()) return "";
  const std::size_t version = fe::detail::get_backend_version();
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

std::string cudnn_device_properties(int ordinal) {
  if (!cudnn_absence().empty()) return "";
  try {
    fe::DeviceProperties properties;
    std::vector<uint8_t> text;
    if (properties.set_device_id(ordinal).build().is_bad()) return "";
    if (properties.serialize(text).is_bad()) return "";
    while (!text.empty() && text.back() == 0) text.pop_back();  // it may count the final zero
    return {text.begin(), text.end()};
  } catch (const std::exception&) {  // a function that this cuDNN lacks
    return "";
  }
}

std::string cudnn_refusal(const CudnnGraph& graph) {
  if (!cudnn_absence().empty()) return cudnn_absence();
  try {
    Operations(graph).graph(nullptr);
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

// ---- The query. ---------------------------------------------------------------------------------

struct CudnnQuery::State {
  Device* device = nullptr;  ///< null: one that is not here
  std::unique_lock<std::mutex> planning;
  Properties properties;
  std::optional<Operations> operations;
  std::optional<fe::OperationGraph> graph;
  std::vector<EngineConfig> configs;
  fe::EngineConfigList descriptors;  ///< of configs
};

CudnnQuery::CudnnQuery(const DeviceFacts& facts, const CudnnGraph& graph)
    : state_(std::make_unique<State>()) {
  if (!cudnn_absence().empty()) throw Unsupported(cudnn_absence());
  cudnnHandle_t handle = nullptr;
  if (facts.is_here()) {
    state_->device = &device_at(facts.ordinal);
    state_->planning = std::unique_lock(state_->device->planning);
    make_handles(*state_->device);
    handle = state_->device->planner;
  } else {
    state_->properties = read_properties(facts);
  }
  state_->operations.emplace(graph);
  state_->graph.emplace(state_->operations->graph(handle));
}

CudnnQuery::~CudnnQuery() = default;

void CudnnQuery::ask(int heuristic) {
  constexpr cudnnBackendHeurMode_t kModes[kCudnnHeuristics] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B,
                                                               CUDNN_HEUR_MODE_FALLBACK};
  try {
    auto heuristics = fe::EngineHeuristicsBuilder_v8()
                          .setOperationGraph(*state_->graph)
                          .setDeviceProperties(state_->properties)
                          .setHeurMode(kModes[heuristic])
                          .build();
    for (const auto& descriptor : heuristics.getEngineConfig(heuristics.getEngineConfigCount())) {
      EngineConfig config = describe(descriptor);
      config.heuristic = heuristic;
      state_->configs.push_back(std::move(config));
      state_->descriptors.push_back(descriptor);
    }
  } catch (const fe::cudnnException&) {  // NOLINT(bugprone-empty-catch): the next one may know
  }
}

const std::vector<EngineConfig>& CudnnQuery::configs() const { return state_->configs; }

std::unique_ptr<CudnnPlan> CudnnQuery::build(std::size_t i, std::string& refusal) const {
  try {
    auto builder = fe::ExecutionPlanBuilder();
    if (state_->device != nullptr) builder.setHandle(state_->device->planner);
    builder.setEngineConfig(state_->descriptors[i], state_->graph->getTag());
    return std::make_unique<Plan>(builder.build(), state_->device);
  } catch (const fe::cudnnException& error) {
    refusal = error.what();
    return nullptr;
  }
}

}  // namespace tconv::host
