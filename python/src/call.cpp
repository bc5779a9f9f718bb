// SPDX-License-Identifier: Apache-2.0
#include "python/src/call.h"

#include <cstdlib>
#include <new>

namespace tconv::python {

namespace {

/// Another dense array within the bytes of `out`, which would be overwritten while it is read.
void check_apart(const Operand& out, const Operand& other, const char* name) {
  if (!other.given() || !out.dense() || !other.dense()) return;
  const auto bytes = [](const Operand& o) {
    std::size_t count = element_bytes(o.dtype());
    for (const int64_t size : o.shape()) count *= static_cast<std::size_t>(size);
    return count;
  };
  const auto* a = static_cast<const char*>(out.data());
  const auto* b = static_cast<const char*>(other.data());
  if (a < b + bytes(other) && b < a + bytes(out))
    throw nb::value_error((std::string("out: shares memory with ") + name).c_str());
}

void check_arrays(const face::Prepared& ready, const Arrays& arrays) {
  if (arrays.bias.given() || arrays.slopes.given()) {
    const Numbers channels = {ready.problem.desc().out_c};
    if (arrays.bias.given()) arrays.bias.check_shape(channels);
    if (arrays.slopes.given()) arrays.slopes.check_shape(channels);
  }
  if (arrays.residual.given()) arrays.residual.check_shape(ready.output_shape);
  if (!arrays.out.given()) return;
  arrays.out.check_shape(ready.output_shape);
  check_apart(arrays.out, arrays.input, "input");
  check_apart(arrays.out, arrays.filters, "filters");
  check_apart(arrays.out, arrays.bias, "bias");
}

nb::object exported(Framework framework, void* data, const Numbers& shape, const Numbers& strides,
                    nb::dlpack::dtype dtype) {
  const nb::capsule owner(data, [](void* memory) noexcept { std::free(memory); });
  size_t sizes[4] = {};
  for (std::size_t i = 0; i < shape.size(); ++i) sizes[i] = static_cast<size_t>(shape[i]);
  const int64_t* steps = strides.empty() ? nullptr : strides.data();
  const auto as = [&](auto kind) {
    return nb::cast(nb::ndarray<decltype(kind)>(data, shape.size(), sizes, owner, steps, dtype));
  };
  switch (framework) {
    case Framework::torch: return as(nb::pytorch());
    case Framework::tensorflow: return as(nb::tensorflow());
    case Framework::jax: return as(nb::jax());
    default: return as(nb::numpy());
  }
}

/// Element strides in the order of the shape, of a dense channels_last tensor of PyTorch's.
Numbers channels_last_strides(const Numbers& shape, const Places& p) {
  Numbers strides(shape.size());
  int64_t step = 1;
  for (const int place : {p.c, p.w, p.h, p.n}) {
    if (place < 0) continue;
    strides[place] = step;
    step *= shape[place];
  }
  return strides;
}

/// In another order than the shape's.
bool channels_last(const Memory& memory) { return memory.layout != memory.written.layout; }

Tensors tensors_of(const Arrays& arrays) {
  Tensors t;
  t.input = arrays.input.data();
  t.filters = arrays.packed_filters != nullptr ? arrays.packed_filters : arrays.filters.data();
  t.bias = arrays.bias.data();
  t.slopes = arrays.slopes.data();
  t.residual = arrays.residual.data();
  return t;
}

nb::object run_on_cuda(const face::Prepared& ready, Arrays& arrays, const Memory& memory,
                       const Target& target, Tensors tensors, nb::object result) {
  if (target.memory.is_none())
    throw nb::value_error(
        "input: in a GPU's memory, of a framework that allocates none there for "
        "tconv: use out= of Plan.run");
  if (!arrays.out.given()) {
    result = target.memory.attr("empty")(nb::cast(ready.output_shape),
                                         channels_last(memory) ? memory.written.places.c : -1,
                                         name_of(memory.output));
    arrays.out = Operand(result, "out", false, true);
  }
  nb::object scratch;
  Operand workspace;
  if (ready.workspace_bytes != 0) {
    scratch = target.memory.attr("workspace")(ready.workspace_bytes);
    nb::ndarray<> bytes;
    if (!nb::try_cast(scratch, bytes, false)) throw nb::type_error("workspace: no DLPack");
    tensors.workspace = bytes.data();
    tensors.workspace_bytes = ready.workspace_bytes;
  }
  tensors.output = arrays.out.data();
  const auto stream = nb::cast<std::uintptr_t>(target.memory.attr("stream")());
  const nb::gil_scoped_release released;
  face::run(ready, tensors, reinterpret_cast<void*>(stream));
  return result;
}

/// Types and strides of `out` and of the residual. Their shapes are checked once the output's is
/// known.
void look_at_output(const Arrays& arrays, Memory& memory, Details& details) {
  const std::size_t rank = arrays.input.shape().size();
  if (arrays.out.given()) {
    details.output_dtype = memory.output = arrays.out.dtype();
    if (arrays.out.shape().size() != rank) return;
    const auto own = arrays.out.strides(memory.written.places, memory.layout);
    if (!own)
      throw nb::value_error(
          "out: its strides cannot be written in place: the dimension that is innermost in input "
          "must be innermost in it, with a stride of 1");
    details.output_strides = *own;
  }
  details.has_residual = arrays.residual.given();
  if (!details.has_residual) return;
  arrays.residual.check_dtype(details.output_dtype, "the output");
  if (arrays.residual.shape().size() != rank) return;
  const auto own = arrays.residual.strides(memory.written.places, memory.layout);
  memory.copy_residual = !own;
  // Absent strides are the output's, so that a dense residual beside a strided output says its own.
  details.residual_strides = own.value_or(Strides{});
  if (!details.residual_strides.given() && details.output_strides.given())
    details.residual_strides = arrays.residual.dense_strides(memory.written.places, memory.layout);
}

}  // namespace

Arrays::Arrays(const Target& target, nb::handle input_object, nb::handle filters_object,
               nb::handle bias_object, nb::handle residual_object, nb::handle out_object,
               const char* input_name, const char* filters_name)
    : input(input_object, input_name, target.bf16) {
  if (filters_object.is_valid()) filters = Operand(filters_object, filters_name, target.bf16);
  if (!bias_object.is_none()) bias = Operand(bias_object, "bias", target.bf16);
  if (!residual_object.is_none()) residual = Operand(residual_object, "residual", target.bf16);
  if (!out_object.is_none()) out = Operand(out_object, "out", target.bf16, true);
}

void Arrays::take_slopes(nb::handle object, const Target& target) {
  if (!object.is_none()) slopes = Operand(object, "slopes", target.bf16);
}

void Arrays::check_given(const tconv_problem_desc& desc) const {
  const auto check = [](const Operand& operand, const char* field, bool wanted) {
    if (operand.given() == wanted) return;
    throw nb::value_error((std::string(field) + (wanted ? ": missing, the plan was made with one"
                                                        : ": given, but the plan was made without"))
                              .c_str());
  };
  check(bias, "bias", desc.has_bias != 0);
  check(residual, "residual", desc.has_residual != 0);
  check(slopes, "slopes", desc.activation == TCONV_PRELU);
  const auto output = static_cast<DType>(desc.output_dtype);
  if (residual.given()) residual.check_dtype(output, "the plan's output");
  if (out.given()) out.check_dtype(output, "the plan's output");
  if (slopes.given())
    slopes.check_dtype(desc.dtype == TCONV_F64 ? DType::f64 : DType::f32, "what slopes must be");
  if (bias.given()) bias.check_dtype(static_cast<DType>(desc.bias_dtype), "the plan's bias");
  for (const Operand* other : {&filters, &bias, &slopes, &residual, &out}) {
    if (other->given()) other->check_beside(input);
  }
}

Memory look_at(const Arrays& arrays, const Written& written, Details& details) {
  Memory memory{written, written.layout, written.filters, arrays.input.dtype()};
  details.dtype = details.output_dtype = memory.output;
  arrays.filters.check_dtype(details.dtype, "input");
  for (const Operand* other :
       {&arrays.filters, &arrays.bias, &arrays.slopes, &arrays.residual, &arrays.out}) {
    if (other->given()) other->check_beside(arrays.input);
  }
  const Places& places = written.places;
  auto strides = arrays.input.strides(places, memory.layout);
  if (written.any_memory_order && (!strides || strides->given())) {
    const auto last = arrays.input.strides(places, Layout::nhwc);
    if (last && (!strides || !last->given())) {
      memory.layout = Layout::nhwc;
      strides = last;
    }
  }
  memory.copy_input = !strides;
  details.input_strides = strides.value_or(Strides{});
  const auto order = arrays.filters.filter_order(written.filters);
  memory.copy_filters = !order;
  memory.filter_order = order.value_or(written.filters);
  details.has_bias = arrays.bias.given();
  if (details.has_bias) details.bias_dtype = arrays.bias.dtype();
  if (arrays.slopes.given())
    arrays.slopes.check_dtype(details.dtype == DType::f64 ? DType::f64 : DType::f32,
                              "what slopes must be");
  look_at_output(arrays, memory, details);
  details.alignment = face::alignment_of({memory.copy_input ? nullptr : arrays.input.data(),
                                          memory.copy_filters ? nullptr : arrays.filters.data(),
                                          memory.copy_residual ? nullptr : arrays.residual.data(),
                                          arrays.out.data()});
  return memory;
}

nb::object run(const face::Prepared& ready, Arrays& arrays, const Memory& memory,
               const Target& target) {
  check_arrays(ready, arrays);
  if (memory.copy_input) arrays.input.copy_dense(memory.written.places, memory.layout);
  if (memory.copy_filters) arrays.filters.copy_dense(memory.written.filters, memory.filter_order);
  if (memory.copy_residual) arrays.residual.copy_dense(memory.written.places, memory.layout);
  if (arrays.bias.given() && !arrays.bias.dense()) arrays.bias.copy_dense();
  if (arrays.slopes.given() && !arrays.slopes.dense()) arrays.slopes.copy_dense();
  Tensors tensors = tensors_of(arrays);
  if (arrays.input.on_cuda())
    return run_on_cuda(ready, arrays, memory, target, tensors, nb::none());
  if (arrays.out.given()) {
    tensors.output = arrays.out.data();
    const nb::gil_scoped_release released;
    face::run(ready, tensors);
    return nb::none();
  }
  const auto bytes = static_cast<std::size_t>(ready.info.output_bytes);
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> output(std::aligned_alloc(64, (bytes + 64) / 64 * 64));
  if (output == nullptr) throw std::bad_alloc();
  {
    tensors.output = output.get();
    const nb::gil_scoped_release released;
    face::run(ready, tensors);
  }
  return exported(target.framework, output.release(), ready.output_shape,
                  channels_last(memory)
                      ? channels_last_strides(ready.output_shape, memory.written.places)
                      : Numbers{},
                  dlpack_type(memory.output, target.bf16));
}

}  // namespace tconv::python
