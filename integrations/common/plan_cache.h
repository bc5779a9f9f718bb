// SPDX-License-Identifier: Apache-2.0
//
// plan_cache.h: what every face for a framework is made of: arguments -> cached plan -> run.
//
//   tconv::face::Call<tconv::PyTorchArgs> call;
//   call.args.input_shape = ...;                       // the framework's arguments, as they are
//   call.args.alignment = tconv::face::alignment_of({input, weight, output});
//   const auto ready = tconv::face::prepare(call);     // throws tconv::Error
//   ... allocate ready->output_shape ...
//   tconv::Tensors tensors;                            // input, filters, output, ...
//   tconv::face::run(*ready, tensors, stream);
//
// Header-only over tconv.h (C++17). Any thread may call at any time. After fork() the child goes on
// with the plans that it has; the library runs them without its pool of threads there.
#ifndef TCONV_INTEGRATIONS_COMMON_PLAN_CACHE_H_
#define TCONV_INTEGRATIONS_COMMON_PLAN_CACHE_H_

#include <pthread.h>
#include <tconv/tconv.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <list>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace tconv::face {

/// A framework's arguments, and what they do not say.
template <typename Args>
struct Call {
  Args args;  ///< `alignment`: alignment_of() the pointers
  Options options;
  std::optional<FilterOrder> filter_order;  ///< of the memory; absent: the convention's own
  int32_t device_index = 0;  ///< the GPU that is current: its plans are not another one's
};

/// A plan, and what a run of it needs. Immutable; shared by whoever runs it.
struct Prepared {
  Problem problem;
  Plan plan;
  ProblemInfo info;      ///< sizes of the buffers in bytes
  Numbers output_shape;  ///< with the framework's rank, in its order
  std::size_t workspace_bytes = 0;
};

/// The largest power of two up to 16 that divides all of these addresses.
inline int32_t alignment_of(std::initializer_list<const void*> pointers) {
  std::uintptr_t bits = 16;
  for (const void* pointer : pointers) bits |= reinterpret_cast<std::uintptr_t>(pointer);
  return static_cast<int32_t>(bits & (~bits + 1));
}

namespace detail {

/// All that decides a plan, byte by byte.
class Key {
 public:
  template <typename... Values>
  explicit Key(const Values&... values) {
    bytes_.reserve(512);
    add(values...);
  }
  template <typename... Values>
  void add(const Values&... values) {
    (one(values), ...);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  template <typename Plain>
  std::enable_if_t<std::is_trivially_copyable_v<Plain>> one(const Plain& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void one(const std::string& text) {
    one(text.size());
    bytes_ += text;
  }
  void one(const Numbers& numbers) {
    one(numbers.size());
    bytes_.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(int64_t));
  }
  template <typename Value>
  void one(const std::optional<Value>& value) {
    one(value.has_value());
    if (value) one(*value);
  }

  std::string bytes_;
};

// The two bindings do not compile where a field is added that is not in the key.
inline void add(Key& key, const Details& details) {
  const auto& [name, dtype, output_dtype, bias_dtype, has_bias, has_residual, activation, a, b,
               input_strides, output_strides, residual_strides, alignment] = details;
  key.add(name, dtype, output_dtype, bias_dtype, has_bias, has_residual, activation, a, b,
          input_strides, output_strides, residual_strides, alignment);
}
inline void add(Key& key, const Options& options) {
  const auto& [device, kernels, tile, workspace_limit, math, allow_nondeterministic, prepacked,
               verify, threads, log, log_user, device_model, parallel_for, parallel_user, progress,
               progress_user] = options;
  key.add(device, kernels, tile, workspace_limit, math, allow_nondeterministic, prepacked, verify,
          threads, log, log_user, device_model, parallel_for, parallel_user, progress,
          progress_user);
}
inline void add(Key& key, const TensorFlowArgs& a) {
  key.add('T', a.input_shape, a.filter_shape, a.output_shape, a.strides, a.dilations, a.padding,
          a.explicit_paddings, a.data_format, a.groups);
}
inline void add(Key& key, const PyTorchArgs& a) {
  key.add('P', a.input_shape, a.weight_shape, a.stride, a.padding, a.output_padding, a.dilation,
          a.output_size, a.groups, a.memory_format);
}
inline void add(Key& key, const OnnxArgs& a) {
  key.add('O', a.x_shape, a.w_shape, a.strides, a.pads, a.output_padding, a.output_shape,
          a.dilations, a.auto_pad, a.group);
}

/// The problem of `args` with its filters in another order.
template <typename Args>
ProblemDesc reordered(const Args& args, FilterOrder order) {
  const tconv_problem_desc c = Problem(args).desc();
  const auto axis = [](const tconv_axis& a) {
    return Axis{a.in, a.kernel, a.stride, a.dilation, a.pad_begin, a.out};
  };
  ProblemDesc desc;
  static_cast<Details&>(desc) = args;
  desc.batch = c.batch, desc.in_c = c.in_c, desc.out_c = c.out_c, desc.groups = c.groups;
  desc.h = axis(c.h), desc.w = axis(c.w);
  desc.layout = static_cast<Layout>(c.layout);
  desc.filter_order = order;
  return desc;
}

/// The plans used last, of this module and this process.
class PlanCache {
 public:
  using Entry = std::shared_ptr<const Prepared>;

  /// Never destroyed: other threads may still run when the process ends.
  static PlanCache& instance() {
    static PlanCache* const cache = [] {
      auto* made = new PlanCache;
      pthread_atfork(before_fork, after_fork, after_fork);
      return made;
    }();
    return *cache;
  }
  Entry find(const std::string& key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return nullptr;
    used_.splice(used_.begin(), used_, found->second);
    return found->second->second;
  }
  void put(const std::string& key, Entry entry) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (entries_.count(key) != 0) return;  // another thread was faster
    used_.emplace_front(key, std::move(entry));
    entries_.emplace(key, used_.begin());
    if (used_.size() <= kPlans) return;
    entries_.erase(used_.back().first);
    used_.pop_back();
  }
  void clear() {
    const std::lock_guard<std::mutex> lock(mutex_);
    entries_.clear();
    used_.clear();
  }
  std::size_t size() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return used_.size();
  }

 private:
  static constexpr std::size_t kPlans = 512;
  using Used = std::list<std::pair<std::string, Entry>>;

  // The child must not find the mutex held by a thread that it has not.
  static void before_fork() { instance().mutex_.lock(); }
  static void after_fork() { instance().mutex_.unlock(); }

  std::mutex mutex_;
  Used used_;  // the one used last in front
  std::unordered_map<std::string, Used::iterator> entries_;
};

/// This thread's workspace for runs on the CPU. What is large is given back at once.
class Workspace {
 public:
  explicit Workspace(std::size_t bytes) {
    if (bytes == 0) return;
    Buffer& kept = of_thread();
    if (bytes > kKept) {
      once_ = allocate(bytes);
      data_ = once_.get();
      return;
    }
    if (kept.bytes < bytes) {
      kept.bytes = 0;
      kept.memory = allocate(bytes);
      kept.bytes = bytes;
    }
    data_ = kept.memory.get();
  }
  void* data() const { return data_; }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  using Memory = std::unique_ptr<void, Free>;
  struct Buffer {
    Memory memory;
    std::size_t bytes = 0;
  };
  static constexpr std::size_t kKept = std::size_t{64} << 20, kAligned = 256;

  static Buffer& of_thread() {
    static thread_local Buffer buffer;
    return buffer;
  }
  static Memory allocate(std::size_t bytes) {
    Memory memory(std::aligned_alloc(kAligned, (bytes + kAligned - 1) / kAligned * kAligned));
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }

  Memory once_;
  void* data_ = nullptr;
};

}  // namespace detail

/// The plan of `call`, made once. Throws tconv::Error with field, value and what would be legal.
template <typename Args>
std::shared_ptr<const Prepared> prepare(const Call<Args>& call) {
  detail::Key key(call.filter_order, call.device_index);
  add(key, static_cast<const Details&>(call.args));
  add(key, call.args);
  add(key, call.options);
  detail::PlanCache& cache = detail::PlanCache::instance();
  if (auto found = cache.find(key.bytes())) return found;
  auto made = std::make_shared<Prepared>();
  made->problem = call.filter_order ? Problem(detail::reordered(call.args, *call.filter_order))
                                    : Problem(call.args);
  made->plan = Plan(made->problem, call.options);
  made->info = made->problem.info();
  made->output_shape = output_shape(call.args);
  made->workspace_bytes = made->plan.workspace_bytes();
  cache.put(key.bytes(), made);
  return made;
}

/// Runs on the caller's memory. On the CPU the workspace is this thread's own; on CUDA the caller
/// gives one of `ready.workspace_bytes`, and the run is enqueued on `stream`.
inline void run(const Prepared& ready, Tensors tensors, void* stream = nullptr) {
  if (ready.plan.device() != Device::cpu) return ready.plan.run(tensors, stream);
  const detail::Workspace workspace(ready.workspace_bytes);
  tensors.workspace = workspace.data();
  tensors.workspace_bytes = ready.workspace_bytes;
  ready.plan.run(tensors);
}

}  // namespace tconv::face

#endif  // TCONV_INTEGRATIONS_COMMON_PLAN_CACHE_H_
