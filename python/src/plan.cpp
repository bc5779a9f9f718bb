// SPDX-License-Identifier: Apache-2.0
#include "python/src/plan.h"

#include <cstdlib>
#include <cstring>
#include <new>

namespace tconv::python {

namespace {

std::shared_ptr<face::Prepared> prepared(const Plan& plan, Numbers output_shape) {
  auto ready = std::make_shared<face::Prepared>();
  ready->plan = plan;
  ready->problem = plan.problem();
  ready->info = ready->problem.info();
  ready->output_shape = std::move(output_shape);
  ready->workspace_bytes = plan.workspace_bytes();
  return ready;
}

std::shared_ptr<void> aligned(std::size_t bytes) {
  std::shared_ptr<void> memory(std::aligned_alloc(64, (bytes + 64) / 64 * 64), std::free);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

HeldPlan::HeldPlan(const Plan& plan, const Options& options) : options_(options) {
  ready_ = prepared(plan, {});
  const tconv_problem_desc d = ready_->problem.desc();
  const bool first = d.layout == TCONV_NCHW;
  written_ = {places(first, 2, true), first ? Layout::nchw : Layout::nhwc,
              static_cast<FilterOrder>(d.filter_order), false};
  input_shape_ = shape_of(d.batch, d.h.in, d.w.in, d.in_c);
  const int64_t out_c = d.out_c / d.groups;
  filter_shape_ = {d.h.kernel, d.w.kernel, out_c, d.in_c};
  if (written_.filters == FilterOrder::ihwo)
    filter_shape_ = {d.in_c, d.h.kernel, d.w.kernel, out_c};
  if (written_.filters == FilterOrder::iohw)
    filter_shape_ = {d.in_c, out_c, d.h.kernel, d.w.kernel};
  if (written_.filters == FilterOrder::ohwi)
    filter_shape_ = {out_c, d.h.kernel, d.w.kernel, d.in_c};
  ready_ = prepared(plan, shape_of(d.batch, d.h.out, d.w.out, d.out_c));
  read_problem();
}

void HeldPlan::read_problem() { desc_ = ready_->problem.desc(); }

Numbers HeldPlan::shape_of(int64_t n, int64_t h, int64_t w, int64_t c) const {
  const Places& p = written_.places;
  Numbers shape(p.rank());
  if (p.n >= 0) shape[p.n] = n;
  if (p.h >= 0) shape[p.h] = h;
  shape[p.w] = w;
  shape[p.c] = c;
  return shape;
}

const face::Prepared& HeldPlan::packed_plan() const {
  if (packed_ == nullptr) {
    Options options = options_;
    options.device = ready_->plan.device();
    options.kernels = ready_->plan.kernel();
    options.tile = ready_->plan.tile();
    options.prepacked_filters = true;
    packed_ = prepared(Plan(ready_->problem, options), ready_->output_shape);
  }
  return *packed_;
}

Operand HeldPlan::filters_of(const Target& target, nb::handle object) const {
  Operand filters(object, "filters", target.bf16);
  filters.check_dtype(static_cast<DType>(desc_.dtype), "the plan");
  filters.check_shape(filter_shape_);
  const auto wanted = static_cast<FilterOrder>(desc_.filter_order);
  if (filters.filter_order(written_.filters) != wanted || !filters.aligned(desc_.alignment))
    filters.copy_dense(written_.filters, wanted);
  return filters;
}

Packed HeldPlan::pack(const Target& target, nb::handle object) const {
  const Operand filters = filters_of(target, object);
  const face::Prepared& into = packed_plan();
  Packed packed;
  packed.bytes = into.plan.packed_filter_bytes();
  packed.key = into.plan.packed_key();
  if (packed.bytes == 0) packed.bytes = static_cast<std::size_t>(into.info.filter_bytes);
  void* stream = nullptr;
  if (into.plan.device() == Device::cuda) {
    if (target.memory.is_none())
      throw nb::value_error("filters: in the GPU's memory, as the plan is");
    packed.on_gpu = target.memory.attr("workspace")(packed.bytes);
    nb::ndarray<> bytes;
    if (!nb::try_cast(packed.on_gpu, bytes, false)) throw nb::type_error("filters: no DLPack");
    packed.data = bytes.data();
    stream = reinterpret_cast<void*>(nb::cast<std::uintptr_t>(target.memory.attr("stream")()));
  } else {
    packed.memory = aligned(packed.bytes);
    packed.data = packed.memory.get();
  }
  const nb::gil_scoped_release released;
  if (!packed.key.empty()) {
    into.plan.prepack(filters.data(), const_cast<void*>(packed.data), packed.bytes, stream);
  } else if (into.plan.device() == Device::cpu) {
    std::memcpy(packed.memory.get(), filters.data(), packed.bytes);
  } else {
    throw Error(Status(TCONV_UNSUPPORTED));
  }
  return packed;
}

const face::Prepared& HeldPlan::take_packed(const Packed& packed, Arrays& arrays) const {
  const face::Prepared& ready = packed_plan();
  if (packed.key != ready.plan.packed_key())
    throw nb::value_error(("filters: packed as '" + packed.key + "', but the plan takes '" +
                           ready.plan.packed_key() + "'")
                              .c_str());
  if (packed.key.empty() && packed.bytes != static_cast<std::size_t>(ready.info.filter_bytes))
    throw nb::value_error("filters: packed for filters of another size");
  arrays.packed_filters = packed.data;
  return packed.key.empty() ? *ready_ : ready;
}

nb::object HeldPlan::run(const Target& target, nb::handle input, nb::handle filters,
                         nb::handle bias, nb::handle residual, nb::handle slopes,
                         nb::handle out) const {
  const bool is_packed = nb::isinstance<Packed>(filters);
  Arrays arrays(target, input, nb::handle(), bias, residual, out);
  arrays.take_slopes(slopes, target);
  const face::Prepared* ready = ready_.get();
  if (is_packed) {
    ready = &take_packed(nb::cast<const Packed&>(filters), arrays);
  } else {
    arrays.filters = filters_of(target, filters);
  }
  arrays.input.check_dtype(static_cast<DType>(desc_.dtype), "the plan");
  arrays.input.check_shape(input_shape_);
  arrays.check_given(desc_);
  Memory memory{written_, static_cast<Layout>(desc_.layout),
                static_cast<FilterOrder>(desc_.filter_order),
                static_cast<DType>(desc_.output_dtype)};
  const auto dense = [&](const Operand& operand) {
    const auto strides = operand.strides(written_.places, memory.layout);
    return strides && !strides->given() && operand.aligned(desc_.alignment);
  };
  memory.copy_input = !dense(arrays.input);
  if (arrays.residual.given()) {
    arrays.residual.check_shape(ready->output_shape);
    memory.copy_residual = !dense(arrays.residual);
  }
  if (arrays.out.given()) {
    arrays.out.check_shape(ready->output_shape);
    if (!dense(arrays.out))
      throw nb::value_error(
          "out: must be dense in the plan's memory order, and aligned to 16 bytes");
  }
  return python::run(*ready, arrays, memory, target);
}

HeldPlan HeldPlan::resized(int64_t n, int64_t h, int64_t w) const {
  HeldPlan other = *this;
  const auto resize = [&](const face::Prepared& ready) {
    const Plan plan = ready.plan.resized(n, h, w);
    const tconv_problem_desc d = plan.problem().desc();
    return prepared(plan, shape_of(d.batch, d.h.out, d.w.out, d.out_c));
  };
  other.ready_ = resize(*ready_);
  if (packed_ != nullptr) other.packed_ = resize(*packed_);
  other.read_problem();
  other.input_shape_ = shape_of(n, h, w, desc_.in_c);
  return other;
}

std::string HeldPlan::describe() const {
  std::string text = "<tconv.Plan " + ready_->plan.kernel();
  if (!ready_->plan.tile().empty()) text += " " + ready_->plan.tile();
  text += ready_->plan.device() == Device::cuda ? " on cuda" : " on cpu";
  text += std::string(": ") + name_of(static_cast<DType>(desc_.dtype)) + " input " +
          text_of(input_shape_) + ", filters " + text_of(filter_shape_) + " -> output " +
          text_of(ready_->output_shape);
  if (desc_.has_bias != 0) text += ", bias";
  if (desc_.has_residual != 0) text += ", residual";
  char macs[32];
  std::snprintf(macs, sizeof macs, "%.3g", ready_->info.useful_macs / 1e6);
  return text + ", " + macs + "e6 multiply-adds, " + std::to_string(ready_->workspace_bytes) +
         " bytes of workspace>";
}

}  // namespace tconv::python
